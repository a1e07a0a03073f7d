"""Headers, cookies, forms, limits and rights of the site."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading

import pictures
import pytest
from config.wsgi import application
from conftest import SITE
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from showcase.models import Batch, Chip, Count, Flag, Placement

pytestmark = pytest.mark.django_db
PAGES = ["/", "/gallery/", "/model/", "/api/", "/login/", "/api/v1/docs", "/admin/login/", "/nope"]


@pytest.fixture
def done(showcase):
    return showcase.run([("a.png", pictures.png(1)), ("big.png", pictures.png(2, 600))])


@pytest.fixture
def pages(done):
    chip = Chip.objects.order_by("pk").first()
    mosaic = done.uploads.get(name="big")
    batch = f"/batch/{done.token}/"
    return [*PAGES, batch, f"{batch}picture/{mosaic.pk}/", f"/chip/{chip.key}/"]


def test_every_page_has_a_policy_without_anything_inline(client, pages):
    for path in pages:
        answer = client.get(path)
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["Referrer-Policy"] == "same-origin"


def test_pages_to_look_at_may_be_embedded_where_the_operator_says_so(client, done, settings):
    settings.EMBEDDED_BY = ["https://lab.example.org", "https://*.example.com"]
    chip = Chip.objects.order_by("pk").first()
    for path in ("/gallery/", "/model/", f"/batch/{done.token}/", f"/chip/{chip.key}/"):
        answer = client.get(path)
        policy = answer["Content-Security-Policy"]
        assert "frame-ancestors https://lab.example.org https://*.example.com" in policy
        assert policy.count("frame-ancestors") == 1
        assert "X-Frame-Options" not in answer  # it knows no origins, and would win
    for path in ("/", "/login/", "/admin/login/", "/api/", "/unsure/", "/nowhere/"):
        answer = client.get(path)
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"], path
        assert answer["X-Frame-Options"] == "DENY", path


@pytest.mark.parametrize("said", ["*", "lab.example.org", "https://a.org; script-src *"])
def test_what_is_no_origin_embeds_nothing(said, tmp_path):
    env = os.environ | {"SHOWCASE_EMBEDDED_BY": said, "SHOWCASE_VAR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"], cwd=SITE, env=env, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "SHOWCASE_EMBEDDED_BY: " in done.stderr
    assert "is no origin" in done.stderr.splitlines()[-1]


def test_no_page_holds_what_the_policy_would_block(client, pages):
    for path in pages:
        text = client.get(path).content.decode()
        assert not re.search(r"<style\b", text), path
        assert not re.search(r"<[^>]+\sstyle=", text), path
        assert not re.search(r"<[^>]+\son[a-z]+=", text), path
        for tag in re.findall(r"<script\b[^>]*>", text):
            assert "src=" in tag or 'type="application/json"' in tag, (path, tag)
        foreign = re.findall(r"(?:src|href|action)=\"(https?://[^\"]+|//[^\"]+)", text)
        own = [url for url in foreign if "testserver" in url]
        scripts = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?:)?//", text)
        assert not scripts, path
        assert len(own) <= len(foreign)


def test_every_form_that_changes_something_is_guarded_against_forgery(done, staff):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(staff)
    chip = Chip.objects.first()
    for path in (
        "/", "/upload/", f"/batch/{done.token}/files/", f"/batch/{done.token}/submit/",
        f"/batch/{done.token}/cancel/", f"/batch/{done.token}/retry/",
        f"/batch/{done.token}/delete/", f"/chip/{chip.key}/flag/", f"/chip/{chip.key}/hide/",
        f"/chip/{chip.key}/delete/", "/login/", "/admin/login/", "/logout/", "/i18n/setlang/",
    ):  # fmt: skip
        assert strict.post(path, {"label": "water"}).status_code == 403, path
    assert Batch.objects.count() == 1
    assert not Flag.objects.exists()


def test_addresses_that_change_something_refuse_get(client, done):
    chip = Chip.objects.first()
    batch, chip = f"/batch/{done.token}", f"/chip/{chip.key}"
    for path in (f"{batch}/cancel/", f"{batch}/delete/", f"{chip}/delete/", "/upload/"):
        assert client.get(path).status_code == 405


def test_cookies_are_kept_from_scripts_and_other_sites(client, showcase, settings):
    showcase.batch([("a.png", pictures.png(1))])
    for name in ("sessionid", "csrftoken"):
        if name in client.cookies:
            assert client.cookies[name]["httponly"]
            assert client.cookies[name]["samesite"] == "Lax"
    assert client.cookies["sessionid"]["httponly"]


def test_deleting_and_hiding_need_staff(
    client, done, staff, django_user_model, django_capture_on_commit_callbacks
):
    chip = Chip.objects.first()
    plain = django_user_model.objects.create_user("visitor", password="a long password")
    paths = [f"/chip/{chip.key}/hide/", f"/chip/{chip.key}/delete/", f"/batch/{done.token}/delete/"]
    other = Client()
    other.force_login(plain)
    for path in paths:
        if "batch" not in path:
            assert client.post(path).status_code == 403  # even the one who opened the batch
        assert other.post(path).status_code == 403
    plain.is_staff = True  # of another part of the site, without rights here
    plain.save()
    for path in paths:
        assert other.post(path).status_code == 403
    assert Batch.objects.exists()
    other.force_login(staff)
    assert other.post(paths[0]).status_code == 302
    chip.refresh_from_db()
    assert (chip.hidden, chip.shown) == (True, False)
    assert client.get(f"/chip/{chip.key}/").status_code == 404
    assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 404
    assert other.get(f"/chip/{chip.key}/").status_code == 200
    other.post(paths[0])
    chip.refresh_from_db()
    assert chip.shown
    with django_capture_on_commit_callbacks(execute=True):
        assert other.post(paths[1]).status_code == 302
    assert not Chip.objects.filter(pk=chip.pk).exists()
    with django_capture_on_commit_callbacks(execute=True):
        assert other.post(paths[2]).status_code == 302
    assert not Batch.objects.exists()
    assert not Chip.objects.exists()
    journal = LogEntry.objects.order_by("pk").values_list("user", "change_message")
    assert list(journal) == [
        (staff.pk, "hidden"),
        (staff.pk, "shown again"),
        (staff.pk, "deleted on its page"),
        (staff.pk, "deleted on its page"),
    ]


def test_who_opened_a_batch_may_delete_it(client, done, django_capture_on_commit_callbacks):
    page = done.get_absolute_url()
    assert f"{page}delete/" not in Client().get(page).content.decode()
    assert Client().post(f"{page}delete/").status_code == 403
    assert f"{page}delete/" in client.get(page).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(f"{page}delete/").status_code == 302
    assert not Batch.objects.exists()
    assert not Chip.objects.exists()


def test_a_form_is_private_and_for_a_month_unless_the_visitor_says_otherwise(client, showcase):
    page = client.get("/").content.decode()
    assert re.search(r'name="private" value="1" checked', page)
    assert '<option value="30" selected>' in page
    assert showcase.batch([("a.png", pictures.png(1))]).vanishes_at is not None
    assert showcase.batch([("a.png", pictures.png(1))], days="0").vanishes_at is None


def test_what_is_taken_down_is_soon_gone_from_caches(client, done):
    answer = client.get(f"/chip/{Chip.objects.first().key}/thumb.image")
    age = re.search(r"max-age=(\d+)", answer["Cache-Control"])
    assert int(age[1]) <= 600
    assert "immutable" not in answer["Cache-Control"]


def test_a_picture_of_thousands_of_chips_comes_in_parts(client, showcase, done):
    """One page of all its cells took minutes of the processor, for anybody who asked."""
    upload = done.uploads.get(name="big")
    upload.rows, upload.columns = 100, 70
    upload.save()
    chip = Chip.objects.first()
    upload.placements.all().delete()
    said = chip.predictions.get()
    Placement.objects.bulk_create(
        Placement(batch=done, upload=upload, chip=chip, row=row, column=column, state="labelled",
                  prediction=said)
        for row in range(100) for column in range(70)
    )  # fmt: skip
    path, seen = f"/batch/{done.token}/picture/{upload.pk}/", 0
    for part in range(1, 13):
        page = client.get(f"{path}?part={part}").content.decode()
        count = page.count("<image ")
        assert 0 < count <= 32 * 32
        seen += count
        assert (f"?part={part + 1}" in page) is (part < 12)
    assert seen == 7000
    for nonsense in ("0", "-1", "99", "x", "9" * 400):
        assert client.get(f"{path}?part={nonsense}").status_code == 200


def test_a_reader_who_takes_his_time_holds_no_query_open(client, done):
    """Else the journal of SQLite grows for as long as the download takes."""
    for path in (f"{done.get_absolute_url()}labels.csv", "/flags.csv"):
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(path)
            before = len(queries)
            assert b"".join(answer.streaming_content).startswith(b"image_name,tags")
            assert len(queries) == before > 0


def test_only_who_opened_a_batch_may_add_cancel_or_retry(client, showcase):
    batch = showcase.batch([("a.png", pictures.png(1))])
    other = Client()
    for step in ("files", "submit", "cancel", "retry"):
        assert other.post(f"/batch/{batch.token}/{step}/").status_code == 403
    batch.refresh_from_db()
    assert batch.state == "queued"


def test_tokens_are_long_random_and_listed_nowhere(client, showcase):
    batches = [showcase.batch([("a.png", pictures.png(i))], private="1") for i in range(3)]
    assert len({b.token for b in batches}) == 3
    assert all(len(b.token) >= 22 for b in batches)
    other = Client()
    for path in ("/", "/gallery/", "/model/", "/flags.csv", "/api/v1/openapi.json", "/readyz"):
        answer = other.get(path)
        text = b"".join(answer) if answer.streaming else answer.content
        assert not any(b.token.encode() in text for b in batches)
    for guess in ("1", str(batches[0].pk), batches[0].token[:-1], batches[0].token.swapcase()):
        assert other.get(f"/batch/{guess}/").status_code == 404
    assert other.get(f"/batch/{batches[0].token}/")["X-Robots-Tag"] == "noindex"


def test_uploads_flags_and_logins_are_limited_per_address(client, done, settings):
    settings.SHOWCASE |= {"UPLOADS_PER_HOUR": 2, "FLAGS_PER_HOUR": 2, "LOGINS_PER_HOUR": 2}
    chip = Chip.objects.first()
    for path in ("/upload/", f"/chip/{chip.key}/flag/", "/login/", "/admin/login/"):
        Count.objects.all().delete()
        codes = [client.post(path, {"label": "water"}).status_code for _ in range(4)]
        assert 429 not in codes[:2], path
        assert codes[2:] == [429, 429], path
        assert client.post(path).headers["Retry-After"]
        answer = client.post(path, REMOTE_ADDR="10.0.0.9", data={"label": "water"})
        assert answer.status_code != 429  # another address has its own share


def test_the_administrations_login_is_the_sites_own(client, staff, settings):
    settings.SHOWCASE["LOGINS_PER_HOUR"] = 2
    asked = client.get("/admin/showcase/flag/", follow=True)
    assert asked.redirect_chain == [("/admin/login/?next=/admin/showcase/flag/", 302)]
    given = {"username": "keeper", "password": "wrong", "next": "/admin/showcase/flag/"}
    assert "Sign in" in client.post("/admin/login/", given).content.decode()
    right = client.post("/admin/login/", given | {"password": "a long password"})
    assert (right.status_code, right["Location"]) == (302, "/admin/showcase/flag/")
    # Tries there and tries here are counted together, and a right password is not let in any more.
    for path in ("/admin/login/", "/login/"):
        assert Client().post(path, given | {"password": "a long password"}).status_code == 429


def test_a_forged_address_does_not_help(client, settings):
    settings.SHOWCASE["UPLOADS_PER_HOUR"] = 1
    codes = [
        client.post("/upload/", headers={"X-Forwarded-For": f"1.2.3.{i}"}).status_code
        for i in range(3)
    ]
    assert codes == [201, 429, 429]
    settings.PROXIES = 1  # behind one proxy the last entry is the one it wrote
    codes = [
        client.post("/upload/", headers={"X-Forwarded-For": f"{i}.9.9.9, 5.6.7.8"}).status_code
        for i in range(3)
    ]
    assert codes == [201, 429, 429]


def test_a_port_behind_an_address_is_no_other_visitor(client, settings):
    settings.SHOWCASE["UPLOADS_PER_HOUR"] = 1
    settings.PROXIES = 1
    for chain in (
        ["9.9.9.9:1111", "9.9.9.9:2222", "9.9.9.9"],
        ["[2001:db8::1]:1111", "[2001:db8::1]:2222", "2001:db8::1"],
    ):
        sent = [{"X-Forwarded-For": text} for text in chain]
        codes = [client.post("/upload/", headers=headers).status_code for headers in sent]
        assert codes == [201, 429, 429]


def test_who_asks_without_the_proxy_cannot_choose_an_address(client, settings):
    settings.SHOWCASE["UPLOADS_PER_HOUR"] = 1
    settings.PROXIES = 1
    codes = [
        client.post(
            "/upload/", headers={"X-Forwarded-For": f"1.2.3.{i}"}, REMOTE_ADDR="198.51.100.7"
        ).status_code
        for i in range(3)
    ]
    assert codes == [201, 429, 429]


def test_an_account_is_not_tried_from_many_addresses(client, staff, settings):
    settings.SHOWCASE["LOGINS_PER_HOUR"] = 2
    given = {"username": "Keeper", "password": "wrong"}
    codes = [client.post("/login/", given, REMOTE_ADDR=f"10.0.0.{i}").status_code for i in range(4)]
    assert codes == [200, 200, 429, 429]


def test_no_address_is_stored(client, settings):
    settings.SHOWCASE["UPLOADS_PER_HOUR"] = 5
    client.post("/upload/", REMOTE_ADDR="203.0.113.77")
    assert Count.objects.exists()
    assert not Count.objects.filter(what__contains="203.0.113.77").exists()


# --- limits of an upload --------------------------------------------------------------------------


def file(name: str, size: int) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"\xff" * size)


def test_a_file_over_the_limit_is_refused_with_the_limit(client, settings):
    settings.SHOWCASE["MAX_FILE_MB"] = 0.001
    token = client.post("/upload/").json()["token"]
    sent = client.post(f"/batch/{token}/files/", {"files": [file("a", 2000), file("b", 500)]})
    assert [f["accepted"] for f in sent.json()["files"]] == [False, True]
    assert "0.001 MB" in sent.json()["files"][0]["reason"]


def test_a_batch_over_the_limits_is_refused(client, settings):
    settings.SHOWCASE |= {"MAX_FILES": 3, "MAX_BATCH_MB": 0.001}
    token = client.post("/upload/").json()["token"]
    accepted = []
    for i in range(3):
        answer = client.post(f"/batch/{token}/files/", {"files": [file(str(i), 400)]})
        accepted.append(answer.json()["files"][0]["accepted"])
    assert accepted == [True, True, False]
    settings.SHOWCASE["MAX_BATCH_MB"] = 1
    answer = client.post(f"/batch/{token}/files/", {"files": [file(str(i), 400) for i in range(3)]})
    assert [f["accepted"] for f in answer.json()["files"]] == [True, False, False]
    assert Batch.objects.get().files == 3


def test_a_request_over_the_limit_is_stopped_while_it_arrives(client, settings, showcase):
    settings.SHOWCASE["MAX_BATCH_MB"] = 0.1
    assert showcase.send([("a", b"x" * 300_000)]).status_code == 413
    assert showcase.stored() == []


def test_five_hundred_files_in_one_form(client, showcase):
    batch = showcase.batch([(f"{i}.png", b"x%d" % i) for i in range(500)])
    assert batch.files == 500
    assert showcase.send([(f"{i}.png", b"x%d" % i) for i in range(521)]).status_code == 413


def test_a_folder_and_files_come_in_one_form(client):
    """Without scripts both fields of the form are sent; the empty one holds nothing."""
    one, two, three = (SimpleUploadedFile(f"{i}.png", pictures.png(i)) for i in range(3))
    assert client.post("/", {"folder": [one, two]}).status_code == 302
    assert [u.name for u in Batch.objects.latest("pk").uploads.all()] == ["0", "1"]
    for file in (one, two, three):
        file.seek(0)
    assert client.post("/", {"files": [three], "folder": [one, two]}).status_code == 302
    assert [u.name for u in Batch.objects.latest("pk").uploads.all()] == ["2", "0", "1"]
    assert 'name="folder" webkitdirectory multiple' in client.get("/").content.decode()


def test_an_empty_form_says_what_is_missing(client):
    answer = client.post("/", {}, follow=True)
    assert answer.status_code == 200
    assert "Choose at least one picture" in answer.content.decode()
    assert not Batch.objects.exists()


def test_a_submitted_batch_takes_no_more_files(client):
    token = client.post("/upload/").json()["token"]
    assert client.post(f"/batch/{token}/submit/").status_code == 400
    client.post(f"/batch/{token}/files/", {"files": [file("a", 10)]})
    assert client.post(f"/batch/{token}/submit/").status_code == 200
    answer = client.post(f"/batch/{token}/files/", {"files": [file("b", 10)]})
    assert not answer.json()["files"][0]["accepted"]
    assert client.post(f"/batch/{token}/submit/").status_code == 200  # again: no harm
    assert Batch.objects.get().files == 1


def test_the_site_speaks_both_languages(client, done):
    from django.utils import translation

    page = client.get("/gallery/", headers={"Accept-Language": "zh-CN"}).content.decode()
    assert 'lang="zh-hans"' in page
    assert "原始森林" in page
    with translation.override("en"):
        assert "water" in client.get("/gallery/").content.decode()
    client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/gallery/"})
    assert "原始森林" in client.get("/gallery/").content.decode()
    away = client.post("/i18n/setlang/", {"language": "en", "next": "https://evil.example/"})
    assert "evil" not in away["Location"]


def test_health_says_what_is_missing_and_no_secrets(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    answer = client.get("/readyz")
    # Files are taken without a worker: no load balancer shall take this server away.
    assert answer.status_code == 200
    assert answer.json()["checks"]["worker"] == "no worker is running"
    assert client.get("/workerz").status_code == 503
    from showcase.models import Worker

    Worker.objects.create(name="w", host="h", pid=1, trouble="/secret/path is missing")
    for path in ("/readyz", "/workerz"):
        assert "secret" not in client.get(path).content.decode()
        assert "the model is not loaded" in client.get(path).content.decode()
    Worker.objects.update(ready=True)
    assert client.get("/workerz").status_code == 200


def test_a_store_that_hangs_holds_no_probe(client, monkeypatch):
    """Eight probes held all threads of the site while the store did not answer."""
    from showcase import storage
    from showcase.services import health

    over, asked = threading.Event(), []

    def hang(*_):
        asked.append(1)
        over.wait(30)

    monkeypatch.setattr(storage, "write", hang)
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    try:
        for _ in range(8):
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()["checks"]["files"]) == (
                503, "does not answer",
            )  # fmt: skip
        assert asked == [1]
        assert client.get("/healthz").status_code == 200
    finally:
        over.set()


def test_a_store_that_did_not_answer_is_left_alone_for_a_moment(client, showcase, monkeypatch):
    """Each thumbnail waited for it, and soon no thread was left for anybody."""
    from showcase import storage

    exceptions = pytest.importorskip("botocore.exceptions")
    chip, asked = Chip.objects.create(sha256="a", content="a", width=8, height=8), []

    def away(*_):
        asked.append(1)
        raise exceptions.ConnectTimeoutError(endpoint_url="http://s3")

    monkeypatch.setattr(storage.AtomicStorage, "_open", away)
    codes = [client.get(f"/chip/{chip.key}/thumb.image").status_code for _ in range(8)]
    assert (codes, asked) == ([503] * 8, [1])
    monkeypatch.undo()
    storage._away_until = 0.0  # a moment later
    assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 404


def test_probes_may_call_the_site_by_any_name(client, settings):
    settings.ALLOWED_HOSTS = ["chips.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    for path, code in (("/healthz", 200), ("/readyz", 200), ("/workerz", 503)):
        for host in ("10.0.0.7:8000", "evil.example", "chips.example.org"):
            answer = client.get(path, headers={"host": host})
            assert answer.status_code == code
            assert "no-store" in answer["Cache-Control"]
        assert client.post(path, headers={"host": "10.0.0.7"}).status_code == 405
    assert client.get("/", headers={"host": "10.0.0.7"}).status_code == 400


def test_asking_for_health_does_not_write_each_time(client, monkeypatch):
    """Anybody may ask; on S3 every write is billed."""
    from showcase import storage
    from showcase.services import health

    written, now = [], [1000.0]
    monkeypatch.setattr(storage, "write", lambda name, data: written.append(name))
    monkeypatch.setattr(health.time, "monotonic", lambda: now[0])
    monkeypatch.setitem(health._last, "until", 0.0)

    def files() -> str:
        return client.get("/readyz").json()["checks"]["files"]

    assert [files() for _ in range(20)] == ["ok"] * 20
    assert len(written) == 1

    def full(name, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "write", full)
    assert files() == "ok"
    now[0] += health.FRESH
    assert files() == "cannot be written"  # no later than that


def test_a_locked_database_answers_503_with_a_page(client, monkeypatch):
    from django.db import OperationalError
    from showcase.web.views import chips

    def locked(*args):
        raise OperationalError("database is locked")

    monkeypatch.setattr(chips.gallery_of, "page", locked)
    answer = client.get("/gallery/")
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert "try again" in answer.content.decode()


def test_a_file_store_that_is_away_answers_503(client, showcase, monkeypatch):
    from showcase import storage
    from showcase.services.api_keys import make as new_key

    exceptions = pytest.importorskip("botocore.exceptions")
    chip = Chip.objects.create(sha256="a", content="a", width=8, height=8, shown=True)

    def away(*_, **__):
        raise exceptions.EndpointConnectionError(endpoint_url="http://s3")

    monkeypatch.setattr(storage.AtomicStorage, "_save", away)
    monkeypatch.setattr(storage.AtomicStorage, "_open", away)
    monkeypatch.setattr(storage, "PAUSE", 0)
    assert showcase.send([("a.png", pictures.png(1))]).status_code == 503
    assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 503
    sent = {"files": [SimpleUploadedFile("a.png", pictures.png(1))]}
    answer = client.post("/api/v1/batches", sent, headers={"X-API-Key": new_key("a")})
    assert (answer.status_code, "detail" in answer.json()) == (503, True)
    assert not Batch.objects.filter(files__gt=0).exists()


def test_a_full_disk_answers_503_and_accepts_nothing(client, showcase, monkeypatch):
    from showcase import storage

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.AtomicStorage, "_save", full)
    assert showcase.send([("a.png", pictures.png(1))]).status_code == 503
    assert not Batch.objects.exists()
    assert showcase.stored() == []


def test_no_upload_is_taken_on_a_disk_that_is_nearly_full(client, showcase, monkeypatch):
    """The database may lie on the same one: with it full, nothing works any more."""
    from showcase import storage

    usage = type(storage.shutil.disk_usage("/"))
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: usage(1000, 960, 40))
    assert showcase.send([("a.png", pictures.png(1))]).status_code == 503
    assert client.post("/upload/").status_code == 503
    assert not Batch.objects.exists()
    assert showcase.stored() == []
    assert client.get("/gallery/").status_code == 200
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: usage(1000, 900, 100))
    assert showcase.send([("a.png", pictures.png(1))]).status_code == 302


def test_what_an_address_has_waiting_on_the_disk_is_limited(client, showcase, settings):
    """However many batches it opens: unpacked archives count, too."""
    from showcase.models import Upload

    settings.SHOWCASE |= {"UPLOADS_PER_HOUR": 50, "MAX_BATCH_MB": 1}
    batch = showcase.batch([("a.png", pictures.png(1))])
    Upload.objects.create(batch=batch, name="member", size=4_000_001, copy="uploads/member")
    assert client.post("/upload/").status_code == 429
    assert client.post("/upload/", REMOTE_ADDR="10.0.0.9").status_code == 201
    Upload.objects.update(copy="")  # drawn, and deleted
    assert client.post("/upload/").status_code == 201


def test_what_is_accepted_survives_a_power_cut(client, showcase, monkeypatch):
    """The file's bytes, and the name that the folder holds, are on disk before the answer."""
    synced, sync = [], os.fsync

    def note(file):
        synced.append(os.readlink(f"/proc/self/fd/{file}"))
        sync(file)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no list of open files here")
    monkeypatch.setattr(os, "fsync", note)
    batch = showcase.batch([("a.png", pictures.png(1))])
    copy = batch.uploads.get().copy.split("/")[1]
    assert [copy in synced[0], synced[1].endswith("/uploads")] == [True, True]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            assert cursor.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_a_form_of_many_files_holds_one_open_at_a_time(client, showcase, monkeypatch):
    """It held one for each of its 520, before anybody knew whether the form was honest."""
    from showcase.web import upload_handlers

    now, most, make = [0], [0], upload_handlers.tempfile.SpooledTemporaryFile

    class Watched(make):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            now[0] += 1
            most[0] = max(most[0], now[0])

        def close(self):
            now[0] -= not self.closed
            super().close()

    monkeypatch.setattr(upload_handlers.tempfile, "SpooledTemporaryFile", Watched)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    sent = [SimpleUploadedFile(f"{i}.png", b"x" * 1000) for i in range(400)]
    strict = Client(enforce_csrf_checks=True)
    strict.get("/login/")
    assert strict.post("/", {"files": sent}).status_code == 403  # a forged form
    assert (now, most) == ([0], [1])
    assert showcase.stored() == []  # nothing of it stays
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 5


