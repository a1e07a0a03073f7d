"""Reading ahead: a thread that has the next files decoded while the worker predicts.

The thread touches no database. It stores the chips it gets, several files' as one pack, and keeps
in memory only what the predictor needs of them. What it finds goes through a lane of bounded size,
in the order of the uploads: `Cut` for each chip, `Failed` for a file that is refused, `Unpacked`
for the members of an archive.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from . import copies, storage
from .reading import FILES, MANY, PIXELS, Head, Member, Piece, Reader, Refused

_LANE = 48 * 2**20  # bytes of pixels that are ahead of the worker
FEW = 8  # files in the first request: their labels are to be there at once


@dataclass(slots=True)
class Sent:
    """What reading needs of an `Upload`'s row; the fields' names are the row's."""

    pk: int
    batch_id: int
    parent_id: int | None
    name: str
    copy: str
    sha256: str


@dataclass(slots=True)
class Cut:
    """One chip on its way to its placement; it is stored in `pack` from byte `at` on."""

    upload: Sent
    row: int
    column: int
    pixels: np.ndarray  # as the predictor wants them
    size: tuple[int, int]  # height and width of the chip
    sha256: str
    head: Head
    last: bool  # of its upload: when it is kept, the upload is read
    pack: str = ""
    at: int = 0
    jpeg: int = 0  # bytes of the JPEG that is stored instead of pixels

    @property
    def bytes(self) -> int:
        return 3 * self.size[0] * self.size[1]


@dataclass(slots=True)
class Failed:
    """A file that is not read, and the code of the reason."""

    upload: Sent
    code: str

    @property
    def bytes(self) -> int:
        return 0


@dataclass(slots=True)
class Unpacked:
    """A member of an archive; None after the last."""

    upload: Sent
    member: Member | None

    @property
    def bytes(self) -> int:
        return len(self.member.data) if self.member else 0


class _Over(Exception):
    """The worker wants no more."""


