"""The switch that finds rare labels: pages, downloads and the API by the second thresholds."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pictures
import planted
import pytest
from showcase.models import ApiKey, Chip, ModelVersion
from showcase.services import rare

from paperlib.labels import LABELS

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(showcase):
    return showcase.run([(f"{i}.png", pictures.png(i)) for i in range(6)])


def expected(batch) -> dict[str, list[str]]:
    """Name -> labels by the planted card's own thresholds, from the probabilities as they are."""
    own = planted.PlantedPredictor.card["label_thresholds"]
    found = {}
    for place in batch.placements.select_related("prediction", "upload"):
        values = np.frombuffer(bytes(place.prediction.probability), "<f4")
        name = place.upload.name.removesuffix(".png")
        found[name] = [n for n, v in zip(LABELS, values, strict=True) if v >= own[n]]
    return found


def table(client, batch, query: str) -> dict[str, list[str]]:
    answer = client.get(f"{batch.get_absolute_url()}labels.csv{query}")
    text = b"".join(answer.streaming_content).decode()
    return {row["image_name"]: row["tags"].split() for row in csv.DictReader(io.StringIO(text))}


def test_downloads_are_by_the_thresholds_that_were_asked_for(batch, client):
    usual, found = table(client, batch, ""), table(client, batch, "?find=rare")
    assert found == expected(batch)
    assert usual != found
    assert all(set(usual[name]) <= set(found[name]) for name in usual), "these are lower"
    answer = client.get(f"{batch.get_absolute_url()}labels.json?find=rare")
    text = b"".join(answer.streaming_content).decode()
    for name, tags in found.items():
        assert f'"image_name": "{name}"' in text
        assert str(tags).replace("'", '"') in text


def test_the_page_shows_them_and_leads_back(batch, client):
    page = client.get(batch.get_absolute_url()).content.decode()
    assert f'href="{batch.get_absolute_url()}?find=rare"' in page
    assert "wrong more often" not in page
    page = client.get(f"{batch.get_absolute_url()}?find=rare").content.decode()
    assert "wrong more often" in page
    assert f'id="rare" href="{batch.get_absolute_url()}' in page
    assert "Back to the usual labels" in page
    assert page.count("labels.csv?find=rare") == page.count("labels.json?find=rare") == 1
    found = expected(batch)
    said = re.findall(r'<p class="said">(.*?)</p>', page, re.DOTALL)
    assert [len(re.findall(r'<span class="(?:weather|common|rare)">', one)) for one in said] == [
        len(found[str(i)]) for i in range(6)
    ]
    counts = [int(n) for n in re.findall(r'<td class="number now">(\d+)</td>', page)]
    assert sorted(counts) == sorted(
        n for name in LABELS if (n := sum(name in tags for tags in found.values()))
    )


def test_the_api_takes_the_same_switch(batch, client):
    answer = client.get(f"/api/v1/batches/{batch.token}/chips?find_rare=true").json()
    assert {chip["image_name"]: chip["tags"] for chip in answer["chips"]} == expected(batch)
    usual = client.get(f"/api/v1/batches/{batch.token}/chips").json()
    assert {chip["image_name"]: chip["tags"] for chip in usual["chips"]} == table(client, batch, "")
    assert ApiKey.objects.count() == 0  # reading needs none


def test_a_correction_goes_before_both(batch, client):
    place = batch.placements.first()
    Chip.objects.filter(pk=place.chip_id).update(corrected=True, labels=1)
    assert table(client, batch, "?find=rare")["0"] == [LABELS[0]]


def test_a_model_without_second_thresholds_has_no_switch(batch, client):
    ModelVersion.objects.update(card={"name": "older"})
    assert rare.limits(True) == {}
    page = client.get(f"{batch.get_absolute_url()}?find=rare").content.decode()
    assert 'id="rare"' not in page
    assert table(client, batch, "?find=rare") == table(client, batch, "")


def test_however_many_chips_it_is_one_query_more(batch, client, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        table(client, batch, "?find=rare")


@pytest.mark.django_db(transaction=True)
def test_labels_of_rare_thresholds_are_not_claimed_where_there_are_none(showcase, client):
    batch = showcase.run([("a.png", pictures.png(1))], private="0")
    model = ModelVersion.objects.get()
    model.card.pop("label_thresholds", None)
    model.save()
    page = client.get(f"/batch/{batch.token}/?find=rare").content.decode()
    assert "Labels by thresholds that serve each label alone" not in page
