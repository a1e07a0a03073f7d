"""From chip to chip: through a batch, the queue of unsure ones, or what the gallery's filters show.

A chip's address says by its query where its visitor comes from: `of` is a batch's token (and `at` a
place in it) or `unsure`; else the query is the gallery's.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from ..models import Batch, Chip, Placement
from . import gallery, unsure


@dataclass(frozen=True)
class Walk:
    """Addresses of the list, and of the chips before and behind; "" where there is none."""

    kind: str  # "batch", "unsure" or "gallery"
    back: str
    previous: str
    next: str
    batch: Batch | None = None


def through(chip: Chip, query, *, expert: bool) -> Walk | None:
    """Where a chip stands in what its visitor goes through; None where it stands alone."""
    of = query.get("of", "")
    if of == "unsure":
        return _unsure(chip) if expert else None
    if of:
        return _batch(chip, of, query.get("at", ""))
    if not chip.shown:
        return None
    filters = gallery.Filters.read(query)
    asked = filters.query()
    previous, following = (_address(c, asked) for c in gallery.neighbours(filters, chip))
    back = reverse("gallery") + (f"?{asked}" if asked else "")
    return Walk("gallery", back, previous, following)


def _batch(chip: Chip, token: str, at: str) -> Walk | None:
    batch = Batch.objects.present().filter(token=token.replace("\0", "")).first()
    if batch is None:
        return None
    rows = batch.placements.filter(state="labelled", chip__hidden=False).select_related("chip")
    own = rows.filter(chip=chip)
    number = int(at) if at.isascii() and at.isdigit() and len(at) < 19 else 0
    here = own.filter(pk=number).first() or own.first()
    if here is None:
        return None

    def address(place: Placement | None) -> str:
        return _address(place.chip, f"of={token}&at={place.pk}") if place else ""

    before = rows.filter(pk__lt=here.pk).order_by("-pk").first()
    behind = rows.filter(pk__gt=here.pk).order_by("pk").first()
    return Walk("batch", batch.get_absolute_url(), address(before), address(behind), batch)


def _unsure(chip: Chip) -> Walk:
    """One that was judged stands in the queue no longer: behind it comes the first."""
    chips = [one.chip for one in unsure.queue()]
    at = chips.index(chip) if chip in chips else -1
    before = chips[at - 1] if at > 0 else None
    behind = chips[at + 1] if at + 1 < len(chips) else None
    addresses = (_address(one, "of=unsure") for one in (before, behind))
    return Walk("unsure", reverse("unsure"), *addresses)


def _address(chip: Chip | None, query: str) -> str:
    if chip is None:
        return ""
    return chip.get_absolute_url() + (f"?{query}" if query else "")
