"""The result of `dehaze_scene` as a file: new pixels, and all else as the source has it.

GDAL copies a file with all that belongs to it. So the source is described as a virtual raster
(VRT), its pixels are replaced there by those that were cleared, and that is what GDAL copies.
"""

from __future__ import annotations

import os
import warnings
import xml.etree.ElementTree as ET
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.shutil import copy as copy_raster

from ..utils.errors import PaperError
from . import _carry
from . import _raster as rasters
from ._headers import tiff_tags

PIXELS, VALID = "pixels", "valid"
LOSSY = ("jpeg", "ycbcr jpeg", "webp", "jxl", "lerc")
STALE = ("STATISTICS_", "EXIF_Orientation", "EXIF_PixelXDimension", "EXIF_PixelYDimension")
OURS = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "COLOR_PROFILE", "RPC", "")


@dataclass(frozen=True)
class Page:
    """One page to write: what it is, and the folder of its cleared pixels."""

    raster: rasters.Raster
    folder: Path


def needs_valid(raster: rasters.Raster, driver: str) -> bool:
    """Whether the valid pixels have to be kept beside the colours, for a mask of the target."""
    if driver == "JPEG":  # which changes the no-data value itself
        return raster.masked
    return raster.mask and raster.together is None


def write(pages: list[Page], target: Path) -> list[str]:
    """Write the target; what it could not take over, in words."""
    driver = rasters.DRIVERS[target.suffix.lower()]
    made = pages[0].folder / f"made{target.suffix.lower()}"
    beside = Path(f"{made}.aux.xml")  # GDAL's place for what the format itself cannot hold
    notes: list[str] = []
    try:
        with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            for number, page in enumerate(pages):
                with rasters.open_raster(page.raster.name) as source:
                    vrt = page.folder / "scene.vrt"
                    vrt.write_text(_virtual(page, source, driver), encoding="utf-8")
                    kind, options, said = _options(page, source, driver)
                    notes += said if number == 0 else []
                    if len(pages) > 1:
                        options.pop("COPY_SRC_MDD", None)
                    if number:
                        options["APPEND_SUBDATASET"] = "YES"
                    copy_raster(vrt, made, driver=kind, **options)
                    if "COPY_SRC_MDD" in options:
                        _band_tags(vrt, made)
                    factors = source.overviews(1)
                    if factors and kind == "GTiff" and len(pages) == 1:
                        with rasterio.open(made, "r+") as again:
                            again.build_overviews(factors, Resampling.average)
            with rasters.open_raster(pages[0].raster.name) as source:
                _carry.carry(source, Path(pages[0].raster.path), made, pages[0].raster)
                worth = _worth(source, pages[0].raster)
                with rasterio.open(made) as result:
                    notes += _carry.lost(source, Path(pages[0].raster.path), result, made)
    except RasterioError as error:
        raise PaperError(
            f"{target}: cannot be written ({rasters.line(error)})", "check the disk"
        ) from error
    for suffix in (".aux.xml", ".msk", ".ovr"):  # of what was there before
        with suppress(OSError):  # nothing there, or the name would be too long
            Path(f"{target}{suffix}").unlink()
    with open(made, "rb+") as handle:
        os.fsync(handle.fileno())
    if beside.is_file() and worth:
        beside.replace(f"{target}.aux.xml")
    made.replace(target)
    return notes


def _parsed(template: bytes) -> tuple[ET.Element, dict[str, str]]:
    """A VRT, and its tags that are Latin-1, as PNG's are by its standard: rasterio drops those."""
    try:
        return ET.fromstring(template.decode()), {}
    except UnicodeDecodeError:
        root = ET.fromstring(template.decode("latin-1"))
    own = [one for one in root.findall("Metadata") if "domain" not in one.attrib]
    return root, {one.get("key", ""): one.text or "" for tags in own for one in tags.findall("MDI")}


