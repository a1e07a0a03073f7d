"""`manage.py load_examples`: open the example gallery, once, on a site without batches."""

from __future__ import annotations

from django.conf import settings
from django.core.management.base import BaseCommand

from showcase.models import Batch
from showcase.services.uploads import open_batch


class Command(BaseCommand):
    help = "Let a worker fill the example gallery of generated scenes where the site is empty."

    def handle(self, **options) -> None:
        if int(settings.SHOWCASE["EXAMPLES"]) > 0 and not Batch.objects.exists():
            open_batch(title="Generated scenes", example=True)
            self.stdout.write("opened")
