"""Faults with real processes: nothing accepted is lost, predicted twice, or running for ever."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import time
from collections import Counter

import pictures
import pytest
from real_site import SITE, RealSite, wait_for
from showcase.worker import read_ahead

pytestmark = pytest.mark.slow


def files(count: int, start: int = 0) -> list[tuple[str, bytes]]:
    return [(f"chip_{i}.png", pictures.png(i, 32)) for i in range(start, start + count)]


@pytest.fixture
def site(tmp_path):
    with RealSite(tmp_path) as site:
        site.web()
        yield site


def test_a_worker_killed_in_the_middle_of_a_batch(site):
    """Killed when a group is predicted and not written down yet: the worst moment there is."""
    site.hold.write_text(str(read_ahead.FIRST + 1))  # the third group is held
    worker = site.worker()
    token = site.send(files(250))
    wait_for(lambda: len(site.calls()) == 3)
    site.kill(worker)
    first, second, third = site.calls()
    stopped = site.status(token)
    assert (stopped["state"], stopped["labelled"]) == ("running", len(first) + len(second))
    # Nobody is left: the page says so instead of waiting in silence.
    wait_for(
        lambda: site.client.get("/readyz").json()["checks"]["worker"] == "no worker is running"
    )
    site.hold.unlink()
    site.worker()
    done = site.finished(token)
    assert (done["state"], done["labelled"], done["failed"]) == ("done", 250, 0)
    # The group that was in its hands is predicted again; nothing that was kept is.
    counts = Counter(site.predicted())
    assert len(counts) == 250
    assert {chip for chip, times in counts.items() if times > 1} == set(third)
    assert max(counts.values()) == 2
    assert len(third) <= read_ahead.GROUP
    wait_for(lambda: not list((site.folder / "var/files/uploads").iterdir()))


def test_two_workers_share_batches_and_predict_each_chip_once(site):
    for _ in range(2):
        site.worker(PLANTED_SECONDS_PER_CHIP="0.003")
    same = files(60)
    tokens = [site.send(same), site.send(same[::-1]), site.send(files(40, start=60))]
    for token in tokens:
        assert site.finished(token)["state"] == "done"
    counts = site.predicted()
    assert sorted(counts) == sorted(set(counts))
    assert len(counts) == 100


def test_a_worker_asked_to_end_gives_its_batch_back_at_once(site):
    site.hold.write_text(str(read_ahead.FIRST))  # the second group is held
    worker = site.worker()
    token = site.send(files(200))
    wait_for(lambda: len(site.calls()) == 2)
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert worker.poll() is None  # it finishes the group in hand
    site.hold.unlink()
    worker.wait(60)
    in_hand = len(site.predicted())
    assert in_hand < 200
    status = site.status(token)
    assert (status["state"], status["labelled"]) == ("queued", in_hand)
    site.worker()
    assert site.finished(token)["labelled"] == 200
    assert len(site.predicted()) == 200


def test_a_server_killed_during_an_upload_loses_nothing_it_accepted(site):
    opened = site.client.post("/upload/", data=site.form()).json()
    page = site.form()
    sent = [("files", file) for file in files(5)]
    answer = site.client.post(opened["files_url"], data=page, files=sent).json()
    assert all(f["accepted"] for f in answer["files"])
    # A second request breaks off in the middle of a file.
    half = socket.create_connection(("127.0.0.1", site.port))
    cookies = "; ".join(f"{k}={v}" for k, v in site.client.cookies.items())
    half.sendall(
        f"POST {opened['files_url']} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 500000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'.encode()
        + bytes(20_000)
    )
    time.sleep(0.3)
    site.kill(site.running[0])
    half.close()
    site.web()
    site.worker()
    assert site.status(opened["token"])["files"] == 5
    submitted = site.client.post(opened["submit_url"], data=site.form())
    assert submitted.status_code == 200
    done = site.finished(opened["token"])
    assert (done["state"], done["labelled"], done["files_failed"]) == ("done", 5, 0)
    # The worker draws the chips' copies now, each beside its place first: none of these stays.
    wait_for(lambda: not list((site.folder / "var/files").rglob("*.partial")))


def test_a_locked_database_delays_but_loses_nothing(tmp_path):
    with RealSite(tmp_path, SHOWCASE_DATABASE_PATIENCE="1") as site:
        site.web()
        site.worker(PLANTED_SECONDS_PER_CHIP="0.01")
        token = site.send(files(60))
        form = site.form()
        lock = sqlite3.connect(tmp_path / "var/showcase.sqlite3", isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        answer = site.client.post("/", data=form, files=[("files", f) for f in files(1, 500)])
        assert answer.status_code == 503
        assert site.client.get("/gallery/").status_code == 200  # readers do not wait
        time.sleep(2)
        lock.execute("ROLLBACK")
        lock.close()
        done = site.finished(token)
        assert (done["state"], done["labelled"]) == ("done", 60)
        counts = site.predicted()
        assert len(set(counts)) == 60
        again = site.send(files(1, 500))
        assert site.finished(again)["labelled"] == 1


def test_a_full_disk_is_said_and_passes(site):
    """The web server may write no file over 100 kB: `write` fails, as it does on a full disk."""
    site.kill(site.running[0])
    limited = ["-c", "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
               "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1)); sys.argv = sys.argv[1:]; "
               "from gunicorn.app.wsgiapp import run; run()"]  # fmt: skip

    web = site.start(*limited, "gunicorn", "-c", str(SITE / "config/gunicorn.py"), "config.wsgi")
    wait_for(lambda: site.answers("/healthz"))
    big = ("big.tif", pictures.encode(pictures.pixels(1, 400), "TIFF"))
    assert len(big[1]) > 300_000
    answer = site.client.post("/", data=site.form(), files=[("files", big)])
    assert answer.status_code == 503
    assert "full" in answer.text
    assert not [p for p in (site.folder / "var/files").rglob("*") if p.is_file()]
    site.kill(web)
    site.web()
    site.worker()
    assert site.finished(site.send([big]))["labelled"] >= 1


def test_a_disk_that_is_full_for_the_worker_is_waited_for(site):
    """The worker may write no file over 2.5 MB, as a member of an archive is; then one may."""

    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, -1)); sys.argv = sys.argv[1:]; "
        "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    large = pictures.encode(pictures.pixels(1, 1000), "TIFF")
    token = site.send([("a.zip", pictures.archive([("big.tif", large)])), *files(3)])
    worker = site.start(
        "-c", limited, str(SITE / "manage.py"), "run_worker", SHOWCASE_LOG_LEVEL="ERROR"
    )
    wait_for(lambda: "file store" in site.status(token)["trouble"])
    status = site.status(token)
    assert (status["state"], status["files_failed"]) == ("queued", 0)
    site.kill(worker)
    site.worker()
    done = site.finished(token)
    assert (done["state"], done["labelled"], done["files_failed"]) == ("done", 19, 0)


def test_a_missing_model_is_said_and_taken_up_when_it_comes(tmp_path):
    missing = tmp_path / "missing"
    missing.touch()
    with RealSite(tmp_path, PLANTED_MISSING=str(missing)) as site:
        site.web()
        site.worker()
        token = site.send(files(3))
        wait_for(lambda: site.status(token)["trouble"])
        ready = site.client.get("/workerz")
        assert (ready.status_code, ready.json()["worker"]) == (503, "the model is not loaded")
        assert site.status(token)["state"] == "queued"
        missing.unlink()
        done = site.finished(token)
        assert (done["state"], done["labelled"]) == ("done", 3)
        wait_for(lambda: site.client.get("/workerz").status_code == 200)


def test_the_released_model_missing_is_said_in_words(tmp_path):
    with RealSite(tmp_path, SHOWCASE_PREDICTOR="", SHOWCASE_MODEL="no-such-model") as site:
        site.web()
        site.worker()
        token = site.send(files(1))
        wait_for(lambda: site.status(token)["trouble"])
        assert site.status(token)["state"] == "queued"


def test_a_worker_started_before_the_tables_are_made_waits_for_them(tmp_path):
    """As `paper demo` starts it, and a lab whose worker comes up before its migrations."""
    site = RealSite(tmp_path)
    (tmp_path / "var").mkdir()
    site.log.touch()
    try:
        worker = site.worker(SHOWCASE_LOG_LEVEL="INFO")
        log = tmp_path / "processes.log"
        wait_for(lambda: "waiting for the database" in log.read_text())
        site.manage("migrate", "--verbosity", "0")
        site.web()
        assert site.finished(site.send(files(3)))["labelled"] == 3
        assert worker.poll() is None
    finally:
        site.__exit__()


def test_paper_demo_is_there_within_seconds_and_ends_with_everything(tmp_path):
    import os
    import sys

    from real_site import free_port

    port = free_port()
    site = RealSite(tmp_path, SHOWCASE_EXAMPLES="4")
    code = "from paperlib.cli import main; main()"
    paper = [sys.executable, "-c", code, "demo", "--port", str(port)]
    demo = subprocess.Popen(
        [*paper, "--no-browser"],
        env=site.env, stdout=subprocess.PIPE, text=True, cwd=os.getcwd(), start_new_session=True,
    )  # fmt: skip
    try:
        assert f"http://127.0.0.1:{port}/" in demo.stdout.readline()
        site.client.base_url = f"http://127.0.0.1:{port}"
        wait_for(lambda: site.client.get("/workerz").status_code == 200)
        wait_for(lambda: "thumb.image" in site.client.get("/gallery/").text)
        again = subprocess.run(
            paper,
            env=site.env, capture_output=True, text=True,
        )  # fmt: skip
        assert again.returncode == 1
        assert again.stderr.count("\n") == 1
        assert f"port {port} is in use" in again.stderr
        demo.send_signal(signal.SIGTERM)
        demo.wait(60)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port))
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
        demo.stdout.close()


def test_processes_killed_at_random_moments_leave_everything_labelled_or_explained(site):
    """Workers, their decoders and the web server, ten times in the middle of private and public."""
    import random

    import psutil

    rng = random.Random(7)
    sent = {}
    for number, private in enumerate(("", "1", "")):
        part = files(60, start=60 * number)
        part += [("bad.png", b"no picture"), ("big.png", pictures.png(900 + number, 600))]
        packed = pictures.archive([(f"in_{i}.png", pictures.png(2000 + i, 32)) for i in range(9)])
        token = site.send([*part, ("a.zip", packed)], **({"private": "1"} if private else {}))
        sent[token] = bool(private)
    workers = [site.worker(PLANTED_SECONDS_PER_CHIP="0.01") for _ in range(2)]
    for _ in range(10):
        time.sleep(rng.random())
        kind = rng.choice(["worker", "worker", "decoder", "web"])
        if kind == "worker":
            site.kill(workers.pop(rng.randrange(2)))
            workers.append(site.worker(PLANTED_SECONDS_PER_CHIP="0.01"))
        elif kind == "decoder":
            for child in psutil.Process(rng.choice(workers).pid).children():
                child.kill()
        else:
            site.kill(site.running[0])
            site.running[0] = site.web()
    hidden = set()
    for token, private in sent.items():
        done = site.finished(token, 120)
        page = site.client.get(f"/api/v1/batches/{token}/chips?limit=500").json()
        chips, failed = page["chips"], page["failed_files"]
        assert all(chip["state"] == "labelled" or chip["reason"] for chip in chips)
        assert all(one["reason"] for one in failed)
        # Each file, the archive's members and the large picture's chips: one thing or the other.
        labelled = [chip for chip in chips if chip["state"] == "labelled"]
        assert len(labelled) == done["labelled"]
        explained = {one["name"] for one in failed}
        names = {chip["image_name"].split("_r00")[0] for chip in labelled}
        wanted = {name.removesuffix(".png") for name, _ in files(60, 60 * list(sent).index(token))}
        wanted |= {"big"} if "a" in explained else {"big", *(f"in_{i}" for i in range(9))}
        assert wanted - names - explained == set()
        if private:
            hidden |= {chip["chip"] for chip in labelled}
    assert hidden
    gallery = site.client.get("/gallery/").text + site.client.get("/").text
    assert not any(key in gallery for key in hidden)