def _virtual(page: Page, source, driver: str) -> str:
    """The VRT: the source's description around the cleared pixels."""
    raster = page.raster
    template = page.folder / "template.vrt"
    copy_raster(source, template, driver="VRT")
    old, lost = _parsed(template.read_bytes())
    new = ET.Element("VRTDataset", rasterXSize=str(raster.width), rasterYSize=str(raster.height))
    for name in ("SRS", "GeoTransform", "GCPList"):
        new.extend(old.findall(name))
    tags = {k: v for k, v in {**lost, **source.tags()}.items() if not k.startswith(STALE)}
    if driver == "JPEG" or raster.together is None:
        tags.pop("NODATA_VALUES", None)
    if driver == "JPEG":
        tags = {k: v for k, v in tags.items() if not k.startswith("EXIF_")}
    elif driver == "GTiff":
        tags = {**_carry.resolution_tags(source, Path(raster.path)), **tags}
    _metadata(new, tags)
    for domain in ("RPC", "COLOR_PROFILE"):
        _metadata(new, source.tags(ns=domain), domain)
    _domains(new, source, 0)
    bands = old.findall("VRTRasterBand")
    size, item = raster.pixel_bytes, raster.pixel_bytes // raster.bands
    for number in range(raster.bands):
        band = _raw(
            new, PIXELS, rasters.NAMES[raster.dtype], number * item, size, size * raster.width
        )
        band.set("band", str(number + 1))
        if raster.change == "palette":
            kinds = {1: ["Gray"], 3: ["Red", "Green", "Blue"]}
            kinds = kinds.get(raster.bands, ["Red", "Green", "Blue", "Alpha"])
            ET.SubElement(band, "ColorInterp").text = kinds[number]
            continue
        keep = ["Description", "UnitType", "Offset", "Scale", "CategoryNames", "ColorInterp"]
        if driver != "JPEG" and (raster.together is None or driver == "PNG"):
            keep.append("NoDataValue")
        for name in keep:
            band.extend(bands[number].findall(name))
        if raster.change == "bits" and band.find("NoDataValue") is not None:
            band.find("NoDataValue").text = f"{raster.nodata[0]:g}"
        tags = source.tags(number + 1).items()
        _metadata(band, {k: v for k, v in tags if not k.startswith(STALE)})
        _domains(band, source, number + 1)
    if needs_valid(raster, driver):
        if driver == "PNG":
            band = _raw(new, VALID, "Byte", 0, 1, raster.width)
            band.set("band", str(raster.bands + 1))
            ET.SubElement(band, "ColorInterp").text = "Alpha"
        else:
            _raw(ET.SubElement(new, "MaskBand"), VALID, "Byte", 0, 1, raster.width)
    template.unlink()
    text = ET.tostring(new, encoding="unicode")
    packet = _carry.xmp_of(source, Path(raster.path)) if driver == "GTiff" else ""
    if packet:
        body = packet[packet.find("<x:xmpmeta") :]
        body = body[: body.rfind("</x:xmpmeta>") + 12]
        extra = f'<Metadata domain="xml:XMP" format="xml">{body}</Metadata></VRTDataset>'
        text = text.removesuffix("</VRTDataset>") + extra if body else text
    return text


def _raw(parent, file: str, kind: str, start: int, pixel: int, line: int) -> ET.Element:
    band = ET.SubElement(parent, "VRTRasterBand", dataType=kind, subClass="VRTRawRasterBand")
    ET.SubElement(band, "SourceFilename", relativetoVRT="1").text = file
    for name, value in (("ImageOffset", start), ("PixelOffset", pixel), ("LineOffset", line)):
        ET.SubElement(band, name).text = str(value)
    ET.SubElement(band, "ByteOrder").text = "LSB"
    return band


def _band_tags(vrt: Path, made: Path) -> None:
    """The bands' own metadata, which GDAL leaves out where it copies every domain of the file."""
    with rasterio.open(vrt) as described:
        tags = {band: described.tags(band) for band in described.indexes}
    if any(tags.values()):
        with rasterio.open(made, "r+") as file:
            for band, found in tags.items():
                file.update_tags(band, **found)


