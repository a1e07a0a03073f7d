"""A worker's process: django-tasks-db's worker; beside it a heartbeat, and beside that the sweeps.

Any worker sweeps for all: every step is conditional on the state in the database, so it does not
matter how many do it at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import numpy as np
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import Error, close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.management.commands.db_worker import Worker as TaskWorker
from django_tasks_db.models import DBTaskResult

from . import copies, decoding, engine, health, intake, limits, removal, storage, work
from .models import Batch, Chip, Count, Upload, Worker, token
from .reading import Refused
from .states import BATCH
from .tasks import draw_views, work_on

log = logging.getLogger("showcase.keeper")
_task = None  # key of the task that this process runs now
_warm = threading.Event()  # the first attempt to load the model is over
#: Seconds between two looks whether SQLite's file was changed, and at the tasks where it was not:
#: some are to begin later.
_BLINK, _LOOK = 0.005, 0.1
STUCK_SECONDS = 600  # a single group that takes longer has hung: the process ends itself


class _Worker(TaskWorker):
    """Looks for tasks without taking the database's write lock; between two looks it sleeps.

    Asked to end, it gives its batch back after the group in hand instead of finishing it.
    """

    def run(self) -> None:
        once, self.batch = self.batch, True  # its own loop ends when no task is ready
        while self.running:
            close_old_connections()
            seen = changes()
            if DBTaskResult.objects.ready().filter(queue_name__in=self.queue_names).exists():
                super().run()
            elif once:
                return
            else:
                self._sleep(seen)

    def _sleep(self, seen: int | None) -> None:
        """Until it is time to look again, or others have changed the database since `seen`."""
        if seen is None:
            time.sleep(self.interval)
            return
        end = time.monotonic() + max(self.interval, _LOOK)
        while self.running and (left := end - time.monotonic()) > 0 and changes() == seen:
            time.sleep(min(left, _BLINK))

    def run_task(self, db_task_result: DBTaskResult) -> None:
        global _task
        _task = db_task_result.pk
        try:
            super().run_task(db_task_result)
        finally:
            _task = None

    def shutdown(self, signum, frame) -> None:
        work.stopping.set()
        super().shutdown(signum, frame)


def changes() -> int | None:
    """A number that others' changes of the database alter, at a fiftieth of a query's cost.

    None where the database has no such number: only SQLite has.
    """
    if connection.vendor != "sqlite":
        return None
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return connection.connection.execute("PRAGMA data_version").fetchone()[0]


def run(*, interval: float, until_idle: bool = False) -> None:
    """Work until interrupted (or, `until_idle`, until no task waits)."""
    sys.setswitchinterval(0.001)  # the thread that reads ahead shall not wait long for its turn
    work.me = f"{socket.gethostname()[:30]}-{os.getpid()}-{token()[:8]}"
    engine.preload()  # seconds, in which a fresh site's tables are made
    work.patiently(_wait_for_tables)
    row = {"name": work.me, "host": socket.gethostname()[:80], "pid": os.getpid()}
    work.patiently(lambda: Worker.objects.create(**row))
    stop = threading.Event()
    for beside in (_heartbeat, _sweeps):
        threading.Thread(target=beside, args=(stop,), name=beside.__name__, daemon=True).start()
    worker = _Worker(
        queue_names=["default"],
        interval=interval,
        batch=until_idle,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id=work.me,
        excluded_queue_names=[],
    )
    worker.configure_signals()
    work.patiently(warm_up)
    with contextlib.suppress(Refused):  # the decoder loads its libraries now, not when one waits
        list(work.reader.read(copies.thumb(np.zeros((64, 64, 3), np.uint8)), chips=1))
    try:
        work.patiently(worker.run)
    finally:
        stop.set()
        work.reader.close()
        decoding.close()
        with contextlib.suppress(Error):
            Worker.objects.filter(name=work.me).delete()


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


def warm_up() -> None:
    """Load the model before the first batch comes; without one, say so and go on.

    It is ready when it has labelled a batch's first group; what a full one needs comes after.
    """
    for size in (work.FIRST, work.GROUP):
        ready, trouble = True, ""
        try:
            engine.warm_up(size)
        except engine.NoModel as missing:
            ready, trouble = False, str(missing)
            log.error("no model", extra={"reason": trouble})
        except Error:
            raise
        except Exception:
            ready, trouble = False, "the model could not be loaded"
            log.exception("no model")
        Worker.objects.filter(name=work.me).update(ready=ready, trouble=trouble[:300])
        if not ready:
            break
    _warm.set()


def _heartbeat(stop: threading.Event) -> None:
    while not stop.wait(float(settings.SHOWCASE["HEARTBEAT_SECONDS"])):
        _try(beat)


def _sweeps(stop: threading.Event) -> None:
    """A thread of its own: a batch of thousands takes long to vanish, and beats must not wait."""
    last_sweep, last_slow = 0.0, 0.0
    while not stop.wait(float(settings.SHOWCASE["HEARTBEAT_SECONDS"])):
        if time.monotonic() - last_sweep > float(settings.SHOWCASE["LOST_SECONDS"]) / 4:
            _try(sweep)
            last_sweep = time.monotonic()
        if time.monotonic() - last_slow > 900:
            _try(tidy)
            last_slow = time.monotonic()


def _try(step: Callable[[], object]) -> None:
    try:
        close_old_connections()
        step()
    except Error as error:  # locked or away: the next time tries again
        log.warning("step missed", extra={"step": step.__name__, "error": str(error)})
    except Exception:
        log.exception("step failed", extra={"step": step.__name__})


def beat() -> None:
    """Say that this process lives, unless what it does has plainly hung."""
    since = work.busy_since
    if since is not None and time.monotonic() - since > STUCK_SECONDS:
        log.critical("stuck: ending this worker")
        sys.stderr.flush()
        os._exit(70)
    now = timezone.now()
    if not Worker.objects.filter(name=work.me).update(seen_at=now):
        Worker.objects.create(name=work.me, host=socket.gethostname()[:80], pid=os.getpid())
    # Only what is in hand: a batch that a fault left behind must look as lost as it is.
    Batch.objects.filter(pk=work.in_hand, state="running", worker=work.me).update(touched_at=now)
    if _warm.is_set() and not Worker.objects.filter(name=work.me, ready=True).exists():
        _retry_model()


def _retry_model() -> None:
    """A model that appears later is taken up without a restart."""
    try:
        engine.load()
    except engine.NoModel as missing:
        Worker.objects.filter(name=work.me).update(trouble=str(missing)[:300])
    else:
        Worker.objects.filter(name=work.me).update(ready=True, trouble="")


def sweep() -> dict[str, int]:
    """Put right what was left lying; how many of each kind."""
    lost = timezone.now() - timedelta(seconds=float(settings.SHOWCASE["LOST_SECONDS"]))
    # What this process has in hand is not lost, though the database may have missed its beats.
    left = Batch.objects.filter(touched_at__lt=lost).exclude(pk=work.in_hand)
    done = {
        "batches": work.requeue(left, setback="worker"),
        "tasks": _free_tasks(lost),
        "unqueued": _queue_again(lost),
        "abandoned": _abandoned(),
        "vanished": _vanish(),
        "copies": _drop_copies(lost),
    }
    if any(done.values()):
        log.info("swept", extra=done)
    return done


def _free_tasks(lost) -> int:
    """Tasks that nobody runs any more are ready again; each of them may run twice without harm.

    Those of workers that are gone; and those in this one's name that it does not run: the database
    went away when it had taken or ended one.
    """
    alive = set(health.alive().values_list("name", flat=True))
    running = DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING)
    count = 0
    for row in running:
        whose = row.worker_ids[-1] if row.worker_ids else ""
        mine = whose == work.me and row.pk != _task and row.started_at < lost
        if mine or whose not in alive:
            count += running.filter(pk=row.pk, started_at=row.started_at).update(
                status=TaskResultStatus.READY, started_at=None
            )
    return count


def _queue_again(lost) -> int:
    """Batches that wait although no task is there for them."""
    there = {row["args"][0] for row in _tasks_for(work_on).values_list("args_kwargs", flat=True)}
    waiting = Batch.objects.filter(state="queued", queued_at__lt=lost).exclude(pk__in=there)
    for batch in waiting:
        work_on.enqueue(batch.pk)
    return len(waiting)


def _abandoned() -> int:
    """Uploads that broke off: what has arrived is worked on, nothing at all is forgotten."""
    old = timezone.now() - timedelta(minutes=limits.ABANDONED_MINUTES)
    rows = Batch.objects.filter(state="receiving", touched_at__lt=old)
    for batch in rows:
        if batch.uploads.exists():
            intake.submit(batch)
        else:
            removal.remove_batch(batch)
    return len(rows)


def _vanish() -> int:
    rows = Batch.objects.filter(vanishes_at__lt=timezone.now()).exclude(state="running")
    for batch in rows:
        removal.remove_batch(batch)
    return len(rows)


def _drop_copies(lost) -> int:
    """Upload copies of finished batches: a worker killed after the last step leaves them."""
    ended = Batch.objects.filter(state__in=BATCH.final, finished_at__lt=lost)
    left = Upload.objects.filter(batch__in=ended).exclude(copy="")
    batches = left.exclude(state="failed").values("batch")
    rows = list(Batch.objects.filter(pk__in=batches))
    for batch in rows:
        intake.drop_copies(batch, keep_failed=batch.state != "cancelled")
    return len(rows)


def tidy() -> None:
    """What has time: old copies of failed files, orphans, counts, sessions, finished tasks."""
    now = timezone.now()
    failed = Upload.objects.filter(
        state="failed",
        batch__finished_at__lt=now - timedelta(hours=limits.KEEP_FAILED_HOURS),
    )
    for upload in failed.exclude(copy=""):
        # Not where the visitor has asked for another try since.
        if failed.filter(pk=upload.pk, copy=upload.copy).update(copy=""):
            storage.remove([upload.copy])
    Count.objects.filter(hour__lt=int(time.time() // 3600) - 1).delete()
    Session.objects.filter(expire_date__lt=now).delete()
    DBTaskResult.objects.finished().filter(finished_at__lt=now - timedelta(days=1)).delete()
    Worker.objects.filter(seen_at__lt=now - timedelta(days=1)).delete()
    removal.remove_retired()
    drop_orphans()
    if copies.missing().exists() and not _tasks_for(draw_views).exists():
        draw_views.enqueue()


def _tasks_for(task):
    """Those of a kind that are still to be done, or are being done."""
    open_states = (TaskResultStatus.READY, TaskResultStatus.RUNNING)
    return DBTaskResult.objects.filter(task_path=task.module_path, status__in=open_states)


def drop_orphans(minutes: float = 60) -> int:
    """Files without a row: a process killed between the file and the database leaves one."""
    old = timezone.now() - timedelta(minutes=minutes)
    names = [*_without_row("uploads", Upload, "copy"), *_without_row("packs", Chip, "pack")]
    names += [*storage.listing("health"), *storage.partials()]
    orphans = [name for name in names if (at := storage.written_at(name)) and at < old]
    storage.remove(orphans)
    return len(orphans)


def _without_row(folder: str, model, field: str) -> Iterator[str]:
    names = storage.listing(folder)
    for start in range(0, len(names), 500):
        part = names[start : start + 500]
        kept = set(model.objects.filter(**{f"{field}__in": part}).values_list(field, flat=True))
        yield from (name for name in part if name not in kept)
