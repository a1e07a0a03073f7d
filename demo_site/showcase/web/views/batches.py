"""A batch's own page: waiting, then results; its downloads; a big picture as a mosaic."""

from __future__ import annotations

from hashlib import sha256

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from paperlib.labels import LABELS

from ...limits import VANISH_DAYS
from ...models import Batch, Upload
from ...services import batches, exports, geography, health, mosaic, rare, rate_limits, visibility
from ...services import progress as progress_of
from .. import ownership
from . import errors

SHOWN = 60  # chips on one page of a batch; failed files and large pictures as well
DOWNLOADS = {
    "csv": (exports.csv_rows, "text/csv"),
    "json": (exports.json_rows, "application/json"),
    "geojson": (geography.geojson_rows, "application/geo+json"),
}


def _limits(request: HttpRequest) -> rare.Limits | None:
    """Of `rare.limits`, where the address asks for rare labels."""
    return rare.limits(request.GET.get("find") == "rare")


def _context(request: HttpRequest, batch: Batch) -> dict:
    limits = _limits(request)
    rows = batch.placements.filter(state__in=("labelled", "failed"))
    rows = rows.select_related("chip", "prediction", "upload").order_by("id")
    mosaics = batch.uploads.filter(Q(rows__gt=1) | Q(columns__gt=1), state="read")
    may_change = ownership.may_change(request, batch)
    page = _page(request, rows, "page")
    for place in page:
        place.said = place.mask(limits)
    return {
        "batch": batch,
        "progress": progress_of.of(batch),
        "page": page,
        "histogram": mosaic.legend(batch.placements, limits) if batch.finished else [],
        "rare": bool(limits),
        "may_find_rare": bool(batch.chips_labelled and batch.model.rare_thresholds),
        "failed_uploads": _page(request, batch.uploads.filter(state="failed"), "why"),
        "on_earth": geography.uploads(batch).exists(),
        "mosaics": _page(request, mosaics, "large"),
        "may_change": may_change,
        "may_delete": batch.finished
        and (ownership.owns(request, batch) or request.user.has_perm("showcase.delete_batch")),
        "may_retry": may_change and batch.finished and batches.may_retry(batch),
        "workers": health.workers(),
        "pause": _pause(batch),
    }


def _page(request: HttpRequest, rows, name: str) -> Page:
    """The page of `rows` that the address asks for by `name`; each list turns by itself."""
    return Paginator(rows, SHOWN).get_page(request.GET.get(name))


@require_safe
def batch(request: HttpRequest, token: str) -> HttpResponse:
    """The page to wait at and to come back to."""
    found = get_object_or_404(Batch.objects.present(), token=token)
    response = render(request, "showcase/batch.html", _context(request, found))
    response["Cache-Control"] = "no-store"
    if found.private:
        response["X-Robots-Tag"] = "noindex"
    return response


@require_safe
def progress(request: HttpRequest, token: str) -> HttpResponse:
    """The changing part of the page, asked for by htmx, of a batch that is still at work.

    Where nothing has changed it is not drawn again: the answer is 304.
    """
    found = get_object_or_404(Batch.objects.present(), token=token)
    mark = _mark(request, found)
    if unchanged := get_conditional_response(request, etag=mark):
        return unchanged
    response = render(request, "showcase/_progress.html", _context(request, found))
    response["Cache-Control"] = "private, no-cache"
    response["ETag"] = mark
    return response


def _pause(batch: Batch) -> int:
    """Seconds until its page looks again: what takes long need not be looked at each second."""
    age = (timezone.now() - batch.created_at).total_seconds()
    return 1 if age < 60 else 2 if age < 600 else 5


def _mark(request: HttpRequest, batch: Batch) -> str:
    """Changes with whatever the changing part shows."""
    parts = (
        progress_of.of(batch), batch.setback, batch.title, batch.private, health.workers(),
        _pause(batch), get_language(), request.user.pk, ownership.owns(request, batch),
    )  # fmt: skip
    return quote_etag(sha256(repr(parts).encode()).hexdigest())


def _change(request: HttpRequest, token: str, act, done: str, not_done: str) -> HttpResponse:
    found = get_object_or_404(Batch.objects.present(), token=token)
    if not ownership.may_change(request, found):
        return errors.forbidden(request)
    # Each retry has the decoder work on the same files again, of one batch from any address.
    if act is batches.retry and (
        ownership.limited(request, "retries")
        or not rate_limits.within("retry", str(found.pk), batches.RETRIES_PER_HOUR)
    ):
        return errors.too_many(request)
    if act(found):
        messages.success(request, done)
    else:
        messages.warning(request, not_done)
    return redirect(found)


@require_POST
def cancel(request: HttpRequest, token: str) -> HttpResponse:
    done, not_done = _("The batch was cancelled."), _("The batch has ended already.")
    return _change(request, token, batches.cancel, done, not_done)


@require_POST
def retry(request: HttpRequest, token: str) -> HttpResponse:
    done = _("The failed chips are tried again.")
    not_done = _("Nothing of this batch can be tried again. Send the files once more.")
    return _change(request, token, batches.retry, done, not_done)


@require_POST
def change(request: HttpRequest, token: str) -> HttpResponse:
    """Title and time of a batch, and who sees its chips, by whoever opened it."""
    found = get_object_or_404(Batch.objects.present(), token=token)
    if not ownership.may_change(request, found):
        return errors.forbidden(request)
    days = request.POST.get("days")
    batches.change(
        found,
        title=request.POST.get("title", ""),
        days=int(days) if days in map(str, VANISH_DAYS) else None,
    )
    if (private := request.POST.get("private")) in ("0", "1"):
        try:
            found = visibility.set_private(found, private == "1")
        except visibility.NotPossible:
            text = _(
                "It could not be made private or public. Send the files again as you want them."
            )
            messages.warning(request, text)
            return redirect(found)
    messages.success(request, _("The batch was changed."))
    return redirect(found)


@require_safe
def save(request: HttpRequest, token: str, kind: str) -> HttpResponse:
    """The batch to save, as one of `DOWNLOADS`."""
    found = get_object_or_404(Batch.objects.present(), token=token)
    rows, mime = DOWNLOADS[kind]
    return exports.download(rows(found, _limits(request)), f"labels-{found.pk}.{kind}", mime)


@require_safe
def earth(request: HttpRequest, token: str) -> HttpResponse:
    """The batch's chips where they lie, by the positions that its GeoTIFFs hold."""
    found = get_object_or_404(Batch.objects.present(), token=token)
    label = request.GET.get("label", "")
    label = label if label in LABELS else ""
    if (drawn := geography.draw(found, label)) is None:
        raise Http404
    context = {
        "batch": found,
        "map": drawn,
        "label": label,
        "legend": mosaic.legend(geography.placements(found)),
    }
    return render(request, "showcase/map.html", context)


@require_safe
def picture(request: HttpRequest, token: str, upload: int) -> HttpResponse:
    """One upload that was larger than a chip, put together again as a labelled mosaic."""
    found = get_object_or_404(Batch.objects.present(), token=token)
    part = get_object_or_404(Upload, pk=upload, batch=found)
    if not part.rows:
        raise Http404
    window = mosaic.window(part, request.GET.get("part"))
    context = {
        "batch": found,
        "upload": part,
        "window": window,
        "cells": mosaic.cells(
            part, window, all_of_them=request.user.has_perm("showcase.change_chip")
        ),
        "legend": mosaic.legend(part.placements),
    }
    return render(request, "showcase/picture.html", context)
