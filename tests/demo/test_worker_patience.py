"""A full disk, a database that is away, a sweep that takes long: the work waits and goes on."""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from datetime import timedelta

import pictures
import pytest
from django.db import DatabaseError, OperationalError, connections
from django.utils import timezone
from showcase import keeper, settle, storage, work
from showcase.models import Batch, Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Every chip that the predictor is given."""
    path = tmp_path / "predicted.log"
    path.touch()
    monkeypatch.setenv("PLANTED_LOG", str(path))
    return lambda: path.read_text().split()


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def failing(*_):
    raise OSError(errno.EIO, "Input/output error")  # a network disk


def timed_out(*_):
    raise OSError(errno.ETIMEDOUT, "Connection timed out")


def unreachable(*_):
    """What S3's client raises."""
    exceptions = pytest.importorskip("botocore.exceptions")
    raise exceptions.EndpointConnectionError(endpoint_url="http://s3")


def refused_by_s3(*_):
    exceptions = pytest.importorskip("botocore.exceptions")
    raise exceptions.ClientError({"Error": {"Code": "503"}}, "PutObject")


def locked(*_):
    raise OperationalError("database is locked")


def full_database(*_):
    raise OperationalError("database or disk is full")


@pytest.mark.parametrize(
    ("where", "fault", "code"),
    [
        pytest.param((storage, "write_parts"), full, "disk", id="pack"),
        pytest.param((storage, "write"), full, "disk", id="member"),
        pytest.param((storage.AtomicStorage, "save_parts"), full, "disk", id="full store"),
        pytest.param((storage, "_read_all"), failing, "storage", id="copy"),
        pytest.param((storage.AtomicStorage, "save_parts"), timed_out, "storage", id="pack away"),
        pytest.param((storage.AtomicStorage, "save_parts"), unreachable, "storage", id="no S3"),
        pytest.param((storage.AtomicStorage, "_save"), refused_by_s3, "storage", id="S3 errs"),
        pytest.param((settle, "keep"), full_database, "disk", id="full database"),
        pytest.param((settle, "write_down"), locked, "database", id="locked database"),
    ],
)
def test_a_batch_waits_for_as_long_as_disk_or_database_are_away(
    showcase, client, log, monkeypatch, where, fault, code
):
    packed = pictures.archive([(f"{i}.png", pictures.png(i)) for i in range(20, 23)])
    files = [(f"{i}.png", pictures.png(i)) for i in range(20)]
    Worker.objects.create(name="w", host="h", pid=1, ready=True)  # else that is what is wrong
    batch = showcase.batch([*files, ("a.zip", packed)])
    good = getattr(*where)
    monkeypatch.setattr(*where, fault)
    for _ in range(work.ATTEMPTS + 2):
        assert work.work(batch.pk) == "fault"
        batch.refresh_from_db()
        assert (batch.state, batch.setback, batch.attempts) == ("queued", code, 0)
    assert batch.trouble in client.get(batch.get_absolute_url()).content.decode()
    assert "nothing is lost" in batch.trouble
    assert not batch.uploads.filter(state="failed").exists()
    monkeypatch.setattr(*where, good)
    showcase.work(batch)
    assert (batch.state, batch.chips_labelled, batch.trouble) == ("done", 23, "")
    if fault is not locked:  # what was predicted when it could not be written down is lost
        assert sorted(log()) == sorted(set(log()))


def test_a_batch_is_given_back_when_the_database_is_there_again(showcase, monkeypatch):
    """The same fault keeps the worker from giving it back at first; the sweep is not faster."""
    batch = showcase.batch([("a.png", pictures.png(1))])
    monkeypatch.setattr(settle, "keep", locked)
    requeue, tried = work.requeue, []

    def late(rows, setback):
        tried.append(setback)
        if len(tried) < 4:
            Batch.objects.update(touched_at=timezone.now() - timedelta(hours=1))
            monkeypatch.setattr(work, "requeue", requeue)
            assert keeper.sweep()["batches"] == 0
            monkeypatch.setattr(work, "requeue", late)
            raise OperationalError("database is locked")
        return requeue(rows, setback)

    monkeypatch.setattr(work, "requeue", late)
    monkeypatch.setattr(work.connection, "close", lambda: None)
    monkeypatch.setattr(work.time, "sleep", lambda _: None)
    assert work.work(batch.pk) == "fault"
    batch.refresh_from_db()
    assert tried == 4 * ["database"]
    assert (batch.state, batch.attempts) == ("queued", 0)


def test_a_fault_of_the_batch_still_counts(showcase, monkeypatch):
    batch = showcase.batch([("a.png", pictures.png(1))])
    monkeypatch.setattr(storage, "write_parts", lambda *_: 1 / 0)
    work.work(batch.pk)
    batch.refresh_from_db()
    assert (batch.setback, batch.attempts) == ("fault", 1)


