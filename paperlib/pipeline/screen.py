"""What `paper run` shows: a live line in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from .notebooks import State

# Seconds between two lines about the same notebook where lines cannot be redrawn.
QUIET = 60.0


def duration(seconds: float) -> str:
    """`4.2 s`, `1 min 05 s`, `2 h 03 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


@dataclass
class _Row:
    """What is shown of one notebook that runs."""

    began: float
    spoke: float
    cells: str = ""
    note: str = ""
    task: TaskID | None = None


class Screen:
    """One line per notebook: cell, time, last line of progress, and an estimate from last time."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._rows: dict[str, _Row] = {}

    def line(self, text: str) -> None:
        """One line that stays."""
        self.console.print(text, markup=False, emoji=False)

    def start(self, name: str, last: float | None, why: str) -> None:
        """A notebook begins; `last` is what it took the last time, in seconds, if known."""
        now = time.monotonic()
        self._rows[name] = row = _Row(now, now)
        about = f"about {duration(last)}" if last is not None else "first time"
        if not self.console.is_terminal:
            self.line(f"{name}: running ({why}), {about}")
            return
        self.line(f"{name}: running ({why})")
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=16),
                TextColumn("{task.fields[cells]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("{task.fields[about]}", markup=False),
                TextColumn("{task.fields[note]}", markup=False),
                console=self.console,
                transient=True,
            )
            self._bar.start()
        about = f"of {about}" if last is not None else about
        row.task = self._bar.add_task(name, total=None, cells="", about=about, note="")

    def cell(self, name: str, number: int, total: int) -> None:
        """Cell `number` of `total` begins."""
        row = self._rows[name]
        row.cells, row.note = f"cell {number} of {total}", ""
        if self._bar and row.task is not None:
            self._bar.update(row.task, completed=number - 1, total=total)
        self._show(name, row)

    def text(self, name: str, line: str) -> None:
        """The last line of progress that the notebook itself wrote."""
        row = self._rows[name]
        row.note = line
        self._show(name, row)

    def _show(self, name: str, row: _Row) -> None:
        if self._bar and row.task is not None:
            room = max(10, self.console.width - 70)
            self._bar.update(row.task, cells=row.cells, note=row.note[:room])
        elif time.monotonic() - row.spoke >= QUIET:
            row.spoke = time.monotonic()
            spent = duration(row.spoke - row.began)
            self.line(f"{name}: {row.cells}, {spent} {row.note}".rstrip())

    def stop(self, name: str) -> None:
        """Take the live line of a notebook away."""
        row = self._rows.pop(name, None)
        if self._bar and row and row.task is not None:
            self._bar.remove_task(row.task)
        if self._bar and not self._rows:
            self._bar.stop()
            self._bar = None

    def done(self, name: str, text: str) -> None:
        """The line that stays of a notebook."""
        self.stop(name)
        self.line(f"{name}: {text}")


def listing(states: Sequence[State], profile: str, console: Console | None = None) -> None:
    """Print the table of `paper list`; in a log, wide enough that no cell is folded."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    table = Table("notebook", "makes", "state", "last time", title=f"profile {profile}")
    for state in states:
        notebook = state.notebook
        figures = dict.fromkeys(name.rpartition(".")[0] for name in notebook.figures)
        table.add_row(
            f"{notebook.name}\n{notebook.title}",
            "\n".join([*figures, *notebook.results]) or "–",
            state.reason or "current",
            "–" if state.last is None else duration(state.last),
        )
    console.print(table)
