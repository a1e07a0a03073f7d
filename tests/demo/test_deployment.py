"""The same site for a lab: PostgreSQL, S3, the deploy check, gunicorn."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from glob import glob
from pathlib import Path

import pictures
import pytest
from real_site import SITE, RealSite, free_port, wait_for

DEPLOYED = {
    "SHOWCASE_LOOPBACK": "0",
    "SHOWCASE_HTTPS": "1",
    "SHOWCASE_PROXIES": "1",
    "SHOWCASE_HOSTS": "chips.example.org",
    "SHOWCASE_ORIGINS": "https://chips.example.org",
    "SHOWCASE_PREDICTOR": "",
}


def manage(tmp_path, *arguments: str, **env: str) -> subprocess.CompletedProcess:
    site = RealSite(tmp_path, **env)
    return subprocess.run(
        [sys.executable, str(SITE / "manage.py"), *arguments],
        env=site.env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_deploy_check_is_clean(tmp_path):
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "INFO", **DEPLOYED)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_a_database_on_a_network_file_system_is_refused(tmp_path):
    from showcase.web.checks import file_system

    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\nserver:/home {tmp_path}/home nfs4 rw 0 0\n"
        f"tmpfs {tmp_path}/homework tmpfs rw 0 0\n"
    )
    for place, kind in (("home/a/b", "nfs4"), ("homework/a", "tmpfs"), ("other", "ext4")):
        assert file_system(tmp_path / place, mounts) == kind
    assert file_system(tmp_path, tmp_path / "no such file") == ""


def test_the_deploy_check_finds_what_is_missing(tmp_path):
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 1
    for code in ("showcase.W001", "showcase.W002", "security.W004", "security.W012"):
        assert code in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SHOWCASE_MAX_FILES", "many", "SHOWCASE_MAX_FILES='many': give a number"),
        ("SHOWCASE_MAX_FILES", "-1", "give 1 or more"),
        ("SHOWCASE_HTTPS", "maybe", "give 1 or 0"),
        ("SHOWCASE_MAX_FILES", "9000", "at most 500"),
        ("SHOWCASE_LOST_SECONDS", "1", "a busy worker would be taken for a lost one"),
        ("SHOWCASE_MAX_BATCH_MB", "1", "one file must fit into a batch"),
    ],
)
def test_a_wrong_setting_is_said_at_start(tmp_path, name, value, said):
    done = manage(tmp_path, "check", **{"SHOWCASE_HEARTBEAT_SECONDS": "2", name: value})
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(("processes", "renewed"), [("1", False), ("2", True)])
def test_a_single_web_process_is_never_replaced_under_its_visitors(monkeypatch, processes, renewed):
    import runpy

    monkeypatch.setenv("SHOWCASE_WEB_PROCESSES", processes)
    assert ("max_requests" in runpy.run_path(str(SITE / "config/gunicorn.py"))) is renewed


def test_the_models_and_the_migrations_agree(tmp_path):
    done = manage(tmp_path, "makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout


def test_the_secret_key_is_made_once_and_readable_by_its_owner_only(tmp_path):
    for _ in range(2):
        assert manage(tmp_path, "check").returncode == 0
        path = tmp_path / "var/secret_key"
        assert path.stat().st_mode & 0o777 == 0o600
        kept = path.read_text()
    assert len(kept) > 60
    assert path.read_text() == kept


def test_static_files_of_a_deployed_site_carry_their_content_in_the_name(tmp_path):
    with RealSite(
        tmp_path, **DEPLOYED | {"SHOWCASE_HTTPS": "0", "SHOWCASE_HOSTS": "127.0.0.1"}
    ) as site:
        site.manage("collectstatic", "--noinput", "--verbosity", "0")
        site.web()
        page = site.client.get("/").text
        import re

        sheet = re.search(r'href="(/static/showcase/[^"]+\.css)"', page)[1]
        assert re.search(r"\.[0-9a-f]{12}\.css$", sheet)
        answer = site.client.get(sheet)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]


def test_https_is_demanded_and_its_cookies_are_secure(tmp_path):
    hosts = {"SHOWCASE_HOSTS": "127.0.0.1", "SHOWCASE_ORIGINS": ""}
    with RealSite(tmp_path, **DEPLOYED | hosts) as site:
        site.manage("collectstatic", "--noinput", "--verbosity", "0")
        site.web()
        plain = site.client.get("/")
        assert plain.status_code == 301
        assert plain.headers["Location"].startswith("https://")
        behind = site.client.get("/", headers={"X-Forwarded-Proto": "https"})
        assert behind.status_code == 200
        assert behind.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "Secure" in behind.headers["Set-Cookie"]
        wrong = site.client.get("/", headers={"Host": "evil.example", "X-Forwarded-Proto": "https"})
        assert wrong.status_code == 400


# --- PostgreSQL -----------------------------------------------------------------------------------


def _tool(name: str) -> str | None:
    return shutil.which(name) or next(iter(sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"))), None)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """A real server on a free port, run as a user who is not root."""
    initdb, server = _tool("initdb"), _tool("postgres")
    if not (initdb and server):
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    folder = Path(tmp_path_factory.mktemp("postgres", numbered=True))
    data = folder / "data"
    as_user: dict = {}
    if os.geteuid() == 0:
        import pwd

        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user `postgres`")
        data = Path(f"/tmp/showcase-postgres-{os.getpid()}")
        data.mkdir()
        os.chown(data, owner.pw_uid, owner.pw_gid)
        as_user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    port = free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": "/"}
    base = [initdb, "-D", str(data), "-U", "showcase", "--auth=trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(base, check=True, **quiet, **as_user)
    import psycopg

    class Server(str):
        """Its address, and what a restart of it takes."""

        def start(self) -> None:
            self.process = subprocess.Popen(
                [server, "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"],
                **quiet, **as_user,
            )  # fmt: skip
            wait_for(there, 30)

        def stop(self) -> None:
            self.process.send_signal(signal.SIGINT)  # whoever is connected is cut off
            self.process.wait(20)

    def there() -> bool:
        try:
            psycopg.connect(f"postgresql://showcase@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    running = Server(f"postgresql://showcase@127.0.0.1:{port}/postgres")
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(data, ignore_errors=True)


@pytest.mark.slow
def test_the_site_on_postgresql_with_two_workers(postgres, tmp_path):
    with RealSite(tmp_path, DATABASE_URL=postgres) as site:
        site.web()
        worker = site.worker(PLANTED_SECONDS_PER_CHIP="0.005")
        site.worker(PLANTED_SECONDS_PER_CHIP="0.005")
        files = [(f"chip_{i}.png", pictures.png(i, 32)) for i in range(80)]
        tokens = [site.send(files), site.send(files[::-1])]
        wait_for(lambda: any(site.status(t)["labelled"] for t in tokens))
        site.kill(worker)
        for token in tokens:
            done = site.finished(token)
            assert (done["state"], done["labelled"]) == ("done", 80)
        assert len(set(site.predicted())) == 80
        assert len(site.predicted()) <= 80 + 64  # the killed worker's group in hand
        for query in (
            "",
            "?label=water&match=any",
            "?sort=sure&label=clear",
            "?q=chip_7",
            "?least=5",
        ):
            answer = site.client.get(f"/gallery/{query}")
            assert answer.status_code == 200, query
        assert "chip_79" in site.client.get("/gallery/?q=chip_79").text
        form = site.form()
        key = site.client.get(f"/api/v1/batches/{tokens[0]}/chips").json()["chips"][0]["chip"]
        assert site.client.get(f"/chip/{key}/").status_code == 200
        flagged = site.client.post(f"/chip/{key}/flag/", data=form | {"label": "water"})
        assert flagged.status_code == 302
        assert ",water\n" not in site.client.get("/flags.csv").text  # nobody has looked at it
        assert site.client.get(f"/batch/{tokens[0]}/labels.csv").text.count("\n") == 81


@pytest.mark.slow
def test_postgresql_restarted_in_the_middle_of_a_batch(postgres, tmp_path):
    """What is in hand is done again; nothing is given up, and both processes live on."""
    with RealSite(tmp_path, DATABASE_URL=postgres) as site:
        site.web()
        site.hold.write_text("8")
        worker = site.worker()
        files = [(f"restart_{i}.png", pictures.png(1000 + i, 32)) for i in range(60)]
        token = site.send(files)
        wait_for(lambda: len(site.calls()) == 2)  # the second group is in its hands
        postgres.stop()
        site.hold.unlink()
        assert site.client.get("/gallery/").status_code == 503
        postgres.start()
        done = site.finished(token, 90)
        assert (done["state"], done["labelled"], done["failed"]) == ("done", 60, 0)
        assert worker.poll() is None
        assert site.client.get("/gallery/?q=restart").status_code == 200


@pytest.mark.slow
def test_the_gallery_on_postgresql_walks_every_page_in_order(postgres, tmp_path):
    """The keyset and bitmask queries are checked against brute force on this database, too."""
    code = (
        "import django, sys; sys.path.insert(0, sys.argv[1]); django.setup()\n"
        "from django.http import QueryDict\n"
        "from showcase.services import gallery\n"
        "from showcase.models import Chip\n"
        "import random; random.seed(1)\n"
        "Chip.objects.filter(sha256__startswith='walk').delete()\n"
        "Chip.objects.bulk_create(Chip(sha256=f'walk{i}', width=1, height=1, shown=True,"
        " labels=random.getrandbits(17), confidence=random.randint(0, 20) / 20)"
        " for i in range(200))\n"
        "any_of = 'sort=unsure&label=water&label=road&match=any'\n"
        "for query in ('', any_of, 'sort=sure&weather=haze'):\n"
        "    found, key = [], query\n"
        "    while True:\n"
        "        page = gallery.page(QueryDict(key)); found += [c.pk for c in page.chips]\n"
        "        if not page.older: break\n"
        "        key = page.older\n"
        "    rows, _ = gallery.select(gallery.Filters.read(QueryDict(query)))\n"
        "    want = list(rows)\n"
        "    sort = (lambda c: c.pk) if not query else (lambda c: (c.confidence, c.pk))\n"
        "    want.sort(key=sort, reverse='unsure' not in query)\n"
        "    assert found == [c.pk for c in want] and len(found) > 50, query\n"
    )
    with RealSite(tmp_path, DATABASE_URL=postgres) as site:
        done = subprocess.run(
            [sys.executable, "-c", code, str(SITE)], env=site.env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


# --- S3 -------------------------------------------------------------------------------------------


@pytest.fixture
def s3():
    """moto's server, the documented fake: Debian and PyPI hold no small real S3 server."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    assert threading.active_count() < 50


