"""The competition's label file: `image_name,tags`, tags separated by spaces."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..labels import LABELS, PUBLISHED_CHIPS, WEATHER
from ..utils.errors import PaperError

HEADER = ["image_name", "tags"]
_NAME = re.compile(r"[^./\\\0:\n][^/\\\0:\n]*")  # no path, and nothing hidden
_SUFFIX = re.compile(r"\.jpe?g$", re.IGNORECASE)  # some copies of the file write it


@dataclass
class LabelTable:
    """What a label file says.

    path      the file
    digest    sha256 of its bytes
    rows      chip name -> its tags as written (a tag may be repeated), in the file's order
    bad       (chip name, reason) for each row that cannot be used; such a row is not in `rows`
    tags      the labels there are, in the order of their columns
    whole     chips of the whole published set
    """

    path: Path
    digest: str
    rows: dict[str, list[str]] = field(default_factory=dict)
    bad: list[tuple[str, str]] = field(default_factory=list)
    tags: tuple[str, ...] = LABELS
    whole: int = PUBLISHED_CHIPS
    _twice: set[str] = field(default_factory=set)

    @property
    def repeated(self) -> dict[str, list[str]]:
        """Chips whose row repeats a tag, with the tags repeated; a repeat counts once."""
        found = {n: [t for t, k in Counter(tags).items() if k > 1] for n, tags in self.rows.items()}
        return {name: tags for name, tags in found.items() if tags}

    @property
    def without_weather(self) -> list[str]:
        return [name for name, tags in self.rows.items() if not set(tags) & set(WEATHER)]

    def counts(self) -> dict[str, int]:
        """Tag -> chips positive for it."""
        found = Counter(tag for tags in self.rows.values() for tag in set(tags))
        return {tag: found[tag] for tag in self.tags}

    def encode(self, names: Sequence[str]) -> np.ndarray:
        """`(N, L)` uint8 of 0 and 1, columns in the order of `tags`; a repeated tag counts once."""
        column = {tag: i for i, tag in enumerate(self.tags)}
        labels = np.zeros((len(names), len(self.tags)), np.uint8)
        # one assignment for all chips: tens of thousands of small ones take noticeably longer
        marks = [(i, column[tag]) for i, name in enumerate(names) for tag in self.rows[name]]
        if marks:
            labels[tuple(np.array(marks).T)] = 1
        return labels

    def add(self, line: int, name: str, tags: list[str]) -> None:
        """File one row among the good or the bad ones.

        A name that comes twice leaves with both rows: nothing says which of them is right.
        """
        unknown = [tag for tag in tags if tag not in self.tags]
        if name in self._twice or name in self.rows:
            self.rows.pop(name, None)
            self.bad.append((name, f"the name is there again on line {line}"))
            self._twice.add(name)
        elif not _NAME.fullmatch(name):
            self.bad.append((name, f"line {line} has no usable chip name"))
        elif unknown:
            self.bad.append((name, f"line {line} has the unknown tag {unknown[0]!r}"))
        elif not tags:
            self.bad.append((name, f"line {line} has no tags"))
        else:
            self.rows[name] = tags


def read_bytes(path: Path) -> bytes:
    """The label file's bytes, zipped or not; `PaperError` where they cannot be read."""
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as packed:
                return packed.read(path.stem)
        return path.read_bytes()
    except PermissionError:
        raise PaperError(f"{path}: permission denied", "make it readable for you") from None
    except OSError as error:
        raise PaperError(f"{path} cannot be read ({error.strerror})", "check the path") from None
    except (zipfile.BadZipFile, zlib.error, KeyError, RuntimeError, NotImplementedError) as error:
        raise PaperError(
            f"{path}: holds no {path.stem} that can be read ({error})", f"unpack it to {path.stem}"
        ) from None


def read_table(path: Path) -> LabelTable:
    """Read the label file; rows that cannot be used are set aside in `.bad`, never dropped.

    Raises `PaperError` where the file as a whole cannot be used: not there, not text, another
    header, no rows.
    """
    data = read_bytes(path)
    cure = "the first line must read image_name,tags as in the competition's train_v2.csv"
    try:
        text = data.decode("utf-8-sig")  # spreadsheets write a byte order mark
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(lines, [])
        if [cell.strip() for cell in header] != HEADER:
            shown = ",".join(header)[:60]
            raise PaperError(f"{path}: the header is {shown!r}", cure)
        table = LabelTable(path, hashlib.sha256(data).hexdigest())
        for cells in lines:
            if any(cell.strip() for cell in cells):
                if len(cells) == 2:
                    table.add(lines.line_num, _SUFFIX.sub("", cells[0].strip()), cells[1].split())
                else:
                    said = f"line {lines.line_num} has {len(cells)} fields instead of 2"
                    table.bad.append((cells[0].strip(), said))
    except UnicodeDecodeError:
        raise PaperError(f"{path} is not UTF-8 text", "save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise PaperError(f"{path}, line {lines.line_num}: {error}", "mend that line") from None
    if not table.rows and not table.bad:
        raise PaperError(f"{path} holds no rows", "copy or download it again")
    return table
