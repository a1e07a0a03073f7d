"""The model's page and the page about the API."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from paperlib.teaching import derivation as derivation_page

from ...models import ModelVersion
from ...services import model_card
from .. import report as report_of


@require_safe
def model(request: HttpRequest) -> HttpResponse:
    version = ModelVersion.current()
    context = {
        "version": version,
        "card": model_card.card_rows(version),
        "card_limits": model_card.limits(version),
        "scores": model_card.scores(version),
        "brought": model_card.brought(version),
        "thresholds": model_card.thresholds(version),
        "tables": model_card.tables(),
        "report_url": settings.SHOWCASE["REPORT_URL"]
        or (reverse("report") if report_of.found() else ""),
    }
    return render(request, "showcase/model.html", context)


@require_safe
def report(request: HttpRequest) -> HttpResponse:
    """The report that `paper report` wrote in this checkout, under a policy of its own."""
    try:
        text, policy = report_of.page()
    except FileNotFoundError:
        raise Http404 from None
    response = HttpResponse(text)
    response["Content-Security-Policy"] = policy
    return response


@require_safe
def derivation(request: HttpRequest) -> HttpResponse:
    """Haze removal step by step: one page that computes in the browser, nothing is uploaded."""
    text, policy = _derivation("zh" if get_language() == "zh-hans" else "en")
    response = HttpResponse(text)
    response["Content-Security-Policy"] = policy
    return response


@lru_cache(maxsize=2)
def _derivation(language: str) -> tuple[str, str]:
    text = derivation_page.page(language=language)
    return text, report_of.policy(text, "data: blob:")


@require_safe
def api_page(request: HttpRequest) -> HttpResponse:
    base = request.build_absolute_uri(reverse("api-1:api-root")).rstrip("/")
    context = {
        "base": base,
        "docs_url": reverse("api-1:openapi-view"),
        "schema_url": reverse("api-1:openapi-json"),
        "per_hour": int(settings.SHOWCASE["KEY_REQUESTS_PER_HOUR"]),
    }
    return render(request, "showcase/api.html", context)
