"""An answer beside what is wanted and their difference, as a small picture in HTML."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from ..words import say

_HEIGHT = 96  # pixels of each panel


def beside(yours: np.ndarray, wanted: np.ndarray) -> str:
    """`<figure>` with three panels; empty where the two cannot be compared as pictures.

    yours, wanted  `(H, W)` or `(H, W, 3)` in about 0…1
    """
    small = wanted.ndim not in (2, 3) or min(wanted.shape[:2]) < 5
    if yours.shape != wanted.shape or small or (wanted.ndim == 3 and wanted.shape[2] != 3):
        return ""
    if not np.isfinite(yours).all():
        return ""
    off = np.abs(yours - wanted)
    panels = {say("yours"): yours, say("wanted"): wanted, say("difference"): off}
    shown = "".join(
        f'<span style="display:inline-block;margin-right:1em"><img alt="{name}" '
        f'src="{_address(panel)}"><br><small>{name}</small></span>'
        for name, panel in panels.items()
    )
    return f'<figure style="margin:.5em 0">{shown}</figure>'


def _address(panel: np.ndarray) -> str:
    grey = np.rint(np.clip(panel, 0, 1) * 255).astype(np.uint8)
    size = (round(_HEIGHT * grey.shape[1] / grey.shape[0]), _HEIGHT)
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_NEAREST)
    _, data = cv2.imencode(".png", grey[..., ::-1] if grey.ndim == 3 else grey)
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()
