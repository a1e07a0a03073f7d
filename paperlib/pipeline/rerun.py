"""`paper run --watch`: runs notebooks again when they, or what they reach, are saved.

Files are looked at twice a second by their times: a few dozen, so that no library has to be asked
for what changes. What counts as reached is `code.reached`; a saved comment starts nothing, since a
notebook is run only where it is not current.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..utils.code import forget
from ..utils.errors import PaperError
from . import code, diff, notebooks, shipped
from .runner import Report, Runner
from .screen import Screen

PAUSE = 0.5


def remember(runner: Runner, report: Report) -> None:
    """Keep copies of what a commit without changes made, for `paper diff` to compare with."""
    commit, clean = runner.commit
    if not commit or not clean:
        return
    entries = runner.manifest["notebooks"]
    made = [entries[name]["outputs"] for name in (*report.ran, *report.cached) if name in entries]
    outputs = {path: sha for one in made for path, sha in one.items()}
    shipped.keep(runner.root, runner.profile.name, commit, outputs)


def watch(
    start: Callable[[], Runner],
    wanted: Sequence[str],
    parameters: Mapping[str, Any] | None = None,
    *,
    revision: str = "HEAD",
    jobs: int = 1,
    turns: int | None = None,
    screen: Screen | None = None,
) -> None:
    """Run, write the page of `paper diff`, wait for a file to be saved, and again.

    start     makes the runner anew: the notebooks may have changed
    jobs      as of `Runner.run`
    revision  what the page compares with: taken once, so that a commit in between changes nothing
    turns     how many runs; by default until interrupted

    A notebook that fails is said and waited on; so is one that cannot be read.
    """
    screen = screen or Screen()
    against, done = "", 0
    while turns is None or done < turns:
        forget()
        seen: dict[Path, int] = {}
        try:
            runner = start()
            against = against or shipped.resolve(runner.root, revision)
            seen = times(runner, wanted)
            runner.run(wanted, parameters=parameters, jobs=jobs, screen=screen)
            changes = diff.diff(runner.root, runner.profile.name, against)
            page = diff.write(runner.root, changes, watched=True)
            screen.line(f"{changes.line}: {page.relative_to(runner.root)}")
        except PaperError as error:
            screen.line(f"paper: {error}")
        done += 1
        if turns is None or done < turns:
            screen.line("waiting for a file to be saved (Ctrl+C ends)")
            _wait(start, wanted, seen)


def times(runner: Runner, wanted: Sequence[str]) -> dict[Path, int]:
    """Each file that the notebooks asked for depend on -> when it was last written."""
    chosen = notebooks.choose(runner.notebooks, list(wanted))
    names = {notebook.path for notebook in chosen}
    names |= {code.PACKAGE.parent / path for n in chosen for path in code.reached(n)}
    return {path: path.stat().st_mtime_ns for path in names if path.is_file()}


def _wait(start: Callable[[], Runner], wanted: Sequence[str], seen: Mapping[Path, int]) -> None:
    while not seen:  # it could not be read: try until it can
        time.sleep(PAUSE)
        try:
            times(start(), wanted)
        except PaperError:
            continue
        return
    while all(path.is_file() and path.stat().st_mtime_ns == when for path, when in seen.items()):
        time.sleep(PAUSE)
    time.sleep(PAUSE)  # an editor may still be writing the others
