"""Who is asking: the address behind the proxies, rate limits, a visitor's own batches."""

from __future__ import annotations

import time

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from .models import Batch, Count

_OWN = "batches"  # session key: tokens of the batches this browser opened


def address(request: HttpRequest) -> str:
    """The visitor's address; `X-Forwarded-For` counts only as far as trusted proxies wrote it."""
    trusted = int(settings.PROXIES)
    if trusted:
        chain = [a.strip() for a in request.headers.get("X-Forwarded-For", "").split(",") if a]
        if len(chain) >= trusted:
            return chain[-trusted]
    return request.META.get("REMOTE_ADDR", "")


def alias(request: HttpRequest) -> str:
    """A keyed hash of the address: enough to count by, useless to find somebody by."""
    return salted_hmac("showcase.visitor", address(request), algorithm="sha256").hexdigest()[:32]


def within(kind: str, who: str, most: int) -> bool:
    """Count one event; False once there were more than `most` in this hour. 0 lifts the limit."""
    if not most:
        return True
    hour, what = int(time.time() // 3600), f"{kind}:{who}"
    with transaction.atomic():
        Count.objects.bulk_create([Count(what=what, hour=hour)], ignore_conflicts=True)
        row = Count.objects.filter(what=what, hour=hour)
        row.update(events=F("events") + 1)
        return row.values_list("events", flat=True).get() <= most


def limited(request: HttpRequest, kind: str) -> bool:
    """True where this address has used up its hour's share of `kind` (uploads, flags, logins)."""
    most = int(settings.SHOWCASE[f"{kind.upper()}_PER_HOUR"])
    return not within(kind, alias(request), most)


def own(request: HttpRequest, batch: Batch) -> None:
    """Remember that this browser opened the batch."""
    tokens = request.session.get(_OWN, [])
    request.session[_OWN] = [*tokens, batch.token][-200:]


def owns(request: HttpRequest, batch: Batch) -> bool:
    return batch.token in request.session.get(_OWN, [])


def may_change(request: HttpRequest, batch: Batch) -> bool:
    """Cancel and retry: the browser that opened the batch, or staff."""
    return owns(request, batch) or (request.user.is_authenticated and request.user.is_staff)


def own_batches(request: HttpRequest, most: int = 10) -> list[Batch]:
    """The newest batches of this browser."""
    tokens = request.session.get(_OWN, [])
    if not tokens:
        return []
    return list(Batch.objects.filter(token__in=tokens[-most:]).order_by("-id"))
