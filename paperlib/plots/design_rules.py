"""Notebook 13: the difference that each design rule makes, with its interval."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from . import COLOURS, styled

_VERDICTS = {"helps": "good", "hurts": "bad", "no difference here": "published"}


@styled
def rules(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The difference that each rule makes, with its interval and its seeds.

    tables  title -> `design_rules.table`
    """
    figure = Figure(figsize=(1.9 + 4.2 * len(tables), 4.6))
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for ax, (title, table) in zip(panels, tables.items(), strict=True):
        names = table["rule"].tolist()
        ax.axvline(0, color=COLOURS["ink"], lw=0.8)
        for y, row in zip(range(len(names), 0, -1), table.to_dict("records"), strict=True):
            if row["verdict"] not in _VERDICTS:
                ax.text(0, y, " not compared here ", va="center", fontsize=7, color="#777777",
                        ha="center", bbox={"fc": "white", "ec": "none", "pad": 1})  # fmt: skip
                continue
            colour = COLOURS[_VERDICTS[row["verdict"]]]
            ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=2.2)
            seeds = [v for k, v in row.items() if k.startswith("seed ") and v == v]
            ax.plot(seeds, [y] * len(seeds), "|", color=colour, ms=9)
            ax.plot(row["difference"], y, "o", color=colour, mec="white", ms=7)
        ax.set_yticks(range(len(names), 0, -1), names)
        ax.set(title=title, xlabel="F2 with the rule less F2 without", ylim=(0.4, len(names) + 0.6))
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        drawn = table.dropna(subset="difference")
        if len(drawn) == 0:
            ax.set_xlim(-0.1, 0.1)
    handles = [
        panels[0].plot([], [], "o-", color=COLOURS[c], label=word)[0]
        for word, c in _VERDICTS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    return figure
