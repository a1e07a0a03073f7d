"""Labelled chips as maps: a GeoPackage of polygons, or a GeoTIFF with one band for each label.

The GeoPackage is written with SQLite, which Python brings: a library that writes vectors would
bring a second GDAL of 100 MB. OGC 12-128r19, version 1.3: what a feature table must have.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..utils import files
from .scene import Chip, Scene

_APPLICATION, _VERSION = 0x47504B47, 10300  # "GPKG", 1.3.0
_OWN = 100_000  # numbers of reference systems that no authority has numbered begin here
_CHANGE = "2000-01-01T00:00:00.000Z"  # the time that the format wants, the same in all
_UNDEFINED = -1  # the standard's number for coordinates without a reference system
_TABLES = f"""
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT '{_CHANGE}',
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
INSERT INTO gpkg_spatial_ref_sys VALUES
  ('Undefined cartesian SRS', -1, 'NONE', -1, 'undefined', NULL),
  ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', NULL);
"""


def write_geopackage(
    path: str | Path, tags: Sequence[str], layers: Iterable[tuple[str, Scene, Iterable[Chip]]]
) -> None:
    """A GeoPackage with one layer for each scene, one polygon for each chip.

    Parameters
    ----------
    path : str or Path
        The file to write, ending in `.gpkg`.
    tags : sequence of str
        The label names: a column of probabilities each.
    layers : iterable of (str, Scene, iterable of Chip)
        A layer's name, its scene and its chips, which are taken one by one. Columns are
        `image_name`, `tags` (separated by spaces) and the labels.

    Notes
    -----
    Coordinates are those of the scene's own reference system. Equal input gives equal bytes: the
    time of the last change, which the format wants, is a constant.
    """
    with files.replacing(path) as partial, contextlib.closing(sqlite3.connect(partial)) as base:
        base.execute(f"PRAGMA application_id = {_APPLICATION}")
        base.execute(f"PRAGMA user_version = {_VERSION}")
        base.executescript(_TABLES)
        base.execute(
            """INSERT INTO gpkg_spatial_ref_sys VALUES
            ('WGS 84', 4326, 'EPSG', 4326, ?, NULL)""",
            (_WGS84,),
        )
        names: set[str] = set()
        for name, scene, chips in layers:
            layer, number = name, 1
            while layer.casefold() in names:  # SQLite's tables do not tell letters apart
                layer, number = f"{name} {number + 1}", number + 1
            names.add(layer.casefold())
            _write_layer(base, layer, scene, tags, chips)
        base.commit()


def _write_layer(base, name: str, scene: Scene, tags: Sequence[str], chips: Iterable[Chip]) -> None:
    srs = _reference(base, scene.crs)
    table, columns = _quoted(name), ", ".join(f"{_quoted(tag)} REAL" for tag in tags)
    base.execute(
        f"""CREATE TABLE {table} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POLYGON,
            image_name TEXT, tags TEXT, {columns})"""
    )
    marks = ", ".join("?" * (3 + len(tags)))
    ends = np.array([[np.inf, np.inf], [-np.inf, -np.inf]])
    for chip in chips:
        ring = np.array(scene.corners(chip.box))
        ends = np.array([np.minimum(ends[0], ring.min(0)), np.maximum(ends[1], ring.max(0))])
        numbers = [round(float(p), 4) for p in chip.probability]
        row = (_polygon(ring, srs), chip_name(name, chip), " ".join(chip.labels), *numbers)
        base.execute(f"INSERT INTO {table} VALUES (NULL, {marks})", row)
    extent = ends.ravel().tolist() if np.isfinite(ends).all() else [None] * 4
    base.execute(
        """INSERT INTO gpkg_contents (table_name, data_type, identifier, min_x, min_y, max_x,
           max_y, srs_id) VALUES (?, 'features', ?, ?, ?, ?, ?, ?)""",
        (name, name, *extent, srs),
    )
    base.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'POLYGON', ?, 0, 0)",
                 (name, srs))  # fmt: skip


def chip_name(scene: str, chip: Chip) -> str:
    """`scene_row_column`: the chip's name in the CSV and the GeoPackage."""
    return f"{scene}_{chip.row:04d}_{chip.column:04d}"


def write_raster(
    path: str | Path, tags: Sequence[str], scene: Scene, chips: Iterable[Chip]
) -> None:
    """A GeoTIFF with one band of probabilities for each label, one pixel for each chip.

    Same reference system as the scene and same upper left corner; float32, NaN where a chip was
    left out. Bands are named by the labels.
    """
    import rasterio

    (top, bottom), (left, right) = scene.rows[0], scene.columns[0]
    high, wide, (a, b, c, d, e, f) = bottom - top, right - left, scene.transform[:6]
    values = np.full((len(tags), len(scene.rows), len(scene.columns)), np.nan, np.float32)
    for chip in chips:
        values[:, chip.row, chip.column] = chip.probability
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": len(tags),
        "height": values.shape[1],
        "width": values.shape[2],
        "crs": scene.crs,
        "transform": rasterio.Affine(a * wide, b * high, c, d * wide, e * high, f),
        "nodata": float("nan"),
        "compress": "deflate",
    }
    with files.replacing(path) as partial, rasterio.open(partial, "w", **profile) as target:
        target.write(values)
        target.descriptions = tuple(tags)


def is_map(path: Path, tags: Sequence[str]) -> bool:
    """Whether the functions above wrote this file, and nothing has changed it since."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    if path.suffix == ".gpkg":
        changed = "SELECT count(*) FROM gpkg_contents WHERE last_change != ?"
        try:
            read_only = f"{path.resolve().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(read_only, uri=True)) as base:
                return base.execute(changed, (_CHANGE,)).fetchone() == (0,)
        except sqlite3.Error:
            return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as raster:
                return raster.descriptions == tuple(tags)
    except RasterioIOError:
        return False


def _reference(base, crs) -> int:
    """The number of a reference system, which is written into its table where it is new."""
    if crs is None:
        return _UNDEFINED
    wkt, number = crs.to_wkt(), crs.to_epsg()
    found = base.execute(
        "SELECT srs_id FROM gpkg_spatial_ref_sys WHERE definition = ? OR srs_id = ?", (wkt, number)
    ).fetchone()
    if found:
        return found[0]
    organization = "EPSG" if number else "NONE"
    if not number:
        (last,) = base.execute("SELECT max(srs_id) FROM gpkg_spatial_ref_sys").fetchone()
        number = max(last + 1, _OWN)
    name = wkt.split('"')[1] if '"' in wkt else "unnamed"
    base.execute(
        "INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, NULL)",
        (name, number, organization, number, wkt),
    )
    return number


def _polygon(ring: np.ndarray, srs: int) -> bytes:
    """GeoPackage's geometry: its header without an envelope, then a polygon as WKB."""
    closed = np.vstack([ring, ring[:1]]).astype("<f8")
    head = b"GP" + struct.pack("<BBi", 0, 1, srs)
    return head + struct.pack("<BIII", 1, 3, 1, len(closed)) + closed.tobytes()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,'
    'AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,'
    'AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],'
    'AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4326"]]'
)
