"""Where earlier versions of the outputs come from: a commit, the expected file, kept copies.

Generated outputs of `sample` are not committed (they are made in minutes, and are megabytes); for
them `results/expected/sample.json` holds digests, the tables' text and reduced pictures. For
profiles whose outputs are committed, the commit itself is what was shipped. And `paper run` keeps a
copy of what it made from a commit without changes, so that `paper diff` has whole pictures.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ..utils import files
from ..utils.errors import PaperError
from ..utils.paths import cache_folder
from . import compare

WIDTH = 64  # pixels of a reduced picture: four kilobytes each
KEPT = 20  # commits whose outputs are kept


@dataclass(frozen=True)
class Side:
    """One version of the outputs, each by its path from the checkout's root.

    name     what it is called on pages
    digests  path -> sha256 of what it has
    read     path -> bytes, None where only the digest is known
    made     how it was made, as far as it is known: `matplotlib` is the version that drew it
    """

    name: str
    digests: Mapping[str, str]
    read: Callable[[str], bytes | None]
    made: Mapping[str, Any] = field(default_factory=dict)

    def rows(self, path: str) -> list[dict[str, str]] | None:
        """A table as `compare.rows` gives it; None where its values are not known."""
        data = self.read(path)
        return None if data is None else compare.rows(path, data)

    def small(self, path: str) -> np.ndarray | None:
        """A reduced picture, where the whole one is not known."""
        return None


def folder(root: Path, paths: Iterable[str]) -> Side:
    """What lies in the checkout now."""
    there = {path: files.sha256(root / path) for path in paths if (root / path).is_file()}
    return Side("now", there, lambda path: (root / path).read_bytes() if path in there else None)


# ---- a commit ------------------------------------------------------------------------------------


def resolve(root: Path, revision: str) -> str:
    """The full name of a commit; `PaperError` where there is none of that name."""
    found = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if found is None:
        raise PaperError(f"no commit {revision!r} here", "name one that `git log` shows")
    return found.decode().strip()


def committed(root: Path, commit: str, paths: Iterable[str]) -> Side:
    """What a commit holds, read from git's objects: the working tree does not matter."""
    wanted = list(paths)
    asked = "".join(f"{commit}:./{path}\n" for path in wanted).encode()
    answer = io.BytesIO(_git(root, "cat-file", "--batch", given=asked) or b"")
    data: dict[str, bytes] = {}
    for path in wanted:  # each answer: "<id> blob <size>", the content, a newline; or "… missing"
        head = answer.readline().split()
        if len(head) == 3 and head[1] == b"blob":
            data[path] = answer.read(int(head[2]))
            answer.readline()
    digests = {path: sha256(content).hexdigest() for path, content in data.items()}
    return Side(f"commit {commit[:7]}", digests, data.get)


def blob(root: Path, commit: str, path: str) -> bytes | None:
    """A file of a commit; None where it has none there, or there is no git."""
    return _git(root, "cat-file", "blob", f"{commit}:./{path}")


def _git(root: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """What git prints; None where it fails, or is not there."""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, input=given, capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


# ---- the expected file ---------------------------------------------------------------------------


def expected_path(profile: str) -> str:
    return f"results/expected/{profile}.json"


def write_expected(root: Path, profile: str, paths: Iterable[str], made: Mapping[str, Any]) -> Path:
    """Write digests, tables and reduced pictures of what lies here; `made`: how it was made.

    Raises `PaperError` where an output is missing.
    """
    outputs: dict[str, Any] = {}
    for path in paths:
        if not (root / path).is_file():
            raise PaperError(f"{path} is missing", f"paper run --profile {profile}")
        data = (root / path).read_bytes()
        outputs[path] = {"sha256": sha256(data).hexdigest()}
        if path.endswith(".npz"):
            outputs[path]["arrays"] = compare.rows(path, data)
        elif path.startswith("figures/") and compare.is_table(path):
            outputs[path]["packed"] = base64.b64encode(zlib.compress(data, 9)).decode("ascii")
        elif compare.is_table(path):
            outputs[path]["text"] = data.decode("utf-8")
        elif path.endswith(".png"):
            outputs[path]["reduced"] = _pack(compare.reduced(data, WIDTH))
    target = root / expected_path(profile)
    files.write_json(target, {"profile": profile, "made": dict(made), "outputs": outputs})
    return target


@dataclass(frozen=True)
class Expected(Side):
    """The side that an expected file describes: tables whole, pictures reduced."""

    entries: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, text: bytes | str, name: str) -> Expected:
        found = json.loads(text)
        entries = found["outputs"]
        digests = {path: entry["sha256"] for path, entry in entries.items()}

        def read(path: str) -> bytes | None:
            entry = entries.get(path, {})
            if "packed" in entry:
                return zlib.decompress(base64.b64decode(entry["packed"]))
            return entry["text"].encode("utf-8") if "text" in entry else None

        return cls(name, digests, read, found["made"], entries)

    def rows(self, path: str) -> list[dict[str, str]] | None:
        arrays = self.entries.get(path, {}).get("arrays")
        if arrays is None:
            return super().rows(path)
        return [{"name": row["name"], **row} for row in arrays]  # JSON has them by the alphabet

    def small(self, path: str) -> np.ndarray | None:
        packed = self.entries.get(path, {}).get("reduced")
        return None if packed is None else compare.picture(base64.b64decode(packed))


