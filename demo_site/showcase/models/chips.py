"""Chips by content, predictions by chip and model version, places in batches, corrections."""

from __future__ import annotations

import numpy as np
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from paperlib.labels import COUNT, LABELS

from .. import failure_reasons, filenames, label_sets
from ..states import PLACEMENT
from .batches import Batch, ModelVersion, Upload
from .fields import choices, token

RETIRED = "retired "  # stands before a chip's key instead of a sha256, and sorts behind all of them


class Chip(models.Model):
    """One chip by content; `labels` and `confidence` repeat its newest prediction.

    A private batch shares no chip with others: the same pixels are then another chip, so that
    nothing of it (comments, dates, its page) is seen by whoever has the same picture.
    """

    key = models.CharField(max_length=32, unique=True, default=token, editable=False)
    pictures = models.CharField(max_length=32, default=token, editable=False)  # their name
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

    @property
    def over(self) -> bool:
        """The time of all its batches is over, though they are still to be deleted."""
        present = self.placements.filter(batch__in=Batch.objects.present())
        return not present.exists() and self.placements.exists()


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

    def mask(self, limits: dict[int, np.ndarray] | None = None) -> int:
        """The labels given; by the thresholds of `services.rare.limits`, where it has some."""
        own = (limits or {}).get(self.model_id)
        if own is None:
            return self.labels
        on = self.unpack(self.probability) >= own
        return label_sets.mask(name for name, given in zip(LABELS, on, strict=True) if given)

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
    state = models.CharField(max_length=12, choices=choices(PLACEMENT), default="labelled")
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
        return self.mask()

    def mask(self, limits: dict[int, np.ndarray] | None = None) -> int:
        """`labels`, by other thresholds: see `Prediction.mask`."""
        if self.chip.corrected:
            return self.chip.labels
        return self.prediction.mask(limits) if self.prediction else 0

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
