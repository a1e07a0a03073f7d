"""A figure at a journal's width, in its font and format, and what a reader could not make out.

`paper run --style nature-single` draws the figures again into `figures/<profile>/<style>/`. A
figure is laid out as narrow as its smallest letters ask for, then scaled as a whole to the column.
Three things are checked: no letter is smaller than the journal wants, no words lie upon each other,
and no two colours that stand for data in one panel look alike to a reader without red or green
cones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ..utils import files
from ..utils.errors import PaperError
from ._drawn import DATA

INCH, POINT = 25.4, 72.0  # millimetres; points of an inch
#: How far a figure may be laid out narrower than it was made for; the rest is scaling.
NARROWEST = 0.6
#: Boxes of words are a little larger than their letters.
UPON = 0.1
#: Least distance in CIELAB of two colours, as a reader without one kind of cone sees them. Of Okabe
#: and Ito's colours the closest that are used together here lie 18 apart; what can just be seen is
#: 2.3, for patches that touch (Mahy, van Eycken & Oosterlinck 1994), and marks are small and apart.
APART = 15.0
#: Simulation of complete protanopia and deuteranopia in linear RGB: Machado, Oliveira & Fernandes
#: 2009 (doi:10.1109/TVCG.2009.113), severity 1.
SEEN = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
}  # fmt: skip


@dataclass(frozen=True)
class Journal:
    """What a publisher asks of figures.

    width    millimetres;  least  points of the smallest letter as printed
    fonts    the first one that is installed is taken;  dpi  of what is made of pixels
    formats  suffixes; `.png` is what notebooks show
    """

    width: float
    least: float
    fonts: tuple[str, ...]
    dpi: int
    formats: tuple[str, ...]


SANS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")


def _columns(
    name: str, single: float, double: float, least: float, dpi: int, *formats: str
) -> dict[str, Journal]:
    widths = {"single": single, "double": double}
    both = (".pdf", ".png", *formats)
    return {f"{name}-{c}": Journal(w, least, SANS, dpi, both) for c, w in widths.items()}


#: From the publishers' public pages for authors, as they stood in 2026; a journal may ask for more.
JOURNALS = {
    **_columns("nature", 89, 183, 5, 300),  # nature.com/nature/for-authors/final-submission
    **_columns("ieee", 88.9, 181.9, 8, 300, ".tiff"),  # ieeeauthorcenter.ieee.org, graphics
    **_columns("elsevier", 90, 190, 7, 500, ".tiff"),  # elsevier.com, artwork sizing
    **_columns("springer", 84, 174, 8, 600, ".tiff"),  # springer.com, artwork guidelines
}


def journal(name: str) -> Journal:
    """The journal of a style; `PaperError` names those there are."""
    if name not in JOURNALS:
        raise PaperError(f"no style {name!r}", f"there are {', '.join(JOURNALS)}")
    return JOURNALS[name]


def save(figure: Figure, path: Path, style: Journal) -> tuple[list[Path], list[str]]:
    """Write `path` in the style's formats; the paths, and what a reader could not make out."""
    from matplotlib import rc_context

    from . import STYLE, _drawn

    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    fonts = _installed(style.fonts)
    for text in figure.findobj(Text):
        text.set_fontfamily(fonts)
    smallest = min(texts, key=lambda t: t.get_fontsize(), default=None)
    column, own = style.width / INCH, figure.get_figwidth()
    if smallest is not None:
        wanted = column * smallest.get_fontsize() / style.least
        figure.set_figwidth(min(own, max(wanted, NARROWEST * own)))
    with rc_context(fname=STYLE), rc_context({"savefig.pad_inches": 0.02}):
        written, scale = _write(figure, path, style, column)
    faults = [f"{path.name}: {fault}" for fault in confusable(_drawn.drawn(figure))]
    if smallest is not None and (size := smallest.get_fontsize() * scale) < style.least - 0.05:
        word = smallest.get_text().strip().partition("\n")[0]
        faults.append(
            f"{path.name}: letters of {size:.1f} pt ({word!r}), and no less than {style.least:g} "
            f"are asked for"
        )
    if pairs := overlapping(figure, texts):
        first, more = " and ".join(map(repr, pairs[0])), len(pairs) - 1
        others = f", and {more} more pairs of words" if more else ""
        faults.append(f"{path.name}: {first} lie upon each other{others}")
    return written, faults


