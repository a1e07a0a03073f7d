"""Headers, probes, limits of forms, and a line in the log for each request."""

from __future__ import annotations

import logging
import math
import time

from django.conf import settings
from django.core.exceptions import RequestDataTooBig

from ..services import rate_limits
from . import ownership, upload_handlers

log = logging.getLogger("showcase.requests")

# Everything from this site and nothing inline. `blob:` is for thumbnails of files not yet sent,
# `data:` for the small pictures inside stylesheets.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

#: Pages that others may show inside theirs, where the operator allows it: those to look at. A
#: frame of another site has no cookies of this one, so that nobody can be led to press a button.
EMBEDDABLE = {"gallery", "chip", "batch", "map", "picture", "model"}


class ContentSecurityPolicy:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        policy, match = POLICY, request.resolver_match
        if settings.EMBEDDED_BY and match and match.url_name in EMBEDDABLE:
            policy = policy.replace(
                "ancestors 'none'", f"ancestors {' '.join(settings.EMBEDDED_BY)}"
            )
            response.headers.pop("X-Frame-Options", None)
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        )
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


class Health:
    """`/healthz`, `/readyz`, `/workerz`, `/metrics`, before anything asks for the site's name.

    A probe of the machine beside calls it by whatever address it knows, which is no name of the
    site: Django would answer 400 to it.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        from .views import health

        view = {
            "/healthz": health.alive,
            "/readyz": health.ready,
            "/workerz": health.working,
            "/metrics": health.numbers,
        }.get(request.path_info)
        return view(request) if view else self.get_response(request)


class Bodies:
    """How large a form may be, and how much an address may send: asked before anything is read.

    Whatever looks at the form first, the check against forgery for one, has all of it read and its
    files stored. What counts is what has come, not what the request said would come.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        try:
            return self.get_response(request)
        finally:
            if (taken := getattr(request, "bytes_taken", 0)) and rate_limits.per_hour("megabytes"):
                rate_limits.add("megabytes", ownership.alias(request), math.ceil(taken / 1e6))

    def process_view(self, request, view, args, kwargs):
        if request.content_type != "multipart/form-data":
            return None  # Django's own limit of a megabyte holds
        try:
            size = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            size = 0  # Django reads nothing then
        if size > upload_handlers.most(request) + upload_handlers.HEADS:
            raise RequestDataTooBig("the form is larger than this address takes")
        if not upload_handlers.takes_files(request):
            return None
        spent = rate_limits.spent("megabytes", ownership.alias(request))
        if (allowed := rate_limits.per_hour("megabytes")) and spent >= allowed:
            from .views.errors import too_many

            return too_many(request)
        return None


class LogRequests:
    """One line per request; the path's token of a private batch is never written out."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        start = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        if match and match.url_name == "chip_image":
            return response
        log.info(
            "request",
            extra={
                "method": request.method,
                "view": (match.view_name if match else "") or "",
                "status": response.status_code,
                "milliseconds": round(1000 * (time.perf_counter() - start), 1),
            },
        )
        return response
