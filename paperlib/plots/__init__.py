"""One function per figure: data in, Figure out. Nothing here computes a result.

Each module holds the figures of one subject (`plots.networks`, `plots.training`, …). A figure is
drawn under the package's one style by `@styled`, and saved by `save` without times or versions in
the files, so that equal figures are equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..utils import files

STYLE = Path(__file__).parents[1] / "paper.mplstyle"

#: Okabe & Ito's colours, told apart by readers of every kind of colour vision.
COLOURS = {
    "original": "#0072B2",
    "dehazed": "#E69F00",
    "published": "#7A7A7A",
    "good": "#009E73",
    "bad": "#D55E00",
    "highlight": "#CC79A7",
    "light": "#56B4E9",
    "ink": "#222222",
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorator: `draw` runs under `paper.mplstyle`, whatever style the caller has set."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(fname=STYLE):
            return draw(*args, **kwargs)

    return wrapper


def ends(table: pd.DataFrame, value: str = "f2", low: str = "low", high: str = "high"):
    """The halves of intervals as `errorbar` takes them: `(2, N)`, below and above the value.

    table  one row for each interval; `value`, `low` and `high` name its columns

    A bound may pass its value by a rounding error; such a half has no length.
    """
    return np.maximum([table[value] - table[low], table[high] - table[value]], 0)


def seeds_of(ax: Axes, rows: pd.DataFrame, y: float, spread: float, colour: str) -> np.ndarray:
    """Differences with their intervals, one for each seed, one below the other around `y`.

    rows  columns `difference`, `low`, `high`; `spread` apart
    Returns where each stands, `(N,)`.
    """
    at = y + spread * (np.arange(len(rows))[::-1] - (len(rows) - 1) / 2)
    ax.errorbar(
        rows["difference"], at, xerr=ends(rows, "difference"), fmt="o", ms=4, color=colour,
        capsize=2, lw=1.1,
    )  # fmt: skip
    return at


def root(values: np.ndarray) -> np.ndarray:
    """Square root as a scale: hundredths and tenths can both be read; for `set_xscale`."""
    return np.sqrt(np.maximum(values, 0))


def rows_header(ax: Axes, text: str) -> None:
    """What the names of the rows of `ax` are, above them."""
    ax.annotate(
        text, (0, 1), (-4, 5), xycoords="axes fraction", textcoords="offset points", ha="right",
        fontsize=7.5, color="#666666",
    )  # fmt: skip


def legend(figure: Figure, axes: Sequence[Axes], *last: str, **options: Any) -> None:
    """The figure's legend of `axes`; names that begin with one of `last` stand at the end.

    options  of `Figure.legend`
    """
    found = [pair for ax in axes for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
    found.sort(key=lambda pair: pair[1].startswith(last) if last else False)
    if found:
        figure.legend(*zip(*found, strict=True), **options)


#: The formats every figure is written in, with what keeps times and versions out of each.
FORMATS: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
}


def save(figure: Figure, path: Path, formats: Iterable[str] = tuple(FORMATS)) -> list[Path]:
    """Write `path` + each of `formats` without times or versions in them; return the paths."""
    written = []
    # The style also says how files are written (dpi, text as text), so it is set here as well.
    with matplotlib.rc_context(fname=STYLE), matplotlib.rc_context({"svg.hashsalt": path.name}):
        for suffix in formats:
            target = path.with_name(path.name + suffix)
            with files.replacing(target) as partial:
                figure.savefig(partial, metadata=FORMATS[suffix])
            written.append(target)
    return written


def show(paths: list[Path]) -> Any:
    """The saved PNG as a notebook shows it: what the reader sees is the file itself.

    paths  what `Project.save_figure` returned
    """
    from IPython.display import Image

    png = next(path for path in paths if path.suffix == ".png")
    return Image(data=png.read_bytes(), format="png", retina=True)
