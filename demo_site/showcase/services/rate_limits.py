"""How much one visitor may do in an hour, counted in the database, so that all processes agree."""

from __future__ import annotations

import time

from django.conf import settings
from django.db import transaction
from django.db.models import F

from ..models import Count


def within(kind: str, who: str, most: int, events: int = 1) -> bool:
    """Count events; False once there were more than `most` in this hour. 0 lifts the limit."""
    return not most or add(kind, who, events) <= most


def add(kind: str, who: str, events: int) -> int:
    """Count events; how many there were in this hour."""
    hour, what = int(time.time() // 3600), f"{kind}:{who}"
    with transaction.atomic():
        Count.objects.bulk_create([Count(what=what, hour=hour)], ignore_conflicts=True)
        row = Count.objects.filter(what=what, hour=hour)
        row.update(events=F("events") + events)
        return row.values_list("events", flat=True).get()


def spent(kind: str, who: str) -> int:
    """How many events there were in this hour."""
    row = Count.objects.filter(what=f"{kind}:{who}", hour=int(time.time() // 3600))
    return row.values_list("events", flat=True).first() or 0


def per_hour(kind: str) -> int:
    """The site's limit for one address; 0 where there is none.

    kind  uploads, files, megabytes, retries, flags, logins, chips, read_seconds
    """
    return int(settings.SHOWCASE[f"{kind.upper()}_PER_HOUR"])


def used_up(sender: str) -> bool:
    """Whether a sender has had labelled, or decoded, what one may have in an hour."""
    return bool(sender) and any(
        (most := per_hour(kind)) and spent(kind, sender) >= most
        for kind in ("chips", "read_seconds")
    )