def _pack(pixels: np.ndarray) -> str:
    from PIL import Image

    packed = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode("ascii")


# ---- what was shipped, and what an author compares with ------------------------------------------


def shipped(root: Path, profile: str, paths: Iterable[str]) -> Side:
    """What the authors shipped of a profile: its expected file, else what HEAD holds.

    Raises `PaperError` where nothing was shipped.
    """
    path = root / expected_path(profile)
    if path.is_file():
        return Expected.of(path.read_text(encoding="utf-8"), expected_path(profile))
    side = committed(root, "HEAD", paths)
    if not side.digests:
        raise PaperError(
            f"nothing was shipped of profile {profile} to compare with",
            f"paper verify --write --profile {profile}, and commit {expected_path(profile)}",
        )
    manifest = blob(root, "HEAD", f"results/{profile}/manifest.json")
    made = json.loads(manifest).get("versions", {}) if manifest else {}
    return Side("the commit HEAD", side.digests, side.read, made)


def earlier(root: Path, profile: str, revision: str, paths: Iterable[str]) -> Side:
    """The outputs of a commit: kept copies, what it holds itself, else those of its last ancestor
    with kept copies, else the tables of its expected file.

    Raises `PaperError` where there are none of these.
    """
    if revision == "shipped":
        return shipped(root, profile, paths)
    commit, wanted = resolve(root, revision), list(paths)
    inside = committed(root, commit, wanted)
    if side := kept(root, profile, commit):
        return _over(side, inside, f"commit {commit[:7]}")
    if inside.digests:
        return inside
    older = _git(root, "rev-list", "--max-count=200", commit) or b""
    for ancestor in older.decode().split():
        if side := kept(root, profile, ancestor):
            return _over(side, inside, f"commit {ancestor[:7]}, the last run before {commit[:7]}")
    if text := blob(root, commit, expected_path(profile)):
        return Expected.of(text, f"{expected_path(profile)} of commit {commit[:7]}")
    raise PaperError(
        f"nothing is known of what commit {commit[:7]} made with profile {profile}",
        f"before you change anything: paper run --profile {profile} (it keeps what it makes)",
    )


def _over(first: Side, second: Side, name: str) -> Side:
    def read(path: str) -> bytes | None:
        return first.read(path) if path in first.digests else second.read(path)

    return Side(name, {**second.digests, **first.digests}, read)


# ---- kept copies ---------------------------------------------------------------------------------


def _store(root: Path, profile: str) -> Path:
    return cache_folder(root) / "outputs" / profile


def keep(root: Path, profile: str, commit: str, outputs: Mapping[str, str]) -> None:
    """Keep copies of outputs that a commit without changes made; the newest `KEPT` commits stay.

    outputs  path -> sha256

    Waits for another run that is keeping its own: it would remove copies without a record yet.
    """
    top = _store(root, profile)
    with files.locked(top.with_suffix(".lock")):
        for path, digest in outputs.items():
            target = top / "files" / digest
            if not target.is_file() and files.sha256(root / path) == digest:
                with files.replacing(target) as partial:
                    shutil.copyfile(root / path, partial)
        record = top / f"{commit}.json"
        before = files.read_json(record) if record.is_file() else {}
        files.write_json(record, {**before, **outputs})
        records = sorted(top.glob("*.json"), key=lambda p: p.stat().st_mtime)
        for old in records[:-KEPT]:
            old.unlink()
        used = {sha for one in top.glob("*.json") for sha in files.read_json(one).values()}
        for copy in (top / "files").iterdir():
            if copy.name not in used:
                copy.unlink()


def kept(root: Path, profile: str, commit: str) -> Side | None:
    """The kept copies of a commit's outputs; None where there are none."""
    top = _store(root, profile)
    record = top / f"{commit}.json"
    if not record.is_file():
        return None
    digests = files.read_json(record)

    def read(path: str) -> bytes | None:
        copy = top / "files" / digests.get(path, "none")
        return copy.read_bytes() if copy.is_file() else None

    return Side(f"commit {commit[:7]}", digests, read)
