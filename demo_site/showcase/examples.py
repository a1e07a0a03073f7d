"""The example gallery of a fresh site: generated scenes, uploaded like any visitor's pictures."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from paperlib.chips import scenes

from . import copies, intake, signals, storage
from .models import Batch, Upload
from .states import BATCH


def wanted() -> bool:
    """True on a site that has no batch yet."""
    return int(settings.SHOWCASE["EXAMPLES"]) > 0 and not Batch.objects.exists()


def seed() -> int:
    """Draw the scenes, store them as upload copies, and queue the batch; how many there are."""
    count = int(settings.SHOWCASE["EXAMPLES"])
    batch = Batch.objects.filter(example=True).first()
    if batch is None:
        batch = intake.open_batch(title="Generated scenes", example=True)
    if batch.state != "receiving":
        return 0
    for index in range(batch.uploads.count(), count):
        data = copies.png(scenes.scene(index, size=256).image)
        copy = storage.new_copy()
        storage.write(copy, data)
        Upload.objects.create(
            batch=batch,
            position=index,
            name=f"scene_{index:06d}",
            copy=copy,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
    with transaction.atomic():
        now = timezone.now()
        rows = Batch.objects.filter(pk=batch.pk)
        if BATCH.step(rows, "submit", queued_at=now, touched_at=now, files=count):
            signals.batch_waits.send(None, batch=batch.pk)
    return count
