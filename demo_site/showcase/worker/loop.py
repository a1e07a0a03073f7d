"""A worker's process: it takes batches as they come, and draws pictures when none waits.

Beside it a thread prolongs its hold on the batch in hand, and another one does the housekeeping.
Any worker does that for all: every step is conditional on the state in the database, so it does
not matter how many do it at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now

from .. import storage
from ..decoder.answers import Away
from ..decoder.client import Decoder
from ..models import ModelVersion, Worker, token
from ..services import chip_images, predictor
from . import housekeeping, label_batch, read_ahead
from .lease import Lease, LeaseLost, take

log = logging.getLogger("showcase.loop")
#: Seconds between two looks at the queue: a while after work, and when there was none for long.
BUSY, QUIET = 0.02, 0.25
STUCK = 600  # seconds without progress, at least, after which the process has plainly hung


class Loop:
    """One worker: its name, its decoder, and the batch that it has in hand."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:30]}-{os.getpid()}-{token()[:8]}"
        # The second is for drawing: the first is fresh, and ready, when a batch comes.
        self.decoder, self.drawer = Decoder(), Decoder()
        self.stopping = threading.Event()
        self.lease: Lease | None = None
        self.tried_model = self.nothing_until = 0.0

    @property
    def row(self):
        return Worker.objects.filter(name=self.name)

    def run(self, *, until_idle: bool = False) -> None:
        """Work until interrupted (or, `until_idle`, until nothing is left to do)."""
        sys.setswitchinterval(0.001)  # the thread that decodes shall not wait long for its turn
        predictor.preload()  # meanwhile a fresh site's tables are made
        with contextlib.suppress(Away):
            self.decoder.start()
        self._patiently(_wait_for_tables)
        self._patiently(self._register)
        for beside in (self._beats, self._housekeeping):
            threading.Thread(target=beside, name=beside.__name__, daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            if threading.current_thread() is threading.main_thread():
                signal.signal(number, lambda *_: self.stopping.set())
        self._patiently(lambda: self._model(warm=True))
        with contextlib.suppress(Away):  # what its sandbox lacks is said from the start
            self.decoder.ready()
        last = time.monotonic()
        try:
            while not self.stopping.is_set():
                if self._patiently(self.once):
                    last = time.monotonic()
                elif until_idle:
                    break
                else:
                    self.stopping.wait(BUSY if time.monotonic() - last < 30 else QUIET)
        finally:
            self.stopping.set()
            self.decoder.close()
            self.drawer.close()
            with contextlib.suppress(Error):
                self.row.delete()

    def once(self) -> bool:
        """A slice of a batch, or some drawing; False where there was nothing to do."""
        close_old_connections()
        self.lease = take(self.name, self._model())
        if self.lease is not None:
            try:
                label_batch.work(self.lease, self.decoder, self.stopping)
            finally:
                self.lease = None
                self.decoder.renew()
            return True
        if time.monotonic() < self.nothing_until:
            return False
        try:
            if chip_images.draw_some(self.drawer):
                return True
            self.drawer.close()
            self.nothing_until = time.monotonic() + QUIET  # batches are looked for more often
            return False
        except (storage.StorageAway, Away) as error:  # no fault of a chip's, and it passes
            log.warning("nothing drawn", extra={"error": str(error)})
            self.stopping.wait(2)
            return False

    def _patiently(self, step: Callable):
        return label_batch.patiently(step, self.stopping)

    def _register(self) -> None:
        host = socket.gethostname()[:80]
        Worker.objects.create(name=self.name, host=host, pid=os.getpid(), seen_at=Now())

    def _model(self, *, warm: bool = False) -> ModelVersion | None:
        """The model's version; without one say so, and try again now and then."""
        if not warm and time.monotonic() < self.tried_model:
            return None
        try:
            version = predictor.load()[1]
            if warm:
                predictor.warm_up(read_ahead.FIRST)
        except predictor.NoModel as missing:
            if not self.tried_model:
                log.error("no model", extra={"reason": str(missing)})
            self.row.update(ready=False, trouble=str(missing)[:300])
            take(self.name, None)  # who waits is told
            self.tried_model = time.monotonic() + 1
            return None
        if warm or self.tried_model:
            self.row.update(ready=True, trouble="")
            self.tried_model = 0.0
        return version

    def _beats(self) -> None:
        while not self.stopping.wait(float(settings.SHOWCASE["HEARTBEAT_SECONDS"])):
            _try(self.beat)

    def beat(self) -> None:
        """Say that this process lives, and hold its batch, unless what it does has plainly hung."""
        lease, lacks = self.lease, " ".join(self.decoder.missing)
        if not self.row.update(seen_at=Now(), unprotected=lacks[:60]):
            self._register()
        if lease is None:
            return
        each = self.row.values_list("chip_seconds", flat=True).first() or 0
        if time.monotonic() - lease.busy_since > max(STUCK, 20 * read_ahead.GROUP * each):
            log.critical("stuck: ending this worker")
            sys.stderr.flush()
            os._exit(70)
        with contextlib.suppress(LeaseLost):
            lease.hold()

    def _housekeeping(self) -> None:
        """A thread of its own: a batch of thousands takes long to vanish, and beats cannot wait."""
        last = 0.0
        while not self.stopping.wait(float(settings.SHOWCASE["LOST_SECONDS"]) / 4):
            _try(housekeeping.sweep)
            if time.monotonic() - last > 900:
                _try(housekeeping.tidy)
                last = time.monotonic()


def _try(step: Callable[[], object]) -> None:
    try:
        close_old_connections()
        step()
    except Error as error:  # locked or away: the next time tries again
        log.warning("step missed", extra={"step": step.__name__, "error": str(error)})
    except Exception:
        log.exception("step failed", extra={"step": step.__name__})


def _wait_for_tables() -> None:
    """Until the database has this version's tables: a worker may start before they are made."""
    said = False
    executor = MigrationExecutor(connection)
    while executor.migration_plan(executor.loader.graph.leaf_nodes()):
        if not said:
            log.info("waiting for the database's tables (manage.py migrate)")
        said = True
        time.sleep(0.1)
        executor.loader.build_graph()
