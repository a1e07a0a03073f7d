"""What a run was made from and what it made: `results/<profile>/manifest.json`.

Everything that may differ between two equal runs (times, memory, commit, machine) lies under the
one key `"run"`; the rest of the file is equal whenever the results are.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..profiles import Profile
from ..utils import backend, files
from ..utils.errors import PaperError
from .notebooks import Notebook, maker

SCHEMA = 1


def read(results: Path) -> dict[str, Any]:
    """The manifest of one profile, or an empty one; one of another schema counts as empty."""
    empty: dict[str, Any] = {"schema": SCHEMA, "notebooks": {}, "run": {"notebooks": {}}}
    path = results / "manifest.json"
    if not path.is_file():
        return empty
    try:
        found = files.read_json(path)
    except ValueError as error:
        raise PaperError(f"{path}: not JSON ({error})", "delete it and run again") from error
    return found if found.get("schema") == SCHEMA else empty


def write(results: Path, value: Mapping[str, Any]) -> None:
    files.write_json(results / "manifest.json", value)


# ---- what the results depend on ------------------------------------------------------------------


def digest(*parts: str | bytes) -> str:
    """sha256 over parts, each preceded by its length, so that no two lists of parts collide."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode("ascii"))
        total.update(data)
    return total.hexdigest()


def notebook_digest(notebook: Notebook) -> str:
    """Over the cells' kinds and sources and the declaration; not outputs, ids, counts or limits."""
    paper = notebook.node.metadata["paper"]
    parts = [repr(sorted((key, paper[key]) for key in paper if key != "minutes"))]
    for cell in notebook.node.cells:
        parts += [cell.cell_type, cell.source]
    return digest(*parts)


#: The packages that results are computed and drawn with; the base install's others are of the
#: command line, and those of `notebooks` that are missing run and show them.
COMPUTED_WITH = (
    "keras", "matplotlib", "numba", "numpy", "onnxruntime", "opencv-python-headless", "pandas",
    "pillow", "rasterio", "scikit-image", "scikit-learn", "scipy", "seaborn", "tensorflow",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Python, the Keras backend and the packages that results are computed and drawn with."""
    found = {"python": platform.python_version(), "keras backend": backend.name()}
    for name in COMPUTED_WITH:
        with suppress(importlib.metadata.PackageNotFoundError):  # of an extra that is not there
            found[name] = importlib.metadata.version(name)
    return found


def data_identity(data: Path | None, cache: Path) -> dict[str, str]:
    """File name -> sha256 of the labels and pictures in a data folder; empty for no folder.

    Equal content gives equal identity wherever it lies. Hashing gigabytes is done once: the answer
    is kept in `cache` under the files' names, sizes and times.
    """
    if data is None:
        return {}
    from ..chips import planet

    return {path.name: _remembered(path, cache) for path in planet.locate(data)}


def _remembered(path: Path, cache: Path) -> str:
    from ..chips import archive

    memo = cache / "sha256" / f"{archive.stamp(path)}.txt"
    if not memo.is_file():
        if path.is_file():
            content = files.sha256(path)
        else:
            members = sorted(p for p in path.rglob("*") if p.is_file())
            pairs = ((p.relative_to(path).as_posix(), files.sha256(p)) for p in members)
            content = digest(*(part for pair in pairs for part in pair))
        files.write_text(memo, content)
    return memo.read_text(encoding="utf-8")


def profile_digest(profile: Profile) -> str:
    """Over every setting of the profile but the line for people."""
    return digest(repr(sorted((k, v) for k, v in asdict(profile).items() if k != "meant_for")))


def run_digest(folder: Path) -> str:
    """Over a training run's configuration and predictions; `""` where it is not there."""
    paths = [folder / name for name in ("config.json", "predictions.npz")]
    if not all(path.is_file() for path in paths):
        return ""
    return digest(*(files.sha256(path) for path in paths))


def runs_there(runs: Path, folders: Iterable[str] = ("",)) -> list[str]:
    """The finished training runs in some folders under `runs`, as paths from there, sorted."""
    return sorted(
        path.parent.relative_to(runs).as_posix()
        for folder in folders
        for path in (runs / folder).glob("*/run.json")
    )


def needs_digest(root: Path, profile: str, notebooks: list[Notebook], notebook: Notebook) -> str:
    """Over the outputs of earlier notebooks that a notebook of one profile needs."""
    needs: dict[str, str] = {}
    for need in notebook.needs:
        source = maker(notebooks, need)
        wanted = source.outputs(profile)
        if need != source.name:
            wanted = tuple(path for path in wanted if path.endswith(f"/{need}"))
        for path in wanted:
            full = root / path
            needs[path] = files.sha256(full) if full.is_file() else "missing"
    return digest(json.dumps(needs, sort_keys=True))


def lock_digest(root: Path) -> str:
    lock = root / "requirements.lock"
    return files.sha256(lock) if lock.is_file() else ""


# ---- where and when ------------------------------------------------------------------------------


def commit(root: Path) -> tuple[str | None, bool | None]:
    """Commit of the checkout, and whether anything but generated folders differs from it."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", ".", ":!figures", ":!results")
    except (OSError, subprocess.SubprocessError):
        return None, None  # no git, or no repository: the manifest says null
    return head, not changed


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()
