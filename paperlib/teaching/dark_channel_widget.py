"""The panel of notebook 02: the page of the derivation, in JupyterLab as part of the notebook.

In JupyterLab `explore()` shows the page `derivation.html`; executed without a browser (papermill,
`paper run`) the same call gives a still picture of several settings, so that a page made from it is
never empty. The panel runs in the browser: it works without the kernel, also the day after.
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import dehaze
from ..chips import scenes
from ..dehaze.steps import steps
from ..plots import dark_channel
from . import derivation
from .dark_channel import LIGHT, depth_map, glint, quality
from .derivation import scene_of


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


def explore(
    images: Mapping[str, np.ndarray] | None = None,
    *,
    hazy: bool = False,
    language: str = "",
    whole: bool = False,
    interactive: bool | None = None,
) -> Any:
    """Sliders with every map in JupyterLab, a still grid elsewhere.

    images       name -> picture of your own, offered before the built-in scenes: an array or a
                 file; see `derivation.picture_of`
    hazy         your pictures have haze already: it is taken away, and there is no truth
    language     "en" or "zh"
    whole        the whole derivation, equation by equation, in place of the sliders alone
    interactive  True or False to force one; None asks `live`
    """
    if live() if interactive is None else interactive:
        return Panel(derivation.page(images, hazy=hazy, language=language, bench=not whole))
    return still()


@dataclass(frozen=True)
class Panel:
    """A page shown within a notebook, in a frame of its own."""

    page: str

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" title="Haze removal, step by step" '
            'style="width: 100%; height: 85vh; min-height: 500px; border: 1px solid #888"></iframe>'
        )


def still() -> Any:
    """The page without a browser: one scene under several hazes, as a PNG a notebook shows.

    PSNR is of the colours, as in the notebook's tables and on the page.
    """
    clear = scene_of("river in the forest")
    panels: list[tuple[str, np.ndarray]] = []
    for strength, depth in ((0.3, "even"), (0.6, "even"), (0.6, "slope"), (0.6, "bank")):
        t = depth_map(clear.shape[:2], strength, depth)
        image = dehaze.add_haze(clear, t, LIGHT)
        found = steps(image)
        before, after = (quality(clear, one)[0] for one in (image, found.clear))
        panels += [
            (f"haze {strength}, {depth}", image),
            (f"recovered, {before:.1f} → {after:.1f} dB", found.clear),
            (f"t found, off by {np.abs(found.fine - t).mean():.3f}", np.clip(found.fine, 0, 1)),
            ("true t", t),
        ]
    return dark_channel.inline(dark_channel.maps(panels))
