"""The parent's side of `decoder`: one child per worker, replaced when it dies or dawdles."""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import selectors
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings

from . import limits as site
from .decoder import sandbox
from .reasons import REASONS

log = logging.getLogger("showcase.reading")
_LARGEST, _LONGEST = 2**24, 2**16  # bytes and pixels of a side that one chip has at most
#: Small files are decoded many at a time through shared memory: how many, and bytes of memory for
#: the files and for the pixels. There are two such halves: one is filled while the other is read.
MANY, FILES, PIXELS = 32, 4 * 2**20, 8 * 2**20
#: Isolated, the child finds nothing but the standard library, what is installed, and these.
_HERE = Path(__file__).resolve()
_SCRIPT = (
    f"import sys; sys.path[:0] = [{str(_HERE.parents[2])!r}]; sys.path += [{str(_HERE.parent)!r}]; "
    "from decoder.child import main; main()"
)


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
    """One chip of a picture, at its place in the grid: RGB `(H, W, 3)` uint8.

    Where `jpeg` holds the chip, its pixels may be fitted to the predictor's size already.
    """

    row: int
    column: int
    pixels: np.ndarray
    size: tuple[int, int]  # height and width of the chip
    jpeg: np.ndarray | None = None  # a plain JPEG without metadata, `(bytes,)` uint8


@dataclass(frozen=True)
class Member:
    """One file of an archive, or the reason why it stays packed."""

    position: int
    name: str
    reason: str
    data: bytes


_LIES = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, struct.error)
#: What `Reader.receive` gives for one file: a head and its pieces, a refusal, or None for a file
#: that must be read alone.
Found = tuple[Head, list[Piece]] | Refused | None


