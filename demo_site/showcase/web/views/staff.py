"""Hiding and deleting, by staff that has the right to; owners delete their own batches."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from ...models import Batch, Chip
from ...services import deletion, rate_limits
from .. import ownership
from ..sign_in import SignIn
from . import errors


def _logged(request: HttpRequest, row, action: int, what: str) -> None:
    """Who did it, in the administration's own journal."""
    LogEntry.objects.log_actions(request.user.pk, [row], action, what, single_object=True)


@require_POST
def delete_batch(request: HttpRequest, token: str) -> HttpResponse:
    """By the browser that opened it, or by staff."""
    batch = get_object_or_404(Batch, token=token)
    if not ownership.owns(request, batch):
        if not request.user.has_perm("showcase.delete_batch"):
            return errors.forbidden(request)
        _logged(request, batch, DELETION, "deleted on its page")
    deletion.remove_batch(batch)
    messages.success(request, _("The batch was deleted."))
    return redirect("home")


@require_POST
@permission_required("showcase.change_chip", raise_exception=True)
def hide_chip(request: HttpRequest, key: str) -> HttpResponse:
    """Take a chip out of the gallery, or put it back."""
    chip = get_object_or_404(Chip, key=key)
    deletion.set_hidden(chip, not chip.hidden)
    _logged(request, chip, CHANGE, "hidden" if chip.hidden else "shown again")
    return redirect(chip)


@require_POST
@permission_required("showcase.delete_chip", raise_exception=True)
def delete_chip(request: HttpRequest, key: str) -> HttpResponse:
    chip = get_object_or_404(Chip, key=key)
    _logged(request, chip, DELETION, "deleted on its page")
    deletion.remove_chip(chip)
    messages.success(request, _("The chip was deleted."))
    return redirect("gallery")


class Login(auth_views.LoginView):
    template_name = "showcase/login.html"
    form_class = SignIn

    def post(self, request, *args, **kwargs):
        if ownership.limited(request, "logins"):
            return errors.too_many(request)
        # As the form reads it: other spaces or wide letters are no other account.
        account = get_user_model().normalize_username(request.POST.get("username", "")).strip()
        most = settings.SHOWCASE["LOGINS_PER_HOUR"]
        who = hashlib.sha256(account.casefold().encode()).hexdigest()[:32]
        # An account has its own limit, from however many addresses it is tried.
        if account and not rate_limits.within("account", who, int(most)):
            return errors.too_many(request)
        return super().post(request, *args, **kwargs)
