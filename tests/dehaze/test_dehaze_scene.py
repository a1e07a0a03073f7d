"""Files of any size: tiles leave no seam, nothing is lost, kills and dead workers do no harm."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from paperlib import dehaze as d
from paperlib.dehaze import _tiles as passes
from paperlib.dehaze import scene
from paperlib.utils import files
from paperlib.utils.errors import PaperError

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
SMALL = {"patch": 7, "radius": 9}
TRANSFORM = from_origin(500_000, 9_000_000, 3, 3)


def picture(height=150, width=211, channels=3, dtype="uint8", seed=0):
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.random((6, 7, channels)), (width, height)).reshape(height, width, -1)
    image = np.clip(0.3 + 0.6 * image + 0.05 * rng.random(image.shape), 0, 1)
    scale = {"uint8": 255, "uint16": 65535}.get(dtype, 0)
    return np.rint(image * scale).astype(dtype) if scale else image.astype(dtype)


def write(path, image, **profile):
    height, width, count = image.shape
    profile = {
        "driver": "GTiff", "crs": "EPSG:32720", "transform": TRANSFORM, "compress": "deflate",
        **profile,
    }  # fmt: skip
    with rasterio.open(
        path, "w", height=height, width=width, count=count, dtype=image.dtype, **profile
    ) as target:
        target.write(np.moveaxis(image, -1, 0))
    return path


def read(path):
    with rasterio.open(path) as source:
        return np.moveaxis(source.read(), 0, -1)


def run(source, target, **arguments):
    return d.dehaze_scene(source, target, progress=False, **{**SMALL, **arguments})


def worst(a, b):
    return np.abs(a.astype(np.float64) - b.astype(np.float64)).max()


@pytest.mark.parametrize("tile", [33, 100, 150, 4096])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_tiles_are_as_the_whole_image(tmp_path, dtype, tile):
    image = picture(dtype=dtype)
    image[:20, :30] = 0  # no-data
    mask = ~(image == 0).all(axis=2)
    source = write(tmp_path / "a.tif", image, nodata=0)
    run(source, tmp_path / "b.tif", tile=tile, workers=2)
    result = read(tmp_path / "b.tif")
    expected = d.dehaze(image, mask=mask, **SMALL)
    darkest = expected[mask] == 0  # the no-data value, which no band that has data may take
    expected[mask] = np.where(darkest, 1 if image.dtype.kind == "u" else 1e-5, expected[mask])
    if dtype == "uint8":  # sums of integers: to the bit, wherever the tiles were cut
        np.testing.assert_array_equal(result, expected)
    # sums in float64 begin where the tile begins, and the last bit of such a sum with them
    assert worst(result, expected) <= (1 if image.dtype.kind == "u" else 1e-5)
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert (result[mask] != image[mask]).any()
    assert not (result[mask] == 0).any()  # data do not turn into no-data


def test_one_light_for_the_whole_scene(tmp_path):
    """Each tile with its own light leaves seams; the light of the scene does not."""
    left = np.clip(picture(seed=1).astype(float) * 0.4, 0, 255).astype(np.uint8)
    image = np.concatenate([left, picture(seed=2)], axis=1)
    run(write(tmp_path / "a.tif", image), tmp_path / "b.tif", tile=70)
    expected = d.dehaze(image, **SMALL)
    np.testing.assert_array_equal(read(tmp_path / "b.tif"), expected)
    alone = np.concatenate([d.dehaze(half, **SMALL) for half in np.split(image, 2, axis=1)], 1)
    assert worst(alone, expected) > 20


def test_bright_points_in_a_dark_scene(tmp_path):
    """Where the halo cuts the window around one, it is far brighter than A; not in the picture."""
    image = np.uint8(picture(dtype="uint8") // 20)
    image[::13, ::11] = 255
    run(write(tmp_path / "a.tif", image), tmp_path / "b.tif", tile=40)
    result = read(tmp_path / "b.tif")
    np.testing.assert_array_equal(result, d.dehaze(image, **SMALL))
    assert worst(result, d.dehaze_reference(image, **SMALL)) <= 1
    assert (result != image).any()


def test_everything_about_the_file_is_kept(tmp_path):
    image = picture(channels=5, dtype="uint16")
    source = write(
        tmp_path / "a.tif", image, nodata=7, tiled=True, blockxsize=64, blockysize=32,
        compress="lzw", predictor=2,
    )  # fmt: skip
    with rasterio.open(source, "r+") as file:
        file.update_tags(sensor="made up")
        file.update_tags(5, wavelength="842")
        file.set_band_description(4, "red edge")
        gray = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
        file.colorinterp = [*gray, ColorInterp.undefined, ColorInterp.undefined]
    run(source, tmp_path / "b.tif", tile=50)
    with rasterio.open(source) as a, rasterio.open(tmp_path / "b.tif") as b:
        for name in ("crs", "transform", "nodata", "dtypes", "count", "shape", "colorinterp"):
            assert getattr(a, name) == getattr(b, name), name
        assert a.profile == b.profile
        assert a.tags() == b.tags()
        assert a.tags(5) == b.tags(5)
        assert a.descriptions == b.descriptions
    result = read(tmp_path / "b.tif")
    np.testing.assert_array_equal(result[..., 3:], image[..., 3:])
    # bands 3, 2, 1 are red, green, blue
    expected = d.dehaze(np.ascontiguousarray(image[..., 2::-1]), **SMALL)
    assert worst(result[..., 2::-1], expected) <= 1


@pytest.mark.parametrize(("suffix", "channels"), [(".png", 1), (".png", 3), (".png", 4)])
def test_png_in_png_out(tmp_path, suffix, channels):
    image = picture(channels=channels)
    if channels == 4:
        image[..., 3] = 255
        image[:30, :40, 3] = 0
    source = write(tmp_path / f"a{suffix}", image, driver="PNG", crs=None, transform=None,
                   compress=None)  # fmt: skip
    run(source, tmp_path / f"b{suffix}", tile=64)
    # running sums in float64 begin where the tile begins, and their last bit with them
    np.testing.assert_array_equal(read(tmp_path / f"b{suffix}"), d.dehaze(image, **SMALL))
    assert sorted(p.name for p in tmp_path.glob("b*")) == [f"b{suffix}"]


def test_jpeg_to_jpeg_and_tif(tmp_path):
    ok, data = cv2.imencode(".jpg", picture()[..., ::-1])
    (tmp_path / "a.jpg").write_bytes(data)
    assert ok
    expected = d.dehaze(read(tmp_path / "a.jpg"), **SMALL)
    run(tmp_path / "a.jpg", tmp_path / "b.tif")
    np.testing.assert_array_equal(read(tmp_path / "b.tif"), expected)
    run(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert np.abs(read(tmp_path / "b.jpg").astype(int) - expected).mean() < 3  # JPEG itself


@pytest.mark.parametrize("value", [0.0, 0.002, 0.6])
def test_a_scene_of_one_colour_comes_back(tmp_path, value):
    image = np.full((40, 50, 3), value, np.float32)
    run(write(tmp_path / "a.tif", image), tmp_path / "b.tif", tile=20)
    np.testing.assert_array_equal(read(tmp_path / "b.tif"), image)


def test_what_cannot_be_done_is_said_in_one_line(tmp_path):
    good = write(tmp_path / "good.tif", picture())
    (tmp_path / "bad.tif").write_bytes(b"not an image")
    cut = tmp_path / "cut.tif"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    write(tmp_path / "float.tif", picture(dtype="float32") * 300)
    write(tmp_path / "two.tif", picture(channels=2))
    write(tmp_path / "int.tif", picture().astype(np.int16))
    (tmp_path / "empty").mkdir()
    for source, target, text in [
        ("missing.tif", "b.tif", "no such file"),
        ("bad.tif", "b.tif", "bad.tif"),
        ("cut.tif", "b.tif", "cut.tif"),
        ("float.tif", "b.tif", "0…1"),
        ("two.tif", "b.tif", "two bands"),
        ("int.tif", "b.tif", "int16"),
        ("good.tif", "b.bmp", "suffix"),
        ("good.tif", "good.tif", "same"),
        ("empty", "out", "no image"),
    ]:
        with pytest.raises(PaperError, match=text) as caught:
            run(tmp_path / source, tmp_path / target)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "b.tif").exists()
    with pytest.raises(ValueError, match="tile"):
        run(good, tmp_path / "b.tif", tile=0)
    with pytest.raises(PaperError, match="no Dask scheduler"):
        run(good, tmp_path / "b.tif", scheduler="nonsense")


def test_a_folder_goes_on_after_a_bad_file_and_is_not_done_twice(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("a.tif", "b.tif", "deep/c.tif"):
        write(tmp_path / "in" / name, picture(seed=len(name)))
    (tmp_path / "in" / "bad.png").write_bytes(b"no")
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    report = run(tmp_path / "in", tmp_path / "out")
    assert sorted(report.done) == ["a.tif", "b.tif", "deep/c.tif"]
    assert [name for name, _ in report.failed] == ["bad.png"]
    with open(report.table, newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert rows["bad.png"]["status"] == "failed"
    assert "bad.png" in rows["bad.png"]["why"]
    assert rows["deep/c.tif"]["status"] == "done"
    expected = d.dehaze(picture(seed=10), **SMALL)
    np.testing.assert_array_equal(read(tmp_path / "out" / "deep" / "c.tif"), expected)

    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.tif")}
    (tmp_path / "out" / "b.tif").unlink()  # lost: done again
    write(tmp_path / "in" / "bad.png", picture(), driver="PNG", crs=None, transform=None,
          compress=None)  # fmt: skip
    report = run(tmp_path / "in", tmp_path / "out")
    assert sorted(report.skipped) == ["a.tif", "deep/c.tif"]
    assert sorted(report.done) == ["b.tif", "bad.png"]
    assert (tmp_path / "out" / "a.tif").stat().st_mtime_ns == times[tmp_path / "out" / "a.tif"]
    assert len(run(tmp_path / "in", tmp_path / "out", radius=3).done) == 4  # other parameters


CHILD = """
import sys, time
from paperlib import dehaze as d
from paperlib.dehaze import _tiles as s
clear = s._clear_tile
def slow(*arguments):
    time.sleep(0.05)
    return clear(*arguments)
