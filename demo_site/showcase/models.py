"""The database: batches of uploads, chips by content, predictions by chip and model version."""

from __future__ import annotations

import secrets

import numpy as np
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from paperlib.labels import COUNT

from . import failure_reasons, filenames, label_sets
from .states import BATCH, PLACEMENT, UPLOAD

RETIRED = "retired "  # stands before a chip's key instead of a sha256, and sorts behind all of them


def token() -> str:
    """128 random bits: an address nobody can guess."""
    return secrets.token_urlsafe(16)


def _choices(machine) -> list[tuple[str, str]]:
    return [(state.name, state.name) for state in machine.states]


class ModelVersion(models.Model):
    """One released model; `fingerprint` changes with any of its files."""

    name = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64, unique=True)
    card = models.JSONField(default=dict)
    thresholds = models.JSONField(default=list)  # 17 numbers, in the order of LABELS
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("model version")

    def __str__(self) -> str:
        return f"{self.name} {self.fingerprint[:8]}"

    @classmethod
    def current(cls) -> ModelVersion | None:
        """The version that a worker loaded last."""
        return cls.objects.order_by("-used_at").first()


class Batches(models.QuerySet):
    def present(self) -> Batches:
        """Those whose time is not over: what has vanished is gone at that moment, though its rows
        and files go with the next sweep."""
        return self.exclude(vanishes_at__lt=timezone.now())


