"""The contact sheet of generated scenes: what each of the 17 labels looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ..labels import ENGLISH
from . import styled

_CELL = 104  # pixels of one scene on the sheet


@styled
def contact_sheet(rows: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """One row of pictures per label.

    rows  tag -> pictures, each `(S, S, 3)` uint8; `scenes.examples` gives the scenes
    """
    most = max(len(pictures) for pictures in rows.values())
    size = (1.05 + 0.62 * most, 0.64 * len(rows))
    figure, axes = plt.subplots(len(rows), 1, figsize=size, squeeze=False)
    for axis, (tag, pictures) in zip(axes[:, 0], rows.items(), strict=True):
        strip = np.full((_CELL, most * (_CELL + 3) - 3, 3), 255, np.uint8)
        for i, picture in enumerate(pictures):
            left = i * (_CELL + 3)
            strip[:, left : left + _CELL] = cv2.resize(
                picture, (_CELL, _CELL), interpolation=cv2.INTER_AREA
            )
        axis.imshow(strip, interpolation="none")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_ylabel(
            ENGLISH[tag].replace(" ", "\n"), rotation=0, ha="right", va="center", fontsize=8
        )
        axis.spines[:].set_visible(False)
    figure.get_layout_engine().set(h_pad=0.01, hspace=0.0)
    return figure
