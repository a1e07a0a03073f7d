"""The API: keys, limits, results; its own description against itself (schemathesis)."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta
from types import SimpleNamespace

import pictures
import pytest
from conftest import Showcase
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from showcase.limits import USUAL_DAYS
from showcase.models import ApiKey, Batch
from showcase.services import exports, predictor, rate_limits, uploads
from showcase.services.api_keys import make as new_key

from paperlib.labels import LABELS

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(db) -> str:
    return new_key("tests")


def post(client, key, files, **fields):
    sent = [SimpleUploadedFile(name, data) for name, data in files]
    headers = {"X-API-Key": key} if key else {}
    return client.post("/api/v1/batches", {"files": sent, **fields}, headers=headers)


def test_upload_status_results(client, key, showcase):
    answer = post(client, key, [("a.png", pictures.png(1)), ("b.png", b"nothing")], title="My set")
    assert answer.status_code == 202
    token = answer.json()["token"]
    assert [f["accepted"] for f in answer.json()["taken"]] == [True, True]
    batch = Batch.objects.get(token=token)
    assert batch.private  # through the API unless said otherwise
    assert client.get(f"/api/v1/batches/{token}").json()["state"] == "queued"
    showcase.work(batch)
    status = client.get(f"/api/v1/batches/{token}").json()
    assert (status["state"], status["labelled"], status["files_failed"]) == ("done", 1, 1)
    assert status["url"] == f"http://testserver/batch/{token}/"
    found = client.get(f"/api/v1/batches/{token}/chips").json()
    assert found["next"] is None
    assert found["failed_files"][0]["name"] == "b"
    assert "JPEG" in found["failed_files"][0]["reason"]
    (chip,) = found["chips"]
    assert set(chip["probability"]) == set(LABELS)
    again = client.get(f"/api/v1/chips/{chip['chip']}").json()
    assert again["probability"] == chip["probability"]
    assert again["tags"] == chip["tags"]
    model = client.get("/api/v1/model").json()
    on = [n for n in LABELS if chip["probability"][n] >= model["thresholds"][n]]
    assert on == chip["tags"]


def test_results_come_in_pages(client, key, showcase):
    answer = post(client, key, [(f"{i}.png", pictures.png(i)) for i in range(7)])
    token = answer.json()["token"]
    showcase.work(Batch.objects.get(token=token))
    names, after = [], 0
    while after is not None:
        page = client.get(f"/api/v1/batches/{token}/chips?limit=3&after={after}").json()
        names += [chip["image_name"] for chip in page["chips"]]
        after = page["next"]
    assert names == [str(i) for i in range(7)]


def test_every_failed_file_is_given_once(client, key, showcase, monkeypatch):
    from showcase.services import exports
    from showcase.web import api

    monkeypatch.setattr(api, "_FAILED", 2)
    files = [(f"{i}.png", pictures.png(i)) for i in range(4)]
    files += [(f"bad{i}.png", b"no picture %d" % i) for i in range(5)]
    token = post(client, key, files).json()["token"]
    showcase.work(Batch.objects.get(token=token))
    path, names, pages = f"/api/v1/batches/{token}/chips?limit=3", [], []
    exports._upload_names.cache_clear()
    first = client.get(path).json()
    pages.append(first["failed_files"])
    pages.append(client.get(f"{path}&after={first['next']}").json()["failed_files"])
    after = first["next_failed"]
    while after is not None:
        page = client.get(f"{path}&failed_after={after}").json()
        pages.append(page["failed_files"])
        after = page["next_failed"]
    names = [one["name"] for page in pages for one in page]
    assert [len(page) for page in pages] == [2, 0, 2, 1]
    assert names == [f"bad{i}" for i in range(5)]
    assert exports._upload_names.cache_info().misses == 1  # not read again for each page


def test_writing_needs_a_key_that_is_not_revoked(client, key):
    for wrong in ("", "pk_wrong", key[:-1]):
        assert post(client, wrong, [("a.png", pictures.png(1))]).status_code == 401
    ApiKey.objects.update(revoked=True)
    assert post(client, key, [("a.png", pictures.png(1))]).status_code == 401
    assert not Batch.objects.exists()


def test_only_the_hash_of_a_key_is_kept(key):
    assert key not in json.dumps(list(ApiKey.objects.values()), default=str)


def test_a_key_has_its_limit(client, key):
    ApiKey.objects.update(per_hour=2)
    codes = [post(client, key, [("a.png", pictures.png(1))]).status_code for _ in range(3)]
    assert codes == [202, 202, 429]
    assert post(client, new_key("another"), [("a.png", pictures.png(1))]).status_code == 202


def test_a_batch_without_a_good_file_is_a_clear_400(client, key):
    answer = post(client, key, [("empty.png", b"")])
    assert answer.status_code == 400
    assert "empty" in answer.json()["detail"]


def test_cancel_through_the_api(client, key):
    token = post(client, key, [("a.png", pictures.png(1))]).json()["token"]
    path = f"/api/v1/batches/{token}/cancel"
    assert client.post(path).status_code == 401
    headers = {"X-API-Key": key}
    assert client.post(path, headers=headers).json()["state"] == "cancelled"
    assert client.post(path, headers=headers).status_code == 409


def test_only_the_key_that_a_batch_came_with_cancels_it(client, key, showcase):
    """A public batch's token stands in the gallery: it is the right to see, not to stop."""
    through_api = post(client, key, [("a.png", pictures.png(1))], private="false").json()["token"]
    through_form = showcase.batch([("b.png", pictures.png(2))]).token
    other = {"X-API-Key": new_key("somebody else")}
    for token in (through_api, through_form):
        answer = client.post(f"/api/v1/batches/{token}/cancel", headers=other)
        assert (answer.status_code, answer.json()["detail"]) == (
            403,
            "Only the key that a batch came with may do this.",
        )
        assert Batch.objects.get(token=token).state == "queued"
    ApiKey.objects.get(name="tests").delete()  # a key that is gone gives nobody a right
    answer = client.post(f"/api/v1/batches/{through_api}/cancel", headers=other)
    assert answer.status_code == 403


