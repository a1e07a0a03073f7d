"""A worker that was stopped for so long that another one has its batch touches nothing of it."""

from __future__ import annotations

import os
import signal

import numpy as np
import pictures
import pytest
from real_site import RealSite, wait_for
from showcase import settle, work
from showcase.models import Batch, Chip, Placement, Upload
from showcase.reading import Member


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_a_file_that_another_worker_has_read_is_not_refused(showcase, monkeypatch, how):
    """It wakes up among the files, reads on, and finds the copies gone."""
    monkeypatch.setattr(work, "FIRST", 1)
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(12)])
    settled = work._settle
    over = []

    def another(*args):
        """The batch is reclaimed and finished while our first group is in our hands."""
        found = settled(*args)
        if not over:
            over.append(1)
            Batch.objects.filter(pk=batch.pk).update(worker="another")
            uploads = batch.uploads.filter(state="stored")
            chips = [
                Chip.objects.create(sha256=f"{u.pk}", width=1, height=1, shown=True)
                for u in uploads
            ]
            for upload, chip in zip(uploads, chips, strict=True):
                Placement.objects.create(batch=batch, upload=upload, chip=chip, state="labelled")
            Upload.objects.filter(batch=batch).update(copy="")
            work.UPLOAD.step(uploads, "read")
            work.BATCH.step(Batch.objects.filter(pk=batch.pk), "finish")
        return found

    def late(ahead, seconds=None):
        """What was read ahead: nothing but files that are gone, or damaged."""
        item = take(ahead, seconds)
        return work.Failed(item.upload, how) if over and isinstance(item, work.Cut) else item

    take = work.Ahead.take
    monkeypatch.setattr(work, "_settle", another)
    monkeypatch.setattr(work.Ahead, "take", late)
    assert work.work(batch.pk) == "given up"
    assert over
    batch.refresh_from_db()
    assert batch.state == "done"
    assert batch.uploads.filter(state="read").count() == 12
    assert batch.placements.filter(state="labelled").count() == 12
    assert Chip.objects.filter(shown=True).count() == 12


@pytest.mark.django_db
def test_members_of_a_lost_batch_are_not_unpacked(showcase):
    batch = showcase.batch([("a.zip", pictures.archive([("b.png", pictures.png(1))]))])
    (sent,) = settle.stored(batch.pk, 0, 9)
    Batch.objects.filter(pk=batch.pk).update(worker="another", state="running")
    member = Member(0, "b.png", "", pictures.png(1))
    before = showcase.stored()
    assert work._unpack(work.Unpacked(sent, member)) is None
    assert work._unpack(work.Unpacked(sent, None)) is None
    assert [u.state for u in batch.uploads.all()] == ["stored"]
    assert showcase.stored() == before


@pytest.mark.django_db
def test_a_slice_is_watched_before_its_first_group(showcase, monkeypatch):
    seen, publish = [], settle.publish
    monkeypatch.setattr(settle, "publish", lambda pk: seen.append(work.busy_since) or publish(pk))
    assert showcase.work(showcase.batch([("a.png", pictures.png(1))])).state == "done"
    assert seen[0] is not None
    assert work.busy_since is None


@pytest.mark.slow
def test_a_stopped_worker_that_wakes_up_leaves_the_finished_batch_alone(tmp_path):
    """Large files: its reader has come no further than the lane's memory when it is stopped.

    Less than `FIRST` of these chips fit into the lane, so its next group waits for files that are
    gone by then.
    """
    side, count = 1700, work.FIRST + 8
    files = []
    for i in range(count):
        image = np.full((side, side, 3), 10 * i, np.uint8)
        files.append((f"{i}.tif", pictures.encode(image, "TIFF")))
    env = {"SHOWCASE_CHIP_PIXELS": str(side), "SHOWCASE_LOG_LEVEL": "INFO"}
    # Else it would not read on after the group in its hands, but end its slice.
    with RealSite(tmp_path, SHOWCASE_SLICE_SECONDS="600", **env) as site:
        site.web()
        site.hold.write_text("0")  # its first group is held
        stopped = site.worker()
        token = site.send(files)
        wait_for(lambda: site.calls())
        os.killpg(stopped.pid, signal.SIGSTOP)
        site.hold.unlink()
        site.worker()
        done = site.finished(token)
        assert (done["state"], done["labelled"]) == ("done", count)
        wait_for(lambda: not list((tmp_path / "var/files/uploads").iterdir()))
        os.killpg(stopped.pid, signal.SIGCONT)
        again = site.send([("last.png", pictures.png(1))])  # one of them does it, and both live on
        assert site.finished(again)["labelled"] == 1
        log = tmp_path / "processes.log"
        wait_for(lambda: '"state": "given up"' in log.read_text())
        status = site.status(token)
        assert (status["state"], status["labelled"], status["files_failed"]) == ("done", count, 0)
        page = site.client.get(f"/api/v1/batches/{token}/chips").json()
        assert len(page["chips"]) == count
        assert "file refused" not in log.read_text()