def _write(figure: Figure, path: Path, style: Journal, column: float) -> tuple[list[Path], float]:
    """The files, `column` inches wide, and by how much the drawing was scaled to that."""
    from matplotlib.backends.backend_pdf import Op, PdfPages

    found: dict[str, float] = {}
    written = [path.with_name(path.name + suffix) for suffix in style.formats]
    quiet = {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None}
    with files.replacing(written[0]) as partial, PdfPages(partial, metadata=quiet) as pages:
        pdf = pages._ensure_file()
        new_page = pdf.newPage

        def scaled(width: float, height: float) -> None:
            """A page as wide as the column: what is drawn on it is scaled as a whole."""
            found["scale"] = by = column / width
            new_page(column, height * by)
            pdf.output(by, 0, 0, by, 0, 0, Op.concat_matrix)

        pdf.newPage = scaled
        pages.savefig(figure)
    scale = found["scale"]
    for target in written[1:]:
        resolution: dict[str, Any] = {"dpi": (style.dpi, style.dpi)}
        if target.suffix == ".tiff":
            resolution["compression"] = "tiff_lzw"
        with files.replacing(target) as partial:
            figure.savefig(partial, dpi=style.dpi * scale, pil_kwargs=resolution)
    return written, scale


def _installed(fonts: Iterable[str]) -> list[str]:
    """The fonts of a style that are there; those after the first lend it letters that it lacks."""
    from matplotlib import font_manager

    there = set(font_manager.get_font_names())
    return [font for font in fonts if font in there]


def overlapping(figure: Figure, texts: Iterable[Text]) -> list[tuple[str, str]]:
    """Pairs of words that lie upon each other by more than `UPON` of the smaller."""
    figure.draw_without_rendering()
    boxes = [(text.get_text().partition("\n")[0], text.get_window_extent()) for text in texts]
    found = []
    for (one, a), (other, b) in combinations(boxes, 2):
        both = Bbox.intersection(a, b)
        least = min(a.width * a.height, b.width * b.height)
        if both is not None and both.width * both.height > UPON * least:
            found.append((one, other))
    return found


# ---- colours -------------------------------------------------------------------------------------


def confusable(table: pd.DataFrame) -> list[str]:
    """Pairs of colours of data in one panel that look alike, a sentence each.

    table  `_drawn.drawn`

    Two series with other marks or dashes can be told apart without colour; shades of one hue are a
    scale, whose order is seen. Neither counts.
    """
    faults = []
    rows = table[table["part"].isin(DATA)].replace({"colour": {"": None}, "mark": {"": None}})
    colour, mark = rows["colour"].fillna(rows["fill"]).str[:7], rows["mark"].fillna("")
    look = pd.DataFrame({"panel": rows["panel"], "part": rows["part"], "mark": mark, "c": colour})
    for (panel, _, _), mine in look.dropna().groupby(["panel", "part", "mark"]):
        for one, other in combinations(sorted(set(mine["c"]) - {""}), 2):
            kind, apart = closest(one, other)
            if apart < APART and not _shades(one, other):
                faults.append(f"panel {panel}: {one} and {other} look alike with {kind} "
                              f"({apart:.0f} apart in CIELAB, {APART:g} are needed)")  # fmt: skip
    return list(dict.fromkeys(faults))


def _shades(one: str, other: str) -> bool:
    """Whether two colours have one hue, or both none."""
    (hue, full, _), (other_hue, other_full, _) = rgb_to_hsv([to_rgb(one), to_rgb(other)])
    if min(full, other_full) < 0.05:
        return bool(max(full, other_full) < 0.05)
    return bool(abs((hue - other_hue + 0.5) % 1 - 0.5) < 0.02)


def closest(one: str, other: str) -> tuple[str, float]:
    """The kind of colour vision with which two colours are closest, and their distance then."""
    from skimage.color import rgb2lab

    linear = _linear(np.array([to_rgb(one), to_rgb(other)]))
    found = {}
    for kind, matrix in SEEN.items():
        seen = np.clip(linear @ np.array(matrix).T, 0, 1)
        lab = rgb2lab(np.where(seen > 0.0031308, 1.055 * seen ** (1 / 2.4) - 0.055, 12.92 * seen))
        found[kind] = float(np.linalg.norm(lab[0] - lab[1]))
    kind = min(found, key=lambda k: found[k])
    return kind, found[kind]


def _linear(colours: np.ndarray) -> np.ndarray:
    low = colours <= 0.04045
    return np.where(low, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
