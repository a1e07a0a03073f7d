"""What becomes of a batch besides work: cancelled, tried again, its upload copies deleted."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from .. import filenames, storage
from ..models import Batch, Upload
from ..states import BATCH, UPLOAD
from . import deletion, progress

log = logging.getLogger("showcase.batches")
RETRIES_PER_HOUR = 10  # of one batch


def cancel(batch: Batch) -> bool:
    """Stop a batch; what was predicted stays, copies that were not read go."""
    done = BATCH.step(Batch.objects.filter(pk=batch.pk), "cancel", finished_at=timezone.now())
    if done:
        drop_copies(batch.uploads.exclude(state="read"))
        log.info("batch cancelled", extra={"batch": batch.pk})
    return bool(done)


def change(batch: Batch, *, title: str, days: int | None) -> None:
    """Another title, and another time from now on: 0 keeps it, None leaves it as it is."""
    batch.title = filenames.title(title)
    if days is not None:
        batch.vanishes_at = timezone.now() + timedelta(days=days) if days else None
    batch.save(update_fields=["title", "vanishes_at"])


def failed(batch: Batch) -> QuerySet[Upload]:
    """Files that can be tried again: those that failed, or of which a chip did, and are stored."""
    stored = batch.uploads.exclude(copy="")
    with_chip = stored.filter(state="read", placements__state="failed")
    return stored.filter(pk__in=[*stored.filter(state="failed").values_list("pk", flat=True),
                                 *with_chip.values_list("pk", flat=True)])  # fmt: skip


def may_retry(batch: Batch) -> bool:
    """Whether `retry` would find something."""
    return batch.state in BATCH.by_event["retry"].sources and failed(batch).exists()


def retry(batch: Batch) -> bool:
    """Try what failed again; chips that were labelled stay so, and are not predicted again."""
    with transaction.atomic():
        uploads = list(failed(batch).values_list("pk", flat=True))
        failures = batch.placements.filter(upload__in=uploads, state="failed")
        chips = set(failures.values_list("chip", flat=True))
        failures.delete()
        deletion.retire(chips)  # the file may be refused next time, and give them no place
        transaction.on_commit(deletion.remove_retired, robust=True)
        if not UPLOAD.step(Upload.objects.filter(pk__in=uploads), "retry", code=""):
            return False
        rows = Batch.objects.filter(pk=batch.pk)
        changes = {"queued_at": timezone.now(), "finished_at": None, "setback": ""}
        if not BATCH.step(rows, "retry", **changes, attempts=0, not_before=None):
            transaction.set_rollback(True)
            return False
        progress.count(batch.pk)  # else it stood at 100 % until the first chips are saved
    return True


def drop_copies(uploads: QuerySet[Upload]) -> int:
    """Delete the copies of uploads; how many there were."""
    # First the rows: a copy without a row is swept, a row without a copy would be a fault.
    with transaction.atomic():
        held = uploads.exclude(copy="").select_for_update(of=("self",))
        rows = dict(held.values_list("pk", "copy"))
        Upload.objects.filter(pk__in=rows).update(copy="")
    storage.remove(rows.values())
    return len(rows)
