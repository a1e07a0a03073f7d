"""The parent's side of `reader_child`: one child per worker, replaced when it dies or dawdles."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings

from . import limits as site
from .reasons import REASONS

log = logging.getLogger("showcase.reading")
_LARGEST = 2**24  # bytes of one chip at most
_SCRIPT = Path(__file__).with_name("reader_child.py")


class Refused(Exception):
    """The file is not read; the argument is a code of `reasons.REASONS`."""


@dataclass(frozen=True)
class Head:
    """What the file is: for a picture its size and the grid it is cut into."""

    kind: str
    width: int = 0
    height: int = 0
    rows: int = 0
    columns: int = 0


@dataclass(frozen=True)
class Piece:
    """One chip of a picture: RGB `(H, W, 3)` uint8 at its place in the grid."""

    row: int
    column: int
    pixels: np.ndarray


@dataclass(frozen=True)
class Member:
    """One file of an archive, or the reason why it stays packed."""

    position: int
    name: str
    reason: str
    data: bytes


class Reader:
    """Decodes files one after the other in a child process; not for several threads at once."""

    def __init__(self) -> None:
        self.child: subprocess.Popen | None = None
        self.ready: selectors.BaseSelector | None = None
        self.late = False  # the child was killed for taking too long

    def read(
        self, data: bytes, *, chips: int, inside: bool = False
    ) -> Iterator[Head | Piece | Member]:
        """The file's `Head`, then its `Piece`s or `Member`s.

        chips   how many chips the batch may still hold
        inside  the file comes from an archive; an archive is then refused
        Raises `Refused`, also in the middle; an abandoned iterator costs the child its life.
        """
        most = site.limits()
        seconds = float(settings.SHOWCASE["READ_SECONDS"])
        request = {
            "size": len(data),
            "seconds": seconds,
            "least_side": site.MINIMUM,
            "pixels": most.pixels,
            "chip": most.chip_pixels,
            "chips": chips,
            "members": site.ZIP_MEMBERS,
            "batch_bytes": most.batch_bytes,
            "file_bytes": most.file_bytes,
            "ratio": site.ZIP_RATIO,
            "inside": inside,
        }
        whole = False
        try:
            self._send(request, data)
            while True:
                value, payload = self._frame(seconds)
                if "refused" in value:
                    whole = True
                    code = value["refused"]
                    raise Refused(code if code in REASONS else "broken")
                if "end" in value:
                    whole = True
                    return
                yield self._part(value, payload)
        except (OSError, EOFError, ValueError, KeyError, struct.error) as error:
            reason = "time" if self.late or self._out_of_time() else "crashed"
            log.warning("decoder ended", extra={"reason": reason, "error": str(error)})
            raise Refused(reason) from error
        finally:
            if not whole:
                self.close()

    @staticmethod
    def _part(value: dict, payload: bytes) -> Head | Piece | Member:
        if "head" in value:
            return Head(**value["head"])
        if "position" in value:
            return Member(value["position"], value["name"], value["reason"], payload)
        shape = (value["height"], value["width"], 3)
        pixels = np.frombuffer(payload, np.uint8).reshape(shape)
        return Piece(int(value["row"]), int(value["column"]), pixels)

    def _start(self) -> subprocess.Popen:
        if self.child is None or self.child.poll() is not None:
            self.close()
            # Nothing of this process's environment: it holds the keys of database and storage.
            env = {
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
                "GDAL_CACHEMAX": "64",
                "GDAL_NUM_THREADS": "1",
                "GDAL_PAM_ENABLED": "NO",
                "LC_ALL": "C.UTF-8",
            }
            if "LD_LIBRARY_PATH" in os.environ:
                env["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
            self.child = subprocess.Popen(
                [sys.executable, "-I", str(_SCRIPT), str(int(settings.SHOWCASE["READ_MEGABYTES"]))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=env,
                cwd="/",
                bufsize=0,
            )
            self.ready = selectors.DefaultSelector()
            self.ready.register(self.child.stdout, selectors.EVENT_READ)
            with contextlib.suppress(AttributeError, ImportError, OSError):
                import fcntl

                for pipe in (self.child.stdin, self.child.stdout):  # a chip at once, not in thirds
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
        return self.child

    def _send(self, request: dict, data: bytes) -> None:
        child = self._start()
        self.late = False
        head = json.dumps(request).encode()
        for part in (struct.pack(">I", len(head)) + head, data):
            left = memoryview(part)
            while left:
                left = left[child.stdin.write(left) :]

    def _frame(self, seconds: float) -> tuple[dict, bytes]:
        end = time.monotonic() + seconds + 1
        size = struct.unpack(">I", self._exactly(4, end))[0]
        if size > 1_000_000:
            raise ValueError("a frame's head is too long")
        value = json.loads(self._exactly(size, end))
        payload = int(value["size"])
        if not 0 <= payload <= max(site.limits().file_bytes, _LARGEST):
            raise ValueError("a frame's payload is too long")
        return value, self._exactly(payload, end)

    def _exactly(self, size: int, end: float) -> bytes:
        """`size` bytes of the child's answer; a child that is silent until `end` is killed."""
        pipe = self.child.stdout.fileno()
        parts, left = [], size
        while left:
            if not self.ready.select(max(end - time.monotonic(), 0)):
                self.late = True
                self.child.kill()
                raise EOFError("the decoder took too long")
            part = os.read(pipe, min(left, 1 << 20))
            if not part:
                raise EOFError("the decoder closed its end")
            parts.append(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _out_of_time(self) -> bool:
        """The kernel ends a child that used up its processor time by SIGXCPU (24)."""
        if self.child is None:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.child.wait(1) == -24
        return False

    def close(self) -> None:
        child, self.child = self.child, None
        if child is not None:
            self.ready.close()
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()


reader = Reader()
