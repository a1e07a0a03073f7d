"""Whether the site can work: database, file store, workers, model; and which workers are alive."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from datetime import timedelta

from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from . import storage
from .models import Batch, Worker

log = logging.getLogger("showcase.health")
FRESH = 10  # seconds that an answer of the file store counts
_asked = threading.Lock()
_last = {"said": "", "until": 0.0}


def alive():
    """Workers whose heartbeat is young."""
    young = timezone.now() - timedelta(seconds=settings.SHOWCASE["LOST_SECONDS"])
    return Worker.objects.filter(seen_at__gte=young)


def workers() -> dict:
    """`{"alive", "ready", "trouble"}`: how many workers, how many with a model, what is wrong."""
    rows = list(alive())
    trouble = next((w.trouble for w in rows if w.trouble), "")
    return {"alive": len(rows), "ready": sum(w.ready for w in rows), "trouble": trouble}


def _files() -> str:
    """Whether the file store can be written; tried every `FRESH` seconds at most.

    Anybody may ask, and each try costs the store two requests, which S3 bills.
    """
    with _asked:
        if time.monotonic() >= _last["until"]:
            try:
                name = f"health/{uuid.uuid4().hex}"
                storage.write(name, b"ok")
                storage.remove([name])
                _last["said"] = "ok"
            except Exception as error:  # any backend's own exception
                log.error("file store check failed", extra={"error": str(error)})
                _last["said"] = "cannot be written"
            _last["until"] = time.monotonic() + FRESH
        return _last["said"]


def report() -> dict:
    checks: dict[str, str] = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        checks["database"] = "ok"
        found = workers()
        if not found["alive"]:
            checks["worker"] = "no worker is running"
        elif not found["ready"]:
            checks["worker"] = "the model is not loaded"  # details are in the log, not public
        else:
            checks["worker"] = "ok"
        checks["queue"] = str(Batch.objects.filter(state="queued").count())
    except Error as error:
        log.error("database check failed", extra={"error": str(error)})
        checks["database"] = "does not answer"
    checks["files"] = _files()
    good = all(checks.get(part) == "ok" for part in ("database", "worker", "files"))
    return {"ready": good, "checks": checks}
