"""Which part of a picture a label hangs on: cover one part after the other and look again.

The occlusion map of Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks",
section 4.2 (https://doi.org/10.1007/978-3-319-10590-1_53), with the picture's mean colour as cover.
"""

from __future__ import annotations

import numpy as np

from ..predictor import Predictor


def covered(image: np.ndarray, side: int, step: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The picture with a square covered, once for every place of the square.

    image  `(H, W, 3)` uint8; side, step  pixels of the square, and between two places of it

    `(R · C, H, W, 3)` and `(R, C)`, places row by row. Raises `ValueError` where the square is
    larger than the picture.
    """
    height, width = image.shape[:2]
    if side > min(height, width):
        raise ValueError(f"a square of {side} pixels on a picture of {height} × {width}")
    tops, lefts = range(0, height - side + 1, step), range(0, width - side + 1, step)
    made = np.repeat(image[None], len(tops) * len(lefts), axis=0)
    colour = image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    for number, (top, left) in enumerate((top, left) for top in tops for left in lefts):
        made[number, top : top + side, left : left + side] = colour
    return made, (len(tops), len(lefts))


def lost(
    model: Predictor, image: np.ndarray, label: str, *, side: int = 64, step: int = 16
) -> np.ndarray:
    """How much of a label's probability goes when a part is covered, for each part `(R, C)`.

    Positive: the label hangs on that part. Negative: that part speaks against it.
    Raises `ValueError` for a label that the model does not know.
    """
    pictures, (rows, columns) = covered(image, side, step)
    made = model.predict(np.concatenate([image[None], pictures]))
    if label not in made.tags:
        raise ValueError(f"no label {label!r}: there are {', '.join(made.tags)}")
    probability = made.probability[:, made.tags.index(label)]
    return (probability[0] - probability[1:]).reshape(rows, columns)
