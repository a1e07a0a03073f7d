"""What a data folder holds, and whether a run on it would go through: `paper data check DIR`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..labels import GROUP, LABELS, PUBLISHED_COUNTS
from ..utils.errors import PaperError
from . import SPLITS, jpeg, planet, reader, split_of, ucmerced
from .source import Source

_SIZE = 32  # every chip is decoded once; at which size does not matter


@dataclass
class Report:
    """What `check` found.

    table, chips  the label file, and the folder or archive of the chips
    rows, whole   usable rows of the label file, and those of the published one
    published     tag -> chips positive for it in the published set, where that is known
    counts        tag -> chips positive for it, a tag repeated in a row counted once
    splits        split -> chips
    sizes         `"256×256"` -> chips of that size, those that can be read
    missing       chips of the label file that are not in the archive
    surplus       chips of the archive that the label file does not name
    repeated      chip -> tags its row repeats
    no_weather    chips without a weather tag
    bad_rows      (chip, reason): rows of the label file that cannot be used
    bad_chips     (chip, reason): chips that cannot be used, the missing ones too
    cut           what is wrong with an archive that ends too soon, else `""`
    """

    table: Path
    chips: Path
    rows: int
    whole: int
    counts: dict[str, int]
    splits: dict[str, int]
    published: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    repeated: dict[str, list[str]] = field(default_factory=dict)
    no_weather: list[str] = field(default_factory=list)
    bad_rows: list[tuple[str, str]] = field(default_factory=list)
    bad_chips: list[tuple[str, str]] = field(default_factory=list)
    cut: str = ""

    @property
    def bad(self) -> list[tuple[str, str]]:
        """Everything that `--skip-bad` would leave out."""
        return [*self.bad_rows, *self.bad_chips]

    @property
    def ok(self) -> bool:
        """Whether a run on this folder goes through without `--skip-bad`."""
        return not self.bad and self.splits["train"] > 0 and self.splits["validation"] > 0

    def as_dict(self) -> dict[str, Any]:
        """Everything found, and the published counts, for `--json`."""
        return {
            "ok": self.ok,
            "labels_file": str(self.table),
            "chips_from": str(self.chips),
            "rows": self.rows,
            "published_rows": self.whole,
            "counts": self.counts,
            "published_counts": self.published or None,
            "labels": sum(self.counts.values()),
            "splits": self.splits,
            "sizes": self.sizes,
            "missing": self.missing,
            "surplus": self.surplus,
            "repeated_tags": self.repeated,
            "without_weather": self.no_weather,
            "bad": [{"chip": name, "reason": reason} for name, reason in self.bad],
            "cut": self.cut,
        }

    def verdict(self) -> str:
        """One line: whether a run goes through, and what to do where it does not."""
        if self.bad:
            said = reader.in_words(self.bad, self.rows + len(self.bad_rows))
            said = f"{self.cut}; {said}" if self.cut else said
            return f"a run would stop: {said} — mend this, or leave them out with --skip-bad"
        empty = [split for split in ("train", "validation") if not self.splits[split]]
        if empty:
            return f"a run would stop: no chip falls in {' and '.join(empty)} — add chips"
        return "a run goes through"

    def __rich__(self) -> RenderableType:
        return Group(self._summary(), Text(), self._labels(), Text(), *self._findings())

    def _summary(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold")
        grid.add_column()
        splits = " · ".join(f"{split} {self.splits[split]:,}" for split in SPLITS)
        sizes = " · ".join(f"{size}: {count:,}" for size, count in self.sizes.items())
        grid.add_row("labels", f"{self.table} ({self.rows:,} of {self.whole:,} rows)")
        grid.add_row("chips", str(self.chips))
        grid.add_row("sizes", sizes or "none can be read")
        grid.add_row("split", splits)
        return grid

    def _labels(self) -> Table:
        grouped, known = set(self.counts) <= set(GROUP), bool(self.published)
        table = Table(title="chips per label", title_justify="left", header_style="bold")
        for heading in ("label", *["group"] * grouped):
            table.add_column(heading)
        for heading in ("here", "fraction", *["published", "fraction"] * known):
            table.add_column(heading, justify="right")
        tags = list(self.counts)
        for tag, following in zip(tags, [*tags[1:], None], strict=True):
            here, cells = self.counts[tag], [tag, *[GROUP.get(tag)] * grouped]
            cells += [f"{here:,}", _share(here, self.rows)]
            if known:
                cells += [f"{self.published[tag]:,}", _share(self.published[tag], self.whole)]
            table.add_row(
                *cells,
                style="red" if here == 0 else None,
                end_section=following is None or (grouped and GROUP[tag] != GROUP[following]),
            )
        total = ["all labels", *[""] * grouped, f"{sum(self.counts.values()):,}", ""]
        total += [f"{sum(self.published.values()):,}", ""] * known
        table.add_row(*total, style="bold")
        return table

    def _findings(self) -> list[Text]:
        reasons = Counter(reason for _, reason in self.bad)
        lines = [
            _finding(self.missing, "missing chips, named in the label file only", "red"),
            _finding(self.surplus, "surplus chips, not named in the label file"),
            _finding(self.repeated, "rows that repeat a tag (a repeat counts once)"),
            _finding(self.no_weather, "rows without a weather tag"),
        ]
        found = [line for line in lines if line]
        if self.bad:
            found += [
                Text(f"{count:,} × {reason}", style="red")
                for reason, count in reasons.most_common(10)
            ]
        style = "bold green" if self.ok else "bold red"
        return [*found, Text(self.verdict(), style=style)]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _finding(names: list[str] | dict[str, list[str]], what: str, style: str = "") -> Text | None:
    if not names:
        return None
    first = ", ".join(list(names)[:4]) + (", …" if len(names) > 4 else "")
    return Text(f"{what}: {len(names):,} ({first})", style=style)


def _exactly(decode: Callable[[bytes, int], np.ndarray]) -> Callable[[bytes, int], np.ndarray]:
    """The same by Pillow: of a damaged JPEG of four components OpenCV gives what it could read."""

    def exact(data: bytes, components: int) -> np.ndarray:
        cmyk = components == 4 and data[:2] == b"\xff\xd8"
        return jpeg.exact(data) if cmyk else decode(data, components)

    return exact


def check(
    data: str | Path, name: str = "", *, workers: int | None = None, progress: bool = True
) -> Report:
    """Look at every row and decode every chip, and say what is there.

    data  folder as for `planet.read` or `ucmerced.read`
    name  of the data set, `planet` or `ucmerced`; by default what the label file is of

    Raises `PaperError` where there is nothing to look at: no label file or another header, no
    chips, an archive that cannot be opened. Everything else is in the report.
    """
    source = _source(data, name, workers=workers, progress=progress)
    table = source.table
    looked = source.survey
    with source.archive as opened:
        _, undecoded = reader.decode_all(
            opened, looked.shapes, _SIZE, _exactly(source.decode), source.fit, **source.how
        )
    failed = {**looked.bad, **undecoded}
    known = {*source.archive.chips, *source.archive.twice}
    rows = {*table.rows, *(name for name, _ in table.bad)}
    splits = Counter(split_of(name) for name in source.names)
    sizes = Counter(
        f"{width}×{height}"
        for name, (height, width, _) in looked.shapes.items()
        if name not in undecoded
    )
    return Report(
        table=table.path,
        chips=source.path,
        rows=len(table.rows),
        whole=table.whole,
        published=PUBLISHED_COUNTS if table.tags == LABELS else {},
        counts=table.counts(),
        splits={split: splits[split] for split in SPLITS},
        sizes=dict(sizes.most_common()),
        missing=[name for name in source.names if name not in known],
        surplus=sorted(known - rows),
        repeated=table.repeated,
        no_weather=table.without_weather if table.tags == LABELS else [],
        bad_rows=list(table.bad),
        bad_chips=[(name, failed[name]) for name in source.names if name in failed],
        cut=source.archive.cut if failed else "",
    )


def _source(data: str | Path, name: str, **how: Any) -> Source:
    """The data set of that name, or that a folder's label file is of."""
    sets = {"planet": planet.open_source, "ucmerced": ucmerced.open_source}
    if name and name not in sets:
        raise PaperError(f"no data set is called {name!r}", f"choose one of {', '.join(sets)}")
    if not name:
        below = (f"{deep}{ucmerced.TABLE}" for deep in ("", "*/"))
        of_ucmerced = any(next(Path(data).glob(each), None) for each in below)
        name = "ucmerced" if of_ucmerced else "planet"
    return sets[name](data, **how)
