"""The API: upload, status, results. Reading is free; writing needs a key with a limit per hour.

The description is OpenAPI 3.1 at `/api/v1/openapi.json`, for people at `/api/v1/docs`. Keys, states
and label names are for programs and the same in every language; sentences (`reason`, `detail`,
`trouble`) are in the language that `Accept-Language` asks for.
"""

from __future__ import annotations

import time
from typing import Annotated, Literal

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import File, Form, Header, NinjaAPI, Path, Query, Status, UploadedFile
from ninja.errors import HttpError
from ninja.openapi.docs import Swagger
from ninja.security import APIKeyHeader
from pydantic import BeforeValidator

from paperlib.labels import CHINESE, ENGLISH, GROUP, LABELS

from .. import label_sets
from ..limits import USUAL_DAYS
from ..models import ApiKey, Batch, Chip, ModelVersion, Prediction
from ..services import api_keys, batches, deletion, exports, progress, rare, rate_limits, uploads
from .api_schemas import (
    Accepted,
    BatchStatus,
    ChipInfo,
    ChipResult,
    Invalid,
    Label,
    ModelInfo,
    Problem,
    Results,
)

api = NinjaAPI(
    title="Showcase API",
    version="1",
    description="Send satellite chips, get their labels. Keys come from those who run the site.",
    # With links each row is a button that holds a link, which a screen reader cannot reach.
    docs=Swagger(settings={"deepLinking": False}),
)
_FAILED = 500  # failed files in one answer
_CHIPS = 500  # chips of one picture that are answered at once
WAIT = 15  # seconds that such an answer may take
Rare = Query(False, description="Tags by thresholds that find rare labels, and err more often")
Token = Path(..., pattern="^[A-Za-z0-9_-]{1,32}$", description="From the answer to the upload")


class KeyHeader(APIKeyHeader):
    param_name = "X-API-Key"

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey | None:
        found = api_keys.find(key) if key else None
        if found is not None and (most := api_keys.may_ask(found)):
            raise HttpError(429, _("This key may send %(n)d requests per hour.") % {"n": most})
        return found


class WholeKey(KeyHeader):
    """Of a key that may do more than send."""

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey | None:
        found = super().authenticate(request, key)
        if found is not None and found.sends_only:
            raise HttpError(403, _("This key may only send."))
        return found


def _status(request: HttpRequest, batch: Batch) -> dict:
    p = progress.of(batch)
    return {
        "token": batch.token,
        "url": request.build_absolute_uri(batch.get_absolute_url()),
        "state": batch.state,
        "finished": batch.finished,
        "private": batch.private,
        "files": p.files,
        "files_failed": p.files_failed,
        "chips": p.chips,
        "labelled": p.done,
        "known": p.known,
        "failed": p.failed,
        "percent": p.percent,
        "batches_ahead": p.ahead,
        "seconds_left": p.seconds,
        "created": batch.created_at,
        "trouble": batch.trouble,
    }


_KEYED = {401: Problem, 422: Invalid, 429: Problem}
_Request = Header(
    "", alias="Idempotency-Key", max_length=64,
    description="A name of your own: the same one again gives the batch of the first time",
)  # fmt: skip


def _take(request: HttpRequest, files: list, *, title: str, private: bool, days: int, name: str):
    """A batch of files, and what became of each; raises `HttpError`."""
    sender = f"key:{request.auth.pk}"
    if not rate_limits.within("files", sender, rate_limits.per_hour("files"), len(files)):
        raise HttpError(429, _("Too many files with this key in this hour."))
    taken = None
    try:
        with transaction.atomic():  # its name stands for files that are there, or for nothing
            batch = uploads.open_batch(
                title=title[:200], private=private, days=days, sender=sender, key=request.auth,
                request=name,
            )  # fmt: skip
            taken = uploads.add_files(batch, files)
            uploads.submit(batch)
    except uploads.Refused as refusal:
        if taken is None:
            raise HttpError(429, str(refusal)) from None
        reasons = "; ".join(f"{one['name']}: {one['reason']}" for one in taken[:5])
        raise HttpError(400, _("No file was accepted: %(why)s") % {"why": reasons}) from None
    batch.refresh_from_db()
    return batch, taken


@api.post(
    "/batches",
    auth=KeyHeader(),
    response={202: Accepted, 400: Problem, 413: Problem, **_KEYED},
    tags=["batches"],
)
def upload(
    request: HttpRequest,
    files: File[list[UploadedFile]],
    title: Form[str] = "",
    private: Form[bool] = True,
    days: Annotated[Literal[0, 1, 7, 30], BeforeValidator(int)] = Form(USUAL_DAYS),
    name: str = _Request,
):
    """Send pictures (JPEG, PNG, TIFF, GeoTIFF) or zips of them; they are labelled while you wait.

    The batch vanishes after so many days as you give, 0 keeps it.
    """
    named = request.auth.batches.filter(request=name)
    if name and (before := named.present().first()):
        return Status(202, {**_status(request, before), "taken": []})
    if name:  # one that has vanished, and is still to be swept, gives it up
        named.filter(vanishes_at__lt=timezone.now()).update(request="")
    try:
        batch, taken = _take(request, files, title=title, private=private, days=days, name=name)
    except IntegrityError:  # the same request came twice at one moment
        return Status(202, {**_status(request, named.get()), "taken": []})
    return Status(202, {**_status(request, batch), "taken": taken})


