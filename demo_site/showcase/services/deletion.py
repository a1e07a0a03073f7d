"""Taking things away: batches with everything only they hold, chips, and what has had its time.

A chip goes in three steps, so that a kill between any two leaves nothing behind for good: it is
retired (nobody finds it any more), its files are deleted, its row is deleted. The first is part of
the transaction that takes its last place away; the worker's housekeeping does the others, again
where it was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Concat, Now

from .. import storage
from ..models import RETIRED, Batch, Chip, Placement
from . import progress

_PART = 500  # chips in one statement


def remove_batch(batch: Batch) -> None:
    """Delete a batch, its upload copies, and the chips that no other batch holds."""
    with transaction.atomic():
        # The row is the lock: a worker that saves chips of the batch comes before, or not at all.
        if not Batch.objects.select_for_update().filter(pk=batch.pk).exists():
            return
        chips = list(batch.placements.values_list("chip_id", flat=True).distinct())
        copies = list(batch.uploads.exclude(copy="").values_list("copy", flat=True))
        Batch.objects.get(pk=batch.pk).delete()
        retire(chips)
        # Where the store is away the sweeps do it later; what was shown is gone all the same.
        transaction.on_commit(lambda: storage.remove(copies), robust=True)
        transaction.on_commit(remove_retired, robust=True)


def expire(most: int = 3) -> int:
    """Delete some of the batches whose time is over; how many.

    Whoever would show their chips asks this first: no worker need be there for it. A worker that
    has one of them in hand finds that it is gone.
    """
    rows = list(Batch.objects.filter(vanishes_at__lt=Now())[:most])
    for batch in rows:
        remove_batch(batch)
    return len(rows)


def remove_chip(chip: Chip) -> None:
    """Delete a chip from every batch and from the gallery."""
    with transaction.atomic():
        places = Placement.objects.filter(chip=chip)
        batches = sorted(set(places.values_list("batch", flat=True)))
        places.delete()
        retire([chip.pk])
        for batch in batches:
            progress.count(batch)
        transaction.on_commit(remove_retired, robust=True)


def retire(chips: Iterable[int]) -> None:
    """Of these chips, take those that no batch holds out of everybody's sight."""
    chips = sorted(chips)
    for start in range(0, len(chips), _PART):
        part = chips[start : start + _PART]
        # Whoever is placing one of them now comes before, and is seen by the next statement.
        list(Chip.objects.select_for_update().filter(pk__in=part).order_by("pk").values("pk"))
        gone = Chip.objects.filter(pk__in=part, placements__isnull=True)
        _bequeath(gone.filter(drawn=True))
        gone.update(sha256=Concat(Value(RETIRED), F("key")), content="", public=False, shown=False)


def _bequeath(drawn: QuerySet[Chip]) -> None:
    """Give pictures to chips of the same pixels that have none, and no copy to draw from."""
    heirs = Chip.objects.filter(content__in=drawn.values("content"), drawn=False)
    heirs = heirs.exclude(sha256__startswith=RETIRED).filter(placements__upload__copy="")
    for heir in Chip.objects.select_for_update().filter(pk__in=heirs.values("pk")).order_by("pk"):
        if giver := drawn.filter(content=heir.content).first():
            given = {"pictures": giver.pictures, "drawn": True, "views": giver.views}
            Chip.objects.filter(pk=heir.pk).update(**given)
            Chip.objects.filter(pk=giver.pk).update(pictures=heir.pictures, drawn=False)


def remove_retired() -> int:
    """Delete the files, then the rows, of all chips that were retired; how many."""
    count = 0
    rows = Chip.objects.filter(sha256__gte=RETIRED)  # by the index; then exactly
    rows = rows.filter(sha256__startswith=RETIRED, placements__isnull=True)
    while part := list(rows.values_list("pk", "pictures")[:_PART]):
        storage.remove(storage.chip_copy(name, kind) for _, name in part for kind in storage.KINDS)
        Chip.objects.filter(pk__in=[pk for pk, _ in part]).delete()
        count += len(part)
    return count


def set_hidden(chip: Chip, hidden: bool) -> None:
    """Take a chip out of the gallery, or put it back."""
    rows = Chip.objects.filter(pk=chip.pk)
    rows.update(hidden=hidden, shown=False)
    if not hidden:
        rows.filter(public=True, confidence__gt=0).update(shown=True)
    chip.refresh_from_db()
