"""Notebook 13: the difference in F2 that each design rule makes, with its interval and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from . import COLOURS, styled
from .shared import CENTRED, QUIET, TEXT, name_rows

#: The lighter greys look like the green to a reader without green cones.
_VERDICTS = {"helps": COLOURS["good"], "hurts": COLOURS["bad"], "undecided": TEXT}


@styled
def rules(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The difference that each rule makes, with its interval and its seeds.

    tables  title -> `design_rules.table`
    """
    figure = Figure(figsize=(1.9 + 4.2 * len(tables), 4.6))
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    patch = {"fc": "white", "ec": "none", "pad": 1}
    for ax, (title, table) in zip(panels, tables.items(), strict=True):
        where = range(len(table), 0, -1)
        ax.axvline(0, color=COLOURS["ink"], lw=0.8)
        for y, row in zip(where, table.to_dict("records"), strict=True):
            if row["verdict"] not in _VERDICTS:
                text = " not compared here "
                ax.text(0, y, text, fontsize=7, color=QUIET, bbox=patch, **CENTRED)
                continue
            colour = _VERDICTS[row["verdict"]]
            ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=2.2)
            seeds = [v for k, v in row.items() if k.startswith("seed ") and v == v]
            ax.plot(seeds, [y] * len(seeds), "|", color=colour, ms=9)
            ax.plot(row["difference"], y, "o", color=colour, mec="white", ms=7)
        name_rows(ax, where, table["rule"].tolist())
        ax.set(
            title=title,
            xlabel="F2 with the rule minus F2 without\nmean over chips and seeds, 95 % interval",
            ylim=(0.4, len(table) + 0.6),
        )
        if table["difference"].isna().all():
            ax.set_xlim(-0.1, 0.1)
    for word, colour in _VERDICTS.items():
        text = f"{word}: the interval holds 0" if word == "undecided" else word
        panels[0].plot([], [], "o-", color=colour, label=text)
    panels[0].plot([], [], "|", color=TEXT, ms=9, label="each seed")
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    return figure


@styled
def schedules(rates: Mapping[str, Sequence[float]], steps: int) -> Figure:
    """Learning rate against the epoch, one panel for each schedule, with one axis for all.

    rates  name of the schedule -> the rate at each step
    steps  steps of one epoch
    """
    figure = Figure(figsize=(2.5 * len(rates), 2.2))
    panels = figure.subplots(1, len(rates), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (name, values) in zip(panels, rates.items(), strict=True):
        ax.plot([k / steps for k in range(len(values))], values, color=COLOURS["original"])
        ax.set(title=name, xlabel="epoch")
        ax.set_ylim(bottom=0)
    panels[0].set_ylabel("learning rate")
    return figure
