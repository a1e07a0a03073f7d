"""The site's side of the decoder: one child process, replaced when it dies, dawdles, or is used."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings

from .. import limits as site
from . import answers, sandbox
from .answers import Away, Head, Item, Refused
from .process import HEAD, send

log = logging.getLogger("showcase.decoder")
_LARGEST = 2**24  # bytes that a frame may hold besides a file
#: Isolated, the child finds nothing but the standard library, what is installed, and these.
_APP = Path(__file__).resolve().parents[1]
_SCRIPT = (
    f"import sys; sys.path[:0] = [{str(_APP.parents[1])!r}]; sys.path += [{str(_APP)!r}]; "
    "from decoder.process import main; main()"
)
#: Nothing of this process's environment: it holds the keys of database and storage.
_ENVIRONMENT = {
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


_LIES = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError)


class Decoder:
    """Decodes files one after the other; not for several threads at once."""

    def __init__(self) -> None:
        self.child: subprocess.Popen | None = None
        self.batch: int | None = None  # whose files it has seen
        self.greeted = self.late = False
        self.missing: list[str] = []  # layers of the sandbox that this machine lacks
        self.waited = 0.0  # seconds, for answers of the child
        self.until = math.inf  # when the child has had its time

    def read(self, data: bytes, *, chips: int) -> Iterator[Item]:
        """What is in one file, part by part; raises `Refused`, and `Away`."""
        for _, item in self.read_many([(data, False)], chips=chips):
            if isinstance(item, Refused):
                raise item
            if item is not None:
                yield item

    def read_many(
        self,
        files: Sequence[tuple[bytes, bool]],
        *,
        chips: int,
        side: int | None = None,
        unpacked: tuple[int, int] = (0, 0),
    ) -> Iterator[tuple[int, Item | Refused | None]]:
        """What is in each of the files, in their order: parts, then None or why it is refused.

        files     their bytes, and whether they come from an archive; an archive is then refused
        chips     how many chips the batch may still hold
        side      bring chips to a square of so many pixels, as the predictor does
        unpacked  members of other archives of the batch, and their bytes: the limits are for all

        A file that takes the child down takes no other along. An iterator that is abandoned costs
        the child its life. Raises `Away`.
        """
        done, alone, taken = 0, False, 0
        while done < len(files):
            part, begun = files[done : done + 1] if alone else files[done:], False
            try:
                for item in self._answers(part, chips, side, unpacked):
                    if isinstance(item, Head):
                        taken = item.rows * item.columns
                        chips -= taken
                    elif isinstance(item, Refused):
                        chips, taken = chips + taken, 0
                    elif item is None:
                        taken = 0
                    yield done, item
                    begun = not (item is None or isinstance(item, Refused))
                    done += not begun
                alone = False
            except Refused as refusal:  # the child died, or had to
                # The first that was not answered did it, or had no time left: alone it tells.
                alone = len(part) > 1 and not begun
                chips, taken = chips + taken, 0
                if not alone:
                    yield done, refusal
                    done += 1

    def _answers(
        self, files: Sequence[tuple[bytes, bool]], chips: int, side: int | None, unpacked
    ) -> Iterator[Item | Refused | None]:
        """The same for one child; raises `Refused` where a file is its end."""
        most, seconds = site.limits(), float(settings.SHOWCASE["READ_SECONDS"])
        request = {
            "sizes": [len(data) for data, _ in files],
            "packed": [packed for _, packed in files],
            "side": side,
            "seconds": seconds,
            "least_side": site.MINIMUM,
            "pixels": most.pixels,
            "chip": most.chip_pixels,
            "chips": max(chips, 0),
            "members": max(min(site.ZIP_MEMBERS, most.chips - unpacked[0]), 0),
            "unpacked": max(most.batch_bytes - unpacked[1], 0),
            "file_bytes": most.file_bytes,
            "ratio": site.ZIP_RATIO,
        }
        self.ready()
        left, parts = len(files), 0
        try:
            with self._within(seconds):
                send(self.child.stdin, request, [data for data, _ in files])
            while left:
                with self._within(seconds):
                    records, payload = self._frame(most.file_bytes + 2 * _LARGEST)
                parts, at = parts + len(records), 0
                if not records or parts > max(request["chips"], request["members"]) + 2:
                    raise ValueError("more, or less, than there can be")
                for record in records:
                    size = int(record.get("bytes", 0))
                    if not 0 <= size <= len(payload) - at:
                        raise ValueError("more bytes than there are")
                    item = answers.item(record, payload[at : at + size])
                    at += size
                    if item is None or isinstance(item, Refused):
                        left, parts = left - 1, 0
                    yield item
        except _LIES as error:
            reason = "time" if self.late or self._out_of_time() else "crashed"
            log.warning("decoder ended", extra={"reason": reason, "error": str(error)})
            raise Refused(reason) from error
        finally:
            if left:
                self.close()

    def start(self) -> None:
        """Begin to start the child, which takes a second; the next request waits for it."""
        if self.child is not None and self.child.poll() is None:
            return
        self.close()
        sandbox.hide()  # this process, from its child
        env = _ENVIRONMENT | {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
        command = [sys.executable, "-I", "-B", "-c", _SCRIPT]
        command.append(str(int(settings.SHOWCASE["READ_MEGABYTES"])))
        try:
            self.child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=env, cwd="/",
            )  # fmt: skip
        except OSError as error:
            raise Away(error.errno, f"the decoder does not start: {error}") from error
        threading.Thread(target=self._watch, args=[self.child], daemon=True).start()
        with contextlib.suppress(AttributeError, ImportError, OSError):
            import fcntl

            for pipe in (self.child.stdin, self.child.stdout):  # much at once, not 64 kB
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)

    def interrupt(self) -> None:
        """From another thread: end what the child is at."""
        if (child := self.child) is not None:
            child.kill()

    def serve(self, batch: int) -> None:
        """What is read from now on is of this batch: the child of another one is replaced.

        Whoever took a child over, by one file, sees no file of anybody else.
        """
        if self.batch not in (None, batch):
            self.renew()
        self.batch = batch

    def renew(self) -> None:
        """A fresh child, which is ready before the next batch comes, as a rule."""
        self.close()
        with contextlib.suppress(Away):  # the batch that needs it will say so
            self.start()

    def close(self) -> None:
        child, self.child, self.greeted, self.batch = self.child, None, False, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()

    def ready(self) -> None:
        """Wait until the child is closed in; `missing` then says what this machine lacks for it."""
        self.start()
        if self.greeted:
            return
        try:
            with self._within(60):
                value, _ = self._frame(0)
            missing = [str(name) for name in value["missing"]]
        except _LIES as error:
            self.close()
            raise Away(None, f"the decoder does not start: {error}") from error
        if missing and missing != self.missing:
            log.warning("the decoder's sandbox is not whole", extra={"missing": missing})
        self.missing, self.greeted = missing, True

    @contextlib.contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """The child is killed where this takes longer: what is read from it then ends."""
        self.late, began = False, time.monotonic()
        self.until = began + seconds + 1
        try:
            yield
        finally:
            self.until = math.inf
            self.waited += time.monotonic() - began

    def _watch(self, child: subprocess.Popen) -> None:
        """A thread as old as the child: one for each answer would take longer than the answer."""
        while child.returncode is None:
            if child is self.child and time.monotonic() > self.until:
                self.late = True
                child.kill()
            time.sleep(0.1)

    def _frame(self, most: int):
        """`(value, payload)` of the next frame."""
        length, size = HEAD.unpack(self._exactly(HEAD.size))
        if length > 2**20 or size > most:
            raise ValueError("a frame is too long")
        return json.loads(self._exactly(length)), memoryview(self._exactly(size))

    def _exactly(self, size: int) -> bytes:
        data = self.child.stdout.read(size)
        if len(data) < size:
            raise EOFError("the decoder closed its end")
        return data

    def _out_of_time(self) -> bool:
        """The kernel ends a child that used up its processor time by SIGXCPU (24)."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.child is not None and self.child.wait(1) == -24
        return False
