"""Where upload copies and gallery copies lie, and how they get there whole.

Names are ours alone: `uploads/<random>` and `chips/<first two>/<key>.<kind>`.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage

_MEMBER = "member-"


class AtomicStorage(FileSystemStorage):
    """Files on disk that are whole or not there: written beside, synced, then renamed.

    After a kill or a full disk a half-written file is only ever a `.partial`, which the worker's
    sweep removes.
    """

    def _save(self, name: str, content) -> str:
        target = Path(self.path(name))
        partial = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            with _create(partial) as handle:
                for piece in content.chunks():
                    handle.write(piece)
                handle.flush()
                if name.startswith("uploads/") and _MEMBER not in name:
                    # The visitor is told that it is kept. Everything else could be made again.
                    os.fsync(handle.fileno())
            os.replace(partial, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name  # our names are random, or rewriting them writes the same content


def _create(path: Path):
    """A new file for its owner only, in a folder that may have to be made first."""
    try:
        return open(path, "xb", opener=_private)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return open(path, "xb", opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def new_copy(*, member: bool = False) -> str:
    """A fresh name for an upload copy, or for a member of an archive whose copy is still there."""
    return f"uploads/{_MEMBER if member else ''}{uuid.uuid4().hex}"


def chip_copy(key: str, kind: str) -> str:
    """Where a chip's `original`, `thumb`, `dehazed` or `transmission` copy lies."""
    return f"chips/{key[:2]}/{key}.{kind}"


def write(name: str, data: bytes) -> None:
    default_storage.save(name, ContentFile(data))


def read(name: str) -> bytes:
    with default_storage.open(name, "rb") as handle:
        return handle.read()


def remove(names) -> None:
    """Delete copies; one that is gone already is no fault."""
    for name in names:
        if name:
            with contextlib.suppress(FileNotFoundError):
                default_storage.delete(name)


def settle() -> None:
    """Wait until the gallery's copies written so far would survive a power cut.

    They are not synced one by one: once per batch, before its upload copies go, is enough.
    """
    if isinstance(default_storage._wrapped, AtomicStorage) and hasattr(os, "sync"):
        os.sync()
