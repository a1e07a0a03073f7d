"""Taking files in. They are stored when they come here: written down first, then answered for.

Nothing is decoded here; that is the worker's, in a child process under limits.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import filenames, storage
from ..limits import limits
from ..models import ApiKey, Batch, Upload
from ..states import BATCH
from . import rate_limits

log = logging.getLogger("showcase.uploads")
WAITING = 4  # full batches of bytes that one sender may have waiting to be labelled


class Refused(Exception):
    """A file or batch that is not accepted: one line for the visitor."""


class Stored(Protocol):
    """A file that a request brought, in the store already; what is not `taken` is deleted."""

    name: str | None
    size: int
    sha256: str
    copy: str
    taken: bool


def open_batch(
    *,
    title: str = "",
    private: bool = False,
    days: int = 0,
    example: bool = False,
    owner: str = "",
    sender: str = "",
    key: ApiKey | None = None,
    request: str = "",
) -> Batch:
    """A new batch that waits for files; it vanishes after `days` days, 0 keeps it.

    owner   of `ownership.owner`
    sender  who it counts for: a keyed hash of the address, or the API's key
    request  what the key calls it: it has one batch of that name

    Raises `Refused` where the sender has much waiting already, `StorageAway` on a full disk.
    """
    storage.demand_room()
    if sender and rate_limits.per_hour("uploads"):
        waiting = Upload.objects.filter(batch__sender=sender).exclude(copy="")
        size = waiting.aggregate(size=Sum("size"))["size"] or 0
        if size > WAITING * limits().batch_bytes or rate_limits.used_up(sender):
            raise Refused(_("Much that you sent is still to be labelled. Please come back later."))
    return Batch.objects.create(
        title=filenames.title(title),
        private=private,
        example=example,
        owner=owner,
        sender=sender,
        key=key,
        request=request,
        vanishes_at=timezone.now() + timedelta(days=days) if days else None,
    )


def add_files(batch: Batch, files: Iterable[Stored], after: int | None = None) -> list[dict]:
    """Write down stored files in a batch that is still receiving.

    `after` is how many files the sender knows to have arrived: where an answer was lost on the way
    and the same files come again, those that are there already are not written down twice.
    Returns one `{"name", "accepted", "reason"}` per file, in order. What is reported as accepted is
    on disk and in the database.
    """
    answers = []
    with transaction.atomic():
        # The batch's row is the lock: counts of parallel requests do not overtake each other.
        held = Batch.objects.select_for_update().get(pk=batch.pk)
        ledger, rows = _Ledger(held, after), []
        for file in files:
            answer = {"name": filenames.clean(file.name or ""), "accepted": True, "reason": ""}
            answers.append(answer)
            upload = Upload(
                batch=held, name=answer["name"], size=file.size, sha256=file.sha256, copy=file.copy
            )
            try:
                if ledger.enter(upload):
                    # From here on the copy stays, even where the answer to COMMIT is lost: one
                    # without a row is swept later, a row without a copy would be a lost file.
                    file.taken = True
                    rows.append(upload)
            except Refused as refusal:
                answer |= {"accepted": False, "reason": str(refusal)}
        Upload.objects.bulk_create(rows)
        held.touched_at = timezone.now()
        held.save(update_fields=["files", "size", "touched_at"])
    return answers


class _Ledger:
    """What a batch holds, to see whether further files fit in.

    after  how many files their sender knows to have arrived
    """

    def __init__(self, batch: Batch, after: int | None):
        self.batch, self.there, self.limits = batch, Counter(), limits()
        if after is not None and after < batch.files:
            arrived = batch.uploads.filter(parent=None, position__gte=after)
            self.there.update(arrived.values_list("name", "sha256"))

    def enter(self, upload: Upload) -> bool:
        """Count a file in; False where it has arrived before. Raises `Refused`."""
        most, batch = self.limits, self.batch
        if not upload.size:
            raise Refused(_("The file is empty."))
        if upload.size > most.file_bytes:
            raise Refused(_("The file is larger than %(mb)g MB.") % {"mb": most.file_mb})
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


def submit(batch: Batch) -> bool:
    """Hand a batch that holds a file to the workers; False where it is under way already."""
    if not batch.uploads.exists():
        raise Refused(_("Choose at least one picture."))
    now = timezone.now()
    rows = Batch.objects.filter(pk=batch.pk)
    if not BATCH.step(rows, "submit", queued_at=now, touched_at=now):
        return False
    log.info("batch submitted", extra={"batch": batch.pk, "files": batch.files})
    return True
