"""What a batch's files hold, decoded in a thread while the worker predicts, and put into groups."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.db.models.functions import Now

from .. import storage
from ..decoder.answers import Head, Member, Piece, Refused
from ..decoder.client import Decoder
from ..limits import limits
from ..models import Batch, Upload
from ..services import predictor
from .bulk import Cut

FIRST, GROUP = 8, 128  # chips in a batch's first group, and in a later one at most
GROUP_SECONDS = 5  # that a group takes at most, where a chip takes long
FILES, BYTES = 32, 4 * 2**20  # decoded together
AHEAD = 256  # things that the thread is ahead of the worker
BREATH = 1.0  # seconds after which the worker looks at the latest, whatever it waits for
Item = tuple[Upload, Head | Piece | Member | Refused | None]


def to_read(batch: Batch):
    """Files that wait; an archive's members when it is whole.

    Not those whose bytes an earlier batch, that a worker has in hand, still has to read: when it
    has, their chips are known.
    """
    earlier = Upload.objects.filter(
        sha256=OuterRef("sha256"), state="stored", batch__state="running", batch__lt=batch,
        batch__lease_until__gte=Now(),
    ).exclude(sha256="")  # fmt: skip
    rows = batch.uploads.filter(Q(parent=None) | ~Q(parent__state="stored"), state="stored")
    return rows.filter(~Exists(earlier)).order_by("pk")


def decoded(
    batch: Batch, uploads: list[Upload], decoder: Decoder, room: int, before: tuple[int, int]
) -> Iterator[Item]:
    """What is in each of the files, in their order; it runs in a thread and asks no database.

    A file's parts are followed by None, or by why it is refused.
    """
    most = float(settings.SHOWCASE["BATCH_READ_SECONDS"]) - batch.read_seconds
    began, side = decoder.waited, predictor.side()
    for part in _parts(uploads):
        files, whole = [], []
        for upload in part:
            if decoder.waited - began >= most:
                yield upload, Refused("batch_time")
                continue
            try:
                files.append((storage.read(upload.copy or "gone"), upload.parent_id is not None))
                whole.append(upload)
            except FileNotFoundError:
                yield upload, Refused("missing")
        members = size = taken = 0
        for number, item in decoder.read_many(files, chips=room, side=side, unpacked=before):
            if isinstance(item, Head):
                taken = item.rows * item.columns
                room -= taken
                members = size = 0
            elif isinstance(item, Member):
                members, size = members + 1, size + len(item.data)
            elif item is None:  # of an archive that is refused, nothing stays
                before, members, size = (before[0] + members, before[1] + size), 0, 0
                taken = 0
            elif isinstance(item, Refused):  # nor of a picture
                room, taken = room + taken, 0
            yield whole[number], item


def unpacked(batch: Batch) -> tuple[int, int]:
    """How many members the batch's archives gave that were unpacked, and their bytes."""
    rows = Upload.objects.filter(batch=batch, parent__state="read")
    found = rows.aggregate(members=Count("pk"), size=Sum("size"))
    return found["members"], found["size"] or 0


def room(batch: Batch) -> int:
    """How many chips it may still hold; files that are read again count once."""
    return limits().chips - batch.placements.exclude(upload__state="stored").count()


def _parts(uploads: list[Upload]) -> Iterator[list[Upload]]:
    """Files that are decoded together: the first few, so that there are labels at once."""
    part, size, most = [], 0, FIRST
    for upload in uploads:
        if part and (len(part) >= most or size + upload.size > BYTES):
            yield part
            part, size, most = [], 0, FILES
        part.append(upload)
        size += upload.size
    if part:
        yield part


class Ahead:
    """An iterator of another one's items, that are made in a thread; None where it must wait."""

    def __init__(self, items: Iterable[Item], decoder: Decoder):
        self.items, self.decoder = items, decoder
        self.queue: queue.Queue = queue.Queue(AHEAD)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, name="decode ahead", daemon=True)
        self.thread.start()

    def __iter__(self) -> Iterator[Item | None]:
        while True:
            try:
                item = self.queue.get(timeout=BREATH / 2)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, BaseException):
                raise item
            if item is None:
                return
            yield item

    def _run(self) -> None:
        end = None
        try:
            for item in self.items:
                if not self._put(item):
                    break
        except BaseException as fault:
            end = fault
        self.items.close()
        self._put(end)

    def _put(self, item) -> bool:
        while not self.over.is_set():
            try:
                self.queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def close(self) -> None:
        """End the thread; a file that it is in the middle of is read again another time."""
        self.over.set()
        self.thread.join(0.3)
        if self.thread.is_alive():
            self.decoder.interrupt()
        self.thread.join()


def sizes(seconds: float) -> Iterator[int]:
    """How many chips a group has: the first are few, so that somebody sees them at once."""
    most = max(min(int(GROUP_SECONDS / seconds), GROUP), 1) if seconds else GROUP
    usual = itertools.chain([FIRST, 4 * FIRST], itertools.repeat(GROUP))
    return (min(size, most) for size in usual)


def groups(items: Iterable[Item | None], sizes: Iterator[int]) -> Iterator[list[Cut] | Item | None]:
    """Chips in groups, other items one by one; None where nothing came for a while.

    A group that waits for more is given away when that takes long.
    """
    cuts: list[Cut] = []
    heads: dict[int, Head] = {}
    size, began = next(sizes), time.monotonic()
    for item in items:
        if item is not None:
            upload, part = item
            if isinstance(part, Head):
                heads[upload.pk] = part
            if isinstance(part, Piece):
                cuts.append(Cut(upload, heads[upload.pk], part))
            elif isinstance(part, Refused):
                # Whole files only: chips of one that broke in the middle are not saved.
                cuts = [cut for cut in cuts if cut.upload.pk != upload.pk]
                yield item
            elif isinstance(part, Member) or (part is None and heads[upload.pk].kind == "zip"):
                yield item
        if len(cuts) >= size or (cuts and time.monotonic() - began > BREATH):
            yield cuts
            cuts, size = [], next(sizes)
        elif item is None:
            yield None
        if not cuts:
            began = time.monotonic()
    if cuts:
        yield cuts
