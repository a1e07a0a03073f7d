"""A worker's hold on a batch: for a while, by the database's clock, and longer while it lives."""

from __future__ import annotations

import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Max, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now

from ..models import Batch, ModelVersion, Upload
from ..states import BATCH, UPLOAD

ATTEMPTS = 3  # without progress, until what is left of a batch counts as failed


class LeaseLost(Exception):
    """The batch was cancelled, deleted, or taken by another worker."""


def later(seconds: float):
    """So many seconds from now, by the database's clock."""
    return Now() + timedelta(seconds=seconds)


class Lease:
    """What this worker has in hand; `busy_since` is when it last got somewhere."""

    def __init__(self, batch: Batch, worker: str):
        self.batch, self.worker = batch, worker
        self.busy_since = time.monotonic()

    @property
    def rows(self):
        return Batch.objects.filter(pk=self.batch.pk, worker=self.worker, state="running")

    def hold(self) -> None:
        """Hold it for longer. In a transaction: until its end nobody else can take it."""
        if not self.rows.update(lease_until=later(settings.SHOWCASE["LOST_SECONDS"])):
            raise LeaseLost

    def progress(self) -> None:
        self.busy_since = time.monotonic()

    def give_back(self, *, seconds: float = 0, setback: str = "", fault: bool = False) -> None:
        """Back into the queue, for somebody to take it after so many seconds."""
        changes = {"queued_at": Now(), "lease_until": None, "setback": setback}
        changes |= {"attempts": F("attempts") + 1} if fault else {}
        BATCH.step(self.rows, "yield", **changes, not_before=later(seconds) if seconds else None)

    def end(self, event: str) -> bool:
        return bool(BATCH.step(self.rows, event, finished_at=Now(), lease_until=None, setback=""))


def take(worker: str, version: ModelVersion | None) -> Lease | None:
    """The batch whose turn it is, None where none waits; without a model it says so and waits.

    Turns go by sender: first whoever has nothing running, then whoever was served longest ago. A
    batch whose worker was lost is taken like one that waits.
    """
    lost = Q(state="running", lease_until__lt=Now())
    free = Batch.objects.filter(Q(state="queued") | lost)
    free = free.filter(Q(not_before=None) | Q(not_before__lte=Now()))
    if version is None:
        free.filter(state="queued").exclude(setback="model").update(setback="model")
        return None
    if not free.exists():  # many times a second, and cheaper than whose turn it is
        return None
    same = Batch.objects.filter(sender=OuterRef("sender")).exclude(sender="").order_by()
    running = same.filter(state="running", lease_until__gte=Now()).values("sender")
    order = free.annotate(
        running=Coalesce(Subquery(running.annotate(n=Count("pk")).values("n")), 0),
        served=Subquery(same.values("sender").annotate(last=Max("taken_at")).values("last")),
    ).order_by("running", F("served").asc(nulls_first=True), "queued_at", "pk")
    for pk, state in order.values_list("pk", "state")[:8]:
        with transaction.atomic():
            # Of two workers that try, the second finds that the row has changed.
            changes = {"worker": worker, "model": version, "taken_at": Now(), "not_before": None}
            changes |= {"lease_until": later(settings.SHOWCASE["LOST_SECONDS"])}
            changes |= {"started_at": Coalesce("started_at", Now()), "setback": ""}
            rows = free.filter(pk=pk, state=state)
            if state == "running":
                if not BATCH.step(rows, "reclaim", attempts=F("attempts") + 1):
                    continue
                rows, changes["setback"] = Batch.objects.filter(pk=pk), "worker"
            if not BATCH.step(rows, "claim", **changes):
                continue
            batch = Batch.objects.get(pk=pk)
            if batch.attempts >= ATTEMPTS:
                UPLOAD.step(Upload.objects.filter(batch=batch), "refuse", code="worker_died")
            return Lease(batch, worker)
    return None
