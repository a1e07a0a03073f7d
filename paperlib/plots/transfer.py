"""Learning curves of transfer learning: what each way makes of few and of many training chips."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from . import COLOURS, styled
from .shared import ends

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
        for row, (value, low, high) in enumerate(
            (("f2", "low", "high"), ("macro_f2", "macro_low", "macro_high"))
        ):
            ax = panels[row, column]
            methods = [m for m in _LOOK if m in set(table["method"])]
            for k, method in enumerate(methods):
                line = table[table["method"] == method].sort_values("chips")
                colour, mark, style = _LOOK[method]
                nudge = 1.045 ** (k - (len(methods) - 1) / 2)  # so that intervals do not overlap
                drawn = ax.errorbar(
                    line["chips"] * nudge,
                    line[value],
                    ends(line, value, low, high),
                    color=COLOURS[colour],
                    marker=mark,
                    ls=style,
                    ms=4.5,
                    lw=1.3,
                    elinewidth=0.8,
                    label=line["what"].iloc[0],
                )
                handles.setdefault(line["what"].iloc[0], drawn)
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