class Ahead:
    """What the uploads hold, by `take`; closing it ends the thread.

    room   how many chips the batch may still hold
    fit    a chip's pixels -> what the predictor needs of them, in memory of its own
    side   what the decoder may fit pixels to by itself (`engine.side`)
    large  also read archives and large pictures, which the child gets one by one
    placed    places of uploads whose reading was broken off, kept already: not to be kept again
    unpacked  members of the batch's archives so far, and their bytes
    packs     the names of the packs that were written
    seconds   that were spent waiting for the decoder; more than were given are refused
    """

    def __init__(
        self,
        reader: Reader,
        uploads: list[Sent],
        room: int,
        fit: Callable[[np.ndarray], np.ndarray],
        *,
        side: int | None = None,
        large: bool = True,
        placed: dict[int, set[tuple[int, int]]] | None = None,
        unpacked: tuple[int, int] = (0, 0),
        seconds: float = float("inf"),
    ):
        self.most, self.began = seconds, reader.waited
        self.reader, self.uploads, self.room, self.large = reader, uploads, room, large
        self.fit, self.side = fit, side
        self.placed, self.unpacked = placed or {}, unpacked
        self.packs: list[str] = []
        self.changed = threading.Condition()
        self.lane: deque[Cut | Failed | Unpacked] = deque()
        self.waiting = 0  # bytes in the lane
        self.ended = self.stopped = False
        self.fault: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="read ahead", daemon=True)
        self.thread.start()

    def take(self, seconds: float | None = None) -> Cut | Failed | Unpacked | None:
        """The next thing; None at the end, or where nothing has come after `seconds`."""
        with self.changed:
            if not self.lane:
                self.changed.wait_for(lambda: self.lane or self.ended, seconds)
            if self.lane:
                item = self.lane.popleft()
                self.waiting -= item.bytes
                self.changed.notify_all()
                return item
        if self.fault is not None:
            raise self.fault
        return None

    def cuts(self, most: int) -> list[Cut]:
        """Chips that are there already and come next, so many at most."""
        found = []
        with self.changed:
            while self.lane and len(found) < most and isinstance(self.lane[0], Cut):
                found.append(self.lane.popleft())
                self.waiting -= found[-1].bytes
            self.changed.notify_all()
        return found

    @property
    def seconds(self) -> float:
        return self.reader.waited - self.began

    @property
    def over(self) -> bool:
        """Whether everything was found and taken."""
        with self.changed:
            return self.ended and not self.lane and self.fault is None

    def close(self) -> None:
        """End the thread; a file that it is in the middle of is read again another time."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()
        self.thread.join(0.2)
        if self.thread.is_alive() and (child := self.reader.child) is not None:
            child.kill()
        self.thread.join()
        if self.reader.sent:  # answers that nobody will fetch
            self.reader.close()

    # --- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._read_all()
        except _Over:
            pass
        except BaseException as fault:
            self.fault = fault
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def _put(self, *items: Cut | Failed | Unpacked) -> None:
        size = sum(item.bytes for item in items)
        with self.changed:
            while self.waiting and self.waiting + size > _LANE and not self.stopped:
                self.changed.wait()
            if self.stopped:
                raise _Over
            self.lane.extend(items)
            self.waiting += size
            self.changed.notify_all()

    def _read_all(self) -> None:
        queue: deque[list[tuple[Sent, bytes]]] = deque()
        try:
            for part in self._parts():
                if not self._send(part):
                    while queue:
                        self._receive(queue)
                    for upload, data in part:
                        self._alone(upload, data)
                    continue
                queue.append(part)
                if len(queue) > 1:  # the child has work while the older answer is looked at
                    self._receive(queue)
            while queue:
                self._receive(queue)
        finally:
            if queue and self.reader.sent:
                self.reader.close()

    def _parts(self) -> Iterator[list[tuple[Sent, bytes]]]:
        """Uploads with their bytes, as many as fit into one request."""
        part, size, most = [], 0, FEW
        for upload in self.uploads:
            if self.seconds > self.most:
                self._put(Failed(upload, "batch_time"))
                continue
            try:
                data = storage.read(upload.copy) if upload.copy else None
            except (FileNotFoundError, ValueError):
                data = None
            if data is None:
                self._put(Failed(upload, "missing"))
                continue
            upload.sha256 = upload.sha256 or hashlib.sha256(data).hexdigest()
            if part and (len(part) >= most or size + len(data) > FILES):
                yield part
                part, size, most = [], 0, MANY
            part.append((upload, data))
            size += len(data)
        if part:
            yield part

    def _send(self, part: list[tuple[Sent, bytes]]) -> bool:
        files = [(data, upload.parent_id is not None) for upload, data in part]
        try:
            return self.reader.send(files, chips=max(self.room, 0), side=self.side)
        except Refused:
            return False

    def _receive(self, queue: deque[list[tuple[Sent, bytes]]]) -> None:
        try:
            found = self.reader.receive()
        except Refused:
            # One of them took the child down; alone, each of them gets its own reason.
            parts = list(queue)
            queue.clear()
            for upload, data in (pair for part in parts for pair in part):
                self._alone(upload, data)
            return
        late: list[tuple[Sent, bytes]] = []
        items: list[Cut | Failed] = []
        stored: list[Piece] = []
        for (upload, data), entry in zip(queue.popleft(), found, strict=True):
            if entry is None:
                late.append((upload, data))
            elif isinstance(entry, Refused):
                items.append(Failed(upload, str(entry)))
            elif entry[0].rows * entry[0].columns > self.room:
                items.append(Failed(upload, "too_many_chips"))
            else:
                head, pieces = entry[0], list(self._new(upload, *entry))
                items += self._cuts(upload, head, pieces)
                stored += pieces
        self._pack([item for item in items if isinstance(item, Cut)], stored)
        self._put(*items)  # the worker is woken once, not for each chip
        if late:
            while queue:  # the child answers in the order of the requests
                self._receive(queue)
            for upload, data in late:
                self._alone(upload, data)

    def _alone(self, upload: Sent, data: bytes) -> None:
        """Read one file by itself: large ones, archives, and those that crash the child."""
        if not self.large:
            return  # another time
        if self.seconds > self.most:
            self._put(Failed(upload, "batch_time"))
            return
        parts = self.reader.read(
            data, chips=max(self.room, 0), inside=upload.parent_id is not None,
            unpacked=self.unpacked,
        )  # fmt: skip
        try:
            head = next(parts)
            if head.kind == "zip":
                members, size = self.unpacked
                for member in parts:
                    members, size = members + 1, size + len(member.data)
                    self._put(Unpacked(upload, member))
                self._put(Unpacked(upload, None))
                self.unpacked = members, size  # of an archive that is refused, nothing stays
            else:
                for pieces in _some(self._new(upload, head, parts)):
                    cuts = list(self._cuts(upload, head, pieces))
                    self._pack(cuts, pieces)
                    self._put(*cuts)
        except Refused as refusal:
            self._put(Failed(upload, str(refusal)))
        finally:
            parts.close()

    def _new(self, upload: Sent, head: Head, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The pieces that were not kept before; and the last, with which the upload is read."""
        done = self.placed.get(upload.pk, ())
        end = head.rows - 1, head.columns - 1
        for piece in pieces:
            if (piece.row, piece.column) not in done or (piece.row, piece.column) == end:
                yield piece

    def _cuts(self, upload: Sent, head: Head, pieces: Iterable[Piece]) -> Iterator[Cut]:
        for piece in pieces:
            last = (piece.row + 1, piece.column + 1) == (head.rows, head.columns)
            mark = fingerprint(upload, head, piece)
            fitted = piece.jpeg is not None and self.side  # else the view would hold the others
            pixels = piece.pixels.copy() if fitted else self.fit(piece.pixels)
            yield Cut(upload, piece.row, piece.column, pixels, piece.size, mark, head, last)
            if last:
                self.room -= head.rows * head.columns

    def _pack(self, cuts: list[Cut], pieces: list[Piece]) -> None:
        """Store the chips of cuts; the row of a chip is written only after that."""
        parts = [piece.pixels if piece.jpeg is None else piece.jpeg for piece in pieces]
        for cut, piece, place in zip(cuts, pieces, copies.keep(parts), strict=True):
            cut.pack, cut.at = place
            cut.jpeg = 0 if piece.jpeg is None else piece.jpeg.size
            if cut.at == 0:
                self.packs.append(cut.pack)


def _some(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Pieces of a large picture, as many as make up a pack."""
    part, size = [], 0
    for piece in pieces:
        part.append(piece)
        size += piece.pixels.size
        if size >= PIXELS:
            yield part
            part, size = [], 0
    if part:
        yield part


def fingerprint(upload: Sent, head: Head, piece: Piece) -> str:
    """sha256 of what makes a chip the same as another.

    Of shape and RGB pixels, whatever lossless file they came in. Of a JPEG the file's own sha256
    and the chip's place in it: to hash its pixels, ten times as many bytes, would cost a tenth of
    the prediction, and the same picture encoded again has other pixels anyway.
    """
    if head.kind == "jpeg":
        place = (head.rows, head.columns, piece.row, piece.column)
        return hashlib.sha256(f"jpeg {upload.sha256} {place}".encode()).hexdigest()
    digest = hashlib.sha256(repr(piece.pixels.shape).encode())
    digest.update(np.ascontiguousarray(piece.pixels))
    return digest.hexdigest()
