"""What the site itself needs: keys, workers, counts."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


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
    sends_only = models.BooleanField(default=False)  # it cannot list, cancel or delete

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
