"""What every template can use."""

from __future__ import annotations

from django.conf import settings

from ..limits import ACCEPT, FORMATS, VANISH_DAYS, limits


def site(request) -> dict:
    return {
        "limits": limits(),
        "formats": FORMATS,
        "accept": ACCEPT,
        "vanish_days": VANISH_DAYS,
        "languages": settings.LANGUAGES,
    }