def _metadata(parent, tags: dict[str, str], domain: str = "") -> None:
    if tags:
        found = ET.SubElement(parent, "Metadata", {"domain": domain} if domain else {})
        for key, value in tags.items():
            ET.SubElement(found, "MDI", key=key).text = value


def _domains(parent, source, band: int) -> None:
    """The other metadata domains of the file (band 0) or one band."""
    for domain in source.tag_namespaces(band):
        if domain not in OURS and not domain.startswith(("xml:", "json:")):
            _metadata(parent, source.tags(band, ns=domain), domain)


def _options(page: Page, source, driver: str) -> tuple[str, dict[str, str], list[str]]:
    """GDAL's driver and creation options that keep how the source is laid out."""
    raster, structure = page.raster, source.tags(ns="IMAGE_STRUCTURE")
    if driver == "JPEG":
        quality = structure.get("JPEG_QUALITY", "95") if source.driver == "JPEG" else "95"
        return driver, {"QUALITY": quality, "WRITE_EXIF_METADATA": "NO"}, []
    if driver == "PNG":
        return driver, {}, []
    options, notes = {"BIGTIFF": "IF_SAFER", "COPY_SRC_MDD": "YES"}, []
    if source.driver != "GTiff":
        # the fastest level: decoded pictures shrink little more by the others
        return driver, {**options, "COMPRESS": "DEFLATE", "ZLEVEL": "1"}, []
    compress = str(source.profile.get("compress", "")).lower()
    high, wide = source.block_shapes[0]
    tiled = wide < source.width or source.profile.get("tiled", False)
    if compress in LOSSY:
        notes.append(f"{compress.upper()} compression would change the pixels again: DEFLATE")
        options["COMPRESS"], tiled = "DEFLATE", tiled and raster.turn < 5
    elif compress and not (raster.change and compress.startswith(("ccitt", "jbig", "pixarlog"))):
        options["COMPRESS"] = compress.upper()
        predictor = _predictor(Path(raster.path))
        if predictor in (2, 3) and compress in ("lzw", "deflate", "zstd", "adobe_deflate"):
            options["PREDICTOR"] = str(predictor)
    if options.get("COMPRESS") == "ADOBE_DEFLATE":
        options["COMPRESS"] = "DEFLATE"
    if structure.get("LAYOUT") == "COG" and raster.turn < 5:
        options["BLOCKSIZE"] = str(wide)
        options["OVERVIEWS"] = "AUTO" if source.overviews(1) else "NONE"
        if "PREDICTOR" in options:
            options["PREDICTOR"] = {"2": "STANDARD", "3": "FLOATING_POINT"}[options["PREDICTOR"]]
        options.pop("COPY_SRC_MDD")
        return "COG", options, notes
    options["INTERLEAVE"] = structure.get("INTERLEAVE", "PIXEL") if not raster.change else "PIXEL"
    if tiled:
        options |= {"TILED": "YES", "BLOCKXSIZE": str(wide), "BLOCKYSIZE": str(high)}
    elif raster.turn < 5 and high * wide * raster.pixel_bytes <= rasters.BLOCK:
        options["BLOCKYSIZE"] = str(high)
    if raster.bits:
        options["NBITS"] = str(raster.bits)
    return driver, options, notes


def _predictor(path: Path) -> int:
    try:
        return tiff_tags(path).get(317, 1)
    except (OSError, ValueError, SyntaxError, TypeError, KeyError):
        return 1


def _worth(source, raster: rasters.Raster) -> bool:
    """Whether the source has anything that a PNG or JPEG can only have in a file beside it."""
    placed = source.crs or source.gcps[0] or source.rpcs or not source.transform.is_identity
    values = any(v is not None for v in source.nodatavals) and not raster.together
    words = any(source.descriptions) or any(source.units)
    scaled = set(source.scales) != {1.0} or set(source.offsets) != {0.0}
    tags = source.driver == "GTiff" and any(
        not key.startswith(("TIFFTAG_", "AREA_OR_POINT", *STALE)) for key in source.tags()
    )
    return bool(placed or values or words or scaled or tags)
