"""The model's page: the card, and numbers that come from files, never typed in."""

from __future__ import annotations

import re
from datetime import timedelta

import numpy as np
import pictures
import pytest
from django.utils import timezone
from showcase.models import ModelVersion, Prediction
from showcase.services import model_card

from paperlib import predictor
from paperlib.labels import LABELS
from paperlib.utils import files

CARD = {
    "name": "m",
    "limits": ["Only the Amazon."],
    "sha256": {"weights.npz": "0" * 64},
    "brought": {"dehazing": {"value": -0.00187, "low": -0.0047, "high": 0.0008, "on": "VGG-16"}},
    "scores": {
        "chips": 100,
        "f2_mean_over_chips": {"value": 0.8123, "low": 0.8, "high": 0.82},
        "f2_of_each_label": {"water": {"value": 0.7654, "low": 0.7, "high": 0.8}},
    },
}


@pytest.fixture
def version(db):
    return ModelVersion.objects.create(
        name="m", fingerprint="f", card=CARD, thresholds=[0.25] * len(LABELS)
    )


def test_scores_of_the_card_are_a_chart(version):
    found = model_card.scores(version)
    assert found["chips"] == 100
    assert found["f2"]["value"] == "0.8123"
    (water,) = found["labels"]
    assert (water["title"], water["low"], water["high"]) == ("water", "0.7000", "0.8000")
    assert water["at"] == {"value": 76.54, "low": 70.0, "high": 80.0}
    assert model_card.scores(None) is None
    version.card = {"scores": "of another kind"}
    assert model_card.scores(version) is None


def test_the_second_thresholds_stand_beside_the_first(version, client):
    assert "find rare" not in client.get("/model/").content.decode()
    card = files.read_json(predictor.RELEASED / "planet32/card.json")
    usual = [card["thresholds"][name] for name in LABELS]
    version.card, version.thresholds = card, usual
    version.save()
    found = model_card.scores(version)
    own = card["scores"]["with_label_thresholds"]
    assert found["rare_f2"]["value"] == f"{own['f2_mean_over_chips']['value']:.4f}"
    page = client.get("/model/").content.decode()
    for name, row in zip(LABELS, found["labels"], strict=True):
        assert row["rare"]["value"] == f"{own['f2_of_each_label'][name]['value']:.4f}"
        assert f'<td class="number now">{row["rare"]["value"]}</td>' in page
        assert f"({100 * card['label_thresholds'][name]:.1f})" in page
    version.card = {"label_thresholds": {"water": 0.1}}  # of some labels only
    assert version.rare_thresholds == []


def test_what_each_part_brings_is_a_table(version, client):
    (row,) = model_card.brought(version)
    assert row == {"part": "dehazing", "value": "-0.0019", "low": "-0.0047", "high": "+0.0008",
                   "on": "VGG-16"}  # fmt: skip
    page = client.get("/model/").content.decode()
    assert "-0.0019" in page
    assert "brought" not in [cell["key"] for cell in model_card.card_rows(version)]
    version.card = {"brought": {"dehazing": 1}}
    assert model_card.brought(version) == []


def test_the_page_shows_card_and_results_and_no_hashes(version, client, settings, tmp_path):
    folder = tmp_path / "results/planet32"
    folder.mkdir(parents=True)
    (folder / "table1_f2.csv").write_text("label,mean_f2\nwater,0.54321\nroad,1e-05\n")
    (folder / "vgg_kernels.csv").write_text("kernel,x\n1,0.99999\n")
    settings.SHOWCASE["RESULTS"] = tmp_path / "results"
    settings.SHOWCASE["REPORT_URL"] = "https://example.org/report"
    page = client.get("/model/").content.decode()
    for shown in ("Only the Amazon.", "0.8123", ">0.5432<", ">0.0000<", ">mean F2<", "(table 1)",
                  "https://example.org/report", "25"):  # fmt: skip
        assert shown in page
    for left_out in ("0" * 64, "0.99999", "0.54321"):
        assert left_out not in page


REPORT = """<!DOCTYPE html><html><head><style>p { color: red }</style></head><body>
<p style="--n: &quot;1&quot;">F2</p> <a href="#a">up</a>
<a class="x" href="../paperlib/f2.py#L3">code</a>
<a href="https://example.org/">out</a> <img src="data:image/webp;base64,AA==">
<script>document.title = "x";</script></body></html>"""


