"""One function per figure: data in, Figure out. Nothing here computes a result.

Each module draws the figures of one notebook and has its stem (`06_dehazing`, `plots.dehazing`);
`shared` holds what they have in common, `scenes` the contact sheet. A figure is drawn under the
package's one style by `@styled`, and saved by `save` without times or versions in the files, so
that equal figures are equal bytes.

seaborn draws the matrices and the histograms. Interval estimates are drawn with matplotlib: point
plots of seaborn compute intervals of their own from raw values, and ours come from tables, paired
and bootstrapped over chips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from ..utils import files

STYLE = Path(__file__).with_name("paper.mplstyle")

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


#: The formats every figure is written in, with what keeps times and versions out of each.
FORMATS: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    ".csv": {},  # the data drawn: `_drawn`
}


def save(figure: Figure, path: Path, formats: Iterable[str] = tuple(FORMATS)) -> list[Path]:
    """Write `path` + each of `formats` without times or versions in them; return the paths."""
    from . import _drawn  # pandas takes half a second to import

    written = []
    _steady(figure)
    # The style also says how files are written (dpi, text as text), so it is set here as well.
    with matplotlib.rc_context(fname=STYLE), matplotlib.rc_context({"svg.hashsalt": path.name}):
        for suffix in formats:
            target = path.with_name(path.name + suffix)
            with files.replacing(target) as partial:
                if suffix == ".csv":
                    files.write_text(partial, _drawn.text(figure))
                else:
                    figure.savefig(partial, metadata=FORMATS[suffix])
            written.append(target)
    return written


def save_styled(figure: Figure, path: Path, style: str) -> tuple[list[Path], list[str]]:
    """Write a figure as a journal wants it (`_journals.JOURNALS`); the paths, and what could not be
    made out in print."""
    from . import _journals

    _steady(figure)
    return _journals.save(figure, path, _journals.journal(style))


def _steady(figure: Figure) -> None:
    """Round where the layout puts the axes, so that its last digits reach no file.

    Constrained layout's solver orders its variables by memory address: two processes differ by some
    1e-16 of the figure's size, and Matplotlib names clip paths by a digest of unrounded floats.
    1e-9 of it is a millionth of a pixel.
    """
    engine = figure.get_layout_engine()
    if engine is None or engine.execute.__name__ == "rounded":
        return
    execute = engine.execute

    def rounded(figure: Figure) -> Any:
        found = execute(figure)
        for ax in figure.axes:
            bounds = ax.get_position(original=True).extents
            # `set_position` would take the axes out of the next layout.
            ax._set_position(Bbox.from_extents(bounds.round(9)))
        return found

    engine.execute = rounded  # type: ignore[method-assign]


def show(paths: list[Path]) -> Any:
    """The saved PNG as a notebook shows it: what the reader sees is the file itself.

    paths  what `Project.save_figure` returned
    """
    from IPython.display import Image

    png = next(path for path in paths if path.suffix == ".png")
    return Image(data=png.read_bytes(), format="png", retina=True)
