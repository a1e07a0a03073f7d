"""Notebooks side by side: each starts when what it needs is there, and cores and memory allow.

Notebooks that train take turns, in order: their networks train on all cores already, and a later
one may use what an earlier one has trained. So what each notebook finds, and with it every result,
does not depend on how many run at a time. Where several may start, one that trains does: their
turns are the longest way to the end, and the others fill what cores they leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import psutil

from ..utils.system import cores
from . import notebooks
from .notebooks import Notebook

#: Bytes that a notebook may need: the peak of those that train is 3.5 GB.
MEMORY = 4e9

Begin = Callable[["Running"], Callable[[], Any] | None]
Finish = Callable[["Running", Future], None]


@dataclass
class Running:
    """A notebook that runs now, and those that ran at any time beside it."""

    notebook: Notebook
    beside: list[Notebook] = field(default_factory=list)


def how_many() -> int:
    """As many notebooks at a time as this machine has cores, and free memory, for."""
    return max(1, min(cores(), int(psutil.virtual_memory().available / MEMORY)))


def before(chosen: Sequence[Notebook]) -> dict[str, set[str]]:
    """Name -> the names of those that must have ended before it starts."""
    found: dict[str, set[str]] = {}
    last = ""
    for notebook in chosen:
        found[notebook.name] = {notebooks.maker(list(chosen), need).name for need in notebook.needs}
        if notebook.trains:
            found[notebook.name] |= {last} - {""}
            last = notebook.name
    return found


def run(
    chosen: Sequence[Notebook], jobs: int, begin: Begin, finish: Finish, stop: Callable[[], None]
) -> None:
    """Run notebooks, `jobs` at a time at most; `begin`, `finish`, `stop` are called in this thread.

    begin   gives the work that is done in a thread of its own, or None where nothing is to be done
    finish  takes the work's future when it has ended; where it raises, no further notebook starts,
            and the error is raised when those that run have ended
    stop    ends the work that runs, where this is interrupted
    """
    order = before(chosen)
    waiting = sorted(chosen, key=lambda n: jobs > 1 and not n.trains)
    running = dict[Future, Running]()
    error: Exception | None = None
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while running or (waiting and not error):
                for notebook in list(waiting):
                    left = {n.name for n in waiting} | {r.notebook.name for r in running.values()}
                    if error or order[notebook.name] & left or not _room(running, jobs):
                        continue
                    waiting.remove(notebook)
                    new = Running(notebook, [other.notebook for other in running.values()])
                    if work := begin(new):
                        for other in running.values():
                            other.beside.append(notebook)
                        running[pool.submit(work)] = new
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    try:
                        finish(running.pop(future), future)
                    except Exception as found:
                        error = error or found
        except BaseException:
            stop()
            raise
    if error:
        raise error


def _room(running: dict[Future, Running], jobs: int) -> bool:
    if not running:
        return True
    return len(running) < jobs and psutil.virtual_memory().available > MEMORY