class Batch(models.Model):
    """What one visitor sent at once."""

    token = models.CharField(max_length=32, unique=True, default=token, editable=False)
    title = models.CharField(max_length=120, blank=True)
    state = models.CharField(max_length=12, choices=_choices(BATCH), default="receiving")
    private = models.BooleanField(default=False)
    example = models.BooleanField(default=False)
    model = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField(default=timezone.now)
    queued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    touched_at = models.DateTimeField(default=timezone.now)  # the last file
    vanishes_at = models.DateTimeField(null=True, blank=True)
    key = models.ForeignKey(  # that it came with through the API: only this one may cancel it
        "ApiKey", null=True, blank=True, on_delete=models.SET_NULL, related_name="batches"
    )
    request = models.CharField(max_length=64, blank=True)  # what its key calls it, sent once only
    owner = models.CharField(max_length=32, blank=True)  # keyed hash of the browser's name
    sender = models.CharField(max_length=40, blank=True)  # keyed hash of its address, or its key
    # The batch is its own place in the queue: a worker has it until `lease_until`, by the
    # database's clock, and whoever takes it later continues where the rows end.
    worker = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    taken_at = models.DateTimeField(null=True, blank=True)  # last, for the turns of senders
    not_before = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)  # without progress
    read_seconds = models.FloatField(default=0)  # that the decoder took for its files
    setback = models.CharField(max_length=300, blank=True)  # a code of failure_reasons.SETBACKS
    size = models.PositiveBigIntegerField(default=0)  # bytes of its files as they were sent
    files = models.PositiveIntegerField(default=0)
    files_read = models.PositiveIntegerField(default=0)
    files_failed = models.PositiveIntegerField(default=0)
    chips = models.PositiveIntegerField(default=0)
    chips_labelled = models.PositiveIntegerField(default=0)
    chips_known = models.PositiveIntegerField(default=0)  # labelled without a new prediction
    chips_failed = models.PositiveIntegerField(default=0)

    objects = Batches.as_manager()

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        constraints = [
            models.UniqueConstraint(
                fields=["key", "request"], name="batch_request_once", condition=~Q(request="")
            )
        ]
        indexes = [
            models.Index(fields=["state", "queued_at"], name="batch_queue"),
            models.Index(fields=["private", "-id"], name="batch_public"),
            models.Index(fields=["owner", "-id"], name="batch_owner"),
            models.Index(fields=["sender", "-taken_at"], name="batch_sender"),
            models.Index(
                fields=["vanishes_at"], name="batch_vanish", condition=Q(vanishes_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.title or f"batch {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("batch", args=[self.token])

    @property
    def trouble(self) -> str:
        """What holds the batch up, as a sentence; "" where nothing does."""
        return "" if self.finished else failure_reasons.setback(self.setback)

    @property
    def finished(self) -> bool:
        return self.state in BATCH.final

    @property
    def scope(self) -> str:
        """Among whose chips its own are known again: everybody's, or those of one owner only."""
        return (self.owner or self.token) if self.private else ""


class Upload(models.Model):
    """One file as it was sent, or one member of a zip; its copy lies in the storage until drawn."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="uploads")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE)
    position = models.PositiveIntegerField(default=0)  # order in the batch, or in the zip
    name = models.CharField(max_length=160)  # cleaned for display; never part of a path
    state = models.CharField(max_length=12, choices=_choices(UPLOAD), default="stored")
    code = models.CharField(max_length=40, blank=True)  # of failure_reasons.REASONS
    copy = models.CharField(max_length=160, blank=True)  # storage name; "" once it is deleted
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=8, blank=True)  # jpeg, png, tiff, zip: by content
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    columns = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            # Unpacking the same zip again after a kill adds nothing twice.
            models.UniqueConstraint(fields=["parent", "position"], name="upload_member_once")
        ]
        indexes = [
            models.Index(fields=["batch", "state"], name="upload_batch_state"),
            models.Index(fields=["copy"], name="upload_copy", condition=~Q(copy="")),
            models.Index(fields=["sha256"], name="upload_sha256"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def reason(self) -> str:
        """Why it failed, as a sentence."""
        return failure_reasons.sentence(self.code)


class Chip(models.Model):
    """One chip by content; `labels` and `confidence` repeat its newest prediction.

    A private batch shares no chip with others: the same pixels are then another chip, so that
    nothing of it (comments, dates, its page) is seen by whoever has the same picture.
    """

    key = models.CharField(max_length=32, unique=True, default=token, editable=False)
    sha256 = models.CharField(max_length=64, unique=True)  # of content and scope
    content = models.CharField(max_length=64, db_index=True)  # sha256 of shape and pixels
    name = models.CharField(max_length=160, blank=True)  # of its first upload
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    added_at = models.DateTimeField(default=timezone.now)
    public = models.BooleanField(default=False)  # of batches that are not private
    hidden = models.BooleanField(default=False)  # taken out of the gallery by staff
    shown = models.BooleanField(default=False)  # public, labelled and not hidden
    labels = models.PositiveIntegerField(default=0)
    confidence = models.FloatField(default=0)  # 0 only where the model refused it
    corrected = models.BooleanField(default=False)  # labels are those of an accepted correction
    drawn = models.BooleanField(default=False)  # original and thumbnail are there
    views = models.BooleanField(default=False)  # dehazed copy and transmission map are there
    tries = models.PositiveSmallIntegerField(default=0)  # to draw it, that failed

    class Meta:
        indexes = [
            # The gallery filters inside these two indexes and fetches only the rows of one page.
            # `shown` stands in them although they hold no other rows: SQLite reads it even so.
            models.Index(
                fields=["id", "labels", "confidence", "added_at", "shown", "name"],
                name="chip_newest",
                condition=Q(shown=True),
            ),
            models.Index(
                fields=["confidence", "id", "labels", "added_at", "shown", "name"],
                name="chip_confidence",
                condition=Q(shown=True),
            ),
            models.Index(fields=["id"], name="chip_undrawn", condition=Q(views=False)),
        ]

    def __str__(self) -> str:
        return self.name or self.key

    def get_absolute_url(self) -> str:
        return reverse("chip", args=[self.key])

    @property
    def retired(self) -> bool:
        """Its last batch is gone; its row follows when its files are deleted."""
        return self.sha256.startswith(RETIRED)


class Prediction(models.Model):
    """What one model version says about one chip."""

    chip = models.ForeignKey(Chip, on_delete=models.CASCADE, related_name="predictions")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT)
    probability = models.BinaryField()  # (17,) float32, recalibrated
    raw = models.BinaryField()  # (17,) float32, before the ridge step
    labels = models.PositiveIntegerField(default=0)
    confidence = models.FloatField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chip", "model"], name="predicted_once_per_model")
        ]

    def __str__(self) -> str:
        return f"{self.chip_id} by {self.model_id}"

    @staticmethod
    def pack(values: np.ndarray) -> bytes:
        values = np.asarray(values, "<f4")
        if values.shape != (COUNT,):
            raise ValueError(f"values: expected shape ({COUNT},), got {values.shape}")
        return values.tobytes()

    @staticmethod
    def unpack(stored: bytes | memoryview) -> np.ndarray:
        return np.frombuffer(bytes(stored), "<f4")


class Placement(models.Model):
    """One chip at its place in one upload of one batch."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="placements")
    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="placements")
    chip = models.ForeignKey(Chip, on_delete=models.PROTECT, related_name="placements")
    row = models.PositiveIntegerField(default=0)
    column = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=12, choices=_choices(PLACEMENT), default="labelled")
    code = models.CharField(max_length=40, blank=True)  # of failure_reasons.REASONS
    known = models.BooleanField(default=False)  # its prediction was there before this batch
    prediction = models.ForeignKey(Prediction, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["upload", "row", "column"], name="one_chip_per_place")
        ]
        indexes = [
            models.Index(fields=["batch", "state"], name="placement_batch_state"),
            models.Index(fields=["batch", "chip"], name="placement_batch_chip"),
        ]

    def __str__(self) -> str:
        return f"{self.upload_id}[{self.row}, {self.column}]"

    @property
    def reason(self) -> str:
        """Why it failed, as a sentence."""
        return failure_reasons.sentence(self.code)

    @property
    def labels(self) -> int:
        """What counts as its labels: a correction goes before what the model said."""
        if self.chip.corrected:
            return self.chip.labels
        return self.prediction.labels if self.prediction else 0

    @property
    def name(self) -> str:
        """The upload's name, with row and column where the upload is a mosaic."""
        chips = self.upload.rows * self.upload.columns
        return filenames.place_name(self.upload.name, chips, self.row, self.column)


