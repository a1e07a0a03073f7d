"""The folder of a partial result: one run at a time, left behind by a kill, never by a failure."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..utils import files
from ..utils.errors import PaperError
from ..utils.files import shown

LOCK, KEY = "lock", "key"
PATIENCE = 5.0  # seconds: a killed run keeps its lock until the system has cleared it away


@contextmanager
def partial_of(target: Path, key: str) -> Iterator[Path]:
    """Yield the folder `.NAME.partial` beside `target`, locked, with what a killed run of the same
    `key` has left in it; it goes when the block ends, well or badly, but stays after a kill.

    Raises `PaperError` where another run holds it, or it cannot be made.
    """
    folder = folder_of(target)
    if target.parent.is_file():
        raise PaperError(f"{shown(target.parent)}: is a file", "give another target")
    if _is_foreign(folder):
        raise PaperError(f"{folder} is in the way", "move it: the work in progress goes there")
    made = make_folder(target.parent, target)
    with held(folder, target):
        try:
            if _key(folder) != key:  # of another source, or other parameters
                _empty(folder)
                files.write_text(folder / KEY, key)
            yield folder
        except Exception:
            _remove(folder, made)
            raise
        _remove(folder, [])


def folder_of(target: Path) -> Path:
    """The folder of the partial result of `target`; a long name is cut, as names have 255 bytes."""
    name = target.name
    if len(os.fsencode(name)) > 240:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return target.parent / f".{name}.partial"


def _key(folder: Path) -> str:
    return (folder / KEY).read_text(encoding="utf-8") if (folder / KEY).is_file() else ""


def _is_foreign(folder: Path) -> bool:
    """Whether what has this name is none of ours: no folder, or one with files and no lock."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True
    return bool(names) and LOCK not in names


def _empty(folder: Path) -> None:
    """Remove all but the lock. The key goes first: after a kill in the middle of this, what is left
    belongs to no run, and the next one begins anew."""
    (folder / KEY).unlink(missing_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()


def _remove(folder: Path, made: list[Path]) -> None:
    with suppress(OSError):
        _empty(folder)
        (folder / LOCK).unlink()  # last: a folder with files and no lock is somebody else's
    for one in [folder, *reversed(made)]:
        with suppress(OSError):  # other files are in it by now
            one.rmdir()


def make_folder(folder: Path, target: Path) -> list[Path]:
    """Make a folder and those above it; returns the ones that were not there.

    Raises `PaperError`, which names `target`, where that cannot be done.
    """
    missing = []
    try:
        above = folder
        while not above.exists():
            missing.append(above)
            above = above.parent
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from error
    return missing[::-1]


@contextmanager
def held(folder: Path, target: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made; `PaperError` where another run holds it for longer
    than `PATIENCE`: a worker that was killed may be dying still when its file is another's."""
    path, until = folder / LOCK, time.monotonic() + PATIENCE
    try:
        while True:
            folder.mkdir(exist_ok=True)
            try:
                handle = open(path, "a+", encoding="utf-8")  # noqa: SIM115
            except FileNotFoundError:  # the run that held it has just removed the folder
                continue
            if not files.try_lock(handle):
                handle.close()
                if time.monotonic() < until:
                    time.sleep(0.05)
                    continue
                raise PaperError(
                    f"{shown(target)}: another run is writing it", "wait for it, or end it first"
                )
            try:
                same = os.path.samestat(os.stat(path), os.fstat(handle.fileno()))
            except OSError:  # the run that held it has just ended and removed it
                same = False
            if same:
                break
            handle.close()
    except OSError as error:
        raise _unwritable(target, error) from error
    with handle:
        yield


@contextmanager
def disk_of(target: Path) -> Iterator[None]:
    """What a disk refuses, in one line."""
    try:
        yield
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: OSError) -> PaperError:
    why = (error.strerror or str(error)).lower()
    return PaperError(
        f"{shown(target)}: cannot be written ({why})", "make room, or give another target"
    )
