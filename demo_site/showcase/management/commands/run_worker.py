"""`manage.py run_worker`: label batches as they come."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from showcase.worker.loop import Loop


class Command(BaseCommand):
    help = "Work on batches until interrupted. Start as many as the machine has cores to spare."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--until-idle", action="store_true", help="end when nothing waits")

    def handle(self, *, until_idle: bool, **options) -> None:
        Loop().run(until_idle=until_idle)
