"""Where chips lie: from a GeoTIFF's corners to GeoJSON and a map."""

from __future__ import annotations

import json
import re

import numpy as np
import pictures
import pytest
from conftest import DECODER
from rasterio.io import MemoryFile
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform
from showcase.models import Chip
from showcase.services import geography

pytestmark = pytest.mark.django_db


def geotiff(seed: int, side: int = 512, *, crs="EPSG:32720", at=None) -> bytes:
    pixels = pictures.pixels(seed, side).transpose(2, 0, 1)
    place = {"crs": crs, "transform": at or from_origin(500_000, 9_000_000, 3, 3)}
    place = place if crs else {}
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=3, height=side, width=side, dtype="uint8", **place
        ) as file:
            file.write(pixels)
        return memory.read()


def test_chips_lie_where_the_geotiff_says(showcase, client):
    batch = showcase.run([("scene.tif", geotiff(1)), ("a.png", pictures.png(2))], private="1")
    answer = client.get(f"{batch.get_absolute_url()}labels.geojson")
    assert answer["Content-Type"] == "application/geo+json; charset=utf-8"
    found = json.loads(b"".join(answer.streaming_content))
    assert found["type"] == "FeatureCollection"
    assert [f["properties"]["image_name"] for f in found["features"]] == [
        "scene_r000_c000", "scene_r000_c001", "scene_r001_c000", "scene_r001_c001",
    ]  # fmt: skip
    last = found["features"][3]["geometry"]["coordinates"][0]
    assert last[0] == last[-1]
    xs, ys = [500_768, 500_768, 501_536, 501_536], [8_999_232, 8_998_464, 8_998_464, 8_999_232]
    wanted = np.transpose(transform("EPSG:32720", "EPSG:4326", xs, ys))
    assert np.abs(np.array(last[:4]) - wanted).max() < 2e-6  # a fifth of a metre
    ring = np.array(last)
    area = (ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]).sum()
    assert area > 0  # counterclockwise, as RFC 7946 wants it
    labels = dict(batch.placements.values_list("chip__key", "prediction__labels"))
    for feature in found["features"]:
        assert (
            len(feature["properties"]["tags"]) == labels[feature["properties"]["chip"]].bit_count()
        )


def test_the_map_draws_them_with_their_labels_and_no_outside_tiles(showcase, client):
    batch = showcase.run([("scene.tif", geotiff(1))])
    path = f"{batch.get_absolute_url()}map/"
    assert path in client.get(batch.get_absolute_url()).content.decode()
    page = client.get(path).content.decode()
    assert page.count("<polygon") == page.count("<image") == 4
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []
    assert "style=" not in page
    assert re.search(r">9\.0\d+° S<", page)
    assert re.search(r">62\.9\d+° W<", page)
    one = batch.placements.first()
    assert f"/chip/{one.chip.key}/?of={batch.token}&amp;at={one.pk}" in page
    label = geography.label_sets.names(one.labels)[0]
    chosen = client.get(f"{path}?label={label}").content.decode()
    assert chosen.count('class="has"') >= 1
    assert chosen.count('class="has"') + chosen.count('class="out"') == 4
    assert client.get(f"{path}?label=nonsense").content.decode().count('class="out"') == 0
    Chip.objects.filter(pk=one.chip_id).update(hidden=True, shown=False)
    assert client.get(path).content.decode().count("<polygon") == 3


def test_many_chips_are_drawn_without_pictures_and_no_more_than_a_page_bears(
    showcase, client, settings, monkeypatch
):
    settings.SHOWCASE["CHIP_PIXELS"] = 16
    batch = showcase.work(showcase.batch([("scene.tif", geotiff(1, 160))]))
    monkeypatch.setattr(geography, "PICTURES", 99)
    monkeypatch.setattr(geography, "MOST", 100)
    assert geography.draw(batch).left_out == 0
    page = client.get(f"{batch.get_absolute_url()}map/").content.decode()
    assert (page.count("<polygon"), page.count("<image")) == (100, 0)
    monkeypatch.setattr(geography, "MOST", 90)
    assert (
        "10 further chips are not drawn"
        in client.get(f"{batch.get_absolute_url()}map/").content.decode()
    )


def test_a_scene_across_the_date_line_is_as_small_as_it_is(showcase, client):
    data = geotiff(1, 64, crs="EPSG:32701", at=from_origin(165_500, 8_000_000, 500, 500))
    batch = showcase.run([("fiji.tif", data)])
    xs = [x for x, _ in geography.ring(batch.placements.get())]
    assert 179 < min(xs) < 180 < max(xs) < 181


@pytest.mark.parametrize(
    ("crs", "at", "corner"),
    [
        ("EPSG:4326", from_origin(12.5, 45, 1e-4, 1e-4), (12.5, 45)),
        ("EPSG:3857", from_origin(0, 0, 10, 10), (0, 0)),
        ("EPSG:4326", Affine(0, 1e-4, 7, -1e-4, 0, 8), (7, 8)),  # turned by a quarter
    ],
)
def test_any_projection_gives_a_place(crs, at, corner):
    head, *_ = DECODER.read(geotiff(1, 64, crs=crs, at=at), chips=10)
    assert head.corners[0] == pytest.approx(corner, abs=1e-9)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(geotiff(1, 64, crs=None), id="says nothing"),
        pytest.param(
            geotiff(1, 64, crs="EPSG:4326", at=from_origin(500, 300, 1, 1)), id="no place"
        ),
        pytest.param(geotiff(1, 64, crs="EPSG:32720", at=from_origin(1e30, 0, 1, 1)), id="too far"),
        pytest.param(pictures.png(1), id="png"),
    ],
)
def test_what_has_no_place_has_no_map(showcase, client, data):
    batch = showcase.run([("a.tif", data)])
    assert batch.chips_labelled == 1
    assert not geography.uploads(batch).exists()
    assert client.get(f"{batch.get_absolute_url()}map/").status_code == 404
    assert "/map/" not in client.get(batch.get_absolute_url()).content.decode()
