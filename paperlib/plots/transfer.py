"""Notebook 11: learning curves of transfer learning, F2 against the number of training chips."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

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
            ax.set(xscale="log")
            ax.set_xticks(counts, [f"{c:,}" for c in counts])
            ax.minorticks_off()
            ax.grid(axis="y")
        panels[0, column].set_title(title)
        panels[1, column].set_xlabel("training chips")
    panels[0, 0].set_ylabel("F2, mean over chips")
    panels[1, 0].set_ylabel("F2, mean over labels")
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=2, fontsize=8)
    return figure
