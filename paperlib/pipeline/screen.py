"""What `paper run` shows: a live line in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
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


class Screen:
    """One line per notebook: cell, time, last line of progress, and an estimate from last time."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._name = ""
        self._cells = ""
        self._note = ""
        self._began = self._spoke = 0.0

    def line(self, text: str) -> None:
        """One line that stays."""
        self.console.print(text, markup=False, emoji=False)

    def start(self, name: str, last: float | None, why: str) -> None:
        """A notebook begins; `last` is what it took the last time, in seconds, if known."""
        self._name, self._cells, self._note = name, "", ""
        self._began = self._spoke = time.monotonic()
        about = f"about {duration(last)}" if last is not None else "first time"
        if not self.console.is_terminal:
            self.line(f"{name}: running ({why}), {about}")
            return
        self.line(f"{name}: running ({why})")
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[cells]}", markup=False),
            TimeElapsedColumn(),
            TextColumn(f"of {about}" if last is not None else about, markup=False),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
            transient=True,
        )
        self._bar.add_task(name, total=None, cells="", note="")
        self._bar.start()

    def cell(self, number: int, total: int) -> None:
        """Cell `number` of `total` begins."""
        self._cells, self._note = f"cell {number} of {total}", ""
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=number - 1, total=total)
        self._show()

    def text(self, line: str) -> None:
        """The last line of progress that the notebook itself wrote."""
        self._note = line
        self._show()

    def _show(self) -> None:
        if self._bar:
            room = max(10, self.console.width - 70)
            task = self._bar.task_ids[0]
            self._bar.update(task, cells=self._cells, note=self._note[:room])
        elif time.monotonic() - self._spoke >= QUIET:
            self._spoke = time.monotonic()
            spent = duration(self._spoke - self._began)
            self.line(f"{self._name}: {self._cells}, {spent} {self._note}".rstrip())

    def stop(self) -> None:
        """Take the live line away."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def done(self, name: str, text: str) -> None:
        """The line that stays of a notebook."""
        self.stop()
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
