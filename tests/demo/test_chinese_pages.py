"""Every page in Chinese, as a visitor sees it: no English is left but names, units and formats."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pictures
import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from showcase.models import Batch, Chip, Flag, ModelVersion, Upload
from showcase.services import model_card
from test_geography import geotiff

from paperlib import predictor
from paperlib.labels import LABELS
from paperlib.utils import files

#: What stays as it is in any language: formats and protocols, units, proper names.
ALLOWED = {
    "JPEG", "PNG", "TIFF", "GeoTIFF", "ZIP", "csv", "json", "GeoJSON", "API", "OpenAPI",
    "X-API-Key", "Python", "curl", "English", "MB", "km", "F2", "AP", "VGG-16", "ImageNet",
    "Planet", "zip",
}  # fmt: skip
#: Attributes that are read out or shown.
SPOKEN = ("title", "alt", "aria-label", "placeholder", "content", "data-copied", "data-title")
#: Not prose: programs, and what is written for programs.
CODE = ("script", "style", "code", "pre", "kbd")
VOID = ("br", "hr", "img", "input", "link", "meta")


class Seen(HTMLParser):
    """Visible and spoken texts of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.texts: list[str] = []
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        meta = tag == "meta" and given.get("name") != "description"
        for name, value in attrs:
            spoken = name in SPOKEN or name.startswith("data-t-")
            if value and spoken and not meta:
                self.texts.append(value)
        if tag == "input" and given.get("type") in ("submit", "button"):
            self.texts.append(given.get("value", ""))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.inside.pop()

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if data.strip() and not set(self.inside) & set(CODE):
            self.texts.append(data.strip())


def english(page: str, *own: str) -> list[str]:
    """Texts that hold a Latin word that is not allowed; `own` are words of the test's own."""
    allowed = ALLOWED | set(own)
    found = []
    for text in Seen(page).texts:
        # Without placeholders, addresses, what is marked as code, and places in a mosaic.
        bare = re.sub(
            r"\{\w+\}|https?://\S+|\b(GET|POST|DELETE) /\S*|`[^`]*`|_r\d+_c\d+", " ", text
        )
        words = re.findall(r"[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]", bare)
        if set(words) - allowed:
            found.append(text)
    return found


@pytest.fixture(autouse=True)
def _from_china(client):
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN,zh;q=0.9"


@pytest.fixture
def ask(client):
    def get(path: str, status: int = 200) -> str:
        answer = client.get(path)
        assert answer.status_code == status
        page = answer.content.decode()
        assert re.search(r"[\u4e00-\u9fff]", page)
        return page

    return get


@pytest.fixture
def batch(showcase, client) -> Batch:
    """A batch with all there is: chips, a mosaic with a place on earth, and files that fail."""
    mosaic = geotiff(1)
    sent = [("a1.png", pictures.png(1)), ("b2.jpg", pictures.jpeg(2)), ("c3.tif", mosaic)]
    return showcase.run([*sent, ("d4.png", b"no picture"), ("e5.png", b"")], title="T6")


OWN = ("a1", "b2", "c3", "d4", "e5", "T6", "planted")


def test_the_proof_finds_english():
    """In text and in attributes; not in code, and not the words that are allowed."""
    page = '<p title="Away">中文 <b>left over</b> {n} MB</p><code>GET it</code><img alt="A chip">'
    assert english(page) == ["Away", "left over", "A chip"]
    assert english("<p>F2 of</p>", "of") == []


@pytest.mark.parametrize("path", ["/", "/gallery/", "/api/", "/login/"])
def test_an_empty_site_speaks_chinese(ask, db, path):
    assert english(ask(path)) == []


def test_pages_of_a_batch_speak_chinese(ask, batch, client, staff):
    Flag.objects.create(chip=Chip.objects.first(), labels=3)
    first = Chip.objects.order_by("pk").first()
    picture = batch.uploads.get(name="c3")
    paths = [
        "/",
        "/gallery/",
        f"{first.get_absolute_url()}?of={batch.token}",
        "/gallery/?label=water&weather=clear&q=a1&sort=sure&least=50",
    ]
    paths += [batch.get_absolute_url(), f"{batch.get_absolute_url()}progress/"]
    paths += [f"{batch.get_absolute_url()}map/"]
    paths += [f"{batch.get_absolute_url()}picture/{picture.pk}/", first.get_absolute_url()]
    for signed_in in (False, True):
        if signed_in:
            client.force_login(staff)
            paths += ["/unsure/", f"{first.get_absolute_url()}?of=unsure"]
        for path in paths:
            assert english(ask(path), *OWN) == [], path


