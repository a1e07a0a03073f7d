"""The model's page: the card, and numbers that come from files, never typed in."""

from __future__ import annotations

import pytest
from showcase import results
from showcase.models import ModelVersion

from paperlib.labels import LABELS

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
    found = results.scores(version)
    assert found["chips"] == 100
    assert found["f2"]["value"] == "0.8123"
    (water,) = found["labels"]
    assert (water["title"], water["low"], water["high"]) == ("water", "0.7000", "0.8000")
    assert water["at"] == {"value": 76.54, "low": 70.0, "high": 80.0}
    assert results.scores(None) is None
    version.card = {"scores": "of another kind"}
    assert results.scores(version) is None


def test_what_each_part_brings_is_a_table(version, client):
    (row,) = results.brought(version)
    assert row == {"part": "dehazing", "value": "-0.0019", "low": "-0.0047", "high": "+0.0008",
                   "on": "VGG-16"}  # fmt: skip
    page = client.get("/model/").content.decode()
    assert "-0.0019" in page
    assert "brought" not in [cell["key"] for cell in results.card_rows(version)]
    version.card = {"brought": {"dehazing": 1}}
    assert results.brought(version) == []


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


def test_without_a_model_and_results_the_page_still_stands(client, db, settings, tmp_path):
    settings.SHOWCASE["RESULTS"] = tmp_path / "nothing"
    assert client.get("/model/").status_code == 200