s._clear_tile = slow
d.dehaze_scene(sys.argv[1], sys.argv[2], tile=40, workers=2, progress=False, patch=7, radius=9)
"""


def test_a_source_that_changes_is_not_taken_for_done(tmp_path, monkeypatch):
    """While it is worked on, or by what GDAL keeps beside it."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    source = write(folder / "a.tif", picture())
    whole = scene._whole_file

    def saved_meanwhile(*arguments):
        result = whole(*arguments)
        write(source, picture(seed=1))
        return result

    monkeypatch.setattr(scene, "_whole_file", saved_meanwhile)
    assert run(folder, out).done == ["a.tif"]
    monkeypatch.setattr(scene, "_whole_file", whole)
    assert run(folder, out).done == ["a.tif"]
    assert worst(read(out / "a.tif"), d.dehaze(picture(seed=1), **SMALL)) <= 1
    assert run(folder, out).skipped == ["a.tif"]
    (folder / "a.tif.msk").write_bytes(b"a mask that another program has written")
    assert run(folder, out).skipped == []


def test_a_source_within_the_target_is_found_and_no_name_is_no_folder(tmp_path, monkeypatch):
    inner = tmp_path / "photos" / "raw"
    inner.mkdir(parents=True)
    write(inner / "a.tif", picture())
    assert run(inner, tmp_path / "photos").done == ["a.tif"]
    monkeypatch.chdir(inner)
    for given in (("", tmp_path / "out"), (inner / "a.tif", "")):
        with pytest.raises(PaperError, match=r"no (source|target) is named"):
            run(*given)
    with pytest.raises(PaperError, match=r"a\.tif: is a file — give another target"):
        run(inner / "a.tif", inner / "a.tif" / "b.tif")