def test_what_staff_took_down_and_what_waits_is_said_in_chinese(ask, batch):
    picture = f"{batch.get_absolute_url()}picture/{batch.uploads.get(name='c3').pk}/"
    places = batch.placements.filter(upload__name="c3").order_by("pk")
    Chip.objects.filter(placements=places[0]).update(hidden=True)
    batch.placements.filter(pk=places[1].pk).update(state="waiting")
    Upload.objects.bulk_create(
        Upload(batch=batch, name="b2", state="failed", code="link") for _ in range(61)
    )
    for path in (batch.get_absolute_url(), picture):
        page = ask(path)
        assert "已被网站管理者移除。" in page
        assert english(page, *OWN) == []


@pytest.mark.parametrize("state", ["receiving", "queued", "running", "cancelled", "failed"])
def test_a_batch_in_any_state_speaks_chinese(ask, showcase, state):
    batch = showcase.batch([("a1.png", pictures.png(1))])
    Batch.objects.filter(pk=batch.pk).update(state=state, setback="worker")
    batch.uploads.update(code="truncated", state="failed")
    assert english(ask(batch.get_absolute_url()), *OWN) == []


def test_the_released_model_speaks_chinese(ask, db):
    card = files.read_json(predictor.RELEASED / "planet32/card.json")
    thresholds = [card["thresholds"][tag] for tag in LABELS]
    ModelVersion.objects.create(name="planet32", fingerprint="f", card=card, thresholds=thresholds)
    page = ask("/model/")
    for name in (card["run"], card["name"]):
        page = page.replace(f"<td>{name}</td>", "")
    names = ("Dove", "MIT", "sha256", "tensorflow", "cpu", "planet32", "sample", "paper")
    assert english(page, *names) == []


@pytest.mark.parametrize("profile", ["planet32", "sample"])
def test_tables_of_every_profile_speak_chinese(ask, db, tmp_path, settings, profile):
    """Each of the tables that this checkout holds, whatever stands in it."""
    there = site.SHOWCASE["RESULTS"] / profile
    names = [name for name in model_card.SHOWN if (there / f"{name}.csv").is_file()]
    if not names:
        pytest.skip(f"no results of {profile} here: paper run --profile {profile}")
    (tmp_path / "planet32").mkdir()
    for name in names:
        (tmp_path / f"planet32/{name}.csv").write_bytes((there / f"{name}.csv").read_bytes())
    settings.SHOWCASE["RESULTS"] = tmp_path
    page = ask("/model/")
    assert page.count("<table") == len(names)
    assert english(page, "planet32") == []


def test_what_went_wrong_is_said_in_chinese(ask, db, client, settings):
    assert english(ask("/nowhere", 404)) == []
    for path, given in (
        ("/login/", {}),
        ("/login/", {"username": "a", "password": "b"}),
        ("/", {}),
    ):
        assert english(client.post(path, given, follow=True).content.decode()) == []
    settings.SHOWCASE |= {"UPLOADS_PER_HOUR": 1, "MAX_FILES": 1}
    for names in (["a1.png", "b2.png"], ["a1.png"], ["a1.png"]):
        sent = [SimpleUploadedFile(name, pictures.png(1)) for name in names]
        answer = client.post("/", {"files": sent}, follow=True)
        assert english(answer.content.decode(), *OWN) == []
    assert answer.status_code == 429
    stranger = Client(enforce_csrf_checks=True, headers={"accept-language": "zh-CN"})
    answer = stranger.post("/login/", {})
    assert answer.status_code == 403
    assert english(answer.content.decode()) == []


def test_the_api_answers_programs_in_the_language_they_ask_for(client, db):
    """Sentences, that is: keys, states and label names are the same in every language."""
    for language, said in (
        ("zh-CN", "尚无工作进程加载模型。"),
        ("en", "No worker has loaded a model yet."),
    ):
        answer = client.get("/api/v1/model", headers={"accept-language": language})
        assert (answer.status_code, answer.json()) == (503, {"detail": said})
    labels = [
        client.get("/api/v1/labels", headers={"accept-language": x}).json() for x in ("zh", "")
    ]
    assert labels[0] == labels[1]
