"""`manage.py second_factor NAME`: give an account of staff a second factor, shown once."""

from __future__ import annotations

from base64 import b32encode

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

SPARE = 8  # codes for the day on which the telephone is lost


class Command(BaseCommand):
    help = "Make a key for an authenticator and spare codes; what the account had before is gone."

    def add_arguments(self, parser) -> None:
        parser.add_argument("name", help="of the account")
        parser.add_argument("--remove", action="store_true", help="take it away, and give none")

    @transaction.atomic
    def handle(self, *, name: str, remove: bool, **options) -> None:
        user = get_user_model().objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"no account is called {name!r}: manage.py createsuperuser")
        for kind in (TOTPDevice, StaticDevice):
            kind.objects.filter(user=user).delete()
        if remove:
            self.stdout.write(f"{name} signs in by password alone")
            return
        device = TOTPDevice.objects.create(user=user, name="authenticator")
        spare = StaticDevice.objects.create(user=user, name="spare codes")
        codes = [StaticToken.random_token() for _ in range(SPARE)]
        StaticToken.objects.bulk_create(StaticToken(device=spare, token=one) for one in codes)
        self.stdout.write(f"key for an authenticator: {b32encode(device.bin_key).decode()}")
        self.stdout.write(f"the same as an address:   {device.config_url}")
        self.stdout.write(f"spare codes, each once:   {' '.join(codes)}")
