"""The second factor of an account: codes, spare codes, sessions from before, and the command."""

from __future__ import annotations

import io
import re
import time
from base64 import b32decode

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import TOTP

pytestmark = pytest.mark.django_db
NAME, PASSWORD = "keeper", "a long password"


@pytest.fixture
def keeper(django_user_model):
    return django_user_model.objects.create_superuser(NAME, password=PASSWORD)


def second_factor(*arguments: str) -> str:
    out = io.StringIO()
    call_command("second_factor", NAME, *arguments, stdout=out)
    return out.getvalue()


def code(told: str, seconds: float = 0) -> str:
    """What an authenticator that was given the key shows now, or in so many seconds."""
    made = TOTP(b32decode(re.search(r"authenticator: (\w+)", told)[1]))
    made.time = time.time() + seconds
    return f"{made.token():06d}"


def sign_in(given: str = "", client: Client | None = None) -> tuple[Client, str]:
    client = client or Client()
    told = {"username": NAME, "password": PASSWORD, "code": given}
    return client, client.post("/login/", told).content.decode()


def is_staff(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def test_without_one_a_password_is_enough(keeper):
    client, _ = sign_in()
    assert is_staff(client)


def test_the_code_is_asked_for_and_taken_once(keeper):
    told = second_factor()
    client, page = sign_in()
    assert not is_staff(client)
    assert "The code is wrong, was used before, or is missing." in page
    right = code(told)
    # After a wrong one the device waits: a right one is not taken at once either.
    keeper.totpdevice_set.update(throttling_failure_count=0)
    client, _ = sign_in(f"{right[:3]} {right[3:]}")
    assert is_staff(client)
    other, page = sign_in(right)
    assert not is_staff(other)
    assert "was used before" in page


def test_a_wrong_code_slows_the_next_ones_down(keeper, settings):
    settings.OTP_TOTP_THROTTLE_FACTOR = 1000  # seconds: a busy machine may need the usual one
    told = second_factor()
    right = code(told)
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    assert not is_staff(sign_in(wrong)[0])
    assert not is_staff(sign_in(right)[0])


def test_a_spare_code_serves_once(keeper):
    told = second_factor()
    spare = re.search(r"each once: +(\w+)", told)[1]
    assert is_staff(sign_in(spare)[0])
    keeper.staticdevice_set.update(throttling_failure_count=0)
    keeper.totpdevice_set.update(throttling_failure_count=0)
    assert not is_staff(sign_in(spare)[0])


def test_a_session_from_before_is_a_visitors(keeper, client):
    client.force_login(keeper)
    assert is_staff(client)
    second_factor()
    assert not is_staff(client)
    assert client.get("/gallery/").status_code == 200
    second_factor("--remove")
    assert is_staff(client)


def test_where_every_account_needs_one(keeper, client, settings):
    client.force_login(keeper)
    settings.SECOND_FACTOR = True
    assert not is_staff(client)
    page = sign_in(client=client)[1]
    assert "This account needs a second factor" in page
    told = second_factor()
    assert is_staff(sign_in(code(told))[0])


def test_a_wrong_password_says_nothing_of_the_code(keeper):
    second_factor()
    page = Client().post("/login/", {"username": NAME, "password": "x"}).content.decode()
    assert "The code is wrong" not in page


def test_the_command_makes_new_ones_and_names_a_wrong_account(keeper):
    first, second = second_factor(), second_factor()
    assert first != second
    assert keeper.totpdevice_set.count() == keeper.staticdevice_set.count() == 1
    assert "otpauth://totp/" in second
    with pytest.raises(CommandError, match="no account is called 'nobody'"):
        call_command("second_factor", "nobody")