def test_what_was_accepted_stays_where_the_answer_to_the_commit_is_lost(
    client, showcase, monkeypatch
):
    """The rows may be there: a file without a row is swept, a row without its file is a loss."""
    from django.db import OperationalError
    from showcase.services import uploads

    token = client.post("/upload/").json()["token"]
    path = f"/batch/{token}/files/"
    add = uploads.add_files

    def lost(*args):
        add(*args)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(uploads, "add_files", lost)
    sent = SimpleUploadedFile("a.png", pictures.png(1))
    assert client.post(path, {"files": [sent]}).status_code == 503
    monkeypatch.undo()
    sent.seek(0)
    again = client.post(path, {"files": [sent], "after": "0"}).json()["files"]
    assert [one["accepted"] for one in again] == [True]
    client.post(f"/batch/{token}/submit/")
    batch = showcase.work(Batch.objects.get(token=token))
    assert (batch.files, batch.chips_labelled, batch.files_failed) == (1, 1, 0)


# --- what an address may send ---------------------------------------------------------------------


def test_files_and_retries_are_limited_per_address(client, showcase, settings):
    settings.SHOWCASE |= {"FILES_PER_HOUR": 4, "RETRIES_PER_HOUR": 2}
    token = client.post("/upload/").json()["token"]
    path = f"/batch/{token}/files/"
    codes = []
    for start in (0, 2, 4):
        sent = [file(str(start), 10), file(str(start + 1), 10)]
        codes.append(client.post(path, {"files": sent}).status_code)
    assert codes == [200, 200, 429]
    assert Batch.objects.get(token=token).files == 4
    assert client.post("/", {"files": [file("z", 10)]}).status_code == 429
    retry = f"/batch/{token}/retry/"
    assert [client.post(retry).status_code for _ in range(3)] == [302, 302, 429]


