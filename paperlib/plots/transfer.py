"""Notebook 11: learning curves of transfer learning, and what a label hangs on in a picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from . import COLOURS, styled
from .shared import intervals, offsets

_LOOK = {
    "svm": ("original", "o", "-"),
    "logistic": ("light", "s", "-"),
    "untrained": ("published", "s", ":"),
    "last": ("dehazed", "^", "--"),
    "all": ("good", "D", "--"),
    "scratch": ("bad", "v", ":"),
}

_GAINED = (0.35, 0.75, 1.0)


@styled
def learning_curves(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """F2 against the number of training chips: one column of panels per set of chips.

    tables  title -> `transfer.table`; upper panels: mean over chips, lower: mean over labels, with
            95 % intervals
    """
    figure = Figure(figsize=(0.9 + 3.1 * len(tables), 5.4))
    panels = figure.subplots(2, len(tables), sharex="col", sharey="row", squeeze=False)
    handles: dict[str, object] = {}
    for column, (title, table) in enumerate(tables.items()):
        counts = sorted(table["chips"].unique())
        methods = [m for m in _LOOK if m in set(table["method"])]
        for ax, prefix in zip(panels[:, column], ("", "macro_"), strict=True):
            for method, shift in zip(methods, offsets(len(methods), -1), strict=True):
                line = table[table["method"] == method].sort_values("chips")
                colour, mark, ls = _LOOK[method]
                name = line["what"].iloc[0]
                at = line["chips"] * 1.045**shift  # so that intervals do not overlap
                look = {"color": COLOURS[colour], "marker": mark, "ls": ls, "ms": 4.5, "lw": 1.3}
                look |= {"prefix": prefix, "upright": True, "elinewidth": 0.8, "label": name}
                handles.setdefault(name, intervals(ax, line, at, f"{prefix}f2", **look))
            # Limits of our own: a logarithmic axis that is shared chose others in Matplotlib 3.10.
            room = 1.045 ** len(methods) * (counts[-1] / counts[0]) ** 0.05
            ax.set(xscale="log", xlim=(counts[0] / room, counts[-1] * room))
            ax.set_xticks(counts, [f"{c:,}" for c in counts])
            ax.minorticks_off()
            ax.grid(axis="y")
        panels[0, column].set_title(title)
        panels[1, column].set_xlabel("training chips")
    panels[0, 0].set_ylabel("F2, mean over chips")
    panels[1, 0].set_ylabel("F2, mean over labels")
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=2, fontsize=8)
    return figure


@styled
def occluded(pictures: Mapping[str, tuple[np.ndarray, np.ndarray]], side: int, step: int) -> Figure:
    """Each picture, and over its shades what of a label's probability a covered part costs.

    pictures    title of the map -> `(H, W, 3)` uint8, and `occlusion.lost` of it `(R, C)`
    side, step  pixels of the covered square, and between two places of it
    """
    figure = Figure(figsize=(2.1 * len(pictures), 4.6))
    panels = figure.subplots(2, len(pictures), squeeze=False)
    for (above, below), (title, (image, lost)) in zip(panels.T, pictures.items(), strict=True):
        above.imshow(image)
        above.add_patch(Rectangle((8, 8), side, side, fill=False, ec="white", lw=1.2, ls="--"))
        above.set_title(title)
        below.imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
        most = max(float(np.abs(lost).max()), 1e-9)
        rows, columns = lost.shape
        left = top = (side - step) / 2  # a place is drawn around the middle of its square
        extent = (left, left + columns * step, top + rows * step, top)
        colour = np.empty((rows, columns, 4))
        colour[..., :3] = np.where(lost[..., None] > 0, to_rgb(COLOURS["dehazed"]), _GAINED)
        colour[..., 3] = 0.85 * np.abs(lost) / most
        below.imshow(colour, extent=extent, interpolation="bilinear")
        below.set(xlim=above.get_xlim(), ylim=above.get_ylim())
        words = f"{lost.min():+.2f} to {lost.max():+.2f}".replace("-", "−")
        below.set_title(words, fontsize=8, fontweight="normal")
    for ax in panels.flat:
        ax.axis("off")
    handles = [Patch(color=COLOURS["dehazed"], label="probability lost where this is covered"),
               Patch(color=_GAINED, label="gained")]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
    return figure
