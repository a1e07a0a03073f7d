"""The papermill runner: numbered notebooks in order, each only where something has changed.

A notebook is current when what it was made from (its source, the code it reaches, the profile,
versions, data, what it needs) and what it made (declared outputs, training runs, executed copies)
are as the manifest says. The manifest is written after every notebook, so a killed run continues at
the notebook it was killed in; long steps inside one are saved by `training`.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..profiles import DEFAULT
from ..project import Project
from ..utils import files, system
from ..utils.code import differing
from ..utils.errors import PaperError
from ..utils.paths import checkout
from . import code, manifest, notebooks
from .execute import NotebookFailed, Watcher, execute, kernel_environment, normalise
from .html_page import to_html
from .lock import Lock, only_one
from .notebooks import Notebook, State
from .screen import Screen, duration
from .trace import other_code, read_trace
from .watch import Watch


@dataclass(frozen=True)
class Report:
    """What one call of `run` did, names of notebooks in order."""

    ran: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Runner:
    """One profile of one checkout: its notebooks, its manifest, and what they depend on."""

    def __init__(
        self,
        profile: str = DEFAULT,
        data: str | Path = "",
        *,
        root: Path | None = None,
        skip_bad: bool = False,
    ) -> None:
        self.root = (root or checkout() or Path.cwd()).resolve()
        if not (self.root / "notebooks").is_dir():
            raise PaperError(f"no notebooks/ in {self.root}", "run the command in the checkout")
        self.project = Project(profile, data, self.root)
        self.profile = self.project.profile
        self.skip_bad = skip_bad
        self.cache = Path(os.environ.get("PAPER_CACHE") or self.root / ".cache")
        self.notebooks = notebooks.read_all(self.root / "notebooks")
        self.manifest = manifest.read(self.project.results)
        self.commit: tuple[str | None, bool | None] = (None, None)  # when a run began
        self._common = {
            "lock": manifest.lock_digest(self.root),
            "versions": manifest.digest(*(f"{k}={v}" for k, v in manifest.versions().items())),
            "profile": manifest.profile_digest(self.profile),
        }
        self.inputs = manifest.data_identity(self.project.data, self.cache)
        if skip_bad:
            self._common["skip_bad"] = "yes"

    # ---- what is there ---------------------------------------------------------------------------

    def state(self, notebook: Notebook, parameters: Mapping[str, Any] | None = None) -> State:
        """Compare a notebook with its entry in the manifest.

        parameters  those of the run to come; None takes the manifest's own (`paper list`), and
                    then it does not matter either whether the data are at hand
        """
        entry = self.manifest["notebooks"].get(notebook.name)
        last = self.manifest["run"]["notebooks"].get(notebook.name, {}).get("seconds")
        outputs = notebook.outputs(self.profile.name)
        missing = [path for path in outputs if not (self.root / path).is_file()]
        return State(notebook, self._reason(notebook, entry, missing, parameters), missing, last)

    def _reason(
        self,
        notebook: Notebook,
        entry: Mapping[str, Any] | None,
        missing: list[str],
        parameters: Mapping[str, Any] | None,
    ) -> str:
        if entry is None:
            failed = notebook.name in self.manifest["run"]["notebooks"]
            return "failed the last time" if failed else "not run yet"
        if missing:
            return f"{missing[0]} is missing"
        now = self.made_from(notebook, entry["parameters"] if parameters is None else parameters)
        before = entry["made_from"]
        if parameters is None and not self.project.data:
            now["data"] = before["data"]
        for key in sorted({*now, *before}):
            if now.get(key) != before.get(key):
                return f"{_changed(key, before.get(key), now.get(key))} changed"
        for path, sha in entry["outputs"].items():
            if files.sha256(self.root / path) != sha:
                return f"{path} was changed"
        for slug, sha in entry["runs"].items():
            if self.run_digest(slug) != sha:
                return f"training run {slug} changed"
        if entry["runs_there"] not in (None, self._runs_there(entry.get("looked_in", [""]))):
            return "training runs were added or taken away"
        for path, sha in entry["executed"].items():
            full = self.root / path
            if not full.is_file():
                return "made elsewhere, not run in this checkout"
            if files.sha256(full) != sha:
                return f"{path} was changed"
        return ""

    def made_from(self, notebook: Notebook, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Everything a notebook's outputs depend on, by name, each as a digest."""
        return {
            **self._common,
            "code": code.reached(notebook),
            "notebook": manifest.notebook_digest(notebook),
            "parameters": manifest.digest(json.dumps(dict(parameters), sort_keys=True)),
            "data": manifest.digest(json.dumps(self.inputs, sort_keys=True)),
            "needs": manifest.needs_digest(self.root, self.profile.name, self.notebooks, notebook),
        }

    def run_digest(self, slug: str) -> str:
        """Over a training run's configuration and predictions; `""` where it is not there."""
        return manifest.run_digest(self.project.runs / slug)

    def _runs_there(self, folders: Iterable[str]) -> list[str]:
        return manifest.runs_there(self.project.runs, folders)

    # ---- running ---------------------------------------------------------------------------------

    def run(
        self,
        wanted: Sequence[str] = (),
        *,
        parameters: Mapping[str, Any] | None = None,
        force: bool = False,
        screen: Screen | None = None,
    ) -> Report:
        """Run the notebooks asked for (all by default) and what they need, where not current.

        wanted      numbers or names
        parameters  name -> literal beside `profile` and `data`; an unknown one is an error
        force       run also what is current; finished training runs are saved all the same

        Raises `NotebookFailed` at the first notebook that does not end well, `PaperError` for
        faults of the notebooks or the request.
        """
        screen = screen or Screen()
        more = dict(parameters or {})
        chosen = self._with_needs(notebooks.choose(self.notebooks, list(wanted)), screen)
        for notebook in chosen:
            notebook.check_parameters(more)
        started = time.monotonic()
        report = Report()
        self._trained: set[str] = set()
        self.commit, self._hardware = manifest.commit(self.root), system.hardware()
        with only_one(self.cache / f"run-{self.profile.name}.lock", screen) as lock:
            self.manifest = manifest.read(self.project.results)  # another run may just have ended
            self._remove_partial()
            if not self.project.has_chips:
                screen.line(
                    f"{self.profile.name} without --data: figures and tables are made again from "
                    f"the predictions shipped in {self._relative(self.project.runs)}"
                )
            self._announce(chosen, more, force, screen)
            for notebook in chosen:
                if reason := self.cannot_run(notebook):
                    report.skipped[notebook.name] = reason
                    screen.done(notebook.name, f"skipped: {reason}")
                elif not force and not self.state(notebook, more).reason:
                    report.cached.append(notebook.name)
                    screen.done(notebook.name, "nothing changed: taken from the cache")
                else:
                    self._run_one(notebook, more, screen, lock)
                    report.ran.append(notebook.name)
        seconds = time.monotonic() - started
        summary = f"{len(report.ran)} run, {len(report.cached)} from the cache"
        if report.skipped:
            summary += f", {len(report.skipped)} skipped ({', '.join(report.skipped)})"
        screen.line(
            f"{summary} in {duration(seconds)}; see {self._relative(self.project.figures)} and "
            f"{self._relative(self.project.results)}"
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

    def cannot_run(self, notebook: Notebook) -> str:
        """Why a notebook is passed over; `""` where it is run."""
        if not notebook.chips or self.project.has_chips:
            return ""
        missing = self.state(notebook).missing
        if missing:
            return f"it needs the chips (--data DIR), and {missing[0]} was not shipped"
        return "it needs the chips (--data DIR); its figures and tables are shown as shipped"

    def _announce(
        self, chosen: list[Notebook], parameters: dict[str, Any], force: bool, screen: Screen
    ) -> None:
        states = [self.state(notebook, parameters) for notebook in chosen]
        todo = [s for s in states if force or s.reason]
        if todo and all(s.last is not None for s in todo):
            about = duration(sum(s.last or 0.0 for s in todo))
            screen.line(f"to run: {', '.join(s.notebook.number for s in todo)}; about {about}")

    def _run_one(
        self, notebook: Notebook, more: dict[str, Any], screen: Screen, lock: Lock
    ) -> None:
        name, profile = notebook.name, self.profile.name
        data = str(self.project.data or "")
        trace = self.cache / "run" / profile / f"{name}.jsonl"
        working = self.cache / "run" / profile / f"{name}.ipynb"
        failed = self.project.results / "failed" / f"{name}.ipynb"
        trace.parent.mkdir(parents=True, exist_ok=True)
        for old in (trace, working, failed):
            old.unlink(missing_ok=True)
        state = self.state(notebook, more)
        watch = Watch(self.project, self.cache)
        screen.start(name, state.last, state.reason or "--force")
        try:
            done = execute(
                notebook,
                {"profile": profile, "data": data, **more},
                copy=working,
                limit=notebook.limit(profile),
                environment=kernel_environment(
                    self.cache,
                    PAPER_CACHE=str(self.cache),
                    PAPER_TRACE=str(trace),
                    PAPER_SKIP_BAD="1" if self.skip_bad else "",
                ),
                watcher=Watcher(screen.cell, screen.text, lock.kernel),
            )
            written = watch.written(notebook)
        except NotebookFailed as error:
            screen.stop()
            for line in error.tail:
                screen.line(f"    {line}")
            self._keep_failed(working, failed)
            self.manifest["notebooks"].pop(name, None)
            self._write_manifest(name, {"status": "failed", "error": error.problem})
            cure = error.cure.replace(str(working), self._relative(failed))
            raise NotebookFailed(error.problem, cure, error.tail) from error
        except BaseException:
            screen.stop()
            self._keep_failed(working, failed)
            raise
        executed = self._keep_executed(notebook, done.node, data)
        working.unlink(missing_ok=True)
        told = read_trace(trace)
        trace.unlink(missing_ok=True)
        slugs = sorted({t["run"] for t in told if "run" in t} | written)
        runs = {slug: self.run_digest(slug) for slug in slugs}
        looked_in = sorted({slug.rpartition("/")[0] for slug, sha in runs.items() if not sha})
        chips = [t["chips"] for t in told if "chips" in t]
        self.manifest["notebooks"][name] = {
            "status": "done" if self.project.has_chips else "done from shipped predictions",
            "title": notebook.title,
            "parameters": more,
            "made_from": self.made_from(notebook, more),
            "inputs": self.inputs,
            "chips": chips,
            "outputs": self._hashes(notebook.outputs(profile)),
            "executed": self._hashes(executed),
            "runs": {slug: sha for slug, sha in runs.items() if sha},
            "other_code": {r: why for r, why in other_code(told).items() if r not in written},
            # A notebook that looked for a run in vain would use it if it were there.
            "looked_in": looked_in,
            "runs_there": self._runs_there(looked_in) if looked_in else None,
        }
        took = {"seconds": round(done.seconds, 1), "peak_mb": done.peak_mb}
        self._write_manifest(name, {"status": "done", **took})
        screen.done(name, f"{self._how(told, written)}{duration(done.seconds)}, {done.peak_mb} MB")

    def _how(self, told: list[dict[str, Any]], written: set[str]) -> str:
        """What a reader must know of how results came about: nothing is passed over in silence.

        written  the training runs that this notebook trained
        """
        notes = []
        used = {t["run"] for t in told if t.get("kept")} | written
        self._trained |= written
        earlier, before = used - self._trained, (used & self._trained) - written
        if not self.project.has_chips:
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
        order = [n.name for n in self.notebooks]
        entries, runs = self.manifest["notebooks"], self.manifest["run"]["notebooks"]
        runs[name] = {
            **ended,
            "commit": self.commit[0],
            "clean": self.commit[1],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "hardware": self._hardware,
        }
        manifest.write(
            self.project.results,
            {
                "schema": manifest.SCHEMA,
                "profile": self.profile.name,
                "seed": 0,
                "versions": manifest.versions(),
                "notebooks": {n: entries[n] for n in order if n in entries},
                "run": {"notebooks": {n: runs[n] for n in order if n in runs}},
            },
        )

    def _keep_executed(self, notebook: Notebook, node: Any, data: str) -> tuple[str, ...]:
        """Write the normalised copy and its page; their paths from the root."""
        import nbformat

        names = {str(self.cache): ".cache", str(self.root): "."}
        names = {data: "DATA", **names} if data else names
        node = normalise(node, names)
        folder = self.project.results / "notebooks"
        copy, page = folder / f"{notebook.name}.ipynb", folder / f"{notebook.name}.html"
        files.write_text(copy, nbformat.writes(node) + "\n")
        files.write_text(page, to_html(node, notebook.name))
        return self._relative(copy), self._relative(page)

    @staticmethod
    def _keep_failed(working: Path, failed: Path) -> None:
        if working.is_file():
            failed.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(working, failed)

    def _remove_partial(self) -> None:
        """What a killed run left half written under this profile's folders."""
        for top in (self.project.figures, self.project.results):
            for path in top.rglob("*.partial*"):
                if path.is_file():
                    path.unlink()

    def _hashes(self, paths: Sequence[str]) -> dict[str, str]:
        return {path: files.sha256(self.root / path) for path in paths}

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _changed(key: str, before: Any, now: Any) -> str:
    """The name of what changed: of the code the first file, and how many more."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return key
    files = differing(before, now)
    return files[0] + (f" (and {len(files) - 1} more)" if len(files) > 1 else "")
