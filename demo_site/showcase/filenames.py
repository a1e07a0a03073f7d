"""File names of strangers made fit for showing: a label for people, never part of a path."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from .limits import NAME

_SUFFIX = re.compile(r"\.(jpe?g|png|tiff?|zip)$", re.IGNORECASE)

_PLACE = re.compile(r"_r\d{3,}_c\d{3,}$")  # what `place_name` adds


def clean(name: str) -> str:
    """The last part of a path without its picture suffix, in characters that do nothing.

    Letters, digits, `_`, `-`, `.` and spaces stay, in any script; control characters, newlines,
    direction marks and markup become `_`. It never starts like a formula of a spreadsheet and has
    at most `limits.NAME` characters.
    """
    name = name[:4096].replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    name = unicodedata.normalize("NFC", _SUFFIX.sub("", name))
    kept = "".join(c if c.isalnum() or c in "_-. " or _is_mark(c) else "_" for c in name)
    kept = re.sub(r"_{2,}", "_", kept).strip(" ._-")[:NAME].strip(" ._-")
    return kept or "chip"


def title(text: str) -> str:
    """A batch's title as it was written, on one line: no control or direction marks, no markup."""
    plain = (" " if unicodedata.category(c)[0] in "CZ" or c in "<>" else c for c in text[:4096])
    return " ".join(unicodedata.normalize("NFC", "".join(plain)).split())[:NAME]


def _is_mark(c: str) -> bool:
    return unicodedata.category(c) in ("Mn", "Mc")


def distinct(names: Iterable[str]) -> list[str]:
    """Names, in order, with a number behind each that an earlier one has already: 1, 1_2, 1_3.

    Files of the same name come from different folders. A name that looks like a chip of a mosaic,
    `a_r000_c001`, is not that of a picture `a`'s chip either.
    """
    given, mosaics, counts = set(), set(), {}
    result = []
    for name in names:
        new, number = name, counts.get(name, 1)
        while new in given or new in mosaics or _mosaic(new) in given:
            number += 1
            new = f"{name}_{number}"
        counts[name] = number
        given.add(new)
        mosaics.add(_mosaic(new))
        result.append(new)
    return result


def _mosaic(name: str) -> str | None:
    found = _PLACE.search(name)
    return name[: found.start()] if found else None


def image_name(name: str) -> str:
    """A name for the competition's csv: no spaces, which there separate tags."""
    return re.sub(r"\s+", "_", name)


def place_name(upload: str, chips: int, row: int, column: int) -> str:
    """A chip's name: its upload's, with row and column where the upload holds many chips."""
    return upload if chips <= 1 else f"{upload}_r{row:03d}_c{column:03d}"
