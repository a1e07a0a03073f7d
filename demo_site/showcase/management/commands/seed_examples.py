"""`manage.py seed_examples`: queue the example gallery, once, on a site without batches."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from showcase.examples import wanted
from showcase.tasks import seed_examples


class Command(BaseCommand):
    help = "Queue the example gallery of generated scenes where the site is empty."

    def handle(self, **options) -> None:
        if wanted():
            seed_examples.enqueue()
            self.stdout.write("queued")
