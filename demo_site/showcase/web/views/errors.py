"""Pages for what went wrong: what happened, and what to do."""

from __future__ import annotations

import logging
import sys

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from ...limits import limits

log = logging.getLogger("showcase.requests")


def answer(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    if request.path.startswith("/api/") or "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"detail": text}, status=status)
    try:
        return render(request, "showcase/error.html", {"title": title, "text": text}, status=status)
    except Exception:  # the page itself may need what is broken
        return HttpResponse(f"{title}\n{text}\n", status=status, content_type="text/plain")


def bad_request(request, exception=None):
    from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
    from django.http.multipartparser import MultiPartParserError

    from .. import upload_handlers

    if isinstance(exception, RequestDataTooBig) and not upload_handlers.takes_files(request):
        return answer(request, 413, _("Too large"), _("No files are taken at this address."))
    if isinstance(exception, RequestDataTooBig):
        text = _("A batch holds at most %(mb)g MB.") % {"mb": limits().batch_mb}
        return answer(request, 413, _("Too large"), text)
    if isinstance(exception, TooManyFilesSent):
        text = _("A batch holds at most %(n)d files.") % {"n": limits().files}
        return answer(request, 413, _("Too many files"), text)
    if isinstance(exception, MultiPartParserError):
        text = _("The form could not be read. Perhaps a file's name with its folders is too long.")
        return answer(request, 400, _("Bad request"), text)
    return answer(request, 400, _("Bad request"), _("The request could not be understood."))


def forbidden(request, exception=None):
    text = str(exception) if exception and str(exception) else _("You may not do this.")
    return answer(request, 403, _("Not allowed"), text)


def csrf_failure(request, reason=""):
    text = _("The form was too old or came from another site. Reload the page and try again.")
    return answer(request, 403, _("Not allowed"), text)


def not_found(request, exception=None):
    return answer(request, 404, _("Not found"), _("There is nothing at this address."))


def server_error(request):
    """503 for what passes by itself, a full disk say, and 500 for any other exception."""
    exception = sys.exc_info()[1]
    if isinstance(exception, OperationalError):
        what, text = "database", _("The database does not answer. Nothing was lost; try again.")
    elif isinstance(exception, OSError):
        what, text = "files", _("The file store does not answer or is full. Try again later.")
    else:
        text = _("The fault was logged. Try again later.")
        return answer(request, 500, _("Something broke"), text)
    log.error("trouble", extra={"what": what, "error": str(exception)})
    response = answer(request, 503, _("One moment, please"), text)
    response["Retry-After"] = "5"
    return response


def too_many(request, text: str = ""):
    text = text or _("Too many requests from your address in this hour. Please come back later.")
    response = answer(request, 429, _("Too many requests"), text)
    response["Retry-After"] = "600"
    return response
