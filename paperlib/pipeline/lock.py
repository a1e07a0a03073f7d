"""One `paper run` per profile at a time; a kernel that outlived its runner is ended first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ..utils import files
from .screen import Screen


class Lock:
    """Held by one `paper run` per profile; the system frees it when the process dies."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def kernel(self, pid: int) -> None:
        """Note the kernel, so that the next run can wait for one that outlived its runner."""
        self.handle.seek(0)
        self.handle.truncate()
        started = psutil.Process(pid).create_time() if psutil.pid_exists(pid) else 0.0
        json.dump({"kernel": pid, "started": started}, self.handle)
        self.handle.flush()


@contextmanager
def only_one(path: Path, screen: Screen) -> Iterator[Lock]:
    note = "another paper run of this profile is at work: waiting for it to end"
    with files.locked(path, waiting=lambda: screen.line(note)) as handle:
        if text := handle.read():
            _end_orphan(json.loads(text))
        handle.truncate(0)
        yield Lock(handle)
        handle.truncate(0)


def _end_orphan(noted: Mapping[str, Any]) -> None:
    """A kernel ends by itself a second after its runner was killed; one that does not is ended."""
    try:
        kernel = psutil.Process(noted["kernel"])
        if abs(kernel.create_time() - noted["started"]) > 1:
            return  # the number was given to another process since
        try:
            kernel.wait(5)
        except psutil.TimeoutExpired:
            kernel.kill()
            kernel.wait(10)
    except psutil.NoSuchProcess:
        return
