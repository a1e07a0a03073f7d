"""Where upload copies and the gallery's pictures lie, and how they get there whole.

Names are ours alone: `uploads/<random>` and `chips/<first two>/<name>.<kind>`.
"""

from __future__ import annotations

import errno
import functools
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage

#: Packages whose exceptions come from a store over the network.
_REMOTE = {"botocore", "boto3", "s3transfer", "urllib3"}
_GONE = {"404", "NoSuchKey", "NoSuchVersion"}  # codes of S3
PAUSE = 10  # seconds that a store over the network is not asked again after it did not answer
#: With less free no upload is taken: this part of the disk, but no more than so many bytes.
FLOOR, ENOUGH = 0.05, 4e9
_MANY = 1000  # files that S3 deletes at one request
_away_until = 0.0


class StorageAway(OSError):
    """The file store does not answer, or refuses: no fault of the file, and it passes."""


def _asks_the_store(step: Callable) -> Callable:
    """Of whatever the store raises, make `FileNotFoundError` or `StorageAway`.

    Where it is away each request would wait for seconds, and soon all threads would: so for a
    moment nobody asks it.
    """

    @functools.wraps(step)
    def ask(*args, **kwargs):
        global _away_until
        if time.monotonic() < _away_until:
            raise StorageAway(None, "the file store did not answer a moment ago")
        try:
            return step(*args, **kwargs)
        except (FileNotFoundError, StorageAway):
            raise
        except Exception as error:
            if type(error).__module__.partition(".")[0] in _REMOTE:
                response = getattr(error, "response", None) or {}
                if response.get("Error", {}).get("Code", "") in _GONE:
                    raise FileNotFoundError(None, str(error)) from error
                if not response:  # no answer at all
                    _away_until = time.monotonic() + PAUSE
                raise StorageAway(None, str(error)) from error
            if isinstance(error, OSError):
                raise StorageAway(error.errno, str(error)) from error
            raise

    return ask


class AtomicStorage(FileSystemStorage):
    """Files on disk that are whole or not there: written beside, then renamed.

    After a kill or a full disk a half-written file is only ever a `.partial`, which the worker's
    sweep removes.
    """

    def _save(self, name: str, content: File) -> str:
        target = Path(self.path(name))
        partial = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.partial")
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        sync = getattr(content, "sync", False)
        try:
            with open(partial, "xb", opener=_private) as file:
                for piece in content.chunks():
                    file.write(piece)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        if sync and os.name == "posix":
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name  # our names are random, or rewriting them writes the same content


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def new_copy() -> str:
    """A fresh name for an upload copy."""
    return f"uploads/{uuid.uuid4().hex}"


#: A chip's pictures -> their type.
KINDS = {
    "original": "image/png",
    "thumb": "image/jpeg",
    "dehazed": "image/png",
    "transmission": "image/png",
}


def chip_copy(name: str, kind: str) -> str:
    """Where a chip's `original`, `thumb`, `dehazed` or `transmission` lies."""
    return f"chips/{name[:2]}/{name}.{kind}"


def local() -> Path | None:
    """The folder of the store, None where it is no folder of this machine."""
    return Path(default_storage.location) if isinstance(default_storage, AtomicStorage) else None


@_asks_the_store
def write(name: str, content: bytes | BinaryIO, *, sync: bool = False) -> None:
    """A file that appears whole; `sync` waits until it, and its name, would survive a power cut."""
    file = ContentFile(content) if isinstance(content, bytes) else File(content, name)
    file.sync = sync
    default_storage.save(name, file)


@_asks_the_store
def read(name: str) -> bytes:
    with default_storage.open(name, "rb") as handle:
        return handle.read()


@_asks_the_store
def remove(names: Iterable[str]) -> None:
    """Delete files; one that is gone already is no fault."""
    names = [name for name in names if name]
    bucket = getattr(default_storage, "bucket", None)
    if bucket is None:
        for name in names:
            default_storage.delete(name)
        return
    keys = [{"Key": f"{default_storage.location}/{name}".lstrip("/")} for name in names]
    for start in range(0, len(keys), _MANY):
        bucket.delete_objects(Delete={"Objects": keys[start : start + _MANY], "Quiet": True})


@_asks_the_store
def listing(folder: str) -> list[str]:
    """The names of all files of a folder, not of its folders."""
    try:
        return [f"{folder}/{name}" for name in default_storage.listdir(folder)[1]]
    except FileNotFoundError:
        return []


def partials() -> list[str]:
    """What a kill left half-written of chips' pictures; only local files are ever half there."""
    root = local()
    found = (root / "chips").glob("*/*.partial") if root else ()
    return [path.relative_to(root).as_posix() for path in found]


def written_at(name: str) -> datetime | None:
    """When a file was written; None where it is gone."""
    try:
        return _asks_the_store(default_storage.get_modified_time)(name)
    except FileNotFoundError:
        return None


def demand_room() -> None:
    """Raise `StorageAway` where the disk is nearly full: the database may lie on it, too."""
    if (root := local()) is None:
        return
    while not root.exists():
        root = root.parent
    usage = shutil.disk_usage(root)
    if usage.free < min(FLOOR * usage.total, ENOUGH):
        raise StorageAway(errno.ENOSPC, "the disk is nearly full")