class Flag(models.Model):
    """A visitor says that a chip's labels are wrong, and which ones are right."""

    STATES = [("open", _("open")), ("accepted", _("accepted")), ("rejected", _("rejected"))]

    chip = models.ForeignKey(Chip, on_delete=models.CASCADE, related_name="flags")
    labels = models.PositiveIntegerField()
    comment = models.CharField(max_length=500, blank=True)
    owner = models.CharField(max_length=32, blank=True)  # keyed hash of the browser's name
    state = models.CharField(max_length=10, choices=STATES, default="open", db_index=True)
    created_at = models.DateTimeField(default=timezone.now)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.chip_id}: {' '.join(label_sets.names(self.labels))}"


class ApiKey(models.Model):
    """A key for writing through the API; only its hash is stored, and how it begins."""

    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, blank=True)  # to know it again
    digest = models.CharField(max_length=64, unique=True)
    per_hour = models.PositiveIntegerField(default=0)  # 0: the site's own limit
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """A worker process; alive while `seen_at` is young."""

    name = models.CharField(max_length=64, unique=True)
    host = models.CharField(max_length=80)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, db_index=True)
    ready = models.BooleanField(default=False)  # its model is loaded
    trouble = models.CharField(max_length=300, blank=True)
    unprotected = models.CharField(max_length=60, blank=True)  # layers its decoder lacks
    chip_seconds = models.FloatField(default=0)  # running mean, for the estimate

    def __str__(self) -> str:
        return self.name


class Count(models.Model):
    """Events of one kind by one visitor in one hour, for the rate limits."""

    what = models.CharField(max_length=80)  # kind and keyed hash of the address
    hour = models.PositiveIntegerField()
    events = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["what", "hour"], name="one_count_per_hour")]
        indexes = [models.Index(fields=["hour"], name="count_hour")]

    def __str__(self) -> str:
        return f"{self.what} {self.hour}"
