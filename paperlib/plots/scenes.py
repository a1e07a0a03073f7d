"""The contact sheet of generated scenes: what each of the 17 labels looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from ..labels import ENGLISH
from . import styled

_CELL = 104  # pixels of one scene on the sheet


@styled
def contact_sheet(rows: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """One row of images per label.

    rows  tag -> images, each `(S, S, 3)` uint8; `scenes.examples` gives the scenes
    """
    most = max(len(images) for images in rows.values())
    figure = Figure(figsize=(1.05 + 0.62 * most, 0.64 * len(rows)))
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axis, (tag, images) in zip(axes, rows.items(), strict=True):
        strip = np.full((_CELL, most * (_CELL + 3) - 3, 3), 255, np.uint8)
        for i, image in enumerate(images):
            left = i * (_CELL + 3)
            cell = cv2.resize(image, (_CELL, _CELL), interpolation=cv2.INTER_AREA)
            strip[:, left : left + _CELL] = cell
        axis.imshow(strip, interpolation="none")
        axis.set(xticks=[], yticks=[])
        name = ENGLISH[tag].replace(" ", "\n")
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        axis.spines[:].set_visible(False)
    figure.get_layout_engine().set(h_pad=0.01, hspace=0.0)
    return figure
