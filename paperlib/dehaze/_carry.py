"""What pictures carry besides pixels and GDAL does not copy: EXIF, XMP, resolution, JPEG's tables.

`carry` puts it into the target, `lost` says what is not there in the end.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import rasterio
from PIL import Image, JpegImagePlugin

from ..utils import files
from ._headers import exif_of

SMALL = 1 << 26  # pixels up to which a JPEG is encoded in memory, with the tables of the source
METRES = 0.0254
#: GDAL's own domains: about the file, not in it, or looked at one by one.
KNOWN = {
    "", "IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "COLOR_PROFILE", "RPC", "xml:XMP",
    "EXIF", "FLIR", "OVR",
}  # fmt: skip


def carry(source: rasterio.DatasetReader, path: Path, made: Path, raster: Any) -> None:
    """EXIF, XMP and resolution of `path` into the PNG or JPEG `made`; JPEG's sampling too."""
    if made.suffix.lower() in (".tif", ".tiff"):
        return
    found = extras(source, path)
    if made.suffix.lower() == ".png":
        _into_png(made, found)
        return
    with Image.open(made) as image:
        with_tables = (
            source.driver == "JPEG"
            and found.get("tables")
            and not raster.masked
            and image.width * image.height <= SMALL
        )
    if with_tables:
        _encode_again(made, raster, found)
    else:
        _into_jpeg(made, found)


def extras(source: rasterio.DatasetReader, path: Path) -> dict[str, Any]:
    """`exif`, `xmp` (bytes) and `dpi` of a file, and a JPEG's quantization tables."""
    found: dict[str, Any] = {}
    if source.driver in ("PNG", "JPEG"):
        with Image.open(path) as image:
            exif = exif_of(image)
            if len(exif):
                exif.pop(0x112, None)
                found["exif"] = exif.tobytes()
            if image.info.get("dpi"):
                found["dpi"] = tuple(float(v) for v in image.info["dpi"])
            if isinstance(image, JpegImagePlugin.JpegImageFile):
                found["tables"] = image.quantization
                found["sampling"] = JpegImagePlugin.get_sampling(image)
                found["icc_profile"] = image.info.get("icc_profile")
    else:
        tags = source.tags()
        unit = {"2": 1.0, "3": 2.54}.get(tags.get("TIFFTAG_RESOLUTIONUNIT", "")[:1])
        if unit and "TIFFTAG_XRESOLUTION" in tags:
            x, y = (float(tags.get(f"TIFFTAG_{a}RESOLUTION", 0)) * unit for a in "XY")
            found["dpi"] = (x, y)
    if packet := xmp_of(source, path):
        found["xmp"] = packet.encode()
    return found


def xmp_of(source: rasterio.DatasetReader, path: Path) -> str:
    """The XMP packet of a file, `""` where it has none."""
    packet = ""
    if "xml:XMP" in source.tag_namespaces():
        packet = next(iter(source.tags(ns="xml:XMP").values()), "")
    if not packet and source.driver in ("PNG", "JPEG"):
        with Image.open(path) as image:
            packet = image.info.get("xmp", image.info.get("XML:com.adobe.xmp", ""))
    return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet


def resolution_tags(source: rasterio.DatasetReader, path: Path) -> dict[str, str]:
    """A picture's resolution as the tags of a TIFF."""
    dpi = extras(source, path).get("dpi") if source.driver in ("PNG", "JPEG") else None
    if not dpi:
        return {}
    return {
        "TIFFTAG_XRESOLUTION": f"{dpi[0]:g}",
        "TIFFTAG_YRESOLUTION": f"{dpi[1]:g}",
        "TIFFTAG_RESOLUTIONUNIT": "2",
    }


