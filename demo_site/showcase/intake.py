"""Taking files in: each is stored under a random name first, then written down, then answered for.

Nothing is decoded here; that is the worker's, in a child process under limits.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from . import names, signals, storage
from .limits import limits
from .models import Batch, Upload
from .states import BATCH, PLACEMENT, UPLOAD

log = logging.getLogger("showcase.intake")
RETRIES_PER_HOUR = 10  # of one batch


class Refused(Exception):
    """A file or batch that is not accepted: one line for the visitor."""


def open_batch(
    *, title: str = "", private: bool = False, days: int = 0, example=False, owner: str = ""
) -> Batch:
    """A new batch that waits for files; it vanishes after `days` days, 0 keeps it.

    owner  of `visitors.owner`
    """
    return Batch.objects.create(
        title=names.title(title),
        private=private,
        example=example,
        owner=owner,
        vanishes_at=timezone.now() + timedelta(days=days) if days else None,
    )


def add_files(batch: Batch, files: Iterable[UploadedFile], after: int | None = None) -> list[dict]:
    """Store files in a batch that is still receiving.

    `after` is how many files the sender knows to have arrived: where an answer was lost on the way
    and the same files come again, those that are there already are not stored twice.
    Returns one `{"name", "accepted", "reason"}` per file, in order. What is reported as accepted is
    on disk and in the database.
    """
    answers, kept = [], []
    ledger = _Ledger(Batch.objects.get(pk=batch.pk), after)
    try:
        for file in files:
            answer = {"name": names.clean(file.name or ""), "accepted": True, "reason": ""}
            answers.append(answer)
            try:
                upload = _weigh(answer["name"], file)
                # Before it is stored: nothing is written for a batch that has no room for it.
                new = ledger.enter(upload)
            except Refused as refusal:
                answer |= {"accepted": False, "reason": str(refusal)}
                continue
            kept.append((answer, upload))
            if new:
                upload.copy = storage.new_copy()
                storage.save(upload.copy, file)
        _write_down(batch, kept, after)
    except BaseException:
        storage.remove(upload.copy for _, upload in kept)
        raise
    storage.remove(upload.copy for _, upload in kept if upload.batch_id is None)
    return answers


def _weigh(name: str, file: UploadedFile) -> Upload:
    """The row of one file, not saved yet and without a copy."""
    most = limits()
    if not file.size:
        raise Refused(_("The file is empty."))
    if file.size > most.file_bytes:
        raise Refused(_("The file is larger than %(mb)g MB.") % {"mb": most.file_mb})
    digest = hashlib.sha256()
    for piece in file.chunks():
        digest.update(piece)
    return Upload(name=name, size=file.size, sha256=digest.hexdigest())


class _Ledger:
    """What a batch holds, to see whether further files fit in.

    after  how many files their sender knows to have arrived
    """

    def __init__(self, batch: Batch, after: int | None):
        self.batch, self.there = batch, Counter()
        if after is not None and after < batch.files:
            arrived = batch.uploads.filter(parent=None, position__gte=after)
            self.there.update(arrived.values_list("name", "sha256"))

    def enter(self, upload: Upload) -> bool:
        """Count a file in; False where it has arrived before. Raises `Refused`."""
        most, batch = limits(), self.batch
        if self.there[upload.name, upload.sha256]:
            self.there[upload.name, upload.sha256] -= 1
            return False
        if batch.state != "receiving":
            raise Refused(_("The batch is already being worked on."))
        if batch.files >= most.files:
            raise Refused(_("A batch holds at most %(n)d files.") % {"n": most.files})
        if batch.size + upload.size > most.batch_bytes:
            raise Refused(_("A batch holds at most %(mb)g MB.") % {"mb": most.batch_mb})
        upload.position = batch.files
        batch.files, batch.size = batch.files + 1, batch.size + upload.size
        return True


def _write_down(batch: Batch, kept: list[tuple[dict, Upload]], after: int | None) -> None:
    """The rows of stored files, in one transaction; those over the batch's limits are refused."""
    with transaction.atomic():
        # The batch's row is the lock: counts of parallel requests do not overtake each other.
        held = Batch.objects.select_for_update().get(pk=batch.pk)
        ledger, rows = _Ledger(held, after), []
        for answer, upload in kept:
            try:
                if ledger.enter(upload):
                    upload.batch = held
                    rows.append(upload)
            except Refused as refusal:
                answer |= {"accepted": False, "reason": str(refusal)}
        Upload.objects.bulk_create(rows)
        held.touched_at = timezone.now()
        held.save(update_fields=["files", "size", "touched_at"])


def submit(batch: Batch) -> bool:
    """Hand a batch that holds a file to the workers; False where it is under way already."""
    if not batch.uploads.exists():
        raise Refused(_("Choose at least one picture."))
    with transaction.atomic():
        now = timezone.now()
        rows = Batch.objects.filter(pk=batch.pk)
        if not BATCH.step(rows, "submit", queued_at=now, touched_at=now):
            return False
        signals.batch_waits.send(None, batch=batch.pk)
    log.info("batch submitted", extra={"batch": batch.pk, "files": batch.files})
    return True


def cancel(batch: Batch) -> bool:
    """Stop a batch; what was predicted stays, the upload copies go (now, or by its worker)."""
    done = BATCH.step(Batch.objects.filter(pk=batch.pk), "cancel", finished_at=timezone.now())
    if done:
        drop_copies(batch)
        log.info("batch cancelled", extra={"batch": batch.pk})
    return bool(done)


def may_retry(batch: Batch) -> bool:
    """Whether `retry` would find something: a failed file that is still kept, or a failed chip."""
    if batch.state not in BATCH.by_event["retry"].sources:
        return False
    files = batch.uploads.filter(state="failed").exclude(copy="")
    return files.exists() or batch.placements.filter(state="failed").exists()


def retry(batch: Batch) -> bool:
    """Try what failed again: files whose copy is still there, and chips that failed."""
    with transaction.atomic():
        files = UPLOAD.step(batch.uploads.exclude(copy=""), "retry", code="")
        chips = PLACEMENT.step(batch.placements.all(), "retry", code="")
        if not files + chips:
            return False
        now = timezone.now()
        rows = Batch.objects.filter(pk=batch.pk)
        if not BATCH.step(rows, "retry", queued_at=now, finished_at=None, setback=""):
            transaction.set_rollback(True)
            return False
        signals.batch_waits.send(None, batch=batch.pk)
    return True


def drop_copies(batch: Batch, *, keep_failed: bool = False) -> None:
    """Delete upload copies; `keep_failed` leaves those that may be tried again."""
    rows = batch.uploads.exclude(copy="")
    if keep_failed:  # and nothing at all where the visitor has asked for another try since
        rows = rows.exclude(state="failed").filter(batch__state__in=BATCH.final)
    # First the rows: a copy without a row is swept, a row without a copy would be a fault.
    with transaction.atomic():
        copies = list(rows.values_list("copy", flat=True))
        rows.update(copy="")
    storage.remove(copies)
