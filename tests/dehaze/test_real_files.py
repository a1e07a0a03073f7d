"""What users bring: right, or refused in one line, never silently wrong."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin
from PIL.PngImagePlugin import PngInfo
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.shutil import copy as copy_raster
from rasterio.transform import from_origin
from test_dehaze_scene import SMALL, read, run, worst

from paperlib import dehaze as d
from paperlib.dehaze import _partial, _raster, _unpack
from paperlib.utils.errors import PaperError

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("error::rasterio.errors.NodataShadowWarning"),
]
PLACE = {"crs": "EPSG:32720", "transform": from_origin(500_000, 9_000_000, 3, 3)}


def scene(height=90, width=120, seed=0):
    """`(h, w, 3)` uint8 under haze, some of it dark."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.random((6, 7, 3)), (width, height))
    image = np.clip(0.25 + 0.6 * image + 0.05 * rng.random(image.shape), 0, 1)
    image[30:50, 30:50] /= 9
    return np.rint(image * 255).astype(np.uint8)


def write(path, image, **profile):
    height, width, count = image.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": count, **profile}
    with rasterio.open(path, "w", dtype=image.dtype, **profile) as file:
        file.write(np.moveaxis(image, -1, 0))
    return path


def shown(path):
    """The picture as a viewer shows it."""
    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


