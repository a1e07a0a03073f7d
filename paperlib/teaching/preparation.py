"""What notebook 03 shows: each random transform of one chip, and what was drawn for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..networks.augment import random_transforms, transformed


def each_transform(image: np.ndarray, draws: int = 2, seed: int = 0) -> dict[str, np.ndarray]:
    """What each random transform makes of one chip, and all of them in a row.

    image  `(S, S, 3)` uint8;  draws  how many times each is drawn
    Returns name -> `(draws, S, S, 3)` uint8. Mirror and transpose are two of the symmetries, which
    training draws together; they are not random on their own, so each is given once.
    """
    copies = np.repeat(image[None], draws, axis=0)
    layers_by_name = {layer.name: layer for layer in random_transforms("paper", seed)}
    made = {
        "mirror": image[None, :, ::-1],
        "transpose": image[None].transpose(0, 2, 1, 3),
        **{
            name: transformed([layers_by_name[f"random_{name}"]], copies)
            for name in ("rotation", "resize", "elastic")
        },
    }
    made["all"] = transformed(list(layers_by_name.values()), copies)
    return made


@dataclass(frozen=True)
class Motion:
    """What a transform did to a chip: turned, grown and shifted it.

    mirrored  before the turn
    turn      degrees, counterclockwise
    growth    fraction, +0.1 for a tenth larger
    bend      root mean square along an axis of what no turn and growth explain, fraction of the
    side
    """

    mirrored: bool
    turn: float
    growth: float
    bend: float


def coordinates(size: int) -> np.ndarray:
    """A picture that says where each pixel is: `(S, S, 3)` uint8, x and y from 0 to 255, and 0."""
    along = np.rint(np.linspace(0, 255, size)).astype(np.uint8)
    x, y = np.meshgrid(along, along)
    return np.stack([x, y, np.zeros_like(x)], axis=-1)


def motion(moved: np.ndarray) -> Motion:
    """Read off what a transform made of `coordinates`, `(S, S, 3)`.

    The affine map that fits the middle half best, which no reflected border reaches: each pixel
    there says where its value was taken from.
    """
    size = len(moved)
    here = coordinates(size)[..., :2].astype(float)
    quarter = slice(size // 4, size - size // 4)
    taken = moved[quarter, quarter, :2].reshape(-1, 2).astype(float)
    to = here[quarter, quarter].reshape(-1, 2)
    to = np.column_stack([to, np.ones(len(to))])
    fitted, *_ = np.linalg.lstsq(to, taken, rcond=None)
    matrix = fitted[:2].T
    area = np.linalg.det(matrix)
    if area < 0:
        matrix = np.diag([-1.0, 1.0]) @ matrix
    return Motion(
        mirrored=bool(area < 0),
        turn=float(np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], np.trace(matrix)))),
        growth=float(abs(area) ** -0.5 - 1),
        bend=float(np.sqrt(((to @ fitted - taken) ** 2).mean()) / 255),
    )


@dataclass(frozen=True)
class Shown:
    """A transformed chip `(S, S, 3)`, `coordinates` under the same draw, and what was drawn."""

    picture: np.ndarray
    grid: np.ndarray
    motion: Motion


def extremes(image: np.ndarray, draws: int = 16, seed: int = 0) -> dict[str, list[Shown]]:
    """Of several draws of each random transform the two that lie furthest apart; to be drawn.

    image  `(S, S, 3)` uint8
    Returns what `each_transform` does, name by name; all of them in a row are the first two draws.
    """
    pictures = each_transform(image, draws, seed)
    grids = each_transform(coordinates(len(image)), draws, seed)
    size = {"rotation": "turn", "resize": "growth", "elastic": "bend"}
    made = {}
    for name in pictures:
        found = [
            Shown(picture, grid, motion(grid))
            for picture, grid in zip(pictures[name], grids[name], strict=True)
        ]
        if name in size:
            found.sort(key=lambda one, key=size[name]: getattr(one.motion, key))
            found = [found[0], found[-1]]
        made[name] = found[:2]
    return made
