"""`manage.py create_api_key NAME`: make a key for the API, shown once."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from showcase.web.api import new_key


class Command(BaseCommand):
    help = "Make an API key and print it; only its hash is kept."

    def add_arguments(self, parser) -> None:
        parser.add_argument("name", help="whose key it is")
        parser.add_argument("--per-hour", type=int, default=0, help="requests per hour")

    def handle(self, *, name: str, per_hour: int, **options) -> None:
        self.stdout.write(new_key(name[:80], per_hour))