def test_the_report_of_the_checkout_is_linked_where_it_exists(client, db, settings, tmp_path):
    settings.SHOWCASE["RESULTS"] = tmp_path
    settings.SHOWCASE["REPORT_URL"] = ""
    assert client.get("/report/").status_code == 404
    assert "/report/" not in client.get("/model/").content.decode()
    (tmp_path / "report.html").write_text(REPORT, encoding="utf-8")
    assert 'href="/report/"' in client.get("/model/").content.decode()
    answer = client.get("/report/")
    text, policy = answer.content.decode(), answer["Content-Security-Policy"]
    assert "<p style=" in text
    # Words of links into the checkout stay, the links themselves would lead nowhere.
    assert '<a class="x">code</a>' in text
    assert 'href="#a"' in text
    assert 'href="https://example.org/"' in text
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")  # no right on this site
    assert "allow-same-origin" not in policy
    (tmp_path / "report.html").write_text("<p>another</p>", encoding="utf-8")
    assert "another" in client.get("/report/").content.decode()
    settings.SHOWCASE["REPORT_URL"] = "https://example.org/report"
    assert 'href="/report/"' not in client.get("/model/").content.decode()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"dehazing": False}, "read the chip as it was sent"),
        ({"dehazing": True}, "with the haze removed."),
        ({}, ""),
        ("x", ""),
    ],
)
def test_a_chips_page_says_what_its_network_read(showcase, client, recipe, said):
    batch = showcase.run([("a.png", pictures.png(1))])
    ModelVersion.objects.update(card={"recipe": recipe})
    page = client.get(batch.placements.get().chip.get_absolute_url()).content.decode()
    told = [
        text for text in ("read the chip as it was sent", "with the haze removed.") if text in page
    ]
    assert told == ([said] if said else [])


def test_no_page_claims_parts_that_the_released_model_does_not_have(showcase, client):
    """The card says what the model is made of; no sentence beside it says otherwise."""
    batch = showcase.run([("a.png", pictures.png(1))])
    recipe = files.read_json(predictor.RELEASED / "planet32/card.json")["recipe"]
    chip = batch.placements.get().chip.get_absolute_url()
    pages = "".join(client.get(path).content.decode() for path in ("/", "/gallery/", chip))
    claims = {"one model per label": r"one network per label|networks give",
              "dehazing": r"haze removal, |after haze removal"}  # fmt: skip
    for part, words in claims.items():
        if not recipe[part]:
            assert not re.search(words, pages, re.IGNORECASE), part


def test_a_chips_page_holds_what_every_model_said(showcase, client):
    batch = showcase.run([("a.png", pictures.png(1))])
    chip = batch.placements.get().chip
    old = ModelVersion.objects.create(
        name="older", fingerprint="0123456789", thresholds=[0.5] * 17,
        used_at=timezone.now() - timedelta(days=1),
    )  # fmt: skip
    values = np.full(17, 0.123, np.float32)
    Prediction.objects.create(
        chip=chip, model=old, labels=2, confidence=0.5,
        probability=Prediction.pack(values), raw=Prediction.pack(values + 0.2),
    )  # fmt: skip
    page = client.get(chip.get_absolute_url()).content.decode()
    newest, older = page.split("What the older model older said")
    assert newest.count("<table") == older.count("<table") == 1
    assert older.count(">12.3<") == older.count(">32.3<") == 17
    now = chip.predictions.exclude(model=old).get()
    for value in Prediction.unpack(now.probability):
        assert f">{100 * value:.1f}<" in newest


def test_without_a_model_and_results_the_page_still_stands(client, db, settings, tmp_path):
    settings.SHOWCASE["RESULTS"] = tmp_path / "nothing"
    assert client.get("/model/").status_code == 200


def test_the_derivation_is_served_with_a_policy_of_its_own(client, db):
    assert 'href="/derivation/"' in client.get("/model/").content.decode()
    answer = client.get("/derivation/")
    text, policy = answer.content.decode(), answer["Content-Security-Policy"]
    assert '<html lang="en"' in text
    assert "sandbox allow-scripts;" in policy
    assert "img-src data: blob:" in policy
    assert "connect-src" not in policy  # default-src 'none': nothing leaves the reader's machine
    client.cookies["django_language"] = "zh-hans"
    assert '<html lang="zh"' in client.get("/derivation/").content.decode()
