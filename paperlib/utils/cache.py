"""Arrays that were computed once (pixels, features, predictions), saved by what they depend on.

An entry is found by a key that covers everything its numbers depend on. It is two files: the array,
and a note that is written last, so an entry with a note is whole. A large array is mapped, not
read: a second read takes milliseconds, whatever its size. All of it can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from . import files
from .errors import PaperError
from .paths import cache_folder


def folder() -> Path:
    return cache_folder() / "chips"


def key(*parts: object) -> str:
    """A hash of everything an entry depends on, 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:32]


def load(name: str) -> tuple[np.ndarray, dict[str, Any]] | None:
    """The array and the note of an entry, or None where it is not there or not whole."""
    note = recall(name)
    if note is None:
        return None
    try:
        # "c": the caller may write to the array; the file stays as it is
        images = np.asarray(np.load(folder() / f"{name}.npy", mmap_mode="c", allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return None
    return (images, note) if list(images.shape) == note.get("shape") else None


def save(name: str, images: np.ndarray, **note: Any) -> None:
    """Keep an array and its note; `PaperError` where the cache folder cannot be written."""
    _keep(folder() / f"{name}.npy", images)
    remember(name, shape=list(images.shape), **note)


def remember(name: str, **note: Any) -> None:
    with _writable():
        files.write_json(folder() / f"{name}.json", note)


def recall(name: str) -> dict[str, Any] | None:
    """A note, or None where there is none that can be read."""
    try:
        note = files.read_json(folder() / f"{name}.json")
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def block(name: str, number: int, make: Callable[[], np.ndarray]) -> np.ndarray:
    """One block of a long computation, made once: a run that was killed goes on after the last."""
    path = folder() / f"{name}.blocks" / f"{number:05d}.npy"
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        pass
    images = make()
    _keep(path, images)
    return images


def drop_blocks(name: str) -> None:
    """Delete the blocks of an entry that is whole now."""
    place = folder() / f"{name}.blocks"
    for path in place.glob("*.npy"):
        path.unlink(missing_ok=True)
    if place.is_dir() and not any(place.iterdir()):
        place.rmdir()


def _keep(path: Path, images: np.ndarray) -> None:
    with _writable(), files.replacing(path) as partial:
        np.save(partial, images, allow_pickle=False)


@contextmanager
def _writable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PaperError(
            f"{folder()} cannot be written ({error.strerror or error})",
            "free some space, or name another cache folder in PAPER_CACHE",
        ) from None