def test_a_sweep_that_takes_long_stops_no_heartbeat(settings, monkeypatch):
    settings.SHOWCASE["HEARTBEAT_SECONDS"] = 0.01
    sweeping, enough = threading.Event(), threading.Event()
    beats = []

    def beat():
        beats.append(sweeping.is_set())
        if sum(beats) > 3:
            enough.set()

    def sweep():
        sweeping.set()
        assert enough.wait(20)

    monkeypatch.setattr(keeper, "beat", beat)
    monkeypatch.setattr(keeper, "sweep", sweep)
    monkeypatch.setattr(keeper, "tidy", lambda: None)
    monkeypatch.setattr(keeper, "_Worker", lambda **_: Waiting())
    monkeypatch.setattr(keeper, "_wait_for_tables", lambda: None)
    monkeypatch.setattr(keeper, "warm_up", lambda: None)
    found = []

    class Waiting:
        def configure_signals(self):
            pass

        def run(self):
            found.append(enough.wait(10))

    monkeypatch.setattr(work, "me", work.me)  # `run` names this process
    switch = keeper.sys.getswitchinterval()
    try:
        keeper.run(interval=0.01)
    finally:
        keeper.sys.setswitchinterval(switch)
        time.sleep(0.05)  # the threads see that they are to end
    assert found == [True]


def test_a_step_that_fails_is_tried_again(settings, monkeypatch):
    settings.SHOWCASE["HEARTBEAT_SECONDS"] = 0.001
    stop, calls = threading.Event(), []

    def beat():
        calls.append(1)
        if len(calls) == 3:
            stop.set()
        raise [OperationalError("locked"), ValueError("broken"), OSError("away")][len(calls) - 1]

    monkeypatch.setattr(keeper, "beat", beat)
    keeper._heartbeat(stop)
    assert len(calls) == 3


@pytest.mark.parametrize("step", ["keep", "claim", "write_down", "label"])
def test_a_deadlock_is_tried_again_at_once(showcase, log, monkeypatch, step):
    """PostgreSQL ends one of two transactions that wait for each other."""
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(3)])
    inner = {"keep": "_claim_new", "claim": "_split", "write_down": "update_rows"}
    inner = inner.get(step, "_label_chips")
    good, fell = getattr(settle, inner), []

    class Deadlock(Exception):
        sqlstate = "40P01"

    def crosswise(*args, **kwargs):
        if not fell:
            fell.append(1)
            raise OperationalError("deadlock detected") from Deadlock()
        return good(*args, **kwargs)

    if step in ("claim", "write_down"):  # called in others, too: not before its own turn
        monkeypatch.setattr(settle, inner, good)
        whole = getattr(settle, step)

        def own(*args, **kwargs):
            if not fell:
                monkeypatch.setattr(settle, inner, crosswise)
            return whole(*args, **kwargs)

        monkeypatch.setattr(settle, step, own)
        if step == "claim":  # there are claims of ours only for chips that others may see
            monkeypatch.setattr(settle, "_claim_new", lambda *_: {})
    else:
        monkeypatch.setattr(settle, inner, crosswise)
    assert work.work(batch.pk) == "finished"
    batch.refresh_from_db()
    assert (fell, batch.chips_labelled, batch.attempts) == ([1], 3, 0)
    assert sorted(log()) == sorted(set(log()))


def test_rows_that_others_write_too_are_written_in_the_order_of_their_keys(showcase, monkeypatch):
    files = [(f"{i}.png", pictures.png(i)) for i in range(5)]
    showcase.work(showcase.batch(files))
    given, label = [], settle._label_chips
    monkeypatch.setattr(
        settle,
        "_label_chips",
        lambda rows, p: given.append([r[-1] for r in rows]) or label(rows, p),
    )
    showcase.work(showcase.batch(files[::-1]))
    assert [len(keys) for keys in given] == [5]
    assert given[0] == sorted(given[0])


def test_changes_are_those_of_others_and_their_faults_are_djangos(tmp_path):
    wrapper = connections["default"]
    if wrapper.vendor != "sqlite":
        assert keeper.changes() is None
        return
    path, own = tmp_path / "a.sqlite3", wrapper.connection
    wrapper.connection = sqlite3.connect(path)
    try:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE t (n)")
        before = keeper.changes()
        assert keeper.changes() == before
        with sqlite3.connect(path) as other:
            other.execute("INSERT INTO t VALUES (1)")
        assert keeper.changes() != before
        wrapper.connection.close()
        with pytest.raises(DatabaseError):  # Django's, which `patiently` knows, not sqlite3's
            keeper.changes()
    finally:
        wrapper.connection = own