@pytest.mark.slow
def test_the_site_on_s3_compatible_storage(s3, tmp_path):
    import boto3

    access = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    bucket = boto3.resource(
        "s3", endpoint_url=s3, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    ).create_bucket(Bucket="chips")  # fmt: skip
    settings = {
        "SHOWCASE_S3_BUCKET": "chips",
        "SHOWCASE_S3_ENDPOINT": s3,
        "SHOWCASE_S3_PREFIX": "lab",
    }
    with RealSite(tmp_path, SHOWCASE_S3_REGION="us-east-1", **access, **settings) as site:
        site.web()
        token = site.send([(f"chip_{i}.png", pictures.png(i, 32)) for i in range(5)])
        uploads = [o for o in bucket.objects.all() if "uploads/" in o.key]
        assert len(uploads) == 5
        site.worker()
        assert site.finished(token)["labelled"] == 5
        keys = [o.key for o in bucket.objects.all()]
        wait_for(lambda: not [o for o in bucket.objects.all() if "uploads/" in o.key])
        assert all(key.startswith("lab/") for key in keys)
        assert not (tmp_path / "var/files").exists()
        chip = site.client.get(f"/api/v1/batches/{token}/chips").json()["chips"][0]["chip"]
        picture = site.client.get(f"/chip/{chip}/original.image")
        assert picture.status_code == 200
        assert picture.content.startswith(b"\x89PNG")
        wait_for(lambda: site.client.get(f"/chip/{chip}/dehazed.image").status_code == 200)
        assert site.client.get("/chip/none/original.image").status_code == 404
        wait_for(lambda: site.client.get("/workerz").status_code == 200)


@pytest.mark.slow
def test_a_file_store_that_is_away_for_seconds_fails_no_batch(tmp_path):
    moto = pytest.importorskip("moto.server")
    import boto3

    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    ).create_bucket(Bucket="chips")  # fmt: skip
    access = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    store = {"SHOWCASE_S3_BUCKET": "chips", "SHOWCASE_S3_ENDPOINT": endpoint}
    with RealSite(tmp_path, SHOWCASE_S3_REGION="us-east-1", **access, **store) as site:
        try:
            site.web()
            token = site.send([(f"chip_{i}.png", pictures.png(i, 32)) for i in range(5)])
            server.stop()
            site.worker()
            wait_for(lambda: "file store" in site.status(token)["trouble"])
            answer = site.client.post(
                "/", data=site.form(), files=[("files", ("a.png", pictures.png(9)))]
            )
            assert answer.status_code == 503
            assert site.status(token)["state"] == "queued"
            server = moto.ThreadedMotoServer(ip_address=host, port=port, verbose=False)
            server.start()  # with what was in it
            done = site.finished(token)
            assert (done["state"], done["labelled"], done["failed"]) == ("done", 5, 0)
        finally:
            server.stop()
