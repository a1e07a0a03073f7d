"""Random files: the pixels are dehazed where the input is valid, and all else is as it was.

The oracle is GDAL's own: `gdalinfo` describes both files where it is installed, and the masks are
those that GDAL gives of them. `PAPER_EXAMPLES=500` asks for that many new files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.transform import from_origin

from paperlib import dehaze as d

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NodataShadowWarning"),
    pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="GDAL's own tools are the oracle"),
]
EXAMPLES = int(os.environ.get("PAPER_EXAMPLES", "30"))
SMALL = {"patch": 5, "radius": 6}
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
ONE = [1.0] + [0.0] * 19
RPCS = RPC(0.0, 0.0, 100.0, 500.0, ONE, ONE, 50.0, 50.0, -3.0, 0.1, ONE, ONE, -60.0, 0.1, 1.0, 1.0)

kinds = st.fixed_dictionaries(
    {
        "driver": st.sampled_from(["GTiff", "GTiff", "PNG", "JPEG"]),
        "dtype": st.sampled_from(["uint8", "uint16", "float32"]),
        "bands": st.sampled_from([1, 3, 4, 5]),
        "order": st.sampled_from([(0, 1, 2), (2, 1, 0)]),
        "nodata": st.sampled_from([None, 0, 77, "top", "nan", -9999]),
        "mask": st.sampled_from([None, "internal", "msk", "alpha"]),
        "compress": st.sampled_from([None, "deflate", "lzw", "zstd"]),
        "predictor": st.booleans(),
        "tiled": st.booleans(),
        "place": st.sampled_from([None, "transform", "gcps", "rpc"]),
        "scale": st.booleans(),
        "interleave": st.sampled_from(["pixel", "band"]),
        "tile": st.sampled_from([30, 64, 500]),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def settled(kind):
    """What a driver and a dtype cannot hold is left out."""
    kind = dict(kind)
    if kind["driver"] != "GTiff":
        kind |= {"place": None, "nodata": None, "scale": False, "mask": kind["mask"] and "alpha"}
        kind["dtype"] = "uint8" if kind["driver"] == "JPEG" else kind["dtype"]
        kind["dtype"] = "uint16" if kind["dtype"] == "float32" else kind["dtype"]
        kind["bands"] = min(kind["bands"], 3)
        if kind["driver"] == "JPEG":
            kind["mask"] = None
    if kind["dtype"] != "float32" and kind["nodata"] in ("nan", -9999):
        kind["nodata"] = 0
    if kind["mask"] == "alpha":
        kind["bands"] = {1: 2, 3: 4, 4: 4, 5: 5}[kind["bands"]]
    if kind["bands"] < 3 or kind["driver"] != "GTiff":
        kind["order"] = (0, 1, 2)
    if kind["mask"] in ("internal", "msk"):
        kind["nodata"] = None  # of the two GDAL's readers take one
    return kind


def make(kind, path):
    """The file, by rasterio: a hazy scene with a part that is no data, dark spots, odd bands."""
    rng = np.random.default_rng(kind["seed"])
    top = {"uint8": 255, "uint16": 65535, "float32": 1}[kind["dtype"]]
    height, width = rng.integers(20, 130, 2)
    y, x = np.mgrid[:height, :width]
    image = np.stack([0.6 + 0.3 * np.sin((x + b * y) / (9 + b)) for b in range(kind["bands"])], -1)
    image = image * (0.3 + 0.7 * x[..., None] / width) + rng.normal(0, 0.03, image.shape)
    image[(x // 9 + y // 7) % 6 == 0] *= 0.1
    image[0, 0] = 1  # so that 16 bits are seen to be all there
    image = image.clip(0, 1) * top
    image = (image if top == 1 else np.rint(image)).astype(kind["dtype"])
    out = (x + 2 * y) < rng.integers(0, height + width)
    nodata = {"top": float(top), "nan": np.nan, 77: 77 if top > 1 else 0.5}.get(
        kind["nodata"], kind["nodata"]
    )
    if nodata is not None:
        image[out] = nodata
    alpha = kind["bands"] - 1 if kind["mask"] == "alpha" else None
    if alpha is not None:
        image[..., alpha] = np.where(out, 0, top)
    profile = {"driver": kind["driver"]}
    if kind["driver"] == "GTiff":
        profile |= {"nodata": nodata, "interleave": kind["interleave"]}
        if kind["compress"]:
            predictor = 3 if kind["dtype"] == "float32" else 2
            profile |= {"compress": kind["compress"]}
            profile |= {"predictor": predictor} if kind["predictor"] else {}
        if kind["tiled"]:
            profile |= {"tiled": True, "blockxsize": 32, "blockysize": 16}
        if kind["place"] == "transform":
            profile |= {"crs": "EPSG:32720", "transform": from_origin(5e5, 9e6, 3, 3)}
    inside = kind["mask"] == "internal"
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside),
        rasterio.open(
            path,
            "w",
            height=height,
            width=width,
            count=kind["bands"],
            dtype=kind["dtype"],
            **profile,
        ) as file,
    ):
        if kind["driver"] == "GTiff":
            found = [ColorInterp.undefined] * kind["bands"]
            if kind["bands"] >= 3:
                found[:3] = [RGB[i] for i in kind["order"]]
            else:
                found[0] = ColorInterp.gray
            if alpha is not None:
                found[alpha] = ColorInterp.alpha
            file.colorinterp = found
            file.update_tags(sensor="made up")
            file.update_tags(ns="MINE", orbit="7")
            file.set_band_description(1, "first")
            if kind["scale"]:
                file.scales, file.units = (1 / top,) * kind["bands"], ("1",) * kind["bands"]
            if kind["place"] == "gcps":
                points = [(0, 0), (0, width), (height, 0), (height, width)]
                file.gcps = ([GroundControlPoint(r, c, -60 + c, -3 - r) for r, c in points], 4326)
            if kind["place"] == "rpc":
                file.rpcs = RPCS
        file.write(np.moveaxis(image, -1, 0))
        if kind["mask"] in ("internal", "msk"):
            file.write_mask(~out)


def info(path):
    """What `gdalinfo` says of a file, without its name, its size on disk and where blocks lie."""
    text = subprocess.run(
        ["gdalinfo", "-json", "-mdd", "all", str(path)], capture_output=True, check=True
    ).stdout
    found = json.loads(text)
    for key in ("description", "files", "cornerCoordinates", "wgs84Extent", "stac"):
        found.pop(key, None)
    found["metadata"].pop("DERIVED_SUBDATASETS", None)
    for band in found["bands"]:
        band.get("mask", {}).pop("overviews", None)
    return found


def check(kind, folder):
    suffix = {"GTiff": ".tif", "PNG": ".png", "JPEG": ".jpg"}[kind["driver"]]
    source, target = folder / f"a{suffix}", folder / f"b{suffix}"
    make(kind, source)
    d.dehaze_scene(source, target, progress=False, workers=1, tile=kind["tile"], **SMALL)
    with rasterio.open(source) as a, rasterio.open(target) as b:
        before, after = np.moveaxis(a.read(), 0, -1), np.moveaxis(b.read(), 0, -1)
        masks, there = a.read_masks(), b.read_masks()
        alpha = ColorInterp.alpha in a.colorinterp
        order = [a.colorinterp.index(k) for k in RGB] if set(RGB) <= set(a.colorinterp) else [0]
    np.testing.assert_array_equal(masks > 0, there > 0)
    if kind["driver"] != "JPEG":
        assert info(source) == info(target)
    valid = (masks[order] > 0).any(axis=0)
    if alpha:
        valid &= before[..., -1] > 0
    expected = d.dehaze(np.ascontiguousarray(before[..., order]), mask=valid, workers=1, **SMALL)
    top = {"uint8": 255, "uint16": 65535, "float32": 1}[kind["dtype"]]
    near = 1e-4 if top == 1 else 2  # one of rounding, one for not becoming no-data
    difference = np.abs(after[..., order].astype(float) - expected.astype(float))
    seen = np.moveaxis(masks[order] > 0, 0, -1)  # a band without data beside others stays without
    difference = difference[valid[..., None] & seen]
    if kind["driver"] == "JPEG":
        assert difference.size == 0 or difference.mean() < 12
        return
    assert difference.size == 0 or difference.max() <= near
    np.testing.assert_array_equal(after[..., order][~valid], before[..., order][~valid])
    others = [band for band in range(before.shape[2]) if band not in order]
    np.testing.assert_array_equal(after[..., others], before[..., others])


@settings(max_examples=EXAMPLES)
@given(kind=kinds)
def test_any_file(kind):
    with tempfile.TemporaryDirectory() as folder:
        check(settled(kind), Path(folder))