def test_retries_of_one_batch_are_limited_whoever_asks(client, showcase, settings, monkeypatch):
    from showcase.services import batches

    monkeypatch.setattr(batches, "RETRIES_PER_HOUR", 2)
    settings.SHOWCASE["BATCH_READ_SECONDS"] = 0
    batch = showcase.work(showcase.batch([("a.png", pictures.png(1))]))
    codes = []
    for i in range(3):
        answer = client.post(f"/batch/{batch.token}/retry/", REMOTE_ADDR=f"10.0.0.{i}")
        codes.append(answer.status_code)
        showcase.work(batch)
    assert codes == [302, 302, 429]


def test_a_subscriber_of_ipv6_is_one_visitor(client, settings):
    settings.SHOWCASE["UPLOADS_PER_HOUR"] = 1
    for addresses in (
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
        ("::ffff:10.0.0.1", "10.0.0.1", "::ffff:10.0.0.2"),
    ):
        codes = [client.post("/upload/", REMOTE_ADDR=a).status_code for a in addresses]
        assert codes == [201, 429, 201]


def test_nothing_stays_stored_of_a_batch_without_room(client, showcase, settings):
    settings.SHOWCASE |= {"MAX_FILES": 2, "MAX_BATCH_MB": 0.001}
    token = client.post("/upload/").json()["token"]
    path = f"/batch/{token}/files/"

    def send(*files, **more):
        answers = client.post(path, {"files": list(files), **more}).json()["files"]
        return [one["accepted"] for one in answers]

    sent = [send(file(name, size)) for name, size in (("a", 600), ("b", 600), ("c", 300))]
    assert sent == [[True], [False], [True]]
    assert len(showcase.stored()) == 2
    assert send(file("d", 10)) == [False]  # two files are all
    # Whoever has lost the answer asks again, and what is there counts as taken.
    assert send(file("a", 600), file("c", 300), after="0") == [True, True]
    client.post(f"/batch/{token}/submit/")
    settings.SHOWCASE |= {"MAX_FILES": 9}
    assert send(file("e", 10)) == [False]
    assert len(showcase.stored()) == 2


