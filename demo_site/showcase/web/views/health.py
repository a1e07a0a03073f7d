"""`/healthz`: this process answers. `/readyz`: what it needs answers too."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ...services import health, metrics


@require_safe
@never_cache
def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """200 where this process can serve: database and file store are there; else 503."""
    found = health.report()
    return JsonResponse(found, status=200 if found["ready"] else 503)


@require_safe
@never_cache
def numbers(request: HttpRequest) -> HttpResponse:
    """Prometheus' format, where the operator wants it: 404 else."""
    if not settings.METRICS:
        return HttpResponse(status=404)
    return HttpResponse("\n".join(metrics.lines()) + "\n", content_type="text/plain; version=0.0.4")


@require_safe
@never_cache
def working(request: HttpRequest) -> JsonResponse:
    """200 where a worker with a model is there, else 503."""
    found, _ = health.working()
    return JsonResponse({"worker": found}, status=200 if found == "ok" else 503)