def test_killed_halfway_nothing_looks_whole_and_it_continues(tmp_path, monkeypatch):
    image = picture(400, 400)
    source, target = write(tmp_path / "a.tif", image), tmp_path / "out" / "b.tif"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(source), str(target)])
    partial = tmp_path / "out" / ".b.tif.partial"
    deadline = time.monotonic() + 100
    while len(passes.finished_in(partial / "tiles")) < 10:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert [p.name for p in target.parent.iterdir()] == [partial.name]
    done = passes.finished_in(partial / "tiles")
    assert 10 <= len(done) < 100
    with open(partial / "tiles", "a") as log:  # as if killed while writing this number
        log.write("9")
    again = []
    clear = passes._clear_tile
    monkeypatch.setattr(
        passes,
        "_clear_tile",
        lambda job, index, *rest: (again.append(index), clear(job, index, *rest)),
    )
    run(source, target, tile=40)
    assert sorted(again) == sorted(set(range(100)) - done)
    np.testing.assert_array_equal(read(target), d.dehaze(image, **SMALL))
    assert [p.name for p in target.parent.iterdir()] == [target.name]


KILLED_AT_EVERY_STEP = """
import os, signal, sys
from paperlib.dehaze import dehaze_scene
source, folder = sys.argv[1:]
dehaze_scene(source, f"{folder}/0.tif", progress=False, patch=7, radius=9)  # loads all modules
STEPS = {"open", "os.remove", "os.rmdir", "os.mkdir", "os.rename", "os.listdir", "os.scandir"}
step = 0
while True:
    step += 1
    child = os.fork()
    if not child:
        left = step
        def hook(event, arguments):
            global left
            name = str(arguments[0])  # without a folder where shutil.rmtree goes down into one
            if event in STEPS and (f".{step}.tif.partial" in name or "/" not in name):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        dehaze_scene(source, f"{folder}/{step}.tif", progress=False, patch=7, radius=9)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != -signal.SIGKILL:
        sys.exit(code)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_before_any_file_operation_it_continues(tmp_path):
    """One run is killed before its first operation on a file, one before its second, and so on."""
    source, folder = write(tmp_path / "a.tif", picture(60, 50)), tmp_path / "out"
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", KILLED_AT_EVERY_STEP, str(source), str(folder)], check=True
    )
    left = {path.name for path in folder.iterdir()}
    steps = max(int(name.strip(".").split(".")[0]) for name in left)
    assert steps > 20  # or the hook has seen nothing
    for step in range(1, steps):
        target = folder / f"{step}.tif"
        run(source, target)
        np.testing.assert_array_equal(read(target), d.dehaze(picture(60, 50), **SMALL), str(step))
    assert {path.name for path in folder.iterdir()} == {f"{n}.tif" for n in range(steps + 1)}


def test_killed_before_the_pixels_have_their_size_it_continues(tmp_path, monkeypatch):
    source, target = write(tmp_path / "a.tif", picture()), tmp_path / "b.tif"

    def die(*_):
        raise KeyboardInterrupt  # leaves the partial result, as a kill does

    monkeypatch.setattr(passes.writer, "write", die)
    with pytest.raises(KeyboardInterrupt):
        run(source, target)
    os.truncate(tmp_path / ".b.tif.partial" / "pixels", 0)
    monkeypatch.undo()
    run(source, target)
    np.testing.assert_array_equal(read(target), d.dehaze(picture(), **SMALL))


def test_the_lock_of_a_run_that_is_dying_is_waited_for(tmp_path, monkeypatch):
    """A worker's file may be another's before the system has closed what the dead one had open."""
    source, target = write(tmp_path / "a.tif", picture()), tmp_path / "b.tif"
    asked = []

    def dying(handle):
        asked.append(handle)
        return len(asked) > 3 and try_lock(handle)

    try_lock = files.try_lock
    monkeypatch.setattr(files, "try_lock", dying)
    run(source, target)
    assert len(asked) == 4
    np.testing.assert_array_equal(read(target), d.dehaze(picture(), **SMALL))


def test_a_partial_result_of_other_arguments_is_not_used(tmp_path, monkeypatch):
    source, target = write(tmp_path / "a.tif", picture()), tmp_path / "b.tif"

    def stop(*_):
        raise OSError("disk full")

    monkeypatch.setattr(passes.writer, "write", stop)
    with pytest.raises(PaperError, match=r"b\.tif: cannot be written \(disk full\)"):
        run(source, target, tile=64)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]  # nothing of the failure is left
    monkeypatch.undo()
    run(source, target, tile=64, omega=0.5)
    np.testing.assert_array_equal(read(target), d.dehaze(picture(), omega=0.5, **SMALL))


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
        silence_logs="CRITICAL",
    ) as cluster:  # fmt: skip
        yield cluster


def kill_a_worker_when(cluster, ready):
    """Kill -9 one of the cluster's worker processes as soon as `ready()`."""
    import threading

    killed = []

    def watch():
        while not ready():
            time.sleep(0.01)
        pid = next(iter(cluster.workers.values())).pid
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread, killed


