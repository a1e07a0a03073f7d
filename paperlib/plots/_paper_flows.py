"""The paper's figures 3, 4 and 5 as its text has them: the words in their boxes, in our English.

The pictures are not at hand, so the arrows, which the text does not give, are our reading. Each is
drawn above what this package does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from . import COLOURS
from .shared import arrow, box


@dataclass(frozen=True)
class Flow:
    """Boxes and arrows of one figure.

    boxes   key -> (x, y, text, colour), centre in units of a box's height
    arrows  (from, to), keys of boxes;  lanes  (y, height, name) of bands behind the boxes
    width, height  of the whole, in the same units;  size  of a box
    """

    title: str
    boxes: dict[str, tuple[float, float, str, str]]
    arrows: Sequence[tuple[str, str]]
    width: float
    height: float
    size: tuple[float, float] = (2.15, 0.9)
    lanes: Sequence[tuple[float, float, str]] = ()


_TRAIN, _TEST, _OURS = "original", "dehazed", "good"

PREPARATION = Flow(
    "Figure 3 of the paper: training data above, test data below",
    {
        "train": (1.4, 2.6, "training data", _TRAIN),
        "dehaze": (4.4, 2.6, "haze removal", _TRAIN),
        "size": (7.4, 2.6, "change of size", _TRAIN),
        "random": (10.4, 2.6, "random transforms,\nrandom parameters", _TRAIN),
        "elastic": (13.6, 3.5, "elastic", _TRAIN),
        "rotation": (16.3, 3.5, "rotation", _TRAIN),
        "mirror": (13.6, 2.4, "mirror", _TRAIN),
        "transpose": (16.3, 2.4, "transpose", _TRAIN),
        "test": (1.4, 0.6, "test data", _TEST),
        "dehaze 2": (4.4, 0.6, "haze removal", _TEST),
        "size 2": (7.4, 0.6, "change of size", _TEST),
        "augment": (10.4, 0.6, "test-time\naugmentation", _TEST),
        "elastic 2": (13.6, 1.1, "elastic", _TEST),
        "shape": (16.3, 1.1, "original shape", _TEST),
        "rotation 2": (13.6, 0.1, "rotation", _TEST),
        "mirror 2": (16.3, 0.1, "mirror", _TEST),
    },
    (
        ("train", "dehaze"),
        ("dehaze", "size"),
        ("size", "random"),
        ("random", "elastic"),
        ("random", "mirror"),
        ("test", "dehaze 2"),
        ("dehaze 2", "size 2"),
        ("size 2", "augment"),
        ("augment", "elastic 2"),
        ("augment", "rotation 2"),
    ),
    17.8,
    4.1,
)

TRAINING = Flow(
    "Figure 4 of the paper: a model for each label on either training set, then the better one",
    {
        "data": (1.4, 2.0, "training data", _TRAIN),
        "dehazed": (4.4, 3.0, "dehazed data", _TEST),
        "original": (4.4, 1.0, "original data", _TRAIN),
        "losses": (7.7, 2.0, "optimisation, scheduler;\nlog, F2, hard example", _OURS),
        "score d": (11.2, 3.0, "each label's score,\ndehazed data", _TEST),
        "score o": (11.2, 1.0, "each label's score,\noriginal data", _TRAIN),
        "compare": (14.3, 2.0, "comparison", _OURS),
        "model": (17.3, 2.0, "model put together", _OURS),
        "test": (20.3, 3.6, "test data", _TEST),
        "predict": (20.3, 2.0, "prediction", _OURS),
        "ridge": (20.3, 0.4, "ridge layer", _OURS),
        "with": (23.4, 0.4, "result with it", _OURS),
        "without": (23.4, 2.0, "result without", "published"),
    },
    (
        ("data", "dehazed"),
        ("data", "original"),
        ("dehazed", "losses"),
        ("original", "losses"),
        ("losses", "score d"),
        ("losses", "score o"),
        ("score d", "compare"),
        ("score o", "compare"),
        ("compare", "model"),
        ("model", "predict"),
        ("test", "predict"),
        ("predict", "ridge"),
        ("ridge", "with"),
        ("predict", "without"),
    ),
    24.9,
    4.2,
)

SHOWCASE = Flow(
    "Figure 5 of the paper: the page, and what happens behind it",
    {
        "upload": (1.9, 3.9, "upload pictures", _TRAIN),
        "wait": (11.0, 3.9, "waiting animation,\nlabels are added", _TRAIN),
        "end": (17.2, 3.9, "animation ends", _TRAIN),
        "page": (20.4, 3.9, "page of pictures\non show", _TRAIN),
        "shown": (5.2, 2.0, "path of pictures\non show", _OURS),
        "new": (5.2, 0.6, "path of new\nuploads", _OURS),
        "predict": (8.4, 0.6, "prediction", _OURS),
        "labels": (11.6, 0.6, "labels", _OURS),
        "database": (14.6, 2.0, "saved in the\ndatabase", _OURS),
        "delete": (14.8, 0.6, "new uploads\ndeleted", _OURS),
    },
    (
        ("upload", "shown"),
        ("upload", "new"),
        ("upload", "wait"),
        ("new", "predict"),
        ("predict", "labels"),
        ("labels", "database"),
        ("shown", "database"),
        ("labels", "delete"),
        ("database", "end"),
        ("wait", "end"),
        ("end", "page"),
    ),
    22.0,
    4.7,
    lanes=((3.2, 1.4, "page"), (-0.1, 2.9, "server")),
)


def draw(figure: FigureBase, flow: Flow) -> Axes:
    """A flow in a figure or a part of one of its own; its axes."""
    ax = figure.add_axes((0.01, 0.02, 0.98, 0.84))
    ax.set(xlim=(0, flow.width), ylim=(-1.0, flow.height))
    ax.axis("off")
    ax.set_title(flow.title, fontsize=9.5, loc="left")
    ax.text(
        1, -0.02, "boxes: the paper's words; arrows: our reading", transform=ax.transAxes,
        ha="right", va="bottom", fontsize=7, color="#666666",
    )  # fmt: skip
    for y, height, name in flow.lanes:
        ax.axhspan(y, y + height, color="#F4F4F4", zorder=0)
        ax.text(0.15, y + height - 0.12, name, fontsize=8, va="top", style="italic")
    for key, (x, y, text, colour) in flow.boxes.items():
        wide = _width(flow, key)
        box(ax, x, y, text, width=wide, height=flow.size[1], colour=COLOURS[colour], size=6.4)
    for start, end in flow.arrows:
        arrow(ax, *_ends(flow, start, end))
    return ax


def _width(flow: Flow, key: str) -> float:
    """Width of a box: as its longest line needs, and at least the flow's own."""
    longest = max(map(len, flow.boxes[key][2].split("\n")))
    return max(flow.size[0], 0.132 * longest + 0.25)


def _ends(flow: Flow, start: str, end: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where an arrow leaves one box and reaches another: at their sides, or above and below."""
    (x0, y0, *_), (x1, y1, *_) = flow.boxes[start], flow.boxes[end]
    if abs(x1 - x0) < 1:  # over each other
        half = (flow.size[1] / 2 + 0.03) * (1 if y1 > y0 else -1)
        return (x0, y0 + half), (x1, y1 - half)
    side = 1 if x1 > x0 else -1
    return (x0 + side * (_width(flow, start) / 2 + 0.04), y0), (
        x1 - side * (_width(flow, end) / 2 + 0.04),
        y1,
    )
