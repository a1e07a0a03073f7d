"""The gallery, one chip's page and pictures, and what visitors say is wrong."""

from __future__ import annotations

import contextlib

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db import DatabaseError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from paperlib.labels import LABELS, WEATHER

from ... import label_sets, storage
from ...models import Batch, Chip, Flag
from ...services import (
    chip_images,
    corrections,
    deletion,
    exports,
    model_card,
    similar,
    unsure,
    walk,
)
from ...services import gallery as gallery_of
from ...services.probabilities import bars
from .. import ownership
from . import errors


def _expire() -> None:
    """What has had its time is shown to nobody, whether or not a worker is there to delete it."""
    with contextlib.suppress(DatabaseError):  # locked for now: readers do not wait
        deletion.expire()


def _chip(request: HttpRequest, key: str) -> Chip:
    found = get_object_or_404(Chip, key=key)
    if (
        found.retired
        or found.over
        or (found.hidden and not request.user.has_perm("showcase.change_chip"))
    ):
        raise Http404
    return found


@require_safe
def gallery(request: HttpRequest) -> HttpResponse:
    _expire()
    page, there = gallery_of.page(request.GET), Batch.objects.present()
    context = {
        "page": page,
        "filters": page.filters,
        "all_labels": [{"name": n, "title": label_sets.title(n)} for n in LABELS],
        "weather": [{"name": n, "title": label_sets.title(n)} for n in WEATHER],
        "sorts": gallery_of.SORTS,
        "batches": there.filter(private=False, chips_labelled__gt=0).order_by("-id")[:30],
    }
    part = request.htmx and not request.htmx.boosted and not request.htmx.history_restore_request
    context["part"] = part
    template = "showcase/_gallery.html" if part else "showcase/gallery.html"
    response = render(request, template, context)
    response["Vary"] = "HX-Request, Cookie, Accept-Language"
    return response


@require_safe
def chip(request: HttpRequest, key: str) -> HttpResponse:
    """A chip's key is as hard to guess as a batch's; who has it was given it."""
    _expire()
    found = _chip(request, key)
    history = list(found.predictions.select_related("model").order_by("-model__used_at")[:5])
    newest = history[0] if history else None
    public = found.placements.filter(batch__in=Batch.objects.present().filter(private=False))
    context = {
        "chip": found,
        "prediction": newest,
        "reads": model_card.reads(newest.model) if newest else "",
        "bars": bars(newest) if newest else [],
        "history": [{"prediction": p, "bars": bars(p)} for p in history],
        "correction": found.flags.filter(state="accepted").order_by("-decided_at").first(),
        "similar": similar.to(found) if newest else [],
        "walk": walk.through(found, request.GET, expert=_expert(request)),
        "query": request.GET.urlencode(),
        "placements": public.select_related("batch", "upload").order_by("-id")[:10],
        # Strangers' words are looked at first; one's own are there at once.
        "flags": found.flags.filter(ownership.own_flags(request) | Q(state="accepted"))[:5],
        "all_labels": [
            {"name": n, "title": label_sets.title(n), "on": bool(found.labels >> i & 1)}
            for i, n in enumerate(LABELS)
        ],
    }
    return render(request, "showcase/chip.html", context)


def _expert(request: HttpRequest) -> bool:
    """Whether what this visitor says of a chip counts at once."""
    return request.user.has_perm("showcase.change_flag")


@require_safe
@permission_required("showcase.change_flag", raise_exception=True)
def unsure_chips(request: HttpRequest) -> HttpResponse:
    """For those who may correct: what most needs somebody's eye."""
    return render(request, "showcase/unsure.html", {"queue": unsure.queue()})


@require_safe
def image(request: HttpRequest, key: str, kind: str) -> HttpResponse:
    """A picture that this site encoded itself; never an upload's bytes, name or type."""
    if kind not in storage.KINDS:
        raise Http404
    chip = _chip(request, key)
    try:
        data = chip_images.read(chip, kind)
    except FileNotFoundError:
        raise Http404 from None
    response = HttpResponse(data, content_type=storage.KINDS[kind])
    # Not for long: what is taken down shall not be shown from caches.
    response["Cache-Control"] = "private, max-age=600"
    response["Content-Disposition"] = f'inline; filename="{kind}.{chip_images.SUFFIX[kind]}"'
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_POST
def flag(request: HttpRequest, key: str) -> HttpResponse:
    """ "This is wrong", with the labels the visitor holds for right."""
    found = _chip(request, key)
    query = request.GET.urlencode()
    here = found.get_absolute_url() + (f"?{query}" if query else "")  # what it is part of stays
    if ownership.limited(request, "flags"):
        return errors.too_many(request)
    names = [name for name in request.POST.getlist("label") if name in LABELS]
    if not names:
        messages.error(request, _("Choose the labels that are right."))
        return redirect(here)
    row = Flag.objects.create(
        chip=found,
        owner=ownership.owner(request),
        labels=label_sets.mask(names),
        comment=request.POST.get("comment", "").replace("\x00", "").strip()[:500],
    )
    if not _expert(request):
        messages.success(request, _("Thank you. Your labels were kept for review."))
        return redirect(here)
    corrections.judge(Flag.objects.filter(pk=row.pk), accepted=True, by=request.user)
    messages.success(request, _("Your labels count from now on."))
    way = walk.through(found, request.GET, expert=True)
    return redirect((way and way.next) or here)


@require_safe
def flags_csv(request: HttpRequest) -> HttpResponse:
    """Visitors' labels as the competition's csv, one row per chip: its newest flag."""
    return exports.download(exports.flag_rows(), "flags.csv", "text/csv")
