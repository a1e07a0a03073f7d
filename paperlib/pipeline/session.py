"""One call of `paper run`: what is skipped or current, each notebook's run, and the manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ..utils import files, system
from . import manifest
from .execute import Executed, NotebookFailed, Watcher, execute, kernel_environment, normalise
from .html_page import to_html
from .lock import Lock
from .notebooks import Notebook
from .screen import Screen, duration
from .side_by_side import Running
from .standing import Standing
from .trace import other_code, read_trace
from .watch import Watch


@dataclass(frozen=True)
class Report:
    """What one call of `run` did, names of notebooks in order."""

    ran: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Session:
    """Begins and ends the notebooks of one `Runner.run`, which holds the lock."""

    standing: Standing
    parameters: dict[str, Any]
    force: bool
    screen: Screen
    lock: Lock
    report: Report

    def __post_init__(self) -> None:
        self.hardware = system.hardware()
        self._watches: dict[str, Watch] = {}
        self._trained: set[str] = set()
        self._made_from: dict[str, dict[str, Any]] = {}  # as they were when each began

    def begin(self, running: Running) -> Callable[[], Executed] | None:
        """The work of one notebook; None where there is none, which is said and reported."""
        notebook, standing = running.notebook, self.standing
        if reason := self.standing.cannot_run(notebook):
            self.report.skipped[notebook.name] = reason
            self.screen.done(notebook.name, f"skipped: {reason}")
            return None
        state = standing.state(notebook, self.parameters)
        if not self.force and not state.reason:
            self.report.cached.append(notebook.name)
            self.screen.done(notebook.name, "nothing changed: taken from the cache")
            return None
        trace, working, failed = self._places(notebook)
        trace.parent.mkdir(parents=True, exist_ok=True)
        for old in (trace, working, failed):
            old.unlink(missing_ok=True)
        self._watches[notebook.name] = Watch(standing.project, standing.cache)
        self._made_from[notebook.name] = standing.made_from(notebook, self.parameters)
        self.screen.start(notebook.name, state.last, state.reason or "--force")
        data = str(standing.project.data or "")
        name = notebook.name

        def work() -> Executed:
            return execute(
                notebook,
                {"profile": standing.profile.name, "data": data, **self.parameters},
                copy=working,
                limit=notebook.limit(standing.profile.name),
                environment=kernel_environment(
                    standing.cache,
                    PAPER_CACHE=str(standing.cache),
                    PAPER_TRACE=str(trace),
                    PAPER_SKIP_BAD="1" if standing.skip_bad else "",
                ),
                watcher=Watcher(
                    partial(self.screen.cell, name),
                    partial(self.screen.text, name),
                    self.lock.kernel,
                ),
            )

        return work

    def finish(self, running: Running, future: Future) -> None:
        """Keep the pages of a notebook that has ended, and write the manifest."""
        notebook, standing = running.notebook, self.standing
        name, profile = notebook.name, standing.profile.name
        trace, working, failed = self._places(notebook)
        try:
            done = future.result()
            written = self._watches.pop(name).written(notebook, running.beside)
        except NotebookFailed as error:
            self.screen.stop(name)
            for line in error.tail:
                self.screen.line(f"    {line}")
            self._keep_failed(working, failed)
            standing.manifest["notebooks"].pop(name, None)
            self._write_manifest(name, {"status": "failed", "error": error.problem})
            cure = error.cure.replace(str(working), standing.relative(failed))
            raise NotebookFailed(error.problem, cure, error.tail) from error
        except BaseException:
            self.screen.stop(name)
            self._keep_failed(working, failed)
            raise
        executed = self._keep_executed(notebook, done.node, str(standing.project.data or ""))
        working.unlink(missing_ok=True)
        told = read_trace(trace)
        trace.unlink(missing_ok=True)
        slugs = sorted({t["run"] for t in told if "run" in t} | written)
        runs = {slug: standing.run_digest(slug) for slug in slugs}
        looked_in = sorted({slug.rpartition("/")[0] for slug, sha in runs.items() if not sha})
        chips = [t["chips"] for t in told if "chips" in t]
        standing.manifest["notebooks"][name] = {
            "status": "done" if standing.project.has_chips else "done from shipped predictions",
            "title": notebook.title,
            "parameters": self.parameters,
            "made_from": self._made_from.pop(name),
            "inputs": standing.inputs,
            "chips": chips,
            "outputs": self._hashes(notebook.outputs(profile)),
            "executed": self._hashes(executed),
            "runs": {slug: sha for slug, sha in runs.items() if sha},
            "other_code": {r: why for r, why in other_code(told).items() if r not in written},
            # A notebook that looked for a run in vain would use it if it were there.
            "looked_in": looked_in,
            "runs_there": standing.runs_there(looked_in) if looked_in else None,
        }
        saved = {t["run"] for t in told if t.get("saved")} - self._trained - written
        took = {"seconds": round(done.seconds, 1), "peak_mb": done.peak_mb}
        took["networks_saved"] = len(saved)  # then a reader's first run takes longer
        self._write_manifest(name, {"status": "done", **took})
        how = self._how(told, written)
        self.screen.done(name, f"{how}{duration(done.seconds)}, {done.peak_mb} MB")
        self.report.ran.append(name)

    def _places(self, notebook: Notebook) -> tuple[Path, Path, Path]:
        """Its trace, its copy while it runs, and where that goes when it fails."""
        folder = self.standing.cache / "run" / self.standing.profile.name
        failed = self.standing.project.results / "failed" / f"{notebook.name}.ipynb"
        return folder / f"{notebook.name}.jsonl", folder / f"{notebook.name}.ipynb", failed

    def _how(self, told: list[dict[str, Any]], written: set[str]) -> str:
        """What a reader must know of how results came about: nothing is passed over in silence.

        written  the training runs that this notebook trained
        """
        notes = []
        used = {t["run"] for t in told if t.get("saved")} | written
        self._trained |= written
        earlier, before = used - self._trained, (used & self._trained) - written
        if not self.standing.project.has_chips:
            notes.append("made from shipped predictions")
        else:
            for count, how in (
                (len(written), "trained here, now"),
                (len(before), "trained by an earlier notebook of this run"),
                (len(earlier), "taken from an earlier run, not trained again"),
            ):
                if count:
                    notes.append(f"{count} network{'s' * (count > 1)} {how}")
        if bad := max((len(t["chips"]["skipped"]) for t in told if "chips" in t), default=0):
            notes.append(f"{bad} bad chips left out")
        other = other_code(told)
        if anew := sorted(set(other) & written):
            notes.append(f"{len(anew)} of them anew: {other[anew[0]]}")
        if kept := sorted(set(other) - written):
            notes.append(f"{len(kept)} not known to be of this code: {other[kept[0]]}")
        return "".join(f"{note}, " for note in notes)

    def _write_manifest(self, name: str, ended: Mapping[str, Any]) -> None:
        """Write it with how the notebook `name` ended; what may differ between equal runs goes
        under "run"."""
        order = [n.name for n in self.standing.notebooks]
        entries, runs = (
            self.standing.manifest["notebooks"],
            self.standing.manifest["run"]["notebooks"],
        )
        runs[name] = {
            **ended,
            "commit": self.standing.commit[0],
            "clean": self.standing.commit[1],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "hardware": self.hardware,
        }
        manifest.write(
            self.standing.project.results,
            {
                "schema": manifest.SCHEMA,
                "profile": self.standing.profile.name,
                "seed": 0,
                "versions": manifest.versions(),
                "notebooks": {n: entries[n] for n in order if n in entries},
                "run": {"notebooks": {n: runs[n] for n in order if n in runs}},
            },
        )

    def _keep_executed(self, notebook: Notebook, node: Any, data: str) -> tuple[str, ...]:
        """Write the normalised copy and its page; their paths from the root."""
        import nbformat

        names = {str(self.standing.cache): ".cache", str(self.standing.root): "."}
        names = {data: "DATA", **names} if data else names
        node = normalise(node, names)
        folder = self.standing.project.results / "notebooks"
        copy, page = folder / f"{notebook.name}.ipynb", folder / f"{notebook.name}.html"
        files.write_text(copy, nbformat.writes(node) + "\n")
        files.write_text(page, to_html(node, notebook.name))
        return self.standing.relative(copy), self.standing.relative(page)

    @staticmethod
    def _keep_failed(working: Path, failed: Path) -> None:
        if working.is_file():
            failed.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(working, failed)

    def _hashes(self, paths: Sequence[str]) -> dict[str, str]:
        return {path: files.sha256(self.standing.root / path) for path in paths}
