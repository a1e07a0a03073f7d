"""Batches of uploads, and the model that labelled them."""

from __future__ import annotations

import hashlib

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from paperlib.labels import LABELS

from .. import failure_reasons
from ..states import BATCH, UPLOAD
from .fields import choices, token


class ModelVersion(models.Model):
    """One released model; `fingerprint` is the sha256 of its card and thresholds."""

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

    @property
    def rare_thresholds(self) -> list[float]:
        """Those for each label's own F2, in the order of `LABELS`; none where the card has none."""
        own = self.card.get("label_thresholds") or {}
        return [float(own[name]) for name in LABELS] if own.keys() >= set(LABELS) else []

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
    state = models.CharField(max_length=12, choices=choices(BATCH), default="receiving")
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

    def identity(self, content: str) -> str:
        """The sha256 of its chip with such pixels: of the content, among the chips of its scope."""
        scope = self.scope
        return hashlib.sha256(f"{scope} {content}".encode()).hexdigest() if scope else content


class Upload(models.Model):
    """One file as it was sent, or one member of a zip; its copy lies in the storage until drawn."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="uploads")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE)
    position = models.PositiveIntegerField(default=0)  # order in the batch, or in the zip
    name = models.CharField(max_length=160)  # cleaned for display; never part of a path
    state = models.CharField(max_length=12, choices=choices(UPLOAD), default="stored")
    code = models.CharField(max_length=40, blank=True)  # of failure_reasons.REASONS
    copy = models.CharField(max_length=160, blank=True)  # storage name; "" once it is deleted
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=8, blank=True)  # jpeg, png, tiff, zip: by content
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    columns = models.PositiveIntegerField(default=0)
    corners = models.JSONField(null=True, blank=True)  # of a GeoTIFF: four times [lon, lat]

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