class Reader:
    """Decodes files one after the other in a child process; not for several threads at once.

    shared  whether it is for many small files, too, which go through shared memory
    """

    def __init__(self, *, shared: bool = True) -> None:
        self.shared = shared
        self.child: subprocess.Popen | None = None
        self.ready: selectors.BaseSelector | None = None
        self.waited = 0.0  # seconds, for answers of the child
        self.late = False  # the child was killed for taking too long
        self.memory: mmap.mmap | None = None  # shared with the child; None where there is none
        #: What is not answered yet: half, number of files, side.
        self.sent: deque[tuple[int, int, int | None]] = deque()
        self.half = 0

    def send(
        self, files: Sequence[tuple[bytes, bool]], *, chips: int, side: int | None = None
    ) -> bool:
        """Ask for small files (bytes, whether from an archive), at most `MANY`; `receive` answers.

        chips  how many chips the batch may still hold
        side   fit the pixels of chips that are plain JPEGs to a square of so many pixels

        The first may be followed by a second request before it is received. False where they do
        not fit or there is no shared memory: then each is to be read alone. Raises `Refused` where
        the child is gone.
        """
        if len(files) > MANY or sum(len(data) for data, _ in files) > FILES:
            return False
        try:
            if self.sent and (self.child is None or self.child.poll() is not None):
                raise OSError("the decoder is gone with what it was asked")
            self._start()
            if self.memory is None or len(self.sent) > 1:
                return False
            begin = at = self.half * (FILES + PIXELS)
            places = []
            for data, inside in files:
                self.memory[at : at + len(data)] = data
                places.append((at, len(data), inside))
                at += len(data)
            request = {
                "files": places,
                "most": self._most(chips),
                "side": side,
                "pixels_at": begin + FILES,
                "pixels_end": begin + FILES + PIXELS,
            }
            self._write(request)
        except OSError as error:
            self.close()
            raise Refused("crashed") from error
        self.sent.append((self.half, len(files), side))
        self.half = 1 - self.half
        return True

    def receive(self) -> list[Found]:
        """The answer to the oldest request: one entry for each of its files.

        Raises `Refused` where the child died of them or took too long; nothing that was sent is
        answered then.
        """
        if not self.sent:
            raise Refused("crashed")
        half, count, side = self.sent[0]
        begin = half * (FILES + PIXELS) + FILES
        try:
            entries = self._frame(float(settings.SHOWCASE["READ_SECONDS"]))[0]["files"]
            if len(entries) != count:
                raise ValueError("not as many answers as files")
            spans = [_spans(entry, side) for entry in entries]
            used = max((end for some in spans for _, end in some), default=begin)
            if used > begin + PIXELS or any(at < begin for some in spans for at, _ in some):
                raise ValueError("pixels outside the memory")
            # Ours from here on: a child that somebody took over could else show other pixels to
            # whoever hashes them than to whoever labels them.
            memory = np.frombuffer(self.memory, np.uint8, used - begin, begin).copy()
            memory.flags.writeable = False
            found = [
                self._found(entry, side, [memory[at - begin : end - begin] for at, end in some])
                for entry, some in zip(entries, spans, strict=True)
            ]
        except _LIES as error:
            reason = "time" if self.late or self._out_of_time() else "crashed"
            log.warning("decoder ended", extra={"reason": reason, "error": str(error)})
            self.close()
            raise Refused(reason) from error
        self.sent.popleft()
        return found

    @staticmethod
    def _found(entry: dict, side: int | None, parts: list[np.ndarray]) -> Found:
        if "refused" in entry:
            code = entry["refused"]
            return Refused(code if code in REASONS else "broken")
        if "large" in entry:
            return None
        pieces = []
        jpeg = parts.pop() if "jpeg" in entry else None
        for (row, column, *size, _), part in zip(entry["pieces"], parts, strict=True):
            shape = (side, side) if side and jpeg is not None else size
            pixels = part.reshape(*shape, 3)
            pieces.append(Piece(int(row), int(column), pixels, (int(size[0]), int(size[1])), jpeg))
        if jpeg is not None and len(pieces) != 1:
            raise ValueError("one JPEG for several chips")
        return Head(**entry["head"]), pieces

    def _most(self, chips: int, unpacked: tuple[int, int] = (0, 0)) -> dict:
        most = site.limits()
        return {
            "seconds": float(settings.SHOWCASE["READ_SECONDS"]),
            "least_side": site.MINIMUM,
            "pixels": most.pixels,
            "chip": most.chip_pixels,
            "chips": chips,
            "members": max(min(site.ZIP_MEMBERS, most.chips - unpacked[0]), 0),
            "unpacked": max(most.batch_bytes - unpacked[1], 0),
            "file_bytes": most.file_bytes,
            "ratio": site.ZIP_RATIO,
        }

    def read(
        self,
        data: bytes,
        *,
        chips: int,
        inside: bool = False,
        unpacked: tuple[int, int] = (0, 0),
        whole: bool = False,
    ) -> Iterator[Head | Piece | Member]:
        """The file's `Head`, then its `Piece`s or `Member`s.

        chips     how many chips the batch may still hold
        inside    the file comes from an archive; an archive is then refused
        unpacked  members of other archives of the batch, and their bytes: the limits are for all
        whole     cut no picture into chips
        Raises `Refused`, also in the middle; an abandoned iterator costs the child its life.
        """
        seconds = float(settings.SHOWCASE["READ_SECONDS"])
        request = {**self._most(chips, unpacked), "size": len(data), "inside": inside}
        if whole:
            request["chip"] = request["pixels"]  # no side is longer
        answered = False
        try:
            self._send(request, data)
            while True:
                value, payload = self._frame(seconds)
                if "refused" in value:
                    answered = True
                    code = value["refused"]
                    raise Refused(code if code in REASONS else "broken")
                if "end" in value:
                    answered = True
                    return
                yield self._part(value, payload)
        except _LIES as error:
            reason = "time" if self.late or self._out_of_time() else "crashed"
            log.warning("decoder ended", extra={"reason": reason, "error": str(error)})
            raise Refused(reason) from error
        finally:
            if not answered:
                self.close()

    @staticmethod
    def _part(value: dict, payload: bytes) -> Head | Piece | Member:
        if "head" in value:
            return Head(**value["head"])
        if "position" in value:
            return Member(value["position"], value["name"], value["reason"], payload)
        shape = (value["height"], value["width"], 3)
        pixels = np.frombuffer(payload, np.uint8).reshape(shape)
        return Piece(int(value["row"]), int(value["column"]), pixels, shape[:2])

    def _start(self) -> subprocess.Popen:
        if self.child is None or self.child.poll() is not None:
            self.close()
            # Nothing of this process's environment: it holds the keys of database and storage.
            env = {
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                # A picture's memory goes to the next one instead of back to the system each time.
                "MALLOC_MMAP_THRESHOLD_": str(2**25),
                "MALLOC_TRIM_THRESHOLD_": str(2**26),
                "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
                "GDAL_CACHEMAX": "64",
                "GDAL_NUM_THREADS": "1",
                "GDAL_PAM_ENABLED": "NO",
                "LC_ALL": "C.UTF-8",
            }
            if "LD_LIBRARY_PATH" in os.environ:
                env["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
            command = [sys.executable, "-I", "-B", "-c", _SCRIPT]
            command.append(str(int(settings.SHOWCASE["READ_MEGABYTES"])))
            sandbox.hide()  # this process, from its child
            size = 2 * (FILES + PIXELS)
            shared = _shared_memory(size) if self.shared else None
            try:
                if shared is not None:
                    self.memory = mmap.mmap(shared, size)
                    command += [str(shared), str(size)]
                self.child = subprocess.Popen(
                    command,
                    pass_fds=() if shared is None else (shared,),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=env,
                    cwd="/",
                    bufsize=0,
                )
            finally:
                if shared is not None:
                    os.close(shared)
            self.ready = selectors.DefaultSelector()
            self.ready.register(self.child.stdout, selectors.EVENT_READ)
            with contextlib.suppress(AttributeError, ImportError, OSError):
                import fcntl

                for pipe in (self.child.stdin, self.child.stdout):  # a chip at once, not in thirds
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
        return self.child

    def _send(self, request: dict, data: bytes) -> None:
        self._start()
        self._write(request, data)

    def _write(self, request: dict, data: bytes = b"") -> None:
        child = self.child
        self.late = False
        head = json.dumps(request).encode()
        for part in (struct.pack(">I", len(head)) + head, data):
            left = memoryview(part)
            while left:
                left = left[child.stdin.write(left) :]

    def _frame(self, seconds: float) -> tuple[dict, bytes]:
        began = time.monotonic()
        end = began + seconds + 1
        try:
            size = struct.unpack(">I", self._exactly(4, end))[0]
            if size > 1_000_000:
                raise ValueError("a frame's head is too long")
            value = json.loads(self._exactly(size, end))
            payload = int(value["size"])
            if not 0 <= payload <= max(site.limits().file_bytes, _LARGEST):
                raise ValueError("a frame's payload is too long")
            return value, self._exactly(payload, end)
        finally:
            self.waited += time.monotonic() - began

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
        child, self.child, self.memory = self.child, None, None
        self.sent.clear()
        self.half = 0
        if child is not None:
            self.ready.close()
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()


def _spans(entry: dict, side: int | None) -> list[tuple[int, int]]:
    """Where the pixels of an entry's pieces begin and end in the memory; last, its JPEG."""
    fitted = side if "jpeg" in entry else None
    spans = []
    for *_, height, width, at in entry.get("pieces", ()):
        if not (1 <= height <= _LONGEST and 1 <= width <= _LONGEST):
            raise ValueError("no chip is of this size")
        spans.append((at, at + 3 * (fitted * fitted if fitted else height * width)))
    if "jpeg" in entry:
        at, size = entry["jpeg"]
        if size < 1:
            raise ValueError("a JPEG without bytes")
        spans.append((at, at + size))
    return spans


def _shared_memory(size: int) -> int | None:
    """A descriptor of memory that nobody can make smaller or larger; None where there is no such.

    A child that cut it short would otherwise end this process at its next look.
    """
    try:
        import fcntl

        shared = os.memfd_create("showcase", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(shared, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(shared, fcntl.F_ADD_SEALS, seals)
    except (ImportError, AttributeError, OSError):  # not Linux
        return None
    return shared


reader = Reader()
