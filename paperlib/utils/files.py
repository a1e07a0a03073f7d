"""Atomic file writes (temporary file, fsync, rename), locks between processes, digests."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from .errors import PaperError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; rename it over `path` when the block ends well.

    A reader never sees half a file, whatever moment the process is killed at. The temporary name
    keeps the suffix, since writers choose their format by it, and is unique to this call, so that
    two processes writing the same file do not spoil each other's.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.partial{path.suffix}")
    try:
        yield partial
        with open(partial, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Sorted keys and a final newline, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_arrays(path: str | Path, **arrays: np.ndarray) -> None:
    """A compressed `.npz`; equal arrays give equal bytes (numpy stamps no time into it)."""
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def read_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a shipped `.npz`, and the note among them, which is JSON.

    Raises `PaperError` where the file is not there.
    """
    if not Path(path).is_file():
        raise PaperError(f"{path} is not there", "run this in a checkout")
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    return arrays, json.loads(str(arrays.pop("note")))


@contextmanager
def locked(path: str | Path, waiting: Callable[[], None] = lambda: None) -> Iterator[IO[str]]:
    """Hold an exclusive lock on a file, between processes; released when the process ends.

    path     made where there is none; yielded open for reading and appending
    waiting  called once where another process holds it, before waiting for that one
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as handle:
        if not try_lock(handle):
            waiting()
            while not try_lock(handle):
                time.sleep(0.2)
        handle.seek(0)
        yield handle


def is_locked(path: str | Path) -> bool:
    """Whether another process holds the lock of that file."""
    if not Path(path).is_file():
        return False
    with open(path, "a+", encoding="utf-8") as handle:
        return not try_lock(handle)


def try_lock(handle: IO[str]) -> bool:
    """Take the exclusive lock of an open file; False where another process holds it."""
    try:
        try:
            import fcntl
        except ImportError:  # Windows
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sha256(path: str | Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def below(folder: str | Path) -> list[Path]:
    """The files of a folder, to any depth, sorted; linked folders are followed, each once.

    Hidden files and folders, and what macOS adds to archives (`._*`, `__MACOSX`), are passed over.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        stat = os.stat(place)
        if (stat.st_dev, stat.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        paths = (Path(place) / name for name in names if not name.startswith("."))
        found += [path for path in paths if path.is_file()]
    return sorted(found)


def shown(path: str | Path) -> str:
    """A path that can be printed and written down, whatever bytes it is made of."""
    text = os.fsencode(str(path)).decode("utf-8", "backslashreplace")
    return text.replace("\r", "\\r")  # which ends a row for who reads a CSV
