"""The interactive page of notebook 02: haze added to a scene, sliders, and the error at once.

In JupyterLab `explore()` is a widget; executed without a browser (papermill, `paper run`) the same
call gives a still picture of several settings, so that a page made from it is never empty.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from .. import dehaze
from ..chips import scenes
from ..dehaze.steps import steps
from ..plots import dark_channel
from .dark_channel import DEPTHS, LIGHT, depth_map, glint, quality

#: Scenes to begin with: name -> (index, tags).
SCENES: dict[str, tuple[int, tuple[str, ...]]] = {
    "river in the forest": (12, ("clear", "primary", "water")),
    "closed forest": (5, ("clear", "primary")),
    "fields, road and houses": (
        12,
        ("clear", "primary", "agriculture", "road", "habitation"),
    ),
    "mine": (9, ("clear", "primary", "conventional_mine")),
    "bare ground": (13, ("clear", "bare_ground")),
    "clouds over a road": (12, ("partly_cloudy", "primary", "road")),
}
_PANELS = (
    ("truth", "hazy", "dark channel", "true t"),
    ("recovered", "error x 4", "t, coarse", "t, refined"),
)


def scene_of(name: str) -> np.ndarray:
    """One of `SCENES` without haze, `(256, 256, 3)` uint8."""
    index, tags = SCENES[name]
    return scenes.scene(index, tags=tags).clear


def failing_scenes() -> dict[str, np.ndarray]:
    """Haze-free scenes that break the prior: name -> `(256, 256, 3)` uint8."""
    water = scenes.scene(2, tags=("clear", "water")).clear
    return {
        "closed forest\n(for comparison)": scene_of("closed forest"),
        "bright ground": scene_of("bare ground"),
        "cloud": scene_of("clouds over a road"),
        "sand in a river": scenes.scene(12, tags=("clear", "water", "bare_ground")).clear,
        "water glint": glint(water),
    }


def live() -> bool:
    """Whether a person at a notebook server is looking, rather than papermill."""
    return "JPY_SESSION_NAME" in os.environ and "PAPER_TRACE" not in os.environ


def explore(images: Mapping[str, np.ndarray] | None = None, *, interactive: bool | None = None):
    """Sliders in JupyterLab, a still grid elsewhere.

    images       name -> `(H, W, 3)` uint8 haze-free pictures to offer besides the built-in scenes
    interactive  True or False to force one; None asks `live`
    """
    images = dict(images or {})
    if live() if interactive is None else interactive:
        return Page(images).widget
    return still()


@dataclass(frozen=True, eq=False)
class Hazed:
    """A scene with haze on it: what stays the same while the method's sliders move.

    clear, image  `(H, W, 3)` uint8 before and after eq. 3 with `LIGHT` and t
    t             `(H, W)` float64
    quality       PSNR and SSIM (of the grey pictures) of the hazy image
    kept          what `dark_channel.steps` and `render` made last, for the next move
    """

    clear: np.ndarray
    image: np.ndarray
    t: np.ndarray
    quality: tuple[float, float]
    kept: dict[str, tuple[object, np.ndarray]] = field(default_factory=dict)
    drawn: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, clear: np.ndarray, strength: float, depth: str) -> Hazed:
        """`strength` 0…1 and `depth` as `dark_channel.depth_map` has them."""
        t = depth_map(clear.shape[:2], strength, depth)
        image = dehaze.add_haze(clear, t, LIGHT)
        return cls(clear, image, t, quality(_grey(clear), _grey(image)))


def render(hazed: Hazed, **settings: Any) -> tuple[np.ndarray, str]:
    """All panels of the page as one picture, and the line of numbers above it.

    settings  omega, patch, t0, fraction, radius of `dark_channel.steps`
    returns   `(2·(H + 22), 4·(W + 6), 3)` uint8, and text
    """
    clear, before = hazed.clear, hazed.quality
    found = steps(hazed.image, kept=hazed.kept, **settings)
    error = cv2.convertScaleAbs(cv2.absdiff(clear, found.clear), alpha=4)
    maps = {"dark": found.dark, "true": hazed.t, "coarse": found.coarse, "fine": found.fine}
    for name, plane in maps.items():  # a map as it was before has its colours still
        if name not in hazed.drawn or hazed.drawn[name][0] is not plane:
            hazed.drawn[name] = plane, _coloured(plane)
    drawn = {name: hazed.drawn[name][1] for name in maps}
    panels = (
        (clear, hazed.image, drawn["dark"], drawn["true"]),
        (found.clear, error, drawn["coarse"], drawn["fine"]),
    )
    picture = np.vstack(
        [
            np.hstack([_framed(p, title) for p, title in zip(row, titles, strict=True)])
            for row, titles in zip(panels, _PANELS, strict=True)
        ]
    )
    after = quality(_grey(clear), _grey(found.clear))
    light, truth = (", ".join(f"{v:.2f}" for v in a) for a in (found.light, LIGHT))
    text = (
        f"PSNR {before[0]:.1f} → {after[0]:.1f} dB · SSIM {before[1]:.3f} → {after[1]:.3f} · "
        f"mean error of t {np.abs(found.fine - hazed.t).mean():.3f} · "
        f"A = ({light}), true ({truth})"
    )
    return picture, text


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def _coloured(plane: np.ndarray) -> np.ndarray:
    level = np.clip(np.rint(plane * 255), 0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)


def _framed(panel: np.ndarray, title: str) -> np.ndarray:
    framed = cv2.copyMakeBorder(panel, 20, 2, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    place, font = (5, 14), cv2.FONT_HERSHEY_SIMPLEX
    return cv2.putText(
        framed, title.replace("×", "x"), place, font, 0.42, (34,) * 3, 1, cv2.LINE_AA
    )


class Page:
    """The sliders and the picture; `widget` is what a notebook shows."""

    def __init__(self, images: Mapping[str, np.ndarray]) -> None:
        import ipywidgets as w

        self._images = images
        self._hazed: tuple[tuple[Any, ...], Hazed] | None = None
        wide = {"description_width": "130px"}
        room = w.Layout(width="420px")

        def slider(kind: Any, value: Any, low: Any, high: Any, step: Any, name: str) -> Any:
            return kind(
                value=value, min=low, max=high, step=step, description=name, style=wide, layout=room
            )

        self.scene = w.Dropdown(
            options=[*images, *SCENES], description="scene", style=wide, layout=room
        )
        self.depth = w.Dropdown(
            options=DEPTHS, value="slope", description="depth", style=wide, layout=room
        )
        self.controls = {
            "strength": slider(w.FloatSlider, 0.5, 0, 0.95, 0.01, "haze, 1 − t"),
            "omega": slider(w.FloatSlider, 0.95, 0, 1, 0.01, "ω"),
            "patch": slider(w.IntSlider, 15, 1, 61, 2, "window, pixels"),
            "t0": slider(w.FloatSlider, 0.1, 0.01, 0.9, 0.01, "t0"),
            "fraction": slider(w.FloatLogSlider, 0.01, -4, 0, 0.1, "share of candidates"),
            "radius": slider(w.IntSlider, 40, 0, 80, 1, "radius of the filter"),
        }
        self.picture = w.Image(format="jpeg", layout=w.Layout(width="100%", max_width="1048px"))
        self.numbers = w.HTML()
        for control in (self.scene, self.depth, *self.controls.values()):
            control.observe(self._draw, names="value")
        controls = list(self.controls.values())
        self.widget = w.VBox(
            [
                w.HBox([w.VBox([self.scene, self.depth, *controls[:2]]), w.VBox(controls[2:])]),
                self.numbers,
                self.picture,
            ]
        )
        self._draw()

    def _draw(self, _change: Any = None) -> None:
        start = time.perf_counter()
        settings = {name: control.value for name, control in self.controls.items()}
        haze = (self.scene.value, settings.pop("strength"), self.depth.value)
        if self._hazed is None or self._hazed[0] != haze:
            self._hazed = haze, Hazed.of(self._clear(haze[0]), *haze[1:])
        picture, text = render(self._hazed[1], **settings)
        _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        self.picture.value = data.tobytes()
        spent = 1000 * (time.perf_counter() - start)
        self.numbers.value = f"<b>{text}</b> <span style='color:#777'>· {spent:.0f} ms</span>"

    def _clear(self, name: str) -> np.ndarray:
        return self._images[name] if name in self._images else _kept(name)


@lru_cache(maxsize=8)
def _kept(name: str) -> np.ndarray:
    return scene_of(name)


def still() -> Any:
    """The page without a browser: one scene under several hazes, as a PNG a notebook shows."""
    clear = scene_of("river in the forest")
    panels: list[tuple[str, np.ndarray]] = []
    for strength, depth in ((0.3, "even"), (0.6, "even"), (0.6, "slope"), (0.6, "bank")):
        hazed = Hazed.of(clear, strength, depth)
        found = steps(hazed.image)
        after = quality(_grey(clear), _grey(found.clear))
        panels += [
            (f"haze {strength}, {depth}", hazed.image),
            (f"recovered, {hazed.quality[0]:.1f} → {after[0]:.1f} dB", found.clear),
            (
                f"t found, off by {np.abs(found.fine - hazed.t).mean():.3f}",
                np.clip(found.fine, 0, 1),
            ),
            ("true t", hazed.t),
        ]
    return dark_channel.inline(dark_channel.maps(panels))
