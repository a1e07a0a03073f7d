"""Scenes to maps: the labels of the chips cut by hand, at their place, for any GDAL to open."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import threading

import numpy as np
import pyogrio
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine

from paperlib import predictor
from paperlib.labels import LABELS
from paperlib.predictor import maps, scene
from paperlib.utils.errors import PaperError

PLACE = Affine(3.0, 0.5, 500_000.0, 0.4, -3.0, 9_600_000.0)  # turned a little
HIGH, WIDE, CHIP = 200, 330, 64  # 3 rows and a strip of 8; 5 columns and a strip of 10


@pytest.fixture(scope="module")
def model():
    return predictor.load("planet32")


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (26, 42, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, 0).repeat(8, 1)[:HIGH, :WIDE])


def write(path, pixels, crs="EPSG:32722", **more):
    profile = {"driver": "GTiff", "count": pixels.shape[2], "dtype": pixels.dtype, "crs": crs,
               "height": len(pixels), "width": pixels.shape[1], "transform": PLACE}  # fmt: skip
    with rasterio.open(path, "w", **profile | more) as target:
        target.write(np.moveaxis(pixels, -1, 0))
    return path


def cut(pixels):
    """The chips by hand: (row, column) -> pixels."""
    found = {}
    for row in range(3):
        for column in range(5):
            top, left = row * CHIP, column * CHIP
            found[row, column] = pixels[top : top + CHIP, left : left + CHIP]
    return found


def label(tmp_path, model, *files, **how):
    out = tmp_path / "labels.csv"
    found = predictor.find_images(files)
    report = predictor.write_csv(out, model, found, chip=CHIP, progress=False, **how)
    return report, list(csv.DictReader(out.open()))


def test_a_scene_has_the_labels_of_its_chips_cut_by_hand(tmp_path, model, pixels):
    report, rows = label(tmp_path, model, write(tmp_path / "scene.tif", pixels))
    by_hand = cut(pixels)
    expected = model.predict(list(by_hand.values()))
    assert [row["image_name"] for row in rows] == [f"scene_{r:04d}_{c:04d}" for r, c in by_hand]
    assert [row["tags"].split() for row in rows] == expected.labels
    numbers = np.array([[float(row[tag]) for tag in LABELS] for row in rows])
    assert np.abs(numbers - expected.probability).max() < 1e-4
    assert (report.labelled, report.failed, report.left_out) == (15, [], [])


def test_gdal_opens_the_geopackage_and_finds_each_chip_at_its_place(tmp_path, model, pixels):
    report, rows = label(tmp_path, model, write(tmp_path / "scene.tif", pixels))
    (package,) = report.maps
    assert package == tmp_path / "labels.gpkg"
    assert [name for name, _ in pyogrio.list_layers(package)] == ["scene"]
    meta, _, shapes, values = pyogrio.raw.read(package, layer="scene")
    assert meta["crs"] == "EPSG:32722"
    assert meta["geometry_type"] == "Polygon"
    columns = dict(zip(meta["fields"], values, strict=True))
    assert list(columns["image_name"]) == [row["image_name"] for row in rows]
    assert list(columns["tags"]) == [row["tags"] for row in rows]
    assert np.array_equal(columns["primary"], [float(row["primary"]) for row in rows])
    shape = np.frombuffer(shapes[6], "<f8", offset=13).reshape(5, 2)  # row 1, column 1
    assert np.allclose(shape[0], PLACE @ (CHIP, CHIP))
    assert np.allclose(shape[2], PLACE @ (2 * CHIP, 2 * CHIP))
    assert np.array_equal(shape[0], shape[4])
    bounds = pyogrio.read_info(package, layer="scene", force_total_bounds=True)["total_bounds"]
    corners = np.array([PLACE @ (x, y) for x in (0, 5 * CHIP) for y in (0, 3 * CHIP)])
    assert np.allclose(bounds, [*corners.min(0), *corners.max(0)])


def test_equal_scenes_give_equal_bytes(tmp_path, model, pixels):
    made = write(tmp_path / "scene.tif", pixels)
    once = label(tmp_path, model, made)[0].maps[0].read_bytes()
    assert label(tmp_path, model, made)[0].maps[0].read_bytes() == once


def test_a_raster_has_a_band_for_each_label_over_the_same_ground(tmp_path, model, pixels):
    report, rows = label(tmp_path, model, write(tmp_path / "scene.tif", pixels), raster=True)
    (path,) = report.maps
    with rasterio.open(path) as made:
        assert made.descriptions == LABELS
        assert made.shape == (3, 5)
        assert made.crs.to_epsg() == 32722
        assert np.allclose(made.transform @ (2, 1), PLACE @ (2 * CHIP, CHIP))
        values = made.read()
    numbers = np.array([[float(row[tag]) for tag in LABELS] for row in rows])
    assert np.abs(values.reshape(17, 15).T - numbers).max() < 1e-4


def test_chips_without_data_are_left_out_and_said(tmp_path, model, pixels):
    holed = pixels.copy()
    holed[:CHIP, :CHIP] = 0  # no data at all
    holed[CHIP : 2 * CHIP, : CHIP - 20] = 0  # most of it
    holed[CHIP : 2 * CHIP, CHIP : CHIP + 20] = 0  # a little
    made = write(tmp_path / "scene.tif", holed, nodata=0)
    report, rows = label(tmp_path, model, made, raster=True)
    assert len(rows) == 13
    assert not {"scene_0000_0000", "scene_0001_0000"} & {row["image_name"] for row in rows}
    assert report.left_out == [f"{made}: 2 of 15 chips hold no data, and are left out"]
    with rasterio.open(report.maps[0]) as raster:
        assert np.isnan(raster.read(1)[:2, 0]).all()
        assert np.isfinite(raster.read(1)).sum() == 13


def test_scenes_and_plain_images_go_into_one_table(tmp_path, model, pixels):
    write(tmp_path / "one.tif", pixels)
    write(tmp_path / "two.tif", pixels[:128, :128], crs="EPSG:4326")
    write(tmp_path / "small.tif", pixels[:60, :60])  # less than two chips: an image as any other
    own = "+proj=laea +lat_0=-5 +lon_0=-60 +units=m"  # no authority has numbered it
    write(tmp_path / "three.tif", pixels[:128, :128], crs=own)
    report, rows = label(tmp_path, model, tmp_path)
    assert [row["image_name"] for row in rows][:2] == ["small", "one_0000_0000"]
    assert len(rows) == 1 + 15 + 4 + 4
    layers = [name for name, _ in pyogrio.list_layers(report.maps[0])]
    assert layers == ["one", "three", "two"]
    known = {name: pyogrio.read_info(report.maps[0], layer=name)["crs"] for name in layers}
    assert known["two"] == "EPSG:4326"
    assert "azimuthal" in known["three"].lower()


def test_what_cannot_be_labelled_fails_with_the_cure_and_the_others_go_on(tmp_path, model, pixels):
    write(tmp_path / "deep.tif", pixels.astype(np.uint16))
    write(tmp_path / "good.tif", pixels)
    report, rows = label(tmp_path, model, tmp_path)
    assert len(rows) == 15
    assert len(report.failed) == 1
    assert "gdal_translate" in report.failed[0]
    with pytest.raises(PaperError, match="uint16"):
        scene.look(tmp_path / "deep.tif")


def test_without_a_georeference_a_tiff_is_one_image(tmp_path, model, pixels):
    path = tmp_path / "plain.tif"
    Image.fromarray(pixels).save(path)
    report, rows = label(tmp_path, model, path)
    assert (len(rows), report.maps) == (1, [])


def test_a_wide_strip_at_the_border_is_a_chip_and_a_narrow_one_is_not():
    assert scene._steps(200, 64) == [(0, 64), (64, 128), (128, 192)]
    assert scene._steps(224, 64)[-1] == (192, 224)
    assert scene._steps(20, 64) == [(0, 20)]


@pytest.mark.slow
def test_a_cluster_labels_the_same_and_may_lose_a_worker(tmp_path, model, pixels, monkeypatch):
    from distributed import LocalCluster

    from paperlib.predictor import cluster

    monkeypatch.setattr(cluster, "CHIPS", 4)  # many parts
    holes = pixels.copy()
    holes[:CHIP, :CHIP] = 0
    files = [
        write(tmp_path / "a.tif", pixels),
        write(tmp_path / "b.tif", holes, nodata=0),
        *(tmp_path / f"{number}.png" for number in range(19)),
    ]
    for number, path in enumerate(files[2:]):
        Image.fromarray(np.roll(pixels, number, 0)[:64, :64]).save(path)
    (tmp_path / "7.png").write_bytes(b"no picture")
    here, _ = label(tmp_path, model, *files)
    alone = (tmp_path / "labels.csv").read_bytes()
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL"
    ) as workers:
        victim = next(iter(workers.workers.values())).pid
        threading.Timer(0.3, os.kill, (victim, signal.SIGKILL)).start()
        there, _ = label(tmp_path, model, *files, scheduler=workers.scheduler_address)
    assert (tmp_path / "labels.csv").read_bytes() == alone
    assert there.labelled == here.labelled
    assert len(there.failed) == len(here.failed) == 1
    assert there.left_out == here.left_out
    with pytest.raises(PaperError, match="no Dask scheduler answers"):
        label(tmp_path, model, files[0], scheduler="tcp://127.0.0.1:1")


@pytest.mark.parametrize("raster", [False, True])
def test_a_map_of_before_is_written_anew_but_nothing_else(tmp_path, model, pixels, raster):
    """Seen failing: a user's own planet.gpkg beside `--out planet.csv` was replaced."""
    scene = write(tmp_path / "in.tif", pixels)
    (place,) = label(tmp_path, model, scene, raster=raster)[0].maps
    ours = place.read_bytes()
    label(tmp_path, model, scene, raster=raster)
    assert place.read_bytes() == ours
    if raster:  # a user's image of as many bands
        with rasterio.open(scene) as image:
            profile = image.profile | {"count": len(LABELS)}
        with rasterio.open(place, "w", **profile) as image:
            image.write(np.zeros((len(LABELS), *pixels.shape[:2]), np.uint8))
    else:  # a user's layer, as GDAL writes it
        shapes, layer = np.array([b"\x01\x01\0\0\0" + bytes(16)], object), "mine"
        pyogrio.raw.write(place, shapes, [np.array([1])], ["a"], geometry_type="Point",
                          crs="EPSG:32722", layer=layer, append=True)  # fmt: skip
    for own in (place.read_bytes(), b"neither of the two"):
        place.write_bytes(own)
        with pytest.raises(PaperError, match=f"{place.name}: is no map of an earlier run"):
            label(tmp_path, model, scene, raster=raster)
        assert place.read_bytes() == own