def test_files_are_read_at_the_addresses_that_take_them_only(client, monkeypatch):
    from showcase import storage

    begun, name = [], storage.new_copy
    monkeypatch.setattr(storage, "new_copy", lambda: begun.append(1) or name())
    large, small = file("a", 2_500_000), file("a", 1000)
    for path in ("/login/", "/gallery/", "/upload/", "/i18n/setlang/", "/nowhere", "/admin/login/"):
        for one in (large, small):
            one.seek(0)
            answer = Client(enforce_csrf_checks=True).post(path, {"files": [one]})
            if one is large:
                assert answer.status_code == (404 if path == "/nowhere" else 413), path
    large.seek(0)
    assert "No files are taken" in client.post("/login/", {"files": [large]}).content.decode()
    assert begun == []


def test_how_much_an_address_may_send_is_what_has_come_from_it(client, showcase, settings):
    settings.SHOWCASE["MEGABYTES_PER_HOUR"] = 3
    # Who says that much will come, and sends nothing, takes nothing from others behind his address.
    for _ in range(5):
        claim = RequestFactory().post("/", {"files": [file("a", 10)]}).environ
        claim |= {"CONTENT_LENGTH": str(10**9), "wsgi.input": io.BytesIO(b"--x")}
        application(claim, lambda *_: None).close()
    codes = [showcase.send([(str(i), b"x" * 1_500_000)]).status_code for i in range(3)]
    assert codes == [302, 302, 429]
    assert len(showcase.stored()) == 2


def test_a_path_that_is_too_long_is_named(client):
    body, kind = pictures.form([("deep/" * 300 + "a.png", pictures.png(1))])
    answer = client.post("/", body, content_type=kind)
    assert answer.status_code == 400
    assert "with its folders is too long" in answer.content.decode()


def test_whoever_asks_for_the_head_of_a_page_gets_it(client, done):
    chip = Chip.objects.first()
    own = done.get_absolute_url()
    for path in (*PAGES[:4], own, f"{own}labels.csv", chip.get_absolute_url(), "/flags.csv"):
        answer = client.head(path)
        assert (answer.status_code, answer.content if not answer.streaming else b"") == (200, b"")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("other", ["keeper", "keeper {}", " keeper{}", "ｋeeper"])
def test_an_account_is_the_same_with_other_spaces_or_letters(client, settings, staff, other):
    settings.SHOWCASE |= {"LOGINS_PER_HOUR": 3}
    tried = [
        client.post(
            "/login/",
            {"username": other.format(" " * n), "password": "wrong"},
            REMOTE_ADDR=f"10.1.{n}.1",
        ).status_code
        for n in range(5)
    ]
    assert tried == [200, 200, 200, 429, 429]
