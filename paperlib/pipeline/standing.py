"""What of one profile is there, and whether it is current.

A notebook is current when what it was made from (its source, the code it reaches, the profile,
versions, data, what it needs) and what it made (declared outputs, training runs, executed copies)
are as the manifest says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..profiles import DEFAULT
from ..project import Project
from ..utils import files
from ..utils.code import differing
from ..utils.errors import PaperError
from ..utils.paths import cache_folder, checkout
from . import code, manifest, notebooks, translation
from .notebooks import Notebook, State


class Standing:
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
        self.cache = cache_folder(self.root)
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
        if parameters is None and "skip_bad" in before:  # `paper list` has no such option
            now["skip_bad"] = before["skip_bad"]
        for key in sorted({*now, *before}):
            if now.get(key) != before.get(key):
                return f"{_changed(key, before.get(key), now.get(key))} changed"
        for path, sha in entry["outputs"].items():
            if files.sha256(self.root / path) != sha:
                return f"{path} was changed"
        for slug, sha in entry["runs"].items():
            if self.run_digest(slug) != sha:
                return f"training run {slug} changed"
        if entry["runs_there"] not in (None, self.runs_there(entry["looked_in"])):
            return "training runs were added or taken away"
        for path, sha in entry["executed"].items():
            full = self.root / path
            if not full.is_file():
                return "made elsewhere, not run in this checkout"
            if files.sha256(full) != sha:
                return f"{path} was changed"
        return ""

    def cannot_run(self, notebook: Notebook) -> str:
        """Why a notebook is passed over; `""` where it is run."""
        if not notebook.chips or self.project.has_chips:
            return ""
        missing = self.state(notebook).missing
        if missing:
            return f"it needs the chips (--data DIR), and {missing[0]} was not shipped"
        return "it needs the chips (--data DIR); its figures and tables are shown as shipped"

    def made_from(self, notebook: Notebook, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Everything a notebook's outputs depend on, by name, each as a digest."""
        reads, made_here = {}, notebook.outputs(self.profile.name)
        paths = [self.root / path for path in notebook.reads if path not in made_here]
        if text := translation.file(notebook.path, parameters):
            paths.append(text)
        if paths:
            reads["reads"] = {
                path.relative_to(self.root).as_posix(): files.sha256(path)[:12]
                for path in paths
                if path.is_file()
            }
        return {
            **self._common,
            **reads,
            "code": code.reached(notebook),
            "notebook": manifest.notebook_digest(notebook),
            "parameters": manifest.digest(json.dumps(dict(parameters), sort_keys=True)),
            "data": manifest.digest(json.dumps(self.inputs, sort_keys=True)),
            "needs": manifest.needs_digest(self.root, self.profile.name, self.notebooks, notebook),
        }

    def run_digest(self, slug: str) -> str:
        """Over a training run's configuration and predictions; `""` where it is not there."""
        return manifest.run_digest(self.project.runs / slug)

    def runs_there(self, folders: Iterable[str]) -> list[str]:
        return manifest.runs_there(self.project.runs, folders)

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _changed(key: str, before: Any, now: Any) -> str:
    """The name of what changed: of the code the first file, and how many more."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return key
    files = differing(before, now)
    return files[0] + (f" (and {len(files) - 1} more)" if len(files) > 1 else "")
