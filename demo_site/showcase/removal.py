"""Taking things away: batches with everything only they hold, chips, and what has had its time.

A chip goes in three steps, so that a kill between any two leaves nothing behind for good: it is
retired (nobody finds it any more), its files are deleted, its row is deleted. `remove_retired` does
the last two, and the worker's sweep does them again.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from . import copies, storage
from .intake import drop_copies
from .models import Batch, Chip, Placement

_PART = 500  # chips in one statement
_RETIRED = "retired "  # stands before the key instead of a sha256, and sorts behind all of these


def remove_batch(batch: Batch) -> None:
    """Delete a batch, its upload copies, and the chips that no other batch holds."""
    drop_copies(batch)
    with transaction.atomic():
        # The row is the lock: a worker that keeps chips of the batch comes before, or not at all.
        Batch.objects.select_for_update().filter(pk=batch.pk).first()
        held = dict(batch.placements.values_list("chip_id", "chip__pack"))
        batch.delete()
        retire(held)
    for part in _parts(held):
        refresh_public(part)
    transaction.on_commit(lambda: copies.drop_unused(set(held.values()) - {""}))


def remove_chip(chip: Chip) -> None:
    """Delete a chip from every batch and from the gallery."""
    with transaction.atomic():
        Placement.objects.filter(chip=chip).delete()
        retire([chip.pk])


def retire(chips: Iterable[int]) -> None:
    """Of these chips, delete those that no batch holds; their files go when this is committed."""
    for part in _parts(chips):
        Chip.objects.filter(pk__in=part, placements__isnull=True).update(
            sha256=Concat(Value(_RETIRED), F("key")), public=False, shown=False
        )
    transaction.on_commit(remove_retired)


def remove_retired() -> int:
    """Delete the files, then the rows, of all chips that were retired; how many."""
    count = 0
    rows = Chip.objects.filter(sha256__gte=_RETIRED)  # by the index; then exactly
    rows = rows.filter(sha256__startswith=_RETIRED, placements__isnull=True)
    while part := list(rows.values_list("pk", "key")[:_PART]):
        storage.remove(storage.chip_copy(key, kind) for _, key in part for kind in copies.KINDS)
        Chip.objects.filter(pk__in=[pk for pk, _ in part]).delete()
        count += len(part)
    return count


def _parts(chips: Iterable[int]) -> Iterable[list[int]]:
    chips = list(chips)
    return (chips[start : start + _PART] for start in range(0, len(chips), _PART))


def set_hidden(chip: Chip, hidden: bool) -> None:
    Chip.objects.filter(pk=chip.pk).update(hidden=hidden)
    refresh_public([chip.pk])
    chip.refresh_from_db()


def refresh_public(chips: list[int]) -> None:
    """Say again which of these chips the gallery shows: public, labelled and not hidden."""
    rows = Chip.objects.filter(pk__in=chips)
    held = Placement.objects.filter(
        chip_id__in=chips, batch__private=False, state="labelled"
    ).values("chip_id")
    rows.exclude(pk__in=held).update(public=False, shown=False)
    rows.filter(pk__in=held).update(public=True)
    rows.filter(public=True, hidden=False).update(shown=True)
    rows.filter(hidden=True).update(shown=False)