@api.post(
    "/predict",
    auth=KeyHeader(),
    response={200: list[ChipResult], 202: BatchStatus, 400: Problem, 413: Problem, **_KEYED},
    tags=["batches"],
)
def predict(request: HttpRequest, file: File[UploadedFile], find_rare: bool = Rare):
    """One picture, answered at once: a private batch that vanishes after a day.

    Where no worker is free for long, or the picture has more chips than one answer holds, the
    answer is 202 and says where to ask for them.
    """
    batch, _taken = _take(request, [file], title="", private=True, days=1, name="")
    end = time.monotonic() + WAIT
    while not batch.finished and time.monotonic() < end:
        time.sleep(0.02)
        batch.refresh_from_db()
    if not batch.finished or batch.chips > _CHIPS:
        return Status(202, _status(request, batch))
    if failed := batch.uploads.filter(state="failed").first():
        return Status(400, {"detail": failed.reason})
    name = exports.chip_names(batch)
    rows = batch.placements.select_related("chip", "upload", "prediction")
    limits = rare.limits(find_rare)
    return Status(200, [exports.chip_entry(place, name(place), limits) for place in rows])


@api.get(
    "/batches",
    auth=WholeKey(),
    response={200: list[BatchStatus], 403: Problem, **_KEYED},
    tags=["batches"],
)
def own_batches(request: HttpRequest, limit: int = Query(50, ge=1, le=200)):
    """The batches that came with this key, newest first."""
    rows = request.auth.batches.present().order_by("-id")[:limit]
    return Status(200, [_status(request, batch) for batch in rows])


def _own(request: HttpRequest, token: str) -> Batch:
    batch = get_object_or_404(Batch.objects.present(), token=token)
    if batch.key_id != request.auth.pk:  # a public batch's token stands in the gallery
        raise HttpError(403, _("Only the key that a batch came with may do this."))
    return batch


@api.delete(
    "/batches/{token}",
    auth=WholeKey(),
    response={204: None, 403: Problem, 404: Problem, **_KEYED},
    tags=["batches"],
)
def delete(request: HttpRequest, token: str = Token):
    """Delete a batch that came with the same key, with all chips that only it holds."""
    deletion.remove_batch(_own(request, token))
    return Status(204, None)


@api.get(
    "/batches/{token}", response={200: BatchStatus, 404: Problem, 422: Invalid}, tags=["batches"]
)
def status(request: HttpRequest, token: str = Token):
    """How far a batch is; ask again every second or two."""
    return _status(request, get_object_or_404(Batch.objects.present(), token=token))


@api.get(
    "/batches/{token}/chips", response={200: Results, 404: Problem, 422: Invalid}, tags=["batches"]
)
def chips(
    request: HttpRequest,
    token: str = Token,
    after: int = Query(0, ge=0, le=2**62),
    limit: int = Query(100, ge=1, le=500),
    failed_after: int | None = Query(None, ge=0, le=2**62),
    find_rare: bool = Rare,
):
    """The chips that are done so far, first sent first; results appear while the batch runs."""
    batch = get_object_or_404(Batch.objects.present(), token=token)
    rows = batch.placements.filter(state__in=("labelled", "failed"), pk__gt=after)
    found = list(rows.select_related("chip", "upload", "prediction").order_by("pk")[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    name, limits = exports.chip_names(batch), rare.limits(find_rare)
    failed, more_failed = [], False
    if failed_after is not None or not after:
        rows = batch.uploads.filter(state="failed", pk__gt=failed_after or 0).order_by("pk")
        failed = list(rows[: _FAILED + 1])
        more_failed, failed = len(failed) > _FAILED, failed[:_FAILED]
    return {
        "chips": [exports.chip_entry(place, name(place), limits) for place in found],
        "failed_files": failed,
        "next": found[-1].pk if more else None,
        "next_failed": failed[-1].pk if more_failed else None,
    }


@api.post(
    "/batches/{token}/cancel",
    auth=WholeKey(),
    response={200: BatchStatus, 403: Problem, 404: Problem, 409: Problem, **_KEYED},
    tags=["batches"],
)
def cancel(request: HttpRequest, token: str = Token):
    """Stop a batch that came with the same key; what was labelled stays."""
    batch = _own(request, token)
    if not batches.cancel(batch):
        return Status(409, {"detail": _("The batch has ended already.")})
    batch.refresh_from_db()
    return Status(200, _status(request, batch))


@api.get("/chips/{key}", response={200: ChipInfo, 404: Problem, 422: Invalid}, tags=["chips"])
def chip(request: HttpRequest, key: str = Token):
    """One chip's newest labels and probabilities."""
    found = get_object_or_404(Chip, key=key, hidden=False)
    newest = found.predictions.order_by("-model__used_at")
    prediction = newest.select_related("model").first()
    if prediction is None or found.retired or found.over:
        raise HttpError(404, "Not Found")
    values = Prediction.unpack(prediction.probability)
    return {
        "chip": found.key,
        "name": found.name,
        "width": found.width,
        "height": found.height,
        "tags": label_sets.names(found.labels if found.corrected else prediction.labels),
        "corrected": found.corrected,
        "confidence": prediction.confidence,
        "probability": {n: round(float(v), 6) for n, v in zip(LABELS, values, strict=True)},
        "model": str(prediction.model),
    }


@api.get("/labels", response=list[Label], tags=["model"])
def labels(request: HttpRequest):
    """The 17 labels, in the order of the paper."""
    return [
        {"name": n, "english": ENGLISH[n], "chinese": CHINESE[n], "group": GROUP[n]} for n in LABELS
    ]


@api.get("/model", response={200: ModelInfo, 503: Problem}, tags=["model"])
def model(request: HttpRequest):
    """The model that labels the chips now."""
    version = ModelVersion.current()
    if version is None:
        return Status(503, {"detail": _("No worker has loaded a model yet.")})
    return Status(
        200,
        {
            "name": version.name,
            "fingerprint": version.fingerprint,
            "card": version.card,
            "thresholds": dict(zip(LABELS, version.thresholds, strict=True)),
        },
    )