def _encode_again(made: Path, raster: Any, found: dict[str, Any]) -> None:
    """The JPEG from the cleared pixels, by the tables and chroma subsampling of its source."""
    mode = "RGB" if raster.bands == 3 else "L"
    pixels = (made.parent / "pixels").read_bytes()
    image = Image.frombytes(mode, (raster.width, raster.height), pixels)
    more = {"exif": found.get("exif"), "dpi": found.get("dpi"), "xmp": found.get("xmp")}
    more["icc_profile"] = found.get("icc_profile")
    tables = found["tables"]
    if mode == "RGB":
        more["subsampling"] = found["sampling"] if found["sampling"] in (0, 1, 2) else 0
    else:
        tables = {0: tables[0]}
    given = {k: v for k, v in more.items() if v is not None}
    image.save(made, "JPEG", qtables=tables, **given)


def _into_jpeg(made: Path, found: dict[str, Any]) -> None:
    data = made.read_bytes()
    at = 2
    if data[2:4] == b"\xff\xe0":  # JFIF stands first
        at += 2 + struct.unpack_from(">H", data, 4)[0]
        if "dpi" in found:
            x, y = (min(65535, round(v)) for v in found["dpi"])
            data = data[:13] + struct.pack(">BHH", 1, x, y) + data[18:]
    extra = b""
    for key, head in (("exif", b""), ("xmp", b"http://ns.adobe.com/xap/1.0/\0")):
        content = found.get(key, b"")
        present = key == "xmp" and head in data[:200_000]  # GDAL writes it
        if content and not present and len(content) + len(head) < 65_533:
            body = head + content
            extra += b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    if extra or "dpi" in found:
        with files.replacing(made) as partial:
            partial.write_bytes(data[:at] + extra + data[at:])


def _into_png(made: Path, found: dict[str, Any]) -> None:
    chunks = b""
    if "exif" in found:
        chunks += _chunk(b"eXIf", found["exif"].removeprefix(b"Exif\0\0"))
    if "dpi" in found:
        x, y = (round(v / METRES) for v in found["dpi"])
        chunks += _chunk(b"pHYs", struct.pack(">IIB", x, y, 1))
    with open(made, "rb") as file:
        start = file.read(1 << 20)
        present = b"XML:com.adobe.xmp" in start
        if "xmp" in found and not present:
            chunks += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + found["xmp"])
        if not chunks:
            return
        with files.replacing(made) as partial, open(partial, "wb") as target:
            target.write(start[:33] + chunks + start[33:])  # after the signature and IHDR
            while block := file.read(1 << 22):
                target.write(block)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


# --- what is not there in the end -----------------------------------------------------------------


def lost(source: rasterio.DatasetReader, path: Path, made, made_path: Path) -> list[str]:
    """What the source has and the target has not, in words."""
    before, after = _properties(source, path), _properties(made, made_path)
    missing = [name for name, there in before.items() if there and not after.get(name)]
    if not missing:
        return []
    return [f"{made.driver} did not take over: {', '.join(missing)}"]


def _properties(dataset: rasterio.DatasetReader, path: Path) -> dict[str, bool]:
    found = extras(dataset, path)
    tags = dataset.tags()
    bands = range(dataset.count + 1)
    own = {name for band in bands for name in dataset.tag_namespaces(band)} - KNOWN
    return {
        **{f"metadata domain {name}": True for name in sorted(own)},
        "CRS": dataset.crs is not None,
        "transform": not dataset.transform.is_identity,
        "GCPs": bool(dataset.gcps[0]),
        "RPC": dataset.rpcs is not None,
        "scale and offset": set(dataset.scales) != {1.0} or set(dataset.offsets) != {0.0},
        "units": any(dataset.units),
        "band names": any(dataset.descriptions),
        "ICC profile": "SOURCE_ICC_PROFILE" in dataset.tags(ns="COLOR_PROFILE"),
        "EXIF": "exif" in found or any(key.startswith("EXIF_Make") for key in tags),
        "XMP": "xmp" in found,
        "resolution": "dpi" in found,
        "overviews": bool(dataset.overviews(1)),
    }
