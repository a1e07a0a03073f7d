"""What a data folder holds, and whether a run on it would go through: `paper data check DIR`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..labels import GROUP, LABELS, PUBLISHED_CHIPS, PUBLISHED_COUNTS
from . import SPLITS, reader, split_of
from .planet import open_source

_SIZE = 32  # every chip is decoded once; at which size does not matter


@dataclass
class Report:
    """What `check` found.

    table, chips  the label file, and the folder or archive of the chips
    rows          usable rows of the label file
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
    counts: dict[str, int]
    splits: dict[str, int]
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
            "published_rows": PUBLISHED_CHIPS,
            "counts": self.counts,
            "published_counts": PUBLISHED_COUNTS,
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
        grid.add_row("labels", f"{self.table} ({self.rows:,} of {PUBLISHED_CHIPS:,} rows)")
        grid.add_row("chips", str(self.chips))
        grid.add_row("sizes", sizes or "none can be read")
        grid.add_row("split", splits)
        return grid

    def _labels(self) -> Table:
        table = Table(title="chips per label", title_justify="left", header_style="bold")
        table.add_column("label")
        table.add_column("group")
        for heading in ("here", "share", "published", "share"):
            table.add_column(heading, justify="right")
        groups = [GROUP[tag] for tag in LABELS]
        for tag, group, following in zip(LABELS, groups, [*groups[1:], ""], strict=True):
            here, published = self.counts[tag], PUBLISHED_COUNTS[tag]
            table.add_row(
                tag,
                group,
                f"{here:,}",
                _share(here, self.rows),
                f"{published:,}",
                _share(published, PUBLISHED_CHIPS),
                style="red" if here == 0 else None,
                end_section=group != following,
            )
        here, published = sum(self.counts.values()), sum(PUBLISHED_COUNTS.values())
        table.add_row("all labels", "", f"{here:,}", "", f"{published:,}", "", style="bold")
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


def check(data: str | Path, *, workers: int | None = None, progress: bool = True) -> Report:
    """Look at every row and decode every chip, and say what is there.

    data  folder as for `planet.read`

    Raises `PaperError` where there is nothing to look at: no label file or another header, no
    chips, an archive that cannot be opened. Everything else is in the report.
    """
    source = open_source(data, workers=workers, progress=progress)
    table = source.table
    looked = source.survey
    with source.archive as opened:
        _, undecoded = reader.decode_all(
            opened, looked.shapes, _SIZE, source.decode, source.fit, **source.how
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
        counts=table.counts(),
        splits={split: splits[split] for split in SPLITS},
        sizes=dict(sizes.most_common()),
        missing=[name for name in source.names if name not in known],
        surplus=sorted(known - rows),
        repeated=table.repeated,
        no_weather=table.without_weather,
        bad_rows=list(table.bad),
        bad_chips=[(name, failed[name]) for name in source.names if name in failed],
        cut=source.archive.cut if failed else "",
    )
