"""The data of a figure as one table: what was drawn, read from the figure itself.

`save` writes it beside the pictures (`fig06_labels.csv`), so that a figure can be drawn again with
another program, and compared where pictures cannot be: another version of Matplotlib draws other
letters, but the same numbers, colours and words. A row is one point, bar, cell or text.

    panel    axes in the order they were added; 0 is the figure
    part     `line`, `points` or `area` (a row per vertex), `segment`, `bar`, `shape`, `arrow` (its
             ends), `cell`, `contour` (a row per level), `image`, `text`, `tick`, `title`,
             `x axis` and `y axis` (limits, scale and label), `colours` of cells, `legend`
    item     the part's number in its panel: rows of one line have the same, and how it was drawn
             stands in the first of them, unless it changes
    series   its name in the legend
    x, y     in the units of the axes, with interval or extent `x_low` … `y_high`
    value    of a cell; level of a contour; mean of an image
    colour, fill, mark, size, width   how it was drawn; sizes in points
    within   where x or y are no data: `x` or `y` is a fraction of the panel, or both (`panel`)
    text     words as drawn

Left out: pixels of images (chips may not be passed on; the row says how many there are and their
mean), vertices of contours, round corners of boxes, automatic ticks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import collections, patches
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgba
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.spines import Spine
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedLocator

COLUMNS = (
    "panel", "part", "item", "series", "x", "y", "x_low", "x_high", "y_low", "y_high", "value",
    "colour", "fill", "mark", "size", "width", "within", "text",
)  # fmt: skip
#: Parts that stand for data: what a reader tells apart by colour.
DATA = ("line", "points", "segment", "bar", "area")
Row = dict[str, Any]
#: Left empty where it is as in the item's first row.
_LOOK = ("colour", "fill", "mark", "size", "width", "within")
_NONE = ("None", "none", "", " ", None)


def drawn(figure: Figure) -> pd.DataFrame:
    """The table of a figure, columns `COLUMNS`."""
    rows: list[Row] = []
    for whole in (figure, *figure.subfigs):
        # Where the layout puts a title of the whole is no data: its place is left out.
        placed = [whole._suptitle, whole._supxlabel, whole._supylabel]  # type: ignore[attr-defined]
        rows += [{"part": "title", **_look(t)} for t in placed if t is not None and t.get_text()]
        texts = [t for t in whole.texts if t not in placed and t.get_text()]
        rows += [_word(t, within="figure") for t in texts]
        for legend in whole.legends:
            rows += _legend(legend)
    rows = [{"panel": 0, **row} for row in rows]
    axes = [one for ax in figure.axes for one in (ax, *ax.child_axes)]
    for panel, ax in enumerate(axes, start=1):
        rows += [{"panel": panel, **row} for row in _panel(ax)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def text(figure: Figure) -> str:
    """The table as CSV: numbers with six significant digits, as in every table of the package."""
    return drawn(figure).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _panel(ax: Axes) -> Iterator[Row]:
    for title in (ax.title, ax._left_title, ax._right_title):  # type: ignore[attr-defined]
        if title.get_text():
            yield {"part": "title", **_look(title)}
    if ax.axison:
        yield from _axis(ax.xaxis, "x", ax.get_xlim())
        yield from _axis(ax.yaxis, "y", ax.get_ylim())
    bars = {id(p): c for c in ax.containers if isinstance(c, BarContainer) for p in c.patches}
    errors = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    whole = {id(_first(c)): c for c in errors}
    parts = {id(a) for c in errors for a in (c.lines[0], *c.lines[1], *c.lines[2])} - set(whole)
    furniture = {id(a) for a in (ax.title, ax._left_title, ax._right_title, ax.patch)}  # type: ignore[attr-defined]
    item = 0
    for artist in ax.get_children():
        hidden = not artist.get_visible() or id(artist) in parts | furniture
        found = [] if hidden else list(_rows(artist, ax, bars.get(id(artist)), whole))
        item += bool(found)
        for row in found:
            again = _LOOK if row is not found[0] else ()
            kept = {k: v for k, v in row.items() if k not in again or v != found[0].get(k)}
            yield {"item": item, **kept}


def _first(container: ErrorbarContainer) -> Artist:
    line, _, bars = container.lines
    return bars[0] if line is None else line


def _rows(artist: Any, ax: Axes, bar: Any, whole: dict[int, ErrorbarContainer]) -> Iterator[Row]:
    """The rows of one artist; none for spines and axes."""
    if id(artist) in whole:
        yield from _with_errors(whole[id(artist)], ax)
    elif isinstance(artist, Line2D):
        yield from _line(artist, ax)
    elif isinstance(artist, patches.Rectangle):
        name = _name(bar) if bar is not None else _name(artist)
        yield {"part": "bar", "series": name, **_extent(artist, ax)}
    elif isinstance(artist, Annotation):
        yield from _annotation(artist)
    elif isinstance(artist, Text):
        if artist.get_text():
            yield _word(artist, within=_within(artist.get_transform(), ax))
    elif isinstance(artist, patches.FancyArrowPatch):
        yield from _arrow(artist, artist._posA_posB or (), _within(artist.get_transform(), ax))
    elif isinstance(artist, patches.Patch):
        if not isinstance(artist, Spine):
            yield {"part": "shape", "series": _name(artist), **_extent(artist, ax)}
    elif isinstance(artist, AxesImage):
        yield from _image(artist)
    elif isinstance(artist, collections.Collection):
        yield from _collection(artist, ax)
    elif isinstance(artist, Legend):
        yield from _legend(artist)


# ---- lines and marks -----------------------------------------------------------------------------


def _line(line: Line2D, ax: Axes) -> Iterator[Row]:
    x, y = line.get_xdata(orig=False), line.get_ydata(orig=False)
    look = _line_look(line, ax)
    yield from ({**look, "x": a, "y": b} for a, b in zip(x, y, strict=True))


def _line_look(line: Line2D, ax: Axes) -> Row:
    style, marker = line.get_linestyle(), line.get_marker()
    style = "" if style in _NONE else str(style)
    marks = marker not in _NONE
    found = {
        "part": "line" if style else "points",
        "series": _name(line),
        "colour": _hex(line.get_color(), line.get_alpha()),
        "mark": (str(marker) if marks else "") + style,
        "width": line.get_linewidth() if style else line.get_markeredgewidth(),
        "within": _within(line.get_transform(), ax),
    }
    if marks:
        found |= {"size": line.get_markersize(),
                  "fill": _hex(line.get_markerfacecolor(), line.get_alpha())}  # fmt: skip
    return found


def _with_errors(container: ErrorbarContainer, ax: Axes) -> Iterator[Row]:
    """Points with their intervals: the ends are read from the error bars as drawn."""
    line, _, bars = container.lines
    sides = [side for side, has in (("x", container.has_xerr), ("y", container.has_yerr)) if has]
    ends: list[Row] = [{} for _ in bars[0].get_paths()]
    for side, bar in zip(sides, bars, strict=True):
        for row, path in zip(ends, bar.get_paths(), strict=True):
            values = path.vertices[:, int(side == "y")]
            row |= {f"{side}_low": values[0], f"{side}_high": values[-1]}
    if line is None:
        look = {"part": "segment", "series": _name(container), **_strokes(bars[0])}
        yield from ({**look, **row} for row in ends)
        return
    for point, row in zip(_line(line, ax), ends, strict=True):
        yield {**point, **row, "series": _name(container), "width": bars[0].get_linewidth()[0]}


# ---- collections, shapes and images --------------------------------------------------------------


def _collection(found: Any, ax: Axes) -> Iterator[Row]:
    name = _name(found)
    if isinstance(found, ContourSet):
        for level, colour in zip(found.levels, found.get_edgecolor(), strict=False):
            yield {"part": "contour", "value": level, "colour": _hex(colour)}
    elif isinstance(found, collections.QuadMesh):
        corners, values = found.get_coordinates(), np.ma.filled(found.get_array(), np.nan)
        values = values.reshape(len(corners) - 1, -1)
        low, high = found.norm.vmin, found.norm.vmax
        yield {"part": "colours", "mark": found.cmap.name, "x_low": low, "x_high": high}
        for (i, j), value in np.ndenumerate(values):
            x, y = corners[i : i + 2, j : j + 2].mean(axis=(0, 1))
            yield {"part": "cell", "x": x, "y": y, "value": value}
    elif isinstance(found, collections.PathCollection):
        sizes, faces, values = found.get_sizes(), found.get_facecolor(), found.get_array()
        for i, (x, y) in enumerate(np.ma.filled(found.get_offsets(), np.nan)):
            colour = _hex(faces[i % len(faces)]) if len(faces) else ""
            value = None if values is None else values[i]
            yield {"part": "points", "series": name, "x": x, "y": y, "value": value, "mark": "o",
                   "size": np.sqrt(sizes[i % len(sizes)]), "colour": colour}  # fmt: skip
    elif isinstance(found, collections.LineCollection):
        look = {"series": name, "within": _within(found.get_transform(), ax), **_strokes(found)}
        for path in found.get_paths():
            x, y = path.vertices.T
            if len(x) == 2:
                ends = {"x_low": x[0], "x_high": x[1], "y_low": y[0], "y_high": y[1]}
                yield {"part": "segment", **look, **ends}
            else:
                yield from ({"part": "line", **look, "x": a, "y": b}
                            for a, b in path.vertices)  # fmt: skip
    else:
        faces = found.get_facecolor()
        look = {"series": name, "fill": _hex(faces[0]) if len(faces) else "", **_strokes(found)}
        for path in found.get_paths():
            yield from ({"part": "area", **look, "x": a, "y": b} for a, b in path.vertices)


def _strokes(found: Any) -> Row:
    colours, widths = found.get_edgecolor(), found.get_linewidth()
    return {"colour": _hex(colours[0]) if len(colours) else "", "width": widths[0]}


def _extent(patch: Any, ax: Axes) -> Row:
    box = patch.get_path().transformed(patch.get_patch_transform()).get_extents()
    edge, face = patch.get_edgecolor(), patch.get_facecolor()
    stroke = {"colour": _hex(edge), "width": patch.get_linewidth()} if edge[3] else {}
    return {
        "x_low": box.x0, "x_high": box.x1, "y_low": box.y0, "y_high": box.y1,
        "fill": _hex(face) if face[3] else "", **stroke,
        "within": _within(patch.get_data_transform(), ax),
    }  # fmt: skip


def _image(image: AxesImage) -> Iterator[Row]:
    pixels, extent = np.ma.filled(image.get_array(), 0), image.get_extent()
    ends = dict(zip(("x_low", "x_high", "y_low", "y_high"), extent, strict=True))
    size = " × ".join(str(n) for n in pixels.shape)
    yield {"part": "image", **ends, "value": pixels.mean(), "text": size}


# ---- words ---------------------------------------------------------------------------------------


def _axis(axis: Axis, name: str, limits: Iterable[float]) -> Iterator[Row]:
    low, high = limits
    words = axis.get_label_text() if axis.label.get_visible() else ""
    ends = {f"{name}_low": low, f"{name}_high": high}
    yield {"part": f"{name} axis", "mark": axis.get_scale(), "text": words, **ends}
    if isinstance(axis.get_major_locator(), FixedLocator):
        for at, tick in zip(axis.get_majorticklocs(), axis.get_major_ticks(), strict=False):
            if tick.label1.get_visible() and tick.label1.get_text():
                yield {"part": "tick", name: at, "text": tick.label1.get_text()}


def _annotation(note: Annotation) -> Iterator[Row]:
    within = "" if note.xycoords == "data" else "panel"
    if note.get_text():
        yield _word(note, within=within, at=note.xy)
    if note.arrow_patch is not None:
        ends = (note.xyann, note.xy) if note.anncoords == note.xycoords else (note.xy,)
        yield from _arrow(note.arrow_patch, ends, within)


def _arrow(arrow: patches.FancyArrowPatch, ends: Iterable[Any], within: str) -> Iterator[Row]:
    """Where an arrow begins and ends; how large its head is depends on the layout."""
    look = {"part": "arrow", "colour": _hex(arrow.get_edgecolor()), "within": within,
            "width": arrow.get_linewidth()}  # fmt: skip
    yield from ({**look, "x": x, "y": y} for x, y in ends)


def _word(text: Text, *, within: str, at: Any = None) -> Row:
    x, y = text.get_unitless_position() if at is None else at
    return {"part": "text", "x": x, "y": y, "within": within, **_look(text)}


def _look(text: Text) -> Row:
    return {"text": text.get_text(), "size": text.get_fontsize(), "colour": _hex(text.get_color())}


def _legend(legend: Legend) -> Iterator[Row]:
    yield from ({"part": "legend", **_look(text)} for text in legend.get_texts())


def _name(artist: Any) -> str:
    label = str(artist.get_label() or "")
    return "" if label.startswith("_") or label == "None" else label


def _hex(colour: Any, alpha: float | None = None) -> str:
    if isinstance(colour, str) and colour in _NONE:
        return ""
    rgba = to_rgba(colour, alpha)
    return to_hex(rgba, keep_alpha=rgba[3] < 1)


def _within(transform: Any, ax: Axes) -> str:
    spaces = ((ax.transAxes, "panel"), (ax.get_yaxis_transform(), "x"),
              (ax.get_xaxis_transform(), "y"))  # fmt: skip
    return next((name for space, name in spaces if transform is space or transform == space), "")
