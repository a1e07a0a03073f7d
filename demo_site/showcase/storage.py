"""Where upload copies and gallery copies lie, and how they get there whole.

Names are ours alone: `uploads/<random>`, `chips/<first two>/<key>.<kind>` and `packs/<random>`. A
pack holds the pixels of a group of chips, one after the other, until their copies are made.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage

_MEMBER = "member-"
_OURS = re.compile(r"[a-z]+/(?:[\w-]+/)?[\w-]+(?:\.[a-z]+)?").fullmatch


#: Packages whose exceptions come from a store over the network.
_REMOTE = {"botocore", "boto3", "s3transfer", "urllib3"}
_GONE = {"404", "NoSuchKey", "NoSuchVersion", "InvalidRange"}  # codes of S3


class StorageAway(OSError):
    """The file store does not answer, or refuses: no fault of the file, and it passes."""


def _asks_the_store(step: Callable) -> Callable:
    """Of whatever the store raises, make `FileNotFoundError` or `StorageAway`."""

    @functools.wraps(step)
    def ask(*args, **kwargs):
        try:
            return step(*args, **kwargs)
        except (FileNotFoundError, StorageAway):
            raise
        except OSError as error:
            raise StorageAway(error.errno, str(error)) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _REMOTE:
                raise
            said = getattr(error, "response", {}).get("Error", {}).get("Code", "")
            kind = FileNotFoundError if said in _GONE else StorageAway
            raise kind(None, str(error)) from error

    return ask


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

    def save_parts(self, name: str, parts: Sequence) -> None:
        """Store C-contiguous arrays, one after the other, straight from where they lie."""
        target = self.place(name)
        partial = f"{target}.{uuid.uuid4().hex[:8]}.partial"
        try:
            with _create(Path(partial), buffering=0) as handle:
                for start in range(0, len(parts), 64):
                    _write_all(handle.fileno(), parts[start : start + 64])
            os.replace(partial, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.place(name))  # ours are files, never folders

    def place(self, name: str) -> str:
        """`path` for names of our own making, five times as quick."""
        if not _OURS(name):
            return self.path(name)
        return f"{self.location}{os.sep}{name}"

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name  # our names are random, or rewriting them writes the same content


def _create(path: Path, buffering: int = -1):
    """A new file for its owner only, in a folder that may have to be made first."""
    try:
        return open(path, "xb", buffering, opener=_private)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return open(path, "xb", buffering, opener=_private)


def _write_all(file: int, parts: Sequence) -> None:
    if not hasattr(os, "writev"):  # Windows
        os.write(file, b"".join(parts))
        return
    left = [memoryview(part).cast("B") for part in parts]
    while left:
        done = os.writev(file, left)
        while left and done >= len(left[0]):
            done -= len(left.pop(0))
        if done:
            left[0] = left[0][done:]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def new_copy(*, member: bool = False) -> str:
    """A fresh name for an upload copy, or for a member of an archive whose copy is still there."""
    return f"uploads/{_MEMBER if member else ''}{uuid.uuid4().hex}"


def chip_copy(key: str, kind: str) -> str:
    """Where a chip's `original`, `thumb`, `dehazed` or `transmission` copy lies."""
    return f"chips/{key[:2]}/{key}.{kind}"


def new_pack() -> str:
    return f"packs/{uuid.uuid4().hex}"


@_asks_the_store
def save(name: str, file: File) -> None:
    default_storage.save(name, file)


def write(name: str, data: bytes) -> None:
    save(name, ContentFile(data))


@_asks_the_store
def write_parts(name: str, parts: Sequence) -> None:
    """C-contiguous arrays one after the other as one file."""
    if isinstance(default_storage, AtomicStorage):
        default_storage.save_parts(name, parts)
    else:
        write(name, b"".join(parts))


@_asks_the_store
def read(name: str) -> bytes:
    if isinstance(default_storage, AtomicStorage):  # nothing of a `File` is needed
        return _read_all(default_storage.place(name))
    with default_storage.open(name, "rb") as handle:
        return handle.read()


def _read_all(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        size = os.fstat(file).st_size
        data = os.read(file, size)
        while len(data) < size and (more := os.read(file, size - len(data))):
            data += more
        return data
    finally:
        os.close(file)


@_asks_the_store
def read_part(name: str, at: int, size: int) -> bytes:
    """Some bytes from the middle of a file."""
    with default_storage.open(name, "rb") as handle:
        if (remote := getattr(handle, "obj", None)) is not None:  # on S3, `seek` fetches all of it
            return remote.get(Range=f"bytes={at}-{at + size - 1}")["Body"].read()
        handle.seek(at)
        return handle.read(size)


@_asks_the_store
def remove(names) -> None:
    """Delete copies; one that is gone already is no fault."""
    delete = default_storage.delete
    for name in filter(None, names):
        with contextlib.suppress(FileNotFoundError):
            delete(name)


@_asks_the_store
def listing(folder: str) -> list[str]:
    """The names of all files of a folder, not of its folders."""
    try:
        return [f"{folder}/{name}" for name in default_storage.listdir(folder)[1]]
    except FileNotFoundError:
        return []


@_asks_the_store
def partials() -> list[str]:
    """What a kill left half-written of chips' copies; only local files are ever half there."""
    if not isinstance(default_storage, AtomicStorage):
        return []
    root = Path(default_storage.location)
    found = (root / "chips").glob("*/*.partial")
    return [path.relative_to(root).as_posix() for path in found]


def written_at(name: str) -> datetime | None:
    """When a file was written; None where it is gone."""
    try:
        return _asks_the_store(default_storage.get_modified_time)(name)
    except FileNotFoundError:
        return None


@_asks_the_store
def settle(names: Iterable[str]) -> None:
    """Wait until these files would survive a power cut: they are not synced when written."""
    if not isinstance(default_storage, AtomicStorage):
        return
    for name in names:
        with (
            contextlib.suppress(FileNotFoundError),
            open(default_storage.path(name), "rb") as handle,
        ):
            os.fsync(handle.fileno())
