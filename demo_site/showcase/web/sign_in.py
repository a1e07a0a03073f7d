"""Signing in: a password, and for accounts that have one, or must have one, a second factor."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django_otp import match_token, user_has_device


def needs_code(user) -> bool:
    """Whether a password alone is not enough for this account."""
    return settings.SECOND_FACTOR or user_has_device(user)


class SignIn(AuthenticationForm):
    """User name, password and, where the account needs it, the code of a second factor."""

    code = forms.CharField(required=False, max_length=20)

    def clean(self) -> dict:
        given = super().clean()
        user = self.get_user()
        if user is None or not needs_code(user):
            return given
        if not user_has_device(user):
            raise ValidationError(
                _("This account needs a second factor: ask whoever runs the site for one.")
            )
        # Each device lets itself be tried more and more slowly, and takes a code only once.
        user.otp_device = match_token(user, given.get("code", "").replace(" ", ""))
        if user.otp_device is None:
            self.user_cache = None
            raise ValidationError(_("The code is wrong, was used before, or is missing."))
        return given


class SecondFactor:
    """Whoever needs a code and is here without one counts as a visitor."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        user = request.user  # still to be asked for: only pages that look at it vary by cookie

        def checked():
            if user.is_authenticated and not user.is_verified() and needs_code(user):
                return AnonymousUser()
            return user

        request.user = SimpleLazyObject(checked)
        return self.get_response(request)
