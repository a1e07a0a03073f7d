"""Who is asking: the address behind the proxies, rate limits, a visitor's own batches."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, salted_hmac

from ..models import Batch, token
from ..services import rate_limits

_VISITOR = "visitor"  # session key: a random name of this browser


def address(request: HttpRequest) -> str:
    """The visitor's address; `X-Forwarded-For` counts only as far as trusted proxies wrote it."""
    peer = request.META.get("REMOTE_ADDR", "")
    trusted = int(settings.PROXIES)
    if trusted and _is_proxy(peer):
        chain = [a.strip() for a in request.headers.get("X-Forwarded-For", "").split(",") if a]
        if len(chain) >= trusted:
            return _without_port(chain[-trusted])
    return peer


def _is_proxy(peer: str) -> bool:
    """Whether a header of this peer is believed; one without an address is a local socket."""
    try:
        found = ipaddress.ip_address(peer) if peer else None
    except ValueError:
        return False
    return found is None or any(
        found in ipaddress.ip_network(network) for network in settings.PROXY_NETWORKS
    )


def _without_port(text: str) -> str:
    """`1.2.3.4:5555` and `[2001:db8::1]:5555`, as some proxies write them."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def network(text: str) -> str:
    """What counts as one visitor: an IPv4 address, or the /64 that one subscriber of IPv6 has."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text
    if found.version == 4:
        return text
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))


def alias(request: HttpRequest) -> str:
    """A keyed hash of the address: enough to count by, useless to find somebody by."""
    who = network(address(request))
    return salted_hmac("showcase.visitor", who, algorithm="sha256").hexdigest()[:32]


def limited(request: HttpRequest, kind: str, events: int = 1) -> bool:
    """True where this address has used up its hour's share of `kind`.

    kind  uploads, files, megabytes, retries, flags, logins
    """
    return not rate_limits.within(kind, alias(request), rate_limits.per_hour(kind), events)


def owner(request: HttpRequest) -> str:
    """What the row of a batch that this browser opens keeps of it.

    The session holds the browser's random name, the row a keyed hash of that. A list of batches in
    the session would lose one of two that are opened at the same time.
    """
    if _VISITOR not in request.session:
        request.session[_VISITOR] = token()
    request.session.modified = True  # its time begins anew: the batch shall not outlive it
    return _owner(request)


def _owner(request: HttpRequest) -> str:
    """How this browser stands in the batches it opened; "" for one that has opened none."""
    name = request.session.get(_VISITOR, "")
    return name and salted_hmac("showcase.owner", name, algorithm="sha256").hexdigest()[:32]


def owns(request: HttpRequest, batch: Batch) -> bool:
    return bool(batch.owner) and constant_time_compare(batch.owner, _owner(request))


def may_change(request: HttpRequest, batch: Batch) -> bool:
    """Cancel and retry: the browser that opened the batch, or staff."""
    return owns(request, batch) or request.user.has_perm("showcase.change_batch")


def own_flags(request: HttpRequest) -> Q:
    """Of corrections, those of this browser that staff has not rejected."""
    return Q(owner=_owner(request), state="open") & ~Q(owner="")


def own_batches(request: HttpRequest) -> list[Batch]:
    """The ten newest batches of this browser."""
    who = _owner(request)
    rows = Batch.objects.present().filter(owner=who).order_by("-id")
    return list(rows[:10]) if who else []