def test_a_key_may_end_and_is_known_by_its_beginning(client):
    key = new_key("a lab", days=1)
    row = ApiKey.objects.get()
    assert key.startswith(row.prefix)
    assert 6 <= len(row.prefix) < 12
    assert post(client, key, [("a.png", pictures.png(1))]).status_code == 202
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert post(client, key, [("a.png", pictures.png(1))]).status_code == 401


def test_the_same_request_sent_twice_is_one_batch(client, key):
    """A program whose line broke asks again, and does not know what arrived."""
    headers = {"X-API-Key": key, "Idempotency-Key": "run 7"}
    answers = []
    for _ in range(2):
        sent = [SimpleUploadedFile("a.png", pictures.png(1))]
        answers.append(client.post("/api/v1/batches", {"files": sent}, headers=headers).json())
    assert answers[0]["token"] == answers[1]["token"]
    assert [len(one["taken"]) for one in answers] == [1, 0]
    assert Batch.objects.count() == 1
    headers["X-API-Key"] = new_key("another")
    sent = [SimpleUploadedFile("a.png", pictures.png(1))]
    assert client.post("/api/v1/batches", {"files": sent}, headers=headers).status_code == 202
    assert Batch.objects.count() == 2


@pytest.mark.parametrize(("days", "vanishes"), [("0", None), ("7", 7), (None, USUAL_DAYS)])
def test_a_batch_vanishes_after_the_days_that_were_sent(client, key, days, vanishes):
    """Seen failing: form values are text, and no number that was sent was ever taken."""
    form = {"files": [SimpleUploadedFile("a.png", pictures.png(1))]}
    form |= {} if days is None else {"days": days}
    answer = client.post("/api/v1/batches", form, headers={"X-API-Key": key})
    assert answer.status_code == 202
    at = Batch.objects.get().vanishes_at
    assert at is None or abs(at - timezone.now() - timedelta(days=vanishes)) < timedelta(hours=1)
    assert (at is None) == (not vanishes)


@pytest.mark.parametrize("days", ["2", "-1", "x", ""])
def test_other_days_are_refused(client, key, days):
    form = {"files": [SimpleUploadedFile("a.png", pictures.png(1))], "days": days}
    answer = client.post("/api/v1/batches", form, headers={"X-API-Key": key})
    assert answer.status_code == 422
    assert not Batch.objects.exists()


def named(client, key, data=None, name="run 7"):
    form = {"files": [SimpleUploadedFile("a.png", pictures.png(1) if data is None else data)]}
    headers = {"X-API-Key": key, "Idempotency-Key": name}
    return client.post("/api/v1/batches", form, headers=headers)


