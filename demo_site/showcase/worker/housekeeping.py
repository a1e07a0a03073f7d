"""Putting right what was left lying, and deleting what has had its time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from .. import limits, storage
from ..models import Batch, Count, Upload, Worker
from ..services import batches, deletion, uploads

log = logging.getLogger("showcase.housekeeping")


def sweep() -> dict[str, int]:
    """What cannot wait; how many of each kind."""
    done = {"abandoned": _abandoned(), "vanished": deletion.expire(1000), "copies": _drop_copies()}
    if any(done.values()):
        log.info("swept", extra=done)
    return done


def _abandoned() -> int:
    """Uploads that broke off: what has arrived is worked on, nothing at all is forgotten."""
    old = Now() - timedelta(minutes=limits.ABANDONED_MINUTES)
    rows = Batch.objects.filter(state="receiving", touched_at__lt=old)
    for batch in rows:
        if batch.uploads.exists():
            uploads.submit(batch)
        else:
            deletion.remove_batch(batch)
    return len(rows)


def _drop_copies() -> int:
    """Copies of cancelled batches that were not read: the worker may have died before."""
    old = Now() - timedelta(seconds=float(settings.SHOWCASE["LOST_SECONDS"]))
    left = Upload.objects.filter(batch__state="cancelled", batch__finished_at__lt=old)
    return batches.drop_copies(left.exclude(state="read"))


def tidy() -> None:
    """What has time: old copies of what failed, orphans, counts, sessions, workers."""
    old = Now() - timedelta(hours=limits.KEEP_FAILED_HOURS)
    kept = Upload.objects.filter(Q(state="failed") | Q(placements__state="failed"))
    kept = kept.filter(batch__finished_at__lt=old, batch__state__in=("done", "failed"))
    batches.drop_copies(Upload.objects.filter(pk__in=kept.values("pk")).exclude(state="stored"))
    Count.objects.filter(hour__lt=int(time.time() // 3600) - 1).delete()
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    Worker.objects.filter(seen_at__lt=Now() - timedelta(days=1)).delete()
    deletion.remove_retired()
    drop_orphans()


def drop_orphans(minutes: float = 60) -> int:
    """Files without a row: a process killed between the file and the database leaves one."""
    old = timezone.now() - timedelta(minutes=minutes)
    names = [*_without_row(), *storage.listing("health"), *storage.partials()]
    orphans = [name for name in names if (at := storage.written_at(name)) and at < old]
    storage.remove(orphans)
    return len(orphans)


def _without_row() -> Iterator[str]:
    names = storage.listing("uploads")
    for start in range(0, len(names), 500):
        part = names[start : start + 500]
        there = set(Upload.objects.filter(copy__in=part).values_list("copy", flat=True))
        yield from (name for name in part if name not in there)
