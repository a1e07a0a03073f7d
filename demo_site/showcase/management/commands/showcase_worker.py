"""`manage.py showcase_worker`: django-tasks-db's worker with a heartbeat and its sweeps."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from showcase.keeper import run


class Command(BaseCommand):
    help = "Work on batches until interrupted. Start as many as the machine has cores to spare."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--interval", type=float, default=0.03, help="seconds between looks")
        parser.add_argument("--until-idle", action="store_true", help="end when nothing waits")

    def handle(self, *, interval: float, until_idle: bool, **options) -> None:
        run(interval=interval, until_idle=until_idle)
