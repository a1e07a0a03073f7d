"""`manage.py load_examples`: send the example gallery, once, on a site without batches."""

from __future__ import annotations

from django.conf import settings
from django.core.management.base import BaseCommand

from paperlib.chips import scenes
from showcase.models import Batch
from showcase.services import chip_images, uploads
from showcase.web.upload_handlers import stored


class Command(BaseCommand):
    help = "Send generated scenes, like any visitor's pictures, where the site is empty."

    def handle(self, **options) -> None:
        if not settings.SHOWCASE["EXAMPLES"] or Batch.objects.exists():
            return
        batch = uploads.open_batch(title="Generated scenes", example=True)
        for i in range(int(settings.SHOWCASE["EXAMPLES"])):
            data = chip_images.png(scenes.scene(i, size=256).image)
            uploads.add_files(batch, [stored(f"scene_{i:06d}.png", "image/png", data)])
        uploads.submit(batch)
        self.stdout.write("sent")
