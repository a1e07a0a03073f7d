"""The papermill runner: numbered notebooks, each only where something has changed.

The manifest is written after every notebook, so a killed run continues at the notebooks it was
killed in; long steps inside one are saved by `training`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from . import manifest, notebooks, side_by_side
from .lock import only_one
from .notebooks import Notebook
from .screen import Screen, duration
from .session import Report, Session
from .standing import Standing

_HALF_WRITTEN = re.compile(r"\.[0-9a-f]{8}\.partial")  # as `files.replacing` names them


class Runner(Standing):
    """Runs the notebooks of one profile."""

    def run(
        self,
        wanted: Sequence[str] = (),
        *,
        parameters: Mapping[str, Any] | None = None,
        force: bool = False,
        jobs: int = 1,
        screen: Screen | None = None,
    ) -> Report:
        """Run the notebooks asked for (all by default) and what they need, where not current.

        wanted      numbers or names
        parameters  name -> literal beside `profile` and `data`; an unknown one is an error
        force       run also what is current; finished training runs are saved all the same
        jobs        how many notebooks run at a time; 0: as cores and free memory allow. What they
                    make does not depend on it

        Raises `NotebookFailed` for the first notebook that does not end well (those that run beside
        it are finished, others not begun), `PaperError` for faults of the notebooks or the request.
        """
        screen = screen or Screen()
        more = dict(parameters or {})
        chosen = self._with_needs(notebooks.choose(self.notebooks, list(wanted)), screen)
        for notebook in chosen:
            notebook.check_parameters(more)
        started = time.monotonic()
        report = Report()
        self.commit = manifest.commit(self.root)
        with only_one(self.cache / f"run-{self.profile.name}.lock", screen) as lock:
            self.manifest = manifest.read(self.project.results)  # another run may just have ended
            self._remove_partial()
            if not self.project.has_chips:
                screen.line(
                    f"{self.profile.name} without --data: figures and tables are made again from "
                    f"the predictions shipped in {self.relative(self.project.runs)}"
                )
            self._announce(chosen, more, force, screen)
            jobs = jobs or side_by_side.how_many()
            session = Session(self, more, force, screen, lock, report)
            side_by_side.run(chosen, jobs, session.begin, session.finish, lock.end_kernels)
        names = [notebook.name for notebook in chosen]
        for ended in (report.ran, report.cached):
            ended.sort(key=names.index)
        seconds = time.monotonic() - started
        summary = f"{len(report.ran)} run, {len(report.cached)} from the cache"
        if report.skipped:
            summary += f", {len(report.skipped)} skipped ({', '.join(report.skipped)})"
        screen.line(
            f"{summary} in {duration(seconds)}; see {self.relative(self.project.figures)} and "
            f"{self.relative(self.project.results)}"
        )
        return Report(report.ran, report.cached, report.skipped, seconds)

    def _with_needs(self, chosen: list[Notebook], screen: Screen) -> list[Notebook]:
        names = {notebook.name for notebook in chosen}
        for notebook in reversed(self.notebooks):  # needs only ever point to earlier ones
            if notebook.name not in names:
                continue
            for need in notebook.needs:
                source = notebooks.maker(self.notebooks, need)
                if source.name not in names:
                    names.add(source.name)
                    screen.line(f"{source.name} comes first: {notebook.name} needs it")
        return [notebook for notebook in self.notebooks if notebook.name in names]

    def _announce(
        self, chosen: list[Notebook], parameters: dict[str, Any], force: bool, screen: Screen
    ) -> None:
        states = [self.state(notebook, parameters) for notebook in chosen]
        todo = [s for s in states if force or s.reason]
        if todo and all(s.last is not None for s in todo):
            about = duration(sum(s.last or 0.0 for s in todo))
            screen.line(f"to run: {', '.join(s.notebook.number for s in todo)}; about {about}")

    def _remove_partial(self) -> None:
        """What a killed run left half written under this profile's folders; not where trainings, or
        other commands, may be writing now."""
        for top in (self.project.figures, self.project.results):
            for path in top.rglob("*.partial*"):
                ours = _HALF_WRITTEN.search(path.name) and self.project.runs not in path.parents
                if ours and path.is_file():
                    path.unlink()
