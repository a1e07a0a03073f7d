"""Whether the site can work: database, file store, workers, model; and which workers are alive."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from datetime import timedelta

from django.conf import settings
from django.db import Error, connection
from django.db.models.functions import Now

from .. import storage
from ..models import Batch, Worker

log = logging.getLogger("showcase.health")
FRESH = 10  # seconds that an answer of the file store counts
PATIENCE = 3  # seconds that a probe waits for the file store
_asking = threading.Lock()
_last = {"said": "", "until": 0.0}


def alive():
    """Workers whose heartbeat is young, by the database's clock."""
    young = timedelta(seconds=settings.SHOWCASE["LOST_SECONDS"])
    return Worker.objects.filter(seen_at__gte=Now() - young)


def workers() -> dict:
    """How many workers are `alive`, and how many `ready` with a model.

    `trouble` is what is wrong with one, `lacks` what its decoder's sandbox lacks.
    """
    rows = list(alive())
    return {
        "alive": len(rows),
        "ready": sum(worker.ready for worker in rows),
        "trouble": next((worker.trouble for worker in rows if worker.trouble), ""),
        "lacks": next((worker.unprotected for worker in rows if worker.unprotected), ""),
    }


def _files() -> str:
    """Whether the file store can be written, as it was found at most `FRESH` seconds ago.

    It is tried beside the request: one that does not answer shall hold no thread that serves
    visitors. Anybody may ask, and each try costs the store two requests, which S3 bills.
    """
    if time.monotonic() >= _last["until"] and _asking.acquire(blocking=False):
        thread = threading.Thread(target=_ask, name="ask the store", daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if thread.is_alive():
            _last["said"] = "does not answer"
    return _last["said"]


def _ask() -> None:
    try:
        name = f"health/{uuid.uuid4().hex}"
        storage.write(name, b"ok")
        storage.remove([name])
        _last["said"] = "ok"
    except Exception as error:  # any backend's own exception
        log.error("file store check failed", extra={"error": str(error)})
        _last["said"] = "cannot be written"
    finally:
        _last["until"] = time.monotonic() + FRESH
        _asking.release()


def report() -> dict:
    """What a web process needs; without a worker it still takes files, so it counts as ready."""
    checks: dict[str, str] = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        checks["database"] = "ok"
        checks["worker"], lacks = working()
        checks["sandbox"] = f"lacks {lacks}" if lacks else "ok"
        checks["queue"] = str(Batch.objects.filter(state="queued").count())
    except Error as error:
        log.error("database check failed", extra={"error": str(error)})
        checks["database"] = "does not answer"
    checks["files"] = _files()
    good = all(checks[part] == "ok" for part in ("database", "files"))
    return {"ready": good, "checks": checks}


def working() -> tuple[str, str]:
    """Whether a worker with a model is there, and what the decoders' sandbox lacks on its host."""
    found = workers()
    said = "ok" if found["ready"] else "the model is not loaded"  # why is in the log, not public
    return said if found["alive"] else "no worker is running", found["lacks"]
