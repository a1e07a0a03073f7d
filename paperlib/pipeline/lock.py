"""One `paper run` per profile at a time; a kernel that outlived its runner is ended first."""

from __future__ import annotations

import json
import threading
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
        self.kernels: list[dict[str, Any]] = []
        self._turn = threading.Lock()

    def kernel(self, pid: int) -> None:
        """Note a kernel, so that the next run can wait for one that outlived its runner."""
        started = psutil.Process(pid).create_time() if psutil.pid_exists(pid) else 0.0
        with self._turn:
            self.kernels.append({"kernel": pid, "started": started})
            self.handle.seek(0)
            self.handle.truncate()
            json.dump(self.kernels, self.handle)
            self.handle.flush()

    def end_kernels(self) -> None:
        """End those that still run."""
        with self._turn:
            for noted in self.kernels:
                _end(noted, patience=0)


@contextmanager
def only_one(path: Path, screen: Screen) -> Iterator[Lock]:
    note = "another paper run of this profile is at work: waiting for it to end"
    with files.locked(path, waiting=lambda: screen.line(note)) as handle:
        if text := handle.read():
            for noted in json.loads(text):
                _end(noted, patience=5)  # by itself a second after its runner was killed
        handle.truncate(0)
        yield Lock(handle)
        handle.truncate(0)


def _end(noted: Mapping[str, Any], patience: float) -> None:
    """Wait for a kernel to end by itself, and end one that does not."""
    try:
        kernel = psutil.Process(noted["kernel"])
        if abs(kernel.create_time() - noted["started"]) > 1:
            return  # the number was given to another process since
        try:
            kernel.wait(patience)
        except psutil.TimeoutExpired:
            kernel.kill()
            kernel.wait(10)
    except psutil.NoSuchProcess:
        return
