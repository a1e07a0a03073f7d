"""What a worker does with a batch: read, cut, predict what is new, label; in small groups.

A thread decodes ahead while a group is predicted. Each group is committed whole, so a worker
killed at any moment loses at most the group in its hands: the next one reads the files that are
still `stored`, and what was saved of them is known and not predicted again.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import threading
import time

import numpy as np
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import F

from .. import filenames, storage
from ..decoder.answers import Away, Member, Refused
from ..decoder.client import Decoder
from ..failure_reasons import PASSING
from ..models import Batch, ModelVersion, Prediction, Upload, Worker
from ..services import batches, predictor, progress, rate_limits
from ..states import UPLOAD
from . import bulk, read_ahead
from .bulk import Cut, Found
from .lease import Lease, LeaseLost

log = logging.getLogger("showcase.label_batch")
PAGE = 512  # uploads looked at together
#: Seconds until a batch is tried again.
LATER = {"fault": 2, "disk": 10, "storage": 10, "decoder": 10, "database": 10, "ration": 600}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def work(lease: Lease, decoder: Decoder, stopping: threading.Event) -> str:
    """One slice of time; what became of the batch. Never raises for its content."""
    began = decoder.waited
    decoder.serve(lease.batch.pk)
    try:
        state = _slice(lease, decoder, stopping)
    except LeaseLost:
        state = _let_go(lease)
    except Exception as fault:
        why = setback(fault)
        log.exception("slice failed", extra={"batch": lease.batch.pk, "setback": why})
        # A full disk, or a store, decoder or database that is away, is no fault of the batch.
        patiently(
            lambda: lease.give_back(seconds=LATER[why], setback=why, fault=why == "fault"),
            stopping,
        )
        state = "fault"
    seconds = decoder.waited - began
    patiently(lambda: _charge(lease.batch, seconds), stopping)
    log.info("slice ended", extra={"batch": lease.batch.pk, "state": state})
    return state


def setback(fault: Exception) -> str:
    """What a fault is to a batch: a code of `failure_reasons.SETBACKS`."""
    if isinstance(fault, Away):
        return "decoder"
    if isinstance(fault, OSError) and fault.errno in FULL:
        return "disk"
    if isinstance(fault, storage.StorageAway):
        return "storage"
    if isinstance(fault, OperationalError | InterfaceError):
        return "disk" if "full" in str(fault) else "database"
    return "fault"


def patiently(step, stopping: threading.Event) -> None:
    """Do a step again until the database lets it: locked for long, or restarted, it comes back."""
    while True:
        try:
            return step()
        except (OperationalError, InterfaceError) as error:
            if stopping.is_set():
                raise
            log.warning("the database does not answer", extra={"error": str(error)})
            connection.close()
            time.sleep(1)


def _charge(batch: Batch, seconds: float) -> None:
    Batch.objects.filter(pk=batch.pk).update(read_seconds=F("read_seconds") + seconds)
    if batch.sender and seconds:
        rate_limits.add("read_seconds", batch.sender, round(seconds))


def _let_go(lease: Lease) -> str:
    """What a visitor cancelled keeps no copy that was not read; what another has needs them."""
    for batch in Batch.objects.filter(pk=lease.batch.pk, state="cancelled"):
        batches.drop_copies(batch.uploads.exclude(state="read"))
        return "cancelled"
    return "given up"


def _slice(lease: Lease, decoder: Decoder, stopping: threading.Event) -> str:
    batch, version = lease.batch, lease.batch.model
    if rate_limits.used_up(batch.sender):
        lease.give_back(seconds=LATER["ration"], setback="ration")
        return "ration"
    end = time.monotonic() + float(settings.SHOWCASE["SLICE_SECONDS"])
    speed = _Speed(lease.worker)
    sizes = read_ahead.sizes(speed.chip)
    moved, looked = False, time.monotonic()
    while uploads := list(read_ahead.to_read(batch)[:PAGE]):
        batch.refresh_from_db(fields=["read_seconds"])
        items = read_ahead.decoded(
            batch, uploads, decoder, read_ahead.room(batch), read_ahead.unpacked(batch)
        )
        ahead = read_ahead.Ahead(items, decoder)
        try:
            for group in read_ahead.groups(ahead, sizes):
                lease.progress()
                if isinstance(group, list):
                    moved |= _label(lease, version, group)
                    speed.note(len(group))
                elif group is not None:
                    moved |= _one(lease, *group)
                now = time.monotonic()
                if now - looked > read_ahead.BREATH:
                    lease.hold()  # it may have been cancelled
                    looked = now
                # Not before something new was done: a large file is read from its start in each.
                if (moved and now > end) or stopping.is_set():
                    lease.give_back()
                    return "yielded"
        finally:
            ahead.close()
    if batch.uploads.filter(state="stored").exists():
        lease.give_back(seconds=0.3)  # another worker is at the same bytes
        return "waits"
    return _finish(lease)


def _finish(lease: Lease) -> str:
    batch = lease.batch
    progress.count(batch.pk)
    batch.refresh_from_db()
    event = "finish" if batch.chips_labelled or not batch.files_failed else "fail"
    if not lease.end(event):
        raise LeaseLost
    batches.drop_copies(batch.uploads.filter(state="failed").exclude(code__in=PASSING))
    return "finished" if event == "finish" else "failed"


# --- what becomes of it ---------------------------------------------------------------------------


def _one(lease: Lease, upload: Upload, item: Member | Refused | None) -> bool:
    """A member of an archive, an archive's end, or a refusal; whether that was new."""
    if isinstance(item, Refused):
        code = str(item)
        bulk.refuse(lease, upload, code)
        if code not in PASSING:
            batches.drop_copies(Upload.objects.filter(pk=upload.pk, state="failed"))
        log.info("file refused", extra={"upload": upload.pk, "reason": code})
        return True
    if item is None:
        lease.hold()
        UPLOAD.step(Upload.objects.filter(pk=upload.pk), "read", kind="zip")
        progress.count(upload.batch_id)
        batches.drop_copies(Upload.objects.filter(pk=upload.pk, state="read"))
        return True
    if Upload.objects.filter(parent=upload, position=item.position).exists():
        return False  # before a pause or kill
    storage.demand_room()
    copy = ""
    if not item.reason:
        copy = storage.new_copy()
        storage.write(copy, item.data)
    Upload.objects.create(
        batch_id=upload.batch_id,
        parent=upload,
        position=item.position,
        name=filenames.clean(item.name),
        state="failed" if item.reason else "stored",
        code=item.reason,
        copy=copy,
        size=len(item.data),
        sha256=hashlib.sha256(item.data).hexdigest() if copy else "",
    )
    return True


