"""Notebook 09: table 1's printed numbers beside the quantities that they could be."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd
from matplotlib.figure import Figure

from ..labels import ENGLISH
from . import COLOURS, styled
from .shared import name_rows, rows_of

LOOKS = (("dehazed", "s"), ("original", "o"), ("good", "^"), ("highlight", "v"))
#: What is shortened in the candidates' names, for the axis.
_SHORT = (
    ("mixed: overall F2 during the search for the eleven, ", "mixed: search and "),
    (" for the six", ""),
    (", threshold tuned for the label", ", tuned"),
    ("overall F2 during the threshold search", "overall F2 during the search"),
    ("overall F2, only this label's threshold tuned", "overall F2, one label tuned"),
)


@styled
def table1_lens(
    frame: pd.DataFrame,
    distances: pd.DataFrame,
    *,
    shown: Sequence[str],
    emphasised: Collection[str],
    near: float,
) -> Figure:
    """Left: printed numbers and four candidates, label by label. Right: how far each candidate is.

    frame       `table1.candidates`;  distances  `table1.distances`
    shown       the four candidates drawn on the left;  emphasised  those in bold on the right
    near        labels printed above it are the eleven; the others are shaded
    """
    figure = Figure(figsize=(7.6, 4.9))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    where = rows_of(frame)
    left.axhspan(-0.6, (frame["published"] <= near).sum() - 0.5, color="#F2F2F2", zorder=0)
    for name, (colour, marker) in zip(shown, LOOKS, strict=True):
        left.plot(frame[name], where, marker, ms=4.2, color=COLOURS[colour], label=name, alpha=0.9)
    look = {"ms": 5.6, "mfc": "none", "mew": 1.5, "color": COLOURS["ink"], "zorder": 5}
    left.plot(frame["published"], where, "D", label="printed in table 1", **look)
    name_rows(left, where, [ENGLISH[tag] for tag in frame["label"]])
    left.set(xlim=(-0.03, 1.03), ylim=(-0.6, len(frame) - 0.4), xlabel="value for the label")

    table = distances[distances["candidate"] != "printed"]
    at = rows_of(table)
    for column, colour, marker, text in (
        ("distance_eleven", COLOURS["bad"], "o", "eleven labels printed near 0.925"),
        ("distance_six", COLOURS["light"], "s", "six others"),
    ):
        right.plot(table[column], at, marker, ms=5, color=colour, label=text)
    both = table[["distance_eleven", "distance_six"]]
    right.hlines(at, both.min(axis=1), both.max(axis=1), color="#CCCCCC", lw=1.2, zorder=0)
    names = table["candidate"]
    for long, short in _SHORT:
        names = names.str.replace(long, short, regex=False)
    name_rows(right, at, names, fontsize=7)
    for tick, name in zip(right.get_yticklabels(), table["candidate"], strict=True):
        tick.set_fontweight("bold" if name in emphasised else "normal")
    right.set(xlim=(0, None), ylim=(-0.6, len(table) - 0.4))
    right.set_xlabel("distance from the printed numbers\n(root mean square)")
    for ax in (left, right):
        ax.legend(loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=1, fontsize=7)
    return figure
