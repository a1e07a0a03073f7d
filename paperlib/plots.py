"""One function per figure: data in, Figure out. Nothing here computes a result."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from . import files

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


def save(figure: Figure, path: Path) -> list[Path]:
    """Write `path`.png, .svg and .pdf without times or versions in them; return the three paths."""
    written = []
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        for suffix, metadata in (
            (".png", {"Software": None}),
            (".svg", {"Date": None, "Creator": None}),
            (".pdf", {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None}),
        ):
            target = path.with_name(path.name + suffix)
            with files.replacing(target) as partial:
                figure.savefig(partial, metadata=metadata)
            written.append(target)
    return written
