"""Quotations compared with the two sources, whose text is not part of the package.

`quotations.txt` holds a hash of every clause of the paper and of the teaching article, with the
section it stands in. A quotation is found where each of its clauses is there, so a wrong word or a
wrong section fails a test although nobody can read the sources from the hashes. A clause is what
stands between two punctuation marks, without spaces; so a quotation begins and ends at one.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

Clause = tuple[str, str, str]  # source, section, hash
#: Heading of a section at the beginning of a line: "4.3   实验结果", "5.5 InceptionV2", "7. …".
_HEADING = re.compile(r"^ ?(\d(?:\.\d{1,2})?)\.?[\s–]+\S")
_REFERENCE = re.compile(r"\[[\d\s–,]+\]")
#: Marks between clauses; not a point or comma inside a number.
_MARKS = re.compile(r"(?<!\d)[.,]|[.,](?!\d)|[;:!?()\[\]{}<>«»“”\"'‘’、。…·•*|]")
#: A line of its own is at most so long: captions, boxes of figures, rows of tables.
_SHORT = 24
_ROW = re.compile(r"\d\.\d{3}\s\d\d\s*$")  # of table 1
_CAPTION = re.compile(r"^[图表]\d+")


def clauses(text: str) -> list[str]:
    """The clauses of a text, normalised: compatibility forms, no spaces, lower case."""
    plain = unicodedata.normalize("NFKC", _REFERENCE.sub("", text)).lower()
    parts = (re.sub(r"\s+", "", part) for part in _MARKS.split(plain))
    return [part for part in parts if part]


def digest(text: str, source: str, sections: list[str]) -> list[Clause]:
    """Every clause of a source with its section; short lines (captions, boxes) stand alone too.

    sections  the source's own section numbers, in order: a line begins a section where it begins
              with the next of them
    """
    found, section, wanted = set(), "0", list(sections)
    parts: dict[str, list[str]] = {section: []}
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading and wanted and heading[1] == wanted[0]:
            section = wanted.pop(0)
            parts[section] = []
        # The paper's lines are broken anywhere; the article's are whole paragraphs.
        caption = _CAPTION.match(line.replace(" ", ""))
        alone = source == "article" or heading or caption or _ROW.search(line)
        parts[section].append(f"|{line}|" if alone else line)
    if wanted:
        raise ValueError(f"{source}: no heading {wanted[0]}")
    for name, lines in parts.items():
        for piece in ("\n".join(lines), *(line for line in lines if len(line) <= _SHORT)):
            for clause in clauses(piece):
                for one in {clause, _CAPTION.sub("", clause)}:
                    found.add((source, name, hashed(one)))
    return sorted(found)


def hashed(clause: str) -> str:
    """Sixteen digits of a clause's sha256."""
    return hashlib.sha256(clause.encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def known() -> dict[tuple[str, str], frozenset[str]]:
    """(source, hash) -> the sections that the clause stands in, from `quotations.txt`."""
    text = (Path(__file__).parent / "quotations.txt").read_text(encoding="ascii")
    found: dict[tuple[str, str], set[str]] = {}
    for line in text.splitlines():
        source, section, value = line.split()
        found.setdefault((source, value), set()).add(section)
    return {key: frozenset(sections) for key, sections in found.items()}


def missing(quotation: str, source: str, section: str) -> list[str]:
    """The clauses of a quotation that its source does not have in this section."""
    there = known()
    return [c for c in clauses(quotation) if section not in there.get((source, hashed(c)), ())]
