"""What a notebook writes, wherever in the checkout: held to what it declares.

Everything is watched but what is no result of a notebook: hidden folders, sources, which somebody
may edit meanwhile, and what other programs leave behind.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..profiles import PROFILES
from ..project import Project
from ..utils import files
from .execute import NotebookFailed
from .notebooks import Notebook

# Not outputs of one notebook: made by the runner, or (runs) shared and saved by `training`.
_RUNNERS_OWN = ("notebooks", "failed", "runs", "manifest.json")
#: Left by file managers, editors and network drives.
_OTHERS = (".DS_Store", "Thumbs.db", "desktop.ini")
_LOCKS = (".lock", ".swp", ".tmp", ".pyc", "~", "#")
_SOURCES = (".py", ".ipynb", ".md", ".toml", ".j2", ".js", ".css", ".yml", ".txt")
_GENERATED = ("figures/", "results/")
#: The showcase keeps its database and uploads there while it serves; the others are pages that
#: other commands write.
_NOT_WATCHED = (
    "demo_site/",
    "results/report.",
    "results/verify.",
    "results/diff.",
    "results/certificate.",
)

Snapshot = dict[str, tuple[int, int]]


class Watch:
    """The files of a checkout before a notebook runs, to compare with those after.

    cache  and the project's data are not watched, nor profiles that another `paper run` works on
    """

    def __init__(self, project: Project, cache: Path) -> None:
        self.project, self.cache = project, cache
        self.before = self._snapshot()

    def written(self, notebook: Notebook, beside: Sequence[Notebook] = ()) -> set[str]:
        """The training runs that the notebook wrote.

        beside  the notebooks that ran at any time while it did

        Raises `NotebookFailed` for declared outputs that it did not make, or not again, and for
        what it wrote or removed without declaring it.
        """
        after, project = self._snapshot(), self.project
        changed = {path for path, stamp in after.items() if self.before.get(path) != stamp}
        declared = set(notebook.outputs(project.profile.name))
        cure = f'"paper" in the metadata of {notebook.path.name} declares what it makes'

        def failed(what: str) -> NotebookFailed:
            return NotebookFailed(f"{notebook.name} failed: {what}", cure, [])

        if missing := sorted(declared - after.keys()):
            raise failed(f"it did not make {_named(missing)}")
        if stale := sorted(declared - changed):
            raise failed(f"it did not make again {_named(stale)}")
        results = f"results/{project.profile.name}"
        own = tuple(f"{results}/{name}" for name in _RUNNERS_OWN)
        allowed = {path for other in beside for path in other.outputs(project.profile.name)}
        for each in (notebook, *beside):
            allowed |= {f"figures/{project.profile.name}/{name}" for name in each.if_possible}
        busy = self._busy()

        def counts(path: str) -> bool:
            return not path.startswith((*own, *busy)) and path not in declared | allowed

        who = f"it, or {' or '.join(n.name for n in beside)} beside it," if beside else "it"
        which = "none of them declares" if beside else "it does not declare"
        if undeclared := sorted(filter(counts, changed)):
            raise failed(f"{who} wrote {_named(undeclared)}, which {which}")
        gone = {p for p in self.before.keys() - after.keys() if p.startswith(_GENERATED)}
        if removed := sorted(filter(counts, gone)):
            raise failed(f"{who} removed {_named(removed)}")
        runs = f"{results}/runs/"
        trained = {
            path.removeprefix(runs).rpartition("/")[0]
            for path in changed
            if path.startswith(runs) and path.endswith(("predictions.npz", "config.json"))
        }
        if notebook.trains:  # no other one that does ran beside it
            return trained
        if trained and not any(other.trains for other in beside):
            cure = f'write "trains": true under "paper" in the metadata of {notebook.path.name}'
            raise failed(f"it trained {', '.join(sorted(trained))}")
        return set()

    def _busy(self) -> tuple[str, ...]:
        """Folders of other profiles that another process runs notebooks of."""
        locks = {name: self.cache / f"run-{name}.lock" for name in PROFILES}
        return tuple(
            f"{top}{name}/"
            for name, lock in locks.items()
            if name != self.project.profile.name and files.is_locked(lock)
            for top in _GENERATED
        )

    def _snapshot(self) -> Snapshot:
        """Path from the root -> (time of change, inode) of every file that is watched."""
        found: Snapshot = {}
        left_out = {self.cache, self.project.data}
        root = self.project.root
        for folder, inner, names in os.walk(root):
            here = Path(folder)
            inner[:] = [
                name
                for name in inner
                if not name.startswith((".", "__pycache__", "node_modules"))
                and here / name not in left_out
            ]
            for name in names:
                path = (here / name).relative_to(root).as_posix()
                if self._watched(path, name):
                    try:
                        stat = (here / name).stat()
                    except FileNotFoundError:  # gone meanwhile, or a link to nowhere
                        continue
                    found[path] = (stat.st_mtime_ns, stat.st_ino)
        return found

    @staticmethod
    def _watched(path: str, name: str) -> bool:
        if name in _OTHERS or name.endswith(_LOCKS) or name.startswith((".~", "~$", ".nfs")):
            return False
        if ".partial" in name:  # written beside by a notebook that runs now, and renamed at once
            return False
        if path.startswith(_NOT_WATCHED):
            return False
        return path.startswith(_GENERATED) or not name.endswith(_SOURCES)


def _named(paths: Sequence[str], most: int = 5) -> str:
    """The first few, and how many more there are."""
    more = f", and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more
