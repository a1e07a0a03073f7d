"""`manage.py create_api_key NAME`: make a key for the API, shown once."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from showcase.services import api_keys


class Command(BaseCommand):
    help = "Make an API key and print it; only its hash is kept."

    def add_arguments(self, parser) -> None:
        parser.add_argument("name", help="whose key it is")
        parser.add_argument("--per-hour", type=int, default=0, help="requests per hour")
        parser.add_argument("--days", type=int, default=0, help="until it ends; 0: never")
        parser.add_argument(
            "--sends-only", action="store_true", help="it cannot list, cancel or delete batches"
        )

    def handle(self, *, name, per_hour, days, sends_only, **options) -> None:
        self.stdout.write(api_keys.make(name[:80], per_hour, days, sends_only=sends_only))
