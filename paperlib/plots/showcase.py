"""Figure 5: how a batch, its files and its chips move from state to state in the showcase.

And of figure 9, a browser's picture of the site, which model was at work in it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from . import COLOURS, _paper_flows, styled

_WIDE, _HIGH = 2.75, 1.12  # of a box
_STEP, _DOWN = 3.95, 1.45  # from column to column, from row to row
_LANE = 0.45  # between two lanes of arrows that lead back


@styled
def state_machines(machines: Sequence[Any]) -> Figure:
    """Figure 5: the paper's flow, and ours from the tables that the site itself works by.

    machines  objects with `.name`, `.states` (each `.name`, `.doing`, `.final`) and
              `.transitions` (each `.event`, `.sources`, `.target`, `.doing`; source `""` is the
              start), as in `demo_site/showcase/states.py`
    """
    layouts = [_layout(machine) for machine in machines]
    heights = [_height(places, machine) for places, machine in zip(layouts, machines, strict=True)]
    high, above = 0.45 * sum(heights) + 0.2, 2.3
    whole = Figure(figsize=(9.6, high + above))
    top, figure = whole.subfigures(2, 1, height_ratios=(above, high))
    _paper_flows.draw(top, _paper_flows.SHOWCASE)
    figure.suptitle("Here: the states of a batch, its files and its chips", fontsize=9.5, x=0.01,
                    ha="left", fontweight="bold")  # fmt: skip
    axes = figure.subplots(len(machines), 1, height_ratios=heights, squeeze=False)[:, 0]
    right = max(x for places in layouts for x, _ in places.values()) + _WIDE / 2
    for ax, machine, places, height in zip(axes, machines, layouts, heights, strict=True):
        _draw(ax, machine, places, max(x for x, _ in places.values()) + _WIDE / 2 + 0.9)
        top = _HIGH / 2 + _LANE * (len(_back(machine, places)) + 1.1) + 0.35
        ax.set(xlim=(-_WIDE / 2 - 1.1, right + 5.4), ylim=(top - height, top))
        ax.set_aspect("equal")
        ax.axis("off")
    return whole


def _layout(machine: Any) -> dict[str, tuple[float, float]]:
    """Centre of each state's box: passing states in a row, final ones in the column after them."""
    passing = [s.name for s in machine.states if not s.final]
    final = [s.name for s in machine.states if s.final]
    places = {name: (_STEP * i, 0.0) for i, name in enumerate(passing)}
    return places | {n: (_STEP * len(passing), -_DOWN * i) for i, n in enumerate(final)}


def _back(machine: Any, places: dict[str, tuple[float, float]]) -> dict[tuple[str, str], int]:
    """Lane above the row for each (sources, target) that leads back; nearer targets lie lower."""
    found = []
    for t in machine.transitions:
        sources = tuple(s for s in t.sources if s and places[s][0] > places[t.target][0])
        if sources and (sources, t.target) not in found:
            found.append((sources, t.target))
    length = {key: max(places[s][0] for s in key[0]) - places[key[1]][0] for key in found}
    return {key: i + 1 for i, key in enumerate(sorted(found, key=length.__getitem__))}


def _height(places: dict[str, tuple[float, float]], machine: Any) -> float:
    below = max(-min(y for _, y in places.values()) + _HIGH / 2, 0.47 * len(machine.transitions))
    return _HIGH / 2 + _LANE * (len(_back(machine, places)) + 1.1) + 0.6 + below


