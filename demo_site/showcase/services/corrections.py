"""What visitors say is wrong: where staff accepts it, it goes before the model's labels."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from ..models import Chip, Flag
from ..states import decide


def judge(flags: QuerySet[Flag], *, accepted: bool, by: AbstractUser) -> None:
    """Accept or reject corrections; gallery, pages and downloads follow."""
    with transaction.atomic():
        chips = set(flags.values_list("chip", flat=True))
        decide(flags, accepted=accepted, decided_by=by, decided_at=Now())
        apply(chips)


def apply(chips: Iterable[int]) -> None:
    """Labels of chips, from their newest accepted correction, else from what the model said."""
    for chip in Chip.objects.select_for_update().filter(pk__in=chips).order_by("pk"):
        flag = chip.flags.filter(state="accepted").order_by("-decided_at", "-pk").first()
        said = flag or chip.predictions.order_by("-model__used_at").first()
        chip.corrected, chip.labels = flag is not None, said.labels if said else 0
        chip.save(update_fields=["corrected", "labels"])
