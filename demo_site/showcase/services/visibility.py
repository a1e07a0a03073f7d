"""A batch made private, or public again: its chips go with it.

A private batch shares no chip with others, so its chips become others by their identity. One that
another batch holds, too, stays there, and the batch gets one of its own of the same pixels. What
is made private gets new addresses: the old ones were known to everybody.
"""

from __future__ import annotations

from django.db import transaction

from ..models import Batch, Chip, Placement, Prediction, token
from . import corrections, deletion

MOST_SHARED = 1000  # chips that other batches hold, too: each takes some statements
_PART = 500


class NotPossible(Exception):
    """The batch is being worked on, or too many of its chips are in other batches, too."""


def set_private(batch: Batch, private: bool) -> Batch:
    """The batch as it is then; `NotPossible` where nothing was changed."""
    with transaction.atomic():
        held = Batch.objects.select_for_update().get(pk=batch.pk)
        if held.private == private:
            return held
        if not held.finished:
            raise NotPossible
        held.private = private
        if private:
            held.token = token()
        held.save(update_fields=["private", "token"])
        keys = sorted(set(held.placements.values_list("chip", flat=True)))
        moved: list[int] = []
        for start in range(0, len(keys), _PART):
            moved += _take_along(held, keys[start : start + _PART])
            if len(moved) > MOST_SHARED:
                raise NotPossible
        deletion.retire(moved)
        transaction.on_commit(deletion.remove_retired, robust=True)
    return held


def _take_along(batch: Batch, keys: list[int]) -> list[int]:
    """Chips of a batch that is private, or public, by now; those it holds no longer."""
    chips = list(Chip.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
    marks = {chip.pk: batch.identity(chip.content) for chip in chips}
    there = {chip.sha256: chip for chip in Chip.objects.filter(sha256__in=marks.values())}
    others = Placement.objects.filter(chip__in=keys).exclude(batch=batch)
    shared = set(others.values_list("chip", flat=True))
    changed, moved = [], []
    for chip in chips:
        own = there.get(marks[chip.pk])
        if own is None and chip.pk not in shared:
            chip.sha256, chip.public = marks[chip.pk], not batch.private
            chip.key = token() if batch.private else chip.key
            chip.shown = chip.public and not chip.hidden and chip.confidence > 0
            changed.append(chip)
        elif own != chip:
            _move(batch, chip, own or _twin(batch, chip, marks[chip.pk]))
            moved.append(chip.pk)
    Chip.objects.bulk_update(changed, ["sha256", "key", "public", "shown"], batch_size=100)
    return moved


def _twin(batch: Batch, chip: Chip, mark: str) -> Chip:
    """A chip of the same pixels; its pictures are drawn from the other's (`chip_images`)."""
    said = chip.predictions.order_by("-model__used_at").first()
    public = not batch.private
    return Chip.objects.create(
        sha256=mark, content=chip.content, name=chip.name, width=chip.width, height=chip.height,
        public=public, hidden=chip.hidden, shown=public and not chip.hidden and said is not None,
        labels=said.labels if said else 0, confidence=said.confidence if said else 0,
    )  # fmt: skip


def _move(batch: Batch, old: Chip, new: Chip) -> None:
    """The places that the batch has of a chip, to another of the same pixels."""
    fields = ("model_id", "probability", "raw", "labels", "confidence")
    said = [Prediction(chip=new, **row) for row in old.predictions.values(*fields)]
    Prediction.objects.bulk_create(said, ignore_conflicts=True)
    places = batch.placements.filter(chip=old)
    for prediction in new.predictions.all():
        places.filter(prediction__model=prediction.model_id).update(prediction=prediction)
    places.update(chip=new)
    for flag in old.flags.filter(state="accepted"):
        flag.pk, flag.chip, flag._state.adding = None, new, True
        flag.save()
    corrections.apply([new.pk])