def _label(lease: Lease, version: ModelVersion, group: list[Cut]) -> bool:
    """Predict the chips of a group that this model has not seen, save them all; whether new."""
    images = {cut.piece.sha256: cut.piece.pixels for cut in group}
    found = bulk.known(images, version)
    new = [content for content in images if content not in found]
    lease.hold()  # nothing is predicted for a batch that was cancelled or is another's by now
    if new:
        results = _predict([images[content] for content in new])
        found |= {c: one for c, one in zip(new, results, strict=True) if one is not None}
    placed = bulk.save(lease, group, version, found)
    if lease.batch.sender:
        rate_limits.add("chips", lease.batch.sender, len(group))
    return placed > 0


def _predict(images: list[np.ndarray]) -> list[Found | None]:
    """One call for all; where it fails, one call for each, to find the chip at fault."""
    try:
        rows = zip(*predictor.predict(images), strict=True)
    except Exception:
        if len(images) == 1:
            log.exception("prediction failed")
            return [None]
        return [_predict([image])[0] for image in images]
    pack = Prediction.pack
    return [Found(pack(p), pack(raw), mask, float(sure), set()) for p, raw, mask, sure in rows]


class _Speed:
    """Seconds per chip, as a running mean that is the worker's own: estimates rest on it."""

    def __init__(self, worker: str):
        self.row = Worker.objects.filter(name=worker)
        self.chip = self.row.values_list("chip_seconds", flat=True).first() or 0.0
        self.since, self.chips = time.monotonic(), 0

    def note(self, chips: int) -> None:
        """The first group only where nothing is known: it is small, and so slow for each chip."""
        self.chips += chips
        now = time.monotonic()
        if self.chip and now - self.since < 1:
            return
        each = (now - self.since) / max(self.chips, 1)
        self.chip = 0.7 * self.chip + 0.3 * each if self.chip else each
        self.row.update(chip_seconds=self.chip)
        self.since, self.chips = now, 0
