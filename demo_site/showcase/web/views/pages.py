"""The model's page and the page about the API."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from paperlib.teaching import derivation as derivation_page

from ...models import ModelVersion
from ...services import model_card

_LINK_TO_FILE = re.compile(r"(<a\b[^>]*?)\shref=\"(?!#|https?:)[^\"]*\"")
#: Of a page that holds its own styles and scripts: they work, without any right on this site.
_APART = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


@require_safe
def model(request: HttpRequest) -> HttpResponse:
    version = ModelVersion.current()
    context = {
        "card": model_card.card_rows(version),
        "card_limits": model_card.limits(version),
        "scores": model_card.scores(version),
        "brought": model_card.brought(version),
        "thresholds": model_card.thresholds(version),
        "tables": model_card.tables(),
        "report_url": settings.SHOWCASE["REPORT_URL"]
        or (reverse("report") if _report().is_file() else ""),
    }
    return render(request, "showcase/model.html", context)


def _report() -> Path:
    return settings.SHOWCASE["RESULTS"] / "report.html"


def _apart(text: str) -> HttpResponse:
    response = HttpResponse(text)
    response["Content-Security-Policy"] = _APART
    return response


@require_safe
def report(request: HttpRequest) -> HttpResponse:
    """The report that `paper report` wrote in this checkout."""
    try:
        text = _report().read_text("utf-8")
    except FileNotFoundError:
        raise Http404 from None
    # Links to files of the checkout lead nowhere from here; their words stay.
    return _apart(_LINK_TO_FILE.sub(r"\1", text))


@require_safe
def derivation(request: HttpRequest) -> HttpResponse:
    """Haze removal step by step: one page that computes in the browser, nothing is uploaded."""
    return _apart(_derivation("zh" if get_language() == "zh-hans" else "en"))


@lru_cache(maxsize=2)
def _derivation(language: str) -> str:
    return derivation_page.page(language=language)


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
