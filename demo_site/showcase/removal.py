"""Taking things away: batches with everything only they hold, chips, and what has had its time."""

from __future__ import annotations

from django.db import transaction

from . import storage
from .copies import KINDS, drop_pack
from .intake import drop_copies
from .models import Batch, Chip, Placement


def remove_batch(batch: Batch) -> None:
    """Delete a batch, its upload copies, and the chips that no other batch holds."""
    drop_copies(batch)
    chips = list(batch.placements.values_list("chip_id", flat=True).distinct())
    with transaction.atomic():
        batch.delete()
    for start in range(0, len(chips), 500):
        part = chips[start : start + 500]
        for chip in Chip.objects.filter(pk__in=part, placements__isnull=True):
            _remove(chip)
        refresh_public(part)


def remove_chip(chip: Chip) -> None:
    """Delete a chip from every batch and from the gallery."""
    with transaction.atomic():
        Placement.objects.filter(chip=chip).delete()
        _remove(chip)


def _remove(chip: Chip) -> None:
    key, pack = chip.key, chip.pack
    chip.delete()
    names = [storage.chip_copy(key, kind) for kind in KINDS]

    def forget() -> None:
        storage.remove(names)
        drop_pack(pack)

    transaction.on_commit(forget)


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