def _draw(ax: Axes, machine: Any, places: dict[str, tuple[float, float]], x_list: float) -> None:
    lanes = _back(machine, places)
    top = _HIGH / 2 + _LANE * (len(lanes) + 1.1)
    title = machine.name.capitalize()
    ax.text(-_WIDE / 2 - 0.9, top + 0.1, title, weight="bold", size=10, va="center")
    labels: dict[tuple[float, float], tuple[list[str], dict]] = {}
    for transition in machine.transitions:
        for source in transition.sources:
            if not source:
                x, y = places[transition.target]
                start = x - _WIDE / 2 - 0.75
                ax.plot(start, y, "o", ms=5, color=COLOURS["ink"], clip_on=False)
                _arrow(ax, [(start, y), (x - _WIDE / 2, y)])
                at, how = (start + 0.33, y + 0.1), {"ha": "center", "va": "bottom"}
            else:
                at, how = _route(ax, places, source, transition.target, lanes, transition)
            events, _ = labels.setdefault(at, ([], how))
            if transition.event not in events:
                events.append(transition.event)
    for (x, y), (events, how) in labels.items():
        ax.text(x, y, " · ".join(events), size=7.5, style="italic", color=COLOURS["ink"], **how)
    for state in machine.states:
        _box(ax, *places[state.name], state)
    for i, transition in enumerate(machine.transitions):
        y = _HIGH / 2 - 0.47 * (i + 0.3)
        ax.text(x_list, y, transition.event, size=7.5, style="italic", va="center")
        ax.text(x_list + 1.15, y, transition.doing, size=7.5, va="center", color="#444444")


def _route(ax: Axes, places: dict, source: str, target: str, lanes: dict, transition: Any):
    """Draw one arrow; where its label stands and how it is aligned."""
    (x0, y0), (x1, y1) = places[source], places[target]
    if x1 < x0:  # back, over the row, in a lane of its own
        sources = tuple(s for s in transition.sources if s and places[s][0] > x1)
        lane = lanes[sources, target]
        y = _HIGH / 2 + _LANE * lane
        shift = 0.28 * lane
        if y0 == 0:
            way = [(x0 - shift, y0 + _HIGH / 2), (x0 - shift, y)]
        else:  # from below: out to the right and up beside the boxes above
            side = x0 + _WIDE / 2
            way = [(side, y0), (side + 0.35, y0), (side + 0.35, y)]
        _arrow(ax, [*way, (x1 + shift, y), (x1 + shift, y1 + _HIGH / 2)])
        return ((x0 + x1) / 2, y + 0.05), {"ha": "center", "va": "bottom"}
    if y0 == y1:
        _arrow(ax, [(x0 + _WIDE / 2, y0), (x1 - _WIDE / 2, y1)])
        middle = (x0 + x1) / 2
        return (middle, y0 + 0.08), {"ha": "center", "va": "bottom"}
    row = round(-y1 / _DOWN)
    x = x0 + 0.75 - 0.5 * row  # each final row has its own way down
    _arrow(ax, [(x, y0 - _HIGH / 2), (x, y1), (x1 - _WIDE / 2, y1)])
    return (x1 - _WIDE / 2 - 0.2, y1 + 0.06), {"ha": "right", "va": "bottom"}


def _arrow(ax: Axes, points: list[tuple[float, float]]) -> None:
    path = Path(points, [Path.MOVETO] + [Path.LINETO] * (len(points) - 1))
    style = "-|>,head_length=4,head_width=2"
    ax.add_patch(
        FancyArrowPatch(path=path, arrowstyle=style, lw=0.9, color="#555555", shrinkA=0, shrinkB=0)
    )


def _box(ax: Axes, x: float, y: float, state: Any) -> None:
    colour = COLOURS["good"] if state.final else COLOURS["light"]
    if state.name in ("failed", "cancelled"):
        colour = COLOURS["bad"]
    ax.add_patch(
        FancyBboxPatch(
            (x - _WIDE / 2, y - _HIGH / 2),
            _WIDE,
            _HIGH,
            boxstyle="round,pad=0,rounding_size=0.1",
            fc=_pale(colour),
            ec=colour,
            lw=1.8 if state.final else 1.0,
            zorder=3,
        )
    )
    ax.text(x, y + 0.32, state.name, ha="center", va="center", weight="bold", size=8.5, zorder=4)
    doing = textwrap.fill(state.doing, 27)
    ax.text(x, y - 0.14, doing, ha="center", va="center", size=5.8, zorder=4, linespacing=1.15)


def _pale(colour: str) -> tuple[float, float, float]:
    return tuple(1 - 0.16 * (1 - part) for part in to_rgb(colour))
