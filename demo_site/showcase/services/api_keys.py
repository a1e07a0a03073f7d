"""Keys for writing through the API: made, found, counted."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from ..models import ApiKey
from . import rate_limits

_PREFIX = 8  # characters of a key by which its owner and staff know it again
_MINUTE = timedelta(minutes=1)


def digest(key: str) -> str:
    """Keys are random and long: a plain hash is enough to keep them by."""
    return hashlib.sha256(key.encode()).hexdigest()


def make(name: str, per_hour: int = 0, days: int = 0, *, sends_only: bool = False) -> str:
    """A new key, shown this once; it ends after `days` days, 0 does not.

    sends_only  one for a machine that only sends: who steals it deletes nothing
    """
    key = "pk_" + secrets.token_urlsafe(32)
    ends = timezone.now() + timedelta(days=days) if days else None
    ApiKey.objects.create(
        name=name,
        digest=digest(key),
        prefix=key[:_PREFIX],
        per_hour=per_hour,
        expires_at=ends,
        sends_only=sends_only,
    )
    return key


def find(key: str) -> ApiKey | None:
    """The key's row; None for one that is unknown, revoked, or has ended."""
    good = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked=False)
    return good.filter(digest=digest(key)).first()


def may_ask(key: ApiKey) -> int:
    """0 where the key may send another request in this hour, else how many it may."""
    most = key.per_hour or int(settings.SHOWCASE["KEY_REQUESTS_PER_HOUR"])
    if not rate_limits.within("key", str(key.pk), most):
        return most
    stale = Q(used_at=None) | Q(used_at__lt=Now() - _MINUTE)  # a write a minute is enough
    ApiKey.objects.filter(stale, pk=key.pk).update(used_at=Now())
    return 0