def test_a_request_that_was_refused_may_come_again_mended(client, key):
    assert named(client, key, b"").status_code == 400
    again = named(client, key)
    assert (again.status_code, again.json()["state"]) == (202, "queued")


@pytest.mark.django_db(transaction=True)
def test_a_request_that_broke_off_may_come_again(client, key, monkeypatch):
    """Seen failing: an empty batch had its name, and the files of the second time were dropped."""
    submit = uploads.submit

    def fail(batch):
        monkeypatch.setattr(uploads, "submit", submit)
        raise OperationalError("database is locked")

    monkeypatch.setattr(uploads, "submit", fail)
    assert named(client, key).status_code == 503
    again = named(client, key)
    assert (again.status_code, again.json()["state"], again.json()["files"]) == (202, "queued", 1)
    assert Batch.objects.count() == 1


def test_the_name_of_a_batch_that_has_vanished_is_free(client, key):
    first = named(client, key).json()["token"]
    Batch.objects.update(vanishes_at=timezone.now() - timedelta(seconds=1))
    second = named(client, key)
    assert second.status_code == 202
    assert second.json()["token"] != first


@pytest.mark.django_db(transaction=True)
def test_the_same_request_twice_at_one_moment_is_one_batch(client, key, monkeypatch):
    """The other one is written down between this one's look and its own writing."""
    within, tokens = rate_limits.within, []

    def meanwhile(kind, *arguments):
        if kind == "files":
            monkeypatch.setattr(rate_limits, "within", within)
            tokens.append(named(client, key).json()["token"])
        return within(kind, *arguments)

    monkeypatch.setattr(rate_limits, "within", meanwhile)
    answer = named(client, key)
    assert (answer.status_code, answer.json()["token"]) == (202, tokens[0])
    assert Batch.objects.count() == 1


def test_a_key_lists_and_deletes_its_own_batches(
    client, key, showcase, django_capture_on_commit_callbacks
):
    mine = [post(client, key, [(f"{i}.png", pictures.png(i))]).json()["token"] for i in range(3)]
    showcase.batch([("b.png", pictures.png(9))])
    headers = {"X-API-Key": key}
    listed = client.get("/api/v1/batches", headers=headers).json()
    assert [one["token"] for one in listed] == mine[::-1]
    assert client.get("/api/v1/batches").status_code == 401
    other = {"X-API-Key": new_key("another")}
    assert client.get("/api/v1/batches", headers=other).json() == []
    assert client.delete(f"/api/v1/batches/{mine[0]}", headers=other).status_code == 403
    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(f"/api/v1/batches/{mine[0]}", headers=headers).status_code == 204
    assert client.get(f"/api/v1/batches/{mine[0]}").status_code == 404
    assert len(showcase.stored()) == 3


def test_a_picture_of_too_many_chips_is_answered_by_its_batch(client, key, showcase, monkeypatch):
    """Seen failing: of 576 chips the answer held 500, and no token to ask for the others."""
    from showcase.web import api

    work = SimpleNamespace(
        sleep=lambda _: showcase.work(Batch.objects.get()), monotonic=time.monotonic
    )
    monkeypatch.setattr(api, "time", work)
    monkeypatch.setattr(api, "_CHIPS", 0)
    sent = SimpleUploadedFile("a.png", pictures.png(1))
    answer = client.post("/api/v1/predict", {"file": sent}, headers={"X-API-Key": key})
    assert answer.status_code == 202
    assert answer.json()["state"] == "done"
    assert client.get(f"/api/v1/batches/{answer.json()['token']}").status_code == 200


def test_one_picture_is_answered_at_once(client, key, showcase, monkeypatch):
    """A worker takes it while the request waits; here it works between two looks."""
    from showcase.web import api

    # Of this module alone: the decoder's watch sleeps as well, in a thread of its own.
    work = SimpleNamespace(
        sleep=lambda _: showcase.work(Batch.objects.get()), monotonic=time.monotonic
    )
    monkeypatch.setattr(api, "time", work)

    def ask(data: bytes):
        sent = SimpleUploadedFile("a.png", data)
        return client.post("/api/v1/predict", {"file": sent}, headers={"X-API-Key": key})

    (chip,) = ask(pictures.png(1)).json()
    batch = Batch.objects.get()
    assert (batch.private, batch.vanishes_at is not None) == (True, True)
    assert chip["tags"] == exports.chip_entry(batch.placements.get(), "a")["tags"]
    assert set(chip["probability"]) == set(LABELS)
    batch.delete()
    refused = ask(b"no picture")
    assert (refused.status_code, "JPEG" in refused.json()["detail"]) == (400, True)
    Batch.objects.all().delete()
    monkeypatch.undo()
    monkeypatch.setattr(api, "WAIT", 0)
    answer = ask(pictures.png(2))
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


