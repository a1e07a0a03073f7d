"""The API: upload, status, results. Reading is free; writing needs a key with a limit per hour.

The description is OpenAPI 3.1 at `/api/v1/openapi.json`, for people at `/api/v1/docs`. Keys, states
and label names are for programs and the same in every language; sentences (`reason`, `detail`,
`trouble`) are in the language that `Accept-Language` asks for.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import Field, File, Form, NinjaAPI, Path, Query, Schema, Status, UploadedFile
from ninja.errors import HttpError
from ninja.security import APIKeyHeader

from paperlib.labels import CHINESE, ENGLISH, GROUP, LABELS

from ..limits import USUAL_DAYS
from ..models import ApiKey, Batch, Chip, ModelVersion, Prediction
from ..services import batches, exports, progress, rate_limits, uploads

api = NinjaAPI(
    title="Showcase API",
    version="1",
    description="Send satellite chips, get their labels. Keys come from those who run the site.",
    docs_url=None,  # the site's own page: readable without scripts, and by screen readers
)
_FAILED = 500  # failed files in one answer
Token = Path(..., pattern="^[A-Za-z0-9_-]{1,32}$", description="From the answer to the upload")


class KeyHeader(APIKeyHeader):
    param_name = "X-API-Key"

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey | None:
        if not key:
            return None
        found = ApiKey.objects.filter(digest=digest(key), revoked=False).first()
        if found is None:
            return None
        most = found.per_hour or int(settings.SHOWCASE["KEY_REQUESTS_PER_HOUR"])
        if not rate_limits.within("key", str(found.pk), most):
            raise HttpError(429, _("This key may send %(n)d requests per hour.") % {"n": most})
        ApiKey.objects.filter(pk=found.pk).update(used_at=timezone.now())
        return found


def digest(key: str) -> str:
    """Keys are random and long: a plain hash is enough to keep them by."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key(name: str, per_hour: int = 0) -> str:
    """Make a key; it is shown this once and kept as a hash only."""
    key = "pk_" + secrets.token_urlsafe(32)
    ApiKey.objects.create(name=name, digest=digest(key), per_hour=per_hour)
    return key


class Problem(Schema):
    detail: str


class Invalid(Schema):
    """Which part of the request does not fit the description."""

    detail: list[dict]


class TakenFile(Schema):
    name: str
    accepted: bool
    reason: str = ""


class BatchStatus(Schema):
    token: str
    url: str = Field(description="The batch's page for people")
    state: Literal["receiving", "queued", "running", "done", "failed", "cancelled"]
    finished: bool
    private: bool
    files: int
    files_failed: int
    chips: int
    labelled: int
    known: int = Field(description="Labelled without a new prediction: the same content was known")
    failed: int
    percent: int | None = None
    batches_ahead: int
    seconds_left: int | None = None
    created: datetime
    trouble: str = ""


class Accepted(BatchStatus):
    taken: list[TakenFile]


class ChipResult(Schema):
    image_name: str = Field(description="As in the csv; numbered where files have the same name")
    chip: str
    row: int
    column: int
    state: Literal["labelled", "failed", "hidden"]
    reason: str
    tags: list[str]
    probability: dict[str, float]


class FailedFile(Schema):
    name: str
    reason: str


class Results(Schema):
    chips: list[ChipResult]
    failed_files: list[FailedFile] = Field(description="At most 500, on the first page only")
    next: int | None = Field(None, description="Give it as `after` for the next page")
    next_failed: int | None = Field(
        None, description="Give it as `failed_after` for further failed files"
    )


class ChipInfo(Schema):
    chip: str
    name: str
    width: int
    height: int
    tags: list[str]
    confidence: float
    probability: dict[str, float]
    model: str


class Label(Schema):
    name: str
    english: str
    chinese: str
    group: Literal["weather", "common", "rare"]


class ModelInfo(Schema):
    name: str
    fingerprint: str
    card: dict
    thresholds: dict[str, float]


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


@api.post(
    "/batches",
    auth=KeyHeader(),
    response={202: Accepted, 400: Problem, 401: Problem, 413: Problem, 422: Invalid, 429: Problem},
    tags=["batches"],
)
def upload(
    request: HttpRequest,
    files: File[list[UploadedFile]],
    title: Form[str] = "",
    private: Form[bool] = True,
    days: Form[Literal[0, 1, 7, 30]] = USUAL_DAYS,
):
    """Send pictures (JPEG, PNG, TIFF, GeoTIFF) or zips of them; they are labelled while you wait.

    The batch vanishes after so many days as you give, 0 keeps it.
    """
    sender = f"key:{request.auth.pk}"
    if not rate_limits.within("files", sender, rate_limits.per_hour("files"), len(files)):
        raise HttpError(429, _("Too many files with this key in this hour."))
    try:
        batch = uploads.open_batch(
            title=title[:200], private=private, days=days, sender=sender, key=request.auth
        )
    except uploads.Refused as refusal:
        raise HttpError(429, str(refusal)) from None
    taken = uploads.add_files(batch, files)
    try:
        uploads.submit(batch)
    except uploads.Refused:
        batches.cancel(batch)
        reasons = "; ".join(f"{one['name']}: {one['reason']}" for one in taken[:5])
        return Status(400, {"detail": _("No file was accepted: %(why)s") % {"why": reasons}})
    batch.refresh_from_db()
    return Status(202, {**_status(request, batch), "taken": taken})


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
):
    """The chips that are done so far, first sent first; results appear while the batch runs."""
    batch = get_object_or_404(Batch.objects.present(), token=token)
    rows = batch.placements.filter(state__in=("labelled", "failed"), pk__gt=after)
    found = list(rows.select_related("chip", "upload", "prediction").order_by("pk")[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    name = exports.chip_names(batch)
    failed, more_failed = [], False
    if failed_after is not None or not after:
        rows = batch.uploads.filter(state="failed", pk__gt=failed_after or 0).order_by("pk")
        failed = list(rows[: _FAILED + 1])
        more_failed, failed = len(failed) > _FAILED, failed[:_FAILED]
    return {
        "chips": [exports.chip_entry(place, name(place)) for place in found],
        "failed_files": failed,
        "next": found[-1].pk if more else None,
        "next_failed": failed[-1].pk if more_failed else None,
    }


@api.post(
    "/batches/{token}/cancel",
    auth=KeyHeader(),
    response={
        200: BatchStatus,
        401: Problem,
        403: Problem,
        404: Problem,
        409: Problem,
        422: Invalid,
        429: Problem,
    },
    tags=["batches"],
)
def cancel(request: HttpRequest, token: str = Token):
    """Stop a batch that came with the same key; what was labelled stays."""
    batch = get_object_or_404(Batch.objects.present(), token=token)
    if batch.key_id != request.auth.pk:  # a public batch's token stands in the gallery
        return Status(403, {"detail": _("Only the key that a batch came with may cancel it.")})
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
    if prediction is None:
        raise HttpError(404, "Not Found")
    from .. import label_sets

    values = Prediction.unpack(prediction.probability)
    return {
        "chip": found.key,
        "name": found.name,
        "width": found.width,
        "height": found.height,
        "tags": label_sets.names(prediction.labels),
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
