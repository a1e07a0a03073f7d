"""A full disk, a database that is away, a sweep that takes long: the work waits and goes on."""

from __future__ import annotations

import errno
import threading
import time

import pictures
import pytest
from conftest import DECODER
from django.db import OperationalError
from showcase import storage
from showcase.decoder.answers import Away
from showcase.decoder.client import Decoder
from showcase.models import Batch, Worker
from showcase.services import predictor, progress
from showcase.worker import bulk, housekeeping, label_batch, lease, loop

pytestmark = pytest.mark.django_db


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def failing(*_):
    raise OSError(errno.EIO, "Input/output error")  # a network disk


def unreachable(*_):
    """What S3's client raises."""
    exceptions = pytest.importorskip("botocore.exceptions")
    raise exceptions.EndpointConnectionError(endpoint_url="http://s3")


def refused_by_s3(*_):
    exceptions = pytest.importorskip("botocore.exceptions")
    raise exceptions.ClientError({"Error": {"Code": "503"}}, "PutObject")


def locked(*_, **__):
    raise OperationalError("database is locked")


def full_database(*_):
    raise OperationalError("database or disk is full")


def no_decoder(*_, **__):
    raise Away(None, "the decoder does not start")


@pytest.mark.parametrize(
    ("where", "fault", "code"),
    [
        pytest.param((storage.AtomicStorage, "_save"), full, "disk", id="member"),
        pytest.param((storage.AtomicStorage, "_open"), failing, "storage", id="copy"),
        pytest.param((storage.AtomicStorage, "_open"), unreachable, "storage", id="no S3"),
        pytest.param((storage.AtomicStorage, "_save"), refused_by_s3, "storage", id="S3 errs"),
        pytest.param((bulk, "_mark_read"), full_database, "disk", id="full database"),
        pytest.param((progress, "count"), locked, "database", id="locked database"),
        pytest.param((Decoder, "ready"), no_decoder, "decoder", id="no decoder"),
    ],
)
def test_a_batch_waits_for_as_long_as_disk_or_database_are_away(
    showcase, client, monkeypatch, where, fault, code
):
    monkeypatch.setattr(storage, "PAUSE", 0)
    packed = pictures.archive([(f"{i}.png", pictures.png(i)) for i in range(20, 23)])
    files = [(f"{i}.png", pictures.png(i)) for i in range(20)]
    Worker.objects.create(name="w", host="h", pid=1, ready=True)  # else that is what is wrong
    batch = showcase.batch([*files, ("a.zip", packed)])
    DECODER.close()
    good = getattr(*where)
    monkeypatch.setattr(*where, fault)
    for _ in range(lease.ATTEMPTS + 2):
        assert showcase.slice(batch) == "fault"
        assert (batch.state, batch.setback, batch.attempts) == ("queued", code, 0)
    assert batch.trouble in client.get(batch.get_absolute_url()).content.decode()
    assert "nothing is lost" in batch.trouble
    assert not batch.uploads.filter(state="failed").exists()
    monkeypatch.setattr(*where, good)
    showcase.work(batch)
    assert (batch.state, batch.chips_labelled, batch.trouble) == ("done", 23, "")


def test_a_batch_is_given_back_when_the_database_is_there_again(showcase, monkeypatch):
    """The same fault keeps the worker from giving it back at first."""
    batch = showcase.batch([("a.png", pictures.png(1))])
    monkeypatch.setattr(bulk, "save", locked)
    give_back, tried = lease.Lease.give_back, []

    def late(self, **changes):
        tried.append(changes["setback"])
        if len(tried) < 4:
            raise OperationalError("database is locked")
        return give_back(self, **changes)

    monkeypatch.setattr(lease.Lease, "give_back", late)
    monkeypatch.setattr(label_batch.connection, "close", lambda: None)
    monkeypatch.setattr(label_batch.time, "sleep", lambda _: None)
    assert showcase.slice(batch) == "fault"
    assert tried == 4 * ["database"]
    assert (batch.state, batch.attempts) == ("queued", 0)


def test_a_fault_of_the_batch_still_counts(showcase, monkeypatch):
    batch = showcase.batch([("a.png", pictures.png(1))])
    monkeypatch.setattr(bulk, "save", lambda *_: 1 / 0)
    showcase.slice(batch)
    assert (batch.setback, batch.attempts) == ("fault", 1)


def test_a_sweep_that_takes_long_stops_no_heartbeat(settings, monkeypatch):
    settings.SHOWCASE |= {"HEARTBEAT_SECONDS": 0.01, "LOST_SECONDS": 0.04}
    one, sweeping, enough, beats = loop.Loop(), threading.Event(), threading.Event(), []

    def beat():
        beats.append(sweeping.is_set())
        if sum(beats) > 3:
            enough.set()

    def sweep():
        sweeping.set()
        assert enough.wait(20)

    monkeypatch.setattr(one, "beat", beat)
    monkeypatch.setattr(housekeeping, "sweep", sweep)
    monkeypatch.setattr(housekeeping, "tidy", lambda: None)
    threads = [threading.Thread(target=step) for step in (one._beats, one._housekeeping)]
    for thread in threads:
        thread.start()
    assert enough.wait(20)
    one.stopping.set()
    for thread in threads:
        thread.join(20)


def test_a_step_that_fails_is_tried_again(settings, monkeypatch):
    settings.SHOWCASE["HEARTBEAT_SECONDS"] = 0.001
    one, calls = loop.Loop(), []

    def beat():
        calls.append(1)
        if len(calls) == 3:
            one.stopping.set()
        raise [OperationalError("locked"), ValueError("broken"), OSError("away")][len(calls) - 1]

    monkeypatch.setattr(one, "beat", beat)
    one._beats()
    assert len(calls) == 3


@pytest.mark.parametrize(("seconds_per_chip", "ends"), [(0.001, True), (10, False)])
def test_a_worker_ends_itself_where_it_has_hung_but_not_for_a_slow_model(
    showcase, monkeypatch, seconds_per_chip, ends
):
    batch, one, ended = showcase.batch([("a.png", pictures.png(1))]), loop.Loop(), []
    one._register()
    one.row.update(chip_seconds=seconds_per_chip)
    one.lease = lease.take(one.name, predictor.load()[1])
    before = Batch.objects.get(pk=batch.pk).lease_until
    monkeypatch.setattr(loop.os, "_exit", ended.append)
    one.beat()
    assert Batch.objects.get(pk=batch.pk).lease_until >= before
    assert ended == []
    one.lease.busy_since = time.monotonic() - loop.STUCK - 1
    one.beat()
    assert ended == ([70] if ends else [])


def test_the_worker_takes_batches_then_draws_then_waits(showcase, monkeypatch):
    one = loop.Loop()
    one._register()
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(3)])
    try:
        assert one.once()
        batch.refresh_from_db()
        assert (batch.state, one.lease) == ("done", None)
        assert one.decoder.batch is None  # a fresh child for whoever comes next
        steps = 0
        while one.once():
            steps += 1
        assert steps == 2  # originals and thumbnails, then dehazed copies
        assert one.drawer.child is None
        assert len(showcase.stored()) == 3 * 4
    finally:
        one.decoder.close()
        one.drawer.close()