def test_no_map_is_written_over_another_or_over_an_image(tmp_path, model, pixels):
    """Seen failing: c.tif of a/b and of a_b had one map between them, and an image was replaced."""
    for folder in ("a/b", "a_b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        write(tmp_path / "in" / folder / "c.tif", pixels)
    with pytest.raises(PaperError, match=r"would be the map of .*a/b/c\.tif and of .*a_b/c\.tif"):
        label(tmp_path, model, tmp_path / "in", raster=True)
    assert len(label(tmp_path, model, tmp_path / "in")[0].maps) == 1
    own = write(tmp_path / "labels_x.tif.tif", pixels)
    found = {"x.tif": own}
    with pytest.raises(PaperError, match=r"labels_x\.tif\.tif: a map would be written over it"):
        predictor.write_csv(tmp_path / "labels.csv", model, found, chip=CHIP, raster=True)
    with pytest.raises(PaperError, match=r"m\.gpkg: a map would be written over it"):
        predictor.write_csv(tmp_path / "m.gpkg", model, found, chip=CHIP)
    report = predictor.write_csv("/dev/null", model, found, chip=CHIP, progress=False)
    assert (report.labelled, report.maps) == (15, [])
    assert report.left_out == ["/dev/null: is no file, so that no map lies beside it"]


def test_scenes_whose_names_differ_in_case_alone_have_layers_of_their_own(tmp_path, model, pixels):
    for folder, name in (("A", "Scene"), ("B", "scene")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / f"{name}.tif", pixels)
    scenes = tmp_path / "A/Scene.tif", tmp_path / "B/scene.tif"
    report, rows = label(tmp_path, model, *scenes)
    assert len(pyogrio.list_layers(report.maps[0])) == 2
    assert len(rows) == 30


def test_a_map_that_cannot_be_written_leaves_the_labels_and_one_line(
    tmp_path, model, pixels, monkeypatch
):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(maps, "write_geopackage", full)
    source = write(tmp_path / "a.tif", pixels)
    with pytest.raises(PaperError, match=r"disk is full\); the labels are in .*labels\.csv"):
        label(tmp_path, model, source)
    assert (tmp_path / "labels.csv").read_text().count("\n") == 16


def test_a_scene_s_name_may_be_any_bytes(tmp_path, model, pixels):
    good = write(tmp_path / "a.tif", pixels[:64, :64])
    os.rename(write(tmp_path / "b.tif", pixels), os.fsencode(tmp_path) + b"/b\xe9.tif")
    report, rows = label(tmp_path, model, tmp_path)
    assert [row["image_name"] for row in rows] == ["a", "b\\xe9"]
    assert report.failed == []
    assert good.is_file()
