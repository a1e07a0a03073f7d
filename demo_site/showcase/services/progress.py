"""How far a batch is: counts, place in the queue, and an honest estimate of the rest."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Avg, Count, F, Q, Sum

from ..models import Batch, Placement, Upload
from . import health


@dataclass(frozen=True)
class Progress:
    """`percent` is None while the number of chips is not known; `seconds` where no rate is."""

    state: str
    finished: bool
    files: int
    files_failed: int
    chips: int
    done: int
    known: int
    failed: int
    left: int
    percent: int | None
    ahead: int  # batches before this one, 0 while it is running
    seconds: int | None


def count(batch: int, **changes) -> None:
    """The batch's counters, from the rows themselves."""
    labelled = Q(state="labelled")
    changes |= Placement.objects.filter(batch=batch).aggregate(
        chips=Count("pk"),
        chips_labelled=Count("pk", filter=labelled),
        chips_known=Count("pk", filter=labelled & Q(known=True)),
        chips_failed=Count("pk", filter=Q(state="failed")),
    )
    read, archive = Q(state="read"), Q(kind="zip")
    changes |= Upload.objects.filter(batch=batch).aggregate(
        # An archive that was unpacked is not a file of its own: its members are.
        files=Count("pk", filter=~(read & archive)),
        files_read=Count("pk", filter=read & ~archive),
        files_failed=Count("pk", filter=Q(state="failed")),
    )
    Batch.objects.filter(pk=batch).update(**changes)


def of(batch: Batch) -> Progress:
    done = batch.chips_labelled + batch.chips_failed
    read = batch.files_read + batch.files_failed
    ahead = _before(batch).count() if batch.state == "queued" else 0
    # Every file gives at least one chip: those not read yet count as one, archives too.
    expected = batch.chips + max(batch.files - read, 0)
    percent = None if not expected else round(100 * done / expected)
    if batch.finished:
        percent = 100
    return Progress(
        state=batch.state,
        finished=batch.finished,
        files=batch.files,
        files_failed=batch.files_failed,
        chips=batch.chips,
        done=batch.chips_labelled,
        known=batch.chips_known,
        failed=batch.chips_failed,
        left=max(expected - done, 0),
        percent=percent,
        ahead=ahead,
        seconds=None if batch.finished else _seconds(batch, max(expected - done, 0)),
    )


def _before(batch: Batch):
    """The batches whose turn comes before that of this one, which is queued."""
    turn = Q(state="running") | Q(state="queued", queued_at__lt=batch.queued_at)
    return Batch.objects.exclude(pk=batch.pk).filter(turn)


def _seconds(batch: Batch, left: int) -> int | None:
    rows = health.alive().filter(ready=True)
    count = rows.count()
    each = rows.filter(chip_seconds__gt=0).aggregate(mean=Avg("chip_seconds"))["mean"]
    if not count or not each:
        return None
    before = 0
    if batch.state == "queued":
        unread = F("files") - F("files_read") - F("files_failed")
        unlabelled = F("chips") - F("chips_labelled") - F("chips_failed")
        before = _before(batch).aggregate(n=Sum(unread + unlabelled))["n"] or 0
    return max(round((before / count + left) * each), 1)
