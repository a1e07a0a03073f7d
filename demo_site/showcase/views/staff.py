"""What only a signed-in staff member may do: hide and delete."""

from __future__ import annotations

from functools import wraps

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from .. import removal, visitors
from ..models import Batch, Chip
from . import errors


def staff_only(view):
    @wraps(view)
    def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        if not (request.user.is_authenticated and request.user.is_staff):
            return errors.forbidden(request)
        return view(request, *args, **kwargs)

    return guarded


@require_POST
@staff_only
def delete_batch(request: HttpRequest, token: str) -> HttpResponse:
    removal.remove_batch(get_object_or_404(Batch, token=token))
    messages.success(request, _("The batch was deleted."))
    return redirect("gallery")


@require_POST
@staff_only
def hide_chip(request: HttpRequest, key: str) -> HttpResponse:
    """Take a chip out of the gallery, or put it back."""
    chip = get_object_or_404(Chip, key=key)
    removal.set_hidden(chip, not chip.hidden)
    return redirect(chip)


@require_POST
@staff_only
def delete_chip(request: HttpRequest, key: str) -> HttpResponse:
    removal.remove_chip(get_object_or_404(Chip, key=key))
    messages.success(request, _("The chip was deleted."))
    return redirect("gallery")


class Login(auth_views.LoginView):
    template_name = "showcase/login.html"

    def post(self, request, *args, **kwargs):
        if visitors.limited(request, "logins"):
            return errors.too_many(request)
        return super().post(request, *args, **kwargs)


class Logout(auth_views.LogoutView):
    pass