# --- pixels mean what the file says ---------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_png_of_few_bits_is_as_bright_as_before(tmp_path, bits):
    top = 2**bits - 1
    values = (np.arange(80 * 96).reshape(80, 96) * 7 // 50) % (top + 1)
    image = Image.fromarray(np.uint8(values * 255 // top))
    source = tmp_path / "a.png"
    if bits == 1:
        image.convert("1").save(source)
    else:
        cells = np.uint8(values).reshape(80, -1, 8 // bits)
        packed = sum(cells[..., i].astype(int) << (8 - bits * (i + 1)) for i in range(8 // bits))
        _png(source, 96, 80, bits, np.uint8(packed))
    grey = np.asarray(Image.open(source).convert("L"))
    assert set(np.unique(grey)) == {round(v * 255 / top) for v in range(top + 1)}
    run(source, tmp_path / "b.png", tile=40)
    np.testing.assert_array_equal(read(tmp_path / "b.png")[..., 0], d.dehaze(grey, **SMALL))


def _png(path, width, height, bits, rows):
    import struct
    import zlib

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "P", "1", "L", "LA", "RGBA"])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_every_colour_model_is_the_picture_that_viewers_show(tmp_path, mode, suffix):
    if suffix == ".png" and mode in ("CMYK", "YCbCr"):
        pytest.skip("PNG has no such colours")
    image = Image.fromarray(scene()).convert(mode)
    image.save(tmp_path / f"a{suffix}")
    run(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}", tile=50)
    before = np.asarray(Image.open(tmp_path / f"a{suffix}").convert("RGB"))
    after = np.asarray(Image.open(tmp_path / f"b{suffix}").convert("RGB"))
    # libtiff and Pillow differ by a level in the arithmetic of YCbCr, which dehazing stretches
    assert np.abs(after.astype(int) - d.dehaze(before, **SMALL)).mean() < (
        4 if mode == "YCbCr" else 0.6
    )


def test_cielab_is_converted_not_mistaken(tmp_path):
    rgb = scene()
    Image.fromarray(rgb).convert("LAB").save(tmp_path / "a.tif")
    run(tmp_path / "a.tif", tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as file:
        assert file.count == 3
        assert file.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    assert np.abs(read(tmp_path / "b.tif").astype(int) - d.dehaze(rgb, **SMALL)).mean() < 12


def test_cmyk_of_16_bits_is_refused_by_name(tmp_path):
    source = write(tmp_path / "a.tif", np.zeros((20, 20, 4), np.uint16), photometric="CMYK")
    with pytest.raises(
        PaperError, match=r"a\.tif: cyan, magenta, yellow, black bands of uint16 — "
    ):
        run(source, tmp_path / "b.tif")


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(("kind", "to"), [("jpg", "png"), ("tif", "tif"), ("png", "jpg")])
def test_the_picture_stands_the_same_way_up(tmp_path, turn, kind, to):
    exif = Image.Exif()
    exif[0x112] = turn
    more = {"tiffinfo": {274: turn}} if kind == "tif" else {"exif": exif}
    Image.fromarray(scene()).save(tmp_path / f"a.{kind}", **more)
    run(tmp_path / f"a.{kind}", tmp_path / f"b.{to}", tile=40)
    expected = d.dehaze(shown(tmp_path / f"a.{kind}"), **SMALL)
    result = shown(tmp_path / f"b.{to}")
    assert result.shape == expected.shape
    assert np.abs(result.astype(int) - expected).mean() < (6 if "jpg" in (kind, to) else 0.1)


def test_all_pages_of_a_tiff(tmp_path):
    pages = [Image.fromarray(scene(seed=i)) for i in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    run(tmp_path / "a.tif", tmp_path / "b.tif")
    with Image.open(tmp_path / "b.tif") as result:
        assert result.n_frames == 3
        for index, page in enumerate(pages):
            result.seek(index)
            expected = d.dehaze(np.asarray(page), **SMALL)
            np.testing.assert_array_equal(np.asarray(result), expected)
    with pytest.raises(PaperError, match=r"a\.tif: has 3 pages, \.png one — write a \.tif"):
        run(tmp_path / "a.tif", tmp_path / "b.png")


def test_an_animation_is_refused(tmp_path):
    pages = [Image.fromarray(scene(seed=i)) for i in range(3)]
    pages[0].save(tmp_path / "a.png", save_all=True, append_images=pages[1:])
    with pytest.raises(PaperError, match=r"a\.png: an animation of 3 pictures — split it first"):
        run(tmp_path / "a.png", tmp_path / "b.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_the_mask_of_a_masked_array_is_used():
    image = scene()
    image[:30] = 0
    hidden = np.repeat((image == 0).all(axis=2)[..., None], 3, axis=2)
    masked = np.ma.masked_array(image, hidden)
    result = d.dehaze(masked, **SMALL)
    expected = d.dehaze(image, mask=~hidden[..., 0], **SMALL)
    assert worst(expected, d.dehaze(image, **SMALL)) > 5  # or this shows nothing
    np.testing.assert_array_equal(result.data, expected)
    np.testing.assert_array_equal(result.mask, hidden)
    np.testing.assert_array_equal(
        d.dehaze_reference(masked, **SMALL)[~hidden].shape, [result.count()]
    )
    with pytest.raises(ValueError, match="no masked arrays"):
        d.dehaze_batch([masked, masked], **SMALL)
    with pytest.raises(ValueError, match="one dtype for all, not uint16, uint8"):
        d.dehaze_batch([image.astype(np.uint8), image.astype(np.uint16)], **SMALL)
    with pytest.raises(ValueError, match="a masked array"):
        d.dark_channel(masked)


# --- values mean what the file says ---------------------------------------------------------------


def scaled(top, low=0, dtype="uint16"):
    values = low + scene() / 255 * (top - low)
    return (values if dtype == "float32" else np.round(values)).astype(dtype)


@pytest.mark.parametrize(
    ("image", "arguments", "top", "low"),
    [
        (scaled(65535), {}, 65535, 0),
        (scaled(10000), {}, 10000, 0),
        (scaled(10000), {"value_range": (0, 10000)}, 10000, 0),
        (scaled(10000, dtype="int16"), {"value_range": (0, 10000)}, 10000, 0),
        (scaled(9000, -1000, "int32"), {"value_range": (-1000, 9000)}, 9000, -1000),
        (
            scene() / np.float32(255) * 1.2 - np.float32(0.1),
            {"value_range": (-0.1, 1.1)},
            1.1,
            -0.1,
        ),
    ],
)
def test_one_scene_is_one_picture_whatever_its_scale(tmp_path, image, arguments, top, low):
    run(write(tmp_path / "a.tif", image), tmp_path / "b.tif", tile=50, **arguments)
    result = read(tmp_path / "b.tif")
    assert result.dtype == image.dtype
    assert worst((result - float(low)) / (top - low) * 255, d.dehaze(scene(), **SMALL)) < 1.5


def test_the_file_s_own_scale_is_its_range_and_stays(tmp_path):
    """Landsat: reflectance is 2.75e-05 · value − 0.2."""
    image = np.round((scene() / 255 + 0.2) / 2.75e-05).astype(np.uint16)
    source = write(tmp_path / "a.tif", image)
    with rasterio.open(source, "r+") as file:
        file.scales, file.offsets, file.units = (2.75e-05,) * 3, (-0.2,) * 3, ("reflectance",) * 3
    run(source, tmp_path / "b.tif", tile=50)
    with rasterio.open(tmp_path / "b.tif") as file:
        assert (file.scales[0], file.offsets[0], file.units[0]) == (2.75e-05, -0.2, "reflectance")
        result = file.read() * 2.75e-05 - 0.2
    assert worst(np.moveaxis(result, 0, -1) * 255, d.dehaze(scene(), **SMALL)) < 1.5


def test_a_scale_that_is_no_reflectance_is_not_taken_for_one(tmp_path):
    source = write(tmp_path / "a.tif", scaled(10000))
    with rasterio.open(source, "r+") as file:
        file.scales = (0.01,) * 3  # radiance
    report = run(source, tmp_path / "b.tif")
    assert "by the file's scale" in report.notes[0][1]
    assert worst(read(tmp_path / "b.tif") / 10000 * 255, d.dehaze(scene(), **SMALL)) < 1.5


def test_a_guessed_range_is_said(tmp_path):
    report = run(write(tmp_path / "a.tif", scaled(10000)), tmp_path / "b.tif")
    ((name, note),) = report.notes
    assert name.endswith("a.tif")
    assert "0…10000 is black to white; --range LOW HIGH names another" in note


def test_a_range_that_fits_nothing_is_said_and_a_wrong_one_refused(tmp_path):
    source = write(tmp_path / "a.tif", scaled(10000))
    report = run(source, tmp_path / "b.tif", value_range=(0, 100))
    assert "lie outside --range" in report.notes[0][1]
    with pytest.raises(ValueError, match="range: two numbers"):
        run(source, tmp_path / "b.tif", value_range=(100, 0))


def test_bands_by_number(tmp_path):
    image = np.dstack([scene()[..., ::-1], scene()[..., :1] // 2])
    source = write(tmp_path / "a.tif", image, photometric="MINISBLACK")
    run(source, tmp_path / "b.tif", bands=(3, 2, 1))
    result = read(tmp_path / "b.tif")
    np.testing.assert_array_equal(result[..., 2::-1], d.dehaze(scene(), **SMALL))
    np.testing.assert_array_equal(result[..., 3], image[..., 3])
    with pytest.raises(PaperError, match="bands 7,2,1 of 4"):
        run(source, tmp_path / "c.tif", bands=(7, 2, 1))


@pytest.mark.parametrize("nodata", [0, 255, 90])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_data_stay_data_and_no_data_stay_none_in_every_band(tmp_path, dtype, nodata):
    image = {"uint8": scene(), "uint16": scene().astype("uint16") * 257}.get(
        dtype, scene() / np.float32(255)
    )
    value = {"uint8": nodata, "uint16": nodata * 257}.get(dtype, float(np.float32(nodata / 255)))
    image[:20, :30] = value
    image[60:70, 60:70, 0] = value  # in one band
    source = write(tmp_path / "a.tif", image, nodata=value)
    run(source, tmp_path / "b.tif", tile=50)
    with rasterio.open(source) as a, rasterio.open(tmp_path / "b.tif") as b:
        np.testing.assert_array_equal(a.read_masks(), b.read_masks())
        assert a.nodata == b.nodata
    assert (read(tmp_path / "b.tif")[60:70, 60:70, 1] != image[60:70, 60:70, 1]).any()


def test_a_value_that_no_pixel_can_have_is_as_nan_in_one_band(tmp_path):
    results = []
    for value in (-9999, np.nan):
        image = scene() / np.float32(255)
        image[:20, :, 0] = value
        run(write(tmp_path / "a.tif", image, nodata=value), tmp_path / "b.tif", tile=50)
        result = read(tmp_path / "b.tif")
        np.testing.assert_array_equal(result[:20], image[:20])
        results.append(result[20:])
    np.testing.assert_array_equal(*results)


def test_alpha_beside_a_no_data_value_is_quiet(tmp_path):
    image = np.dstack([scene(), np.full(scene().shape[:2], 255, np.uint8)])
    image[:30, :, 3] = 0
    source = write(tmp_path / "a.tif", image, nodata=255, photometric="RGB", alpha="yes")
    assert not run(source, tmp_path / "b.tif").notes
    np.testing.assert_array_equal(read(tmp_path / "b.tif")[:30], image[:30])


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_masks_come_into_every_format(tmp_path, suffix, outside):
    """A mask inside a TIFF or in a .msk file beside it."""
    seen = np.tri(90, 120, 10) > 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=not outside):
        source = write(tmp_path / "a.tif", scene())
        with rasterio.open(source, "r+") as file:
            file.write_mask(seen)
    assert (tmp_path / "a.tif.msk").exists() == outside
    run(source, tmp_path / f"b{suffix}", tile=50)
    with rasterio.open(tmp_path / f"b{suffix}") as file:
        np.testing.assert_array_equal(file.dataset_mask() > 0, seen)
    expected = d.dehaze(scene(), mask=seen, **SMALL)
    result = read(tmp_path / f"b{suffix}")[..., :3]
    assert np.abs(result.astype(int) - expected)[seen].mean() < (6 if suffix == ".jpg" else 0.01)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_the_transparent_colour_of_a_png(tmp_path, suffix):
    image = scene()
    image[:20] = (7, 8, 9)
    Image.fromarray(image).save(tmp_path / "a.png", transparency=(7, 8, 9))
    seen = np.ones((90, 120), bool)
    seen[:20] = False
    run(tmp_path / "a.png", tmp_path / f"b{suffix}", tile=50)
    with rasterio.open(tmp_path / f"b{suffix}") as file:
        np.testing.assert_array_equal(file.dataset_mask() > 0, seen)
    if suffix == ".png":
        assert Image.open(tmp_path / "b.png").info["transparency"] == (7, 8, 9)


# --- what is not pixels ---------------------------------------------------------------------------


def test_rpc_gcps_domains_and_names_stay_and_statistics_do_not(tmp_path):
    one = [1.0] + [0.0] * 19
    rpc = RPC(0.0, 0.0, 100.0, 500.0, one, one, 50.0, 50.0, -3.0, 0.1, one, one, -60.0, 0.1, 1, 1)
    source = write(tmp_path / "a.tif", scene())
    with rasterio.open(source, "r+") as file:
        file.rpcs = rpc
        file.update_tags(sensor="made up")
        file.update_tags(ns="MINE", orbit="7")
        file.update_tags(2, ns="MINE", wavelength="560")
        file.set_band_description(2, "green")
    with rasterio.open(source) as file:
        file.stats()
        file.statistics(1)
    run(source, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as file:
        assert file.rpcs.to_dict() == rpc.to_dict()
        assert file.tags()["sensor"] == "made up"
        assert file.tags(ns="MINE") == {"orbit": "7"}
        assert file.tags(2, ns="MINE") == {"wavelength": "560"}
        assert file.descriptions[1] == "green"
        assert not [key for key in file.tags(1) if key.startswith("STATISTICS")]


def test_a_cog_stays_one(tmp_path):
    plain = write(tmp_path / "plain.tif", scene(700, 900), **PLACE)
    copy_raster(plain, tmp_path / "a.tif", driver="COG", compress="DEFLATE", blocksize=256)
    run(tmp_path / "a.tif", tmp_path / "b.tif")
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        assert b.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert a.overviews(1) == b.overviews(1) != []
        assert a.profile == b.profile


def test_overviews_are_made_anew(tmp_path):
    source = write(tmp_path / "a.tif", scene(), **PLACE)
    with rasterio.open(source, "r+") as file:
        file.build_overviews([2, 4])
    run(source, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as file:
        assert file.overviews(1) == [2, 4]


@pytest.mark.parametrize("to", ["jpg", "png", "tif"])
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_profile_exif_xmp_and_resolution(tmp_path, kind, to):
    exif = Image.Exif()
    exif[0x10F] = "a maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>here</a></x:xmpmeta>'
    more = {"exif": exif, "icc_profile": profile, "dpi": (300, 300)}
    if kind == "jpg":
        more |= {"xmp": packet, "quality": 91, "subsampling": 0}
    Image.fromarray(scene()).save(tmp_path / f"a.{kind}", **more)
    report = run(tmp_path / f"a.{kind}", tmp_path / f"b.{to}")
    with Image.open(tmp_path / f"b.{to}") as result:
        assert result.info["icc_profile"] == profile
        assert [round(float(v)) for v in result.info["dpi"]] == [300, 300]
        if to != "tif":
            assert result.getexif()[0x10F] == "a maker"
        if kind == to == "jpg":
            assert JpegImagePlugin.get_sampling(result) == 0
            assert result.quantization == Image.open(tmp_path / "a.jpg").quantization
    if kind == "jpg":
        assert b"<a>here</a>" in (tmp_path / f"b.{to}").read_bytes()
    assert [note for _, note in report.notes] == (
        ["GTiff did not take over: EXIF"] if (kind, to) == ("png", "tif") else []
    )


# --- files and folders ----------------------------------------------------------------------------


HOLD = """
import sys, time
from paperlib.dehaze import _tiles, dehaze_scene
write = _tiles.writer.write
def slow(*arguments):
    print("here", flush=True); sys.stdin.readline()
    return write(*arguments)
_tiles.writer.write = slow
dehaze_scene(sys.argv[1], sys.argv[2], progress=False, patch=7, radius=9)
"""


def test_a_second_run_on_one_target_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_partial, "PATIENCE", 0.2)
    source, target = write(tmp_path / "a.tif", scene()), tmp_path / "b.tif"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(source), str(target)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert first.stdout.readline() == b"here\n"
    with pytest.raises(PaperError, match=r"b\.tif: another run is writing it — wait"):
        run(source, target, omega=0.3)
    first.communicate(b"\n")
    assert first.returncode == 0
    np.testing.assert_array_equal(read(target), d.dehaze(scene(), **SMALL))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_out_inside_in_is_no_source(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(scene()).save(tmp_path / "in" / "a.png")
    assert run(tmp_path / "in", tmp_path / "in" / "out").done == ["a.png"]
    again = run(tmp_path / "in", tmp_path / "in" / "out")
    assert (again.done, again.skipped) == ([], ["a.png"])


def test_a_user_s_own_files_are_left_alone(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    Image.fromarray(scene()).save(tmp_path / "in" / "a.png")
    (tmp_path / "out" / "dehaze.csv").write_text("my,notes\n1,2\n")
    report = run(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "dehaze.csv").read_text() == "my,notes\n1,2\n"
    assert report.table.name == "dehaze-2.csv"
    assert run(tmp_path / "in", tmp_path / "out").skipped == ["a.png"]
    own = _partial.folder_of(tmp_path / "b.png")
    own.mkdir()
    (own / "notes").write_text("mine")
    with pytest.raises(PaperError, match="is in the way"):
        run(tmp_path / "in" / "a.png", tmp_path / "b.png")
    assert (own / "notes").read_text() == "mine"


def test_out_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(scene()).save(tmp_path / "in" / "a.png")
    (tmp_path / "file").write_text("x")
    for source, target in [
        ("in/a.png", "file/x.png"), ("in/a.png", "y" * 300 + ".png"), ("in", "file"),
        ("in", "file/out"),
    ]:  # fmt: skip
        with pytest.raises(PaperError) as caught:
            run(tmp_path / source, tmp_path / target)
        assert "\n" not in str(caught.value)
        assert " — " in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "in"]
    run(tmp_path / "in" / "a.png", tmp_path / ("y" * 245 + ".png"))  # as long as a name may be


def test_a_link_is_written_through_and_never_over_the_source(tmp_path):
    source = write(tmp_path / "a.tif", scene())
    (tmp_path / "there.tif").write_text("old")
    (tmp_path / "link.tif").symlink_to("there.tif")
    run(source, tmp_path / "link.tif")
    assert (tmp_path / "link.tif").is_symlink()
    np.testing.assert_array_equal(read(tmp_path / "there.tif"), d.dehaze(scene(), **SMALL))
    os.link(source, tmp_path / "hard.tif")
    with pytest.raises(PaperError, match="same file"):
        run(source, tmp_path / "hard.tif")


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_a_name_that_is_not_utf8_fails_alone(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(scene()).save(os.fsdecode(os.fsencode(tmp_path) + b"/in/caf\xe9.png"))
    Image.fromarray(scene()).save(tmp_path / "in" / "z.png")
    for _ in range(2):
        report = run(tmp_path / "in", tmp_path / "out")
        ((name, why),) = report.failed
        assert name == "caf\\xe9.png"
        assert why.endswith("the name is not UTF-8 — rename it")
        assert [*report.done, *report.skipped] == ["z.png"]


def test_linked_folders_are_read_and_other_formats_are_said(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(tmp_path / "in")
    Image.fromarray(scene()).save(tmp_path / "far" / "a.png")
    (tmp_path / "far" / "._a.png").write_bytes(b"\0\5\26\7")
    (tmp_path / "far" / "b.webp").write_bytes(b"RIFF")
    report = run(tmp_path / "in", tmp_path / "out")
    assert report.done == ["link/a.png"]
    assert not report.failed
    assert report.notes[0][1].startswith("passed over: 1 .webp; only .tif")


def test_a_failure_leaves_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.tif", scene() / np.float32(2))  # 0…127.5
    report = run(tmp_path / "in", tmp_path / "out", tile=40)
    assert "as --range 0 1" in report.failed[0][1]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["dehaze.csv"]
    with pytest.raises(PaperError):
        run(tmp_path / "in" / "a.tif", tmp_path / "new" / "deep" / "b.tif")
    assert not (tmp_path / "new").exists()


# --- how often a file is decoded ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_tall_picture_is_decoded_once(tmp_path, monkeypatch, kind):
    """Forward, each row once: tile by tile it would be decoded from its top for every tile."""
    read_file, rows = _raster.read_file, []

    def recorded(raster, source, window):
        rows.append((window.row_off, window.row_off + window.height))
        return read_file(raster, source, window)

    monkeypatch.setattr(_raster, "read_file", recorded)
    monkeypatch.setattr(_unpack, "CHUNK", 600 * 3 * 100)  # a hundred rows at a time
    Image.fromarray(np.resize(scene(500, 600), (950, 600, 3))).save(tmp_path / f"a.{kind}")
    run(tmp_path / f"a.{kind}", tmp_path / "b.tif", tile=100)
    assert rows == [(top, min(top + 100, 950)) for top in range(0, 950, 100)]


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
@pytest.mark.parametrize("kind", ["png", "tif", "jpg"])
def test_text_that_is_not_utf8_stays_or_is_passed_over(tmp_path, kind, suffix):
    """Seen failing: PNG's texts are Latin-1, and their file's name was blamed for it."""
    source, image = tmp_path / f"a.{kind}", Image.fromarray(scene())
    text = "Zürich ©"
    if kind == "png":
        info = PngInfo()
        info.add_text("Comment", text)
        image.save(source, pnginfo=info)
    elif kind == "jpg":
        image.save(source, comment=text.encode("latin-1"))
    else:
        image.save(source, tiffinfo={33432: text.encode("latin-1")})
    report = run(source, tmp_path / f"b.{suffix}")
    assert report.done == [str(source)]
    if kind == "png" and suffix == "tif":  # GDAL writes no such texts into the others
        with rasterio.open(tmp_path / "b.tif") as result:
            assert result.tags()["Comment"] == text
    (tmp_path / "in").mkdir()
    source.rename(tmp_path / "in" / source.name)
    assert run(tmp_path / "in", tmp_path / "out").failed == []


@pytest.mark.parametrize("dtype", ["int64", "uint64", "complex64"])
@pytest.mark.parametrize("value_range", [None, (0, 200)])
def test_types_without_a_place_in_the_result_are_refused_at_once(tmp_path, dtype, value_range):
    source = write(tmp_path / "a.tif", scene().astype(dtype))
    with pytest.raises(PaperError, match=f"{dtype} is not dehazed — gdal_translate"):
        run(source, tmp_path / "b.tif", value_range=value_range)