def test_a_key_that_only_sends_cannot_list_cancel_or_delete(client, key, showcase):
    sender = new_key("camera", sends_only=True)
    token = post(client, sender, [("a.png", pictures.png(1))]).json()["token"]
    headers = {"X-API-Key": sender}
    for ask, path in (
        (client.get, ""),
        (client.delete, f"/{token}"),
        (client.post, f"/{token}/cancel"),
    ):
        answer = ask(f"/api/v1/batches{path}", headers=headers)
        assert (answer.status_code, answer.json()) == (403, {"detail": "This key may only send."})
    assert client.get(f"/api/v1/batches/{token}", headers=headers).json()["state"] == "queued"
    assert client.get("/api/v1/batches", headers={"X-API-Key": key}).status_code == 200


def test_what_a_key_has_labelled_is_limited(client, key, showcase, settings):
    settings.SHOWCASE |= {"UPLOADS_PER_HOUR": 50, "CHIPS_PER_HOUR": 4, "FILES_PER_HOUR": 3}
    token = post(client, key, [("a.png", pictures.png(1, 512))]).json()["token"]
    showcase.work(Batch.objects.get(token=token))
    assert post(client, key, [("b.png", pictures.png(2))]).status_code == 429
    settings.SHOWCASE["CHIPS_PER_HOUR"] = 0
    assert post(client, key, [("b.png", pictures.png(2))]).status_code == 202
    assert post(client, key, [("c.png", pictures.png(2))]).status_code == 429  # the fourth file


def test_nothing_is_a_404_in_json(client):
    for path in ("/api/v1/batches/none", "/api/v1/batches/none/chips", "/api/v1/chips/none"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "detail" in answer.json()


def test_the_description_for_people_is_ninjas_page_with_scripts_from_here(client):
    page = client.get("/api/v1/docs").content.decode()
    assert "/api/v1/openapi.json" in page
    assert "ninja/swagger-ui-bundle.js" in page
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//', page) == []
    assert "<script>" not in page  # the policy refuses what stands inline


def _schema():
    import schemathesis  # here: seconds that no other test file's process should spend
    from config.wsgi import application

    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)


def test_the_api_keeps_to_its_own_description(transactional_db, client, monkeypatch):
    """Every operation, with input that fits the description and input that does not.

    No 5xx, only described answers and shapes; and what does not fit is refused where the operation
    takes any input at all.
    """
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    monkeypatch.setattr("showcase.web.api.WAIT", 0)  # no worker is there
    key = new_key("schemathesis", per_hour=100_000)
    predictor.load()
    batch = Showcase(client).run([("a.png", pictures.png(1)), ("b.png", b"nothing")])
    real = {"token": batch.token, "key": batch.placements.get().chip.key}
    schema = _schema()
    checks = [
        not_a_server_error,
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    ]
    tried, answers = set(), set()

    def try_out(operation, mode):
        @settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case):
            case.headers = {**(case.headers or {}), "X-API-Key": key}
            if mode is GenerationMode.POSITIVE:
                for name in case.path_parameters or {}:  # no generator would guess one
                    if len(answers) % 2:
                        case.path_parameters[name] = real[name]
            response = case.call()
            label = case.operation.label.replace("/api/v1", "")
            answers.add((label, response.status_code, mode.value, len(answers)))
            case.validate_response(response, checks=checks)

        one()
        tried.add((operation.label, mode))

    for result in schema.get_all_operations():
        operation = result.ok()
        try_out(operation, GenerationMode.POSITIVE)
        if not operation.path.endswith(("/labels", "/model")):  # there nothing can be sent
            try_out(operation, GenerationMode.NEGATIVE)
    assert len(tried) == 10 + 8
    met = {answer[:3] for answer in answers}
    assert ("GET /batches/{token}/chips", 200, "positive") in met
    assert ("GET /batches/{token}", 200, "positive") in met
    assert ("POST /batches", 422, "negative") in met
    assert ("GET /batches/{token}/chips", 422, "negative") in met
