"""The example gallery of a fresh site: generated scenes, uploaded like any visitor's pictures."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.db import transaction

from paperlib.chips import scenes

from .. import storage
from ..models import Batch, Upload
from ..services import chip_images, uploads


def fill() -> bool:
    """Draw the scenes of an example batch that waits for them, store and submit it.

    False where none waits: `manage.py load_examples` opens it on a site without batches.
    """
    batch = Batch.objects.filter(example=True, state="receiving").first()
    if batch is None:
        return False
    for index in range(batch.uploads.count(), int(settings.SHOWCASE["EXAMPLES"])):
        data = chip_images.png(scenes.scene(index, size=256).image)
        copy = storage.new_copy()
        storage.write(copy, data)
        with transaction.atomic():
            held = Batch.objects.select_for_update().get(pk=batch.pk)
            if held.state != "receiving" or held.files != index:
                return True  # another worker is at it
            digest = hashlib.sha256(data).hexdigest()
            Upload.objects.create(batch=held, position=index, name=f"scene_{index:06d}",
                                  copy=copy, size=len(data), sha256=digest)  # fmt: skip
            held.files, held.size = index + 1, held.size + len(data)
            held.save(update_fields=["files", "size"])
    uploads.submit(batch)
    return True