@pytest.mark.slow
def test_a_scene_on_a_cluster_that_loses_a_worker(tmp_path, cluster):
    image = picture(600, 600)
    source, target = write(tmp_path / "a.tif", image), tmp_path / "b.tif"
    tiles = tmp_path / ".b.tif.partial" / "tiles"
    thread, killed = kill_a_worker_when(cluster, lambda: len(passes.finished_in(tiles)) > 10)
    run(source, target, tile=45, scheduler=cluster.scheduler_address)
    thread.join(20)
    assert killed
    np.testing.assert_array_equal(read(target), d.dehaze(image, **SMALL))


@pytest.mark.slow
def test_a_folder_on_a_cluster_that_loses_a_worker(tmp_path, cluster):
    (tmp_path / "in").mkdir()
    for index in range(24):
        write(tmp_path / "in" / f"{index:02d}.tif", picture(90, 90, seed=index))
    (tmp_path / "in" / "bad.tif").write_bytes(b"no")
    table = tmp_path / "out" / scene.TABLE
    thread, killed = kill_a_worker_when(cluster, lambda: passes.read_text(table).count("\n") > 5)
    report = run(tmp_path / "in", tmp_path / "out", scheduler=cluster.scheduler_address)
    thread.join(20)
    assert killed
    assert [name for name, _ in report.failed] == ["bad.tif"], report.failed
    assert len(report.done) == 24
    for index in (0, 11, 23):
        expected = d.dehaze(picture(90, 90, seed=index), **SMALL)
        np.testing.assert_array_equal(read(tmp_path / "out" / f"{index:02d}.tif"), expected)
