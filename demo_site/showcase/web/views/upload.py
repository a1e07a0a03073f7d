"""The first page, and the addresses that take files with and without JavaScript."""

from __future__ import annotations

from pathlib import Path

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django.views.decorators.http import require_http_methods, require_POST

from ...limits import USUAL_DAYS, VANISH_DAYS
from ...models import Batch, Chip
from ...services import batches, health, uploads
from .. import ownership
from ..upload_handlers import stored
from . import errors

#: Generated scenes in `static/showcase/examples`, by what they show.
EXAMPLES = {
    "fields": _l("fields"),
    "river": _l("river"),
    "village": _l("village"),
    "clouds": _l("clouds"),
    "farm": _l("farm"),
    "bloom": _l("trees in flower"),
}
_PICTURES = Path(__file__).resolve().parents[2] / "static/showcase/examples"


@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    """GET: the upload form. POST: a whole batch in one form, for browsers without JavaScript."""
    if request.method == "POST":
        return _whole_batch(request)
    context = {
        "own_batches": ownership.own_batches(request),
        "newest": Chip.objects.filter(shown=True).order_by("-id")[:12],
        "workers": health.workers(),
        "examples": EXAMPLES,
    }
    return render(request, "showcase/home.html", context)


def _open(request: HttpRequest) -> Batch:
    days = request.POST.get("days")
    return uploads.open_batch(
        title=request.POST.get("title", ""),
        private=request.POST.get("private") in ("1", "on", "true"),
        days=int(days) if days in map(str, VANISH_DAYS) else USUAL_DAYS,
        owner=ownership.owner(request),
        sender=ownership.alias(request),
    )


def _whole_batch(request: HttpRequest) -> HttpResponse:
    if ownership.limited(request, "uploads"):
        return errors.too_many(request)
    files = [file for field in ("files", "folder") for file in request.FILES.getlist(field)]
    if not files:
        messages.error(request, _("Choose at least one picture."))
        return redirect("home")
    if ownership.limited(request, "files", len(files)):
        return errors.too_many(request)
    try:
        batch = _open(request)
    except uploads.Refused as refusal:
        return errors.too_many(request, str(refusal))
    taken = uploads.add_files(batch, files)
    for one in (one for one in taken if not one["accepted"]):
        messages.warning(request, f"{one['name']}: {one['reason']}")
    try:
        uploads.submit(batch)
    except uploads.Refused as refusal:
        batches.cancel(batch)
        messages.error(request, str(refusal))
        return redirect("home")
    return redirect(batch)


@require_POST
def example(request: HttpRequest) -> HttpResponse:
    """One of the site's own pictures, or all, as a private batch of a day: to see what happens."""
    asked = request.POST.get("example")
    names = [name for name in EXAMPLES if asked in (name, "all")]
    if not names:
        return errors.not_found(request)
    if ownership.limited(request, "uploads"):
        return errors.too_many(request)
    owner, sender = ownership.owner(request), ownership.alias(request)
    try:
        batch = uploads.open_batch(private=True, days=1, owner=owner, sender=sender)
    except uploads.Refused as refusal:
        return errors.too_many(request, str(refusal))
    files = [(f"{name}.jpg", (_PICTURES / f"{name}.jpg").read_bytes()) for name in names]
    uploads.add_files(batch, [stored(name, "image/jpeg", data) for name, data in files])
    uploads.submit(batch)
    return redirect(batch)


@require_POST
def start(request: HttpRequest) -> JsonResponse | HttpResponse:
    """JavaScript, step 1: open a batch. Answers with the addresses of the next steps."""
    if ownership.limited(request, "uploads"):
        return errors.too_many(request)
    try:
        batch = _open(request)
    except uploads.Refused as refusal:
        return errors.too_many(request, str(refusal))
    return JsonResponse(
        {
            "token": batch.token,
            "url": batch.get_absolute_url(),
            "files_url": reverse("upload_files", args=[batch.token]),
            "submit_url": reverse("upload_submit", args=[batch.token]),
            "cancel_url": reverse("batch_cancel", args=[batch.token]),
        },
        status=201,
    )


def _mine(request: HttpRequest, token: str) -> Batch | None:
    batch = get_object_or_404(Batch.objects.present(), token=token)
    return batch if ownership.owns(request, batch) else None


@require_POST
def add(request: HttpRequest, token: str) -> JsonResponse | HttpResponse:
    """JavaScript, step 2, as often as needed: some of the files, field `files`.

    `after`: how many files the browser knows to have arrived, so that it may ask twice.
    """
    if (batch := _mine(request, token)) is None:
        return errors.forbidden(request)
    after = request.POST.get("after", "")
    known = int(after) if after.isascii() and after.isdigit() and len(after) < 7 else None
    files = request.FILES.getlist("files")
    if ownership.limited(request, "files", max(len(files), 1)):
        return errors.too_many(request)
    taken = uploads.add_files(batch, files, known)
    for one in [one for one in taken if not one["accepted"]][:3]:  # the batch's page shows them
        messages.warning(request, f"{one['name']}: {one['reason']}")
    return JsonResponse({"files": taken})


@require_POST
def submit(request: HttpRequest, token: str) -> JsonResponse | HttpResponse:
    """JavaScript, step 3: all files are sent."""
    if (batch := _mine(request, token)) is None:
        return errors.forbidden(request)
    try:
        uploads.submit(batch)
    except uploads.Refused as refusal:
        return JsonResponse({"detail": str(refusal)}, status=400)
    return JsonResponse({"url": batch.get_absolute_url()})
