"""Where chips lie on the earth, by their GeoTIFF's corners: as GeoJSON, and drawn as a map.

The map needs nobody's tiles: chips at their places, a net of degrees, and a scale.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from .. import label_sets
from ..models import Batch, Placement, Upload
from . import exports
from .rare import Limits

MOST, PICTURES = 4000, 400  # chips that are drawn, and so many at most with their pictures
WIDE = 1000  # units of the drawing
DEGREE = 111.32  # kilometres of latitude
Ring = list[list[float]]


def uploads(batch: Batch) -> QuerySet[Upload]:
    """Files of a batch that say where they lie."""
    return batch.uploads.filter(corners__isnull=False, state="read")


def placements(batch: Batch) -> QuerySet[Placement]:
    rows = batch.placements.filter(state="labelled", chip__hidden=False)
    rows = rows.filter(upload__corners__isnull=False).order_by("id")
    return rows.select_related("chip", "upload", "prediction")


def ring(place: Placement) -> Ring:
    """A chip's outline, closed, counterclockwise where north is up; `[longitude, latitude]`."""
    upload, corners = place.upload, place.upload.corners
    if max(x for x, _ in corners) - min(x for x, _ in corners) > 180:  # across the date line
        corners = [(x % 360, y) for x, y in corners]
    nw, ne, se, sw = corners

    def point(column: int, row: int) -> list[float]:
        u, v = column / upload.columns, row / upload.rows
        top = [a + u * (b - a) for a, b in zip(nw, ne, strict=True)]
        bottom = [a + u * (b - a) for a, b in zip(sw, se, strict=True)]
        return [round(a + v * (b - a), 7) for a, b in zip(top, bottom, strict=True)]

    c, r = place.column, place.row
    return [point(x, y) for x, y in ((c, r), (c, r + 1), (c + 1, r + 1), (c + 1, r), (c, r))]


def geojson_rows(batch: Batch, limits: Limits | None = None) -> Iterator[str]:
    """A FeatureCollection (RFC 7946) of the chips that have a place, with their labels.

    `limits` as of `rare.limits`.
    """
    yield '{"type": "FeatureCollection", "features": [\n'
    comma, name = "", exports.chip_names(batch)
    for place in placements(batch).iterator(chunk_size=500):
        feature = {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring(place)]},
            "properties": {
                "image_name": name(place),
                "chip": place.chip.key,
                "tags": label_sets.names(place.mask(limits)),
                "corrected": place.chip.corrected,
            },
        }
        yield comma + json.dumps(feature, ensure_ascii=False)
        comma = ",\n"
    yield "\n]}\n"


@dataclass(frozen=True)
class Map:
    drawing: SafeString
    left_out: int  # chips that are not drawn


def draw(batch: Batch, label: str = "") -> Map | None:
    """The chips at their places; those with `label` stand out. None where none has a place."""
    rows = placements(batch)
    places = list(rows[:MOST])
    if not places:
        return None
    rings = [ring(place) for place in places]
    points = [point for one in rings for point in one]
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    south, north = min(y for _, y in points), max(y for _, y in points)
    # Degrees of longitude are as long as they are in the middle.
    shrink = max(math.cos(math.radians((south + north) / 2)), 0.01)
    size = max((east - west) * shrink, north - south, 1e-6)
    edge = 0.16 * size  # where the degrees' names and the scale stand
    unit = WIDE / (size + 2 * edge)

    def at(x: float, y: float) -> tuple[float, float]:
        return (x - west) * shrink * unit + edge * unit, (north - y) * unit + edge * unit

    width, height = at(east, south)
    width, height = width + edge * unit, height + edge * unit
    drawn, names = _net((west, south, east, north), (width, height), at)
    page, pictures = reverse("chip", args=["-"])[:-2], len(places) <= PICTURES
    for place, outline in zip(places, rings, strict=True):
        drawn.append(_chip(place, [at(x, y) for x, y in outline], label, page, pictures, batch))
    drawn += names
    drawn.append(_scale(width - edge * unit, height - 0.3 * edge * unit, unit))
    return Map(
        drawing=mark_safe(
            f'<svg viewBox="0 0 {width:.6g} {height:.6g}" role="group" '
            f'aria-label="{escape(_("Map of this batch"))}">{"".join(drawn)}</svg>'
        ),
        left_out=rows.count() - len(places) if len(places) == MOST else 0,
    )


def _chip(
    place: Placement, points: list, label: str, page: str, picture: bool, batch: Batch
) -> str:
    names = label_sets.names(place.labels)
    titles = escape(", ".join(label_sets.title(name) for name in names) or place.name)
    kind = "" if not label else ' class="has"' if label in names else ' class="out"'
    xs, ys = zip(*points, strict=True)
    image = ""
    if picture:
        image = (
            f'<image href="{page}{place.chip.key}/thumb.image" x="{min(xs):.6g}" '
            f'y="{min(ys):.6g}" width="{max(xs) - min(xs):.6g}" height="{max(ys) - min(ys):.6g}" '
            'preserveAspectRatio="none"/>'
        )
    outline = " ".join(f"{x:.6g},{y:.6g}" for x, y in points[:-1])
    return (
        f'<a{kind} href="{page}{place.chip.key}/?of={batch.token}&amp;at={place.pk}" '
        f'aria-label="{titles}"><title>{titles}</title>{image}<polygon points="{outline}"/></a>'
    )


def _net(bounds, size, at) -> tuple[list[str], list[str]]:
    """Lines of longitude and latitude, at round degrees, and their names."""
    lines, names = [], []
    west, south, east, north = bounds
    width, height = size
    step = _nice(max(east - west, north - south, 1e-5) / 2)
    digits = max(-math.floor(math.log10(step)), 0)
    ends = (_("%s° W"), _("%s° E"), _("%s° S"), _("%s° N"))
    for number in range(math.ceil(west / step), math.floor(east / step) + 1):
        x, name = at(number * step, north)[0], _degrees(number * step, digits, ends[:2])
        lines.append(f'<path class="degree" d="M{x:.6g} 0V{height:.6g}"/>')
        names.append(f'<text x="{x + 8:.6g}" y="34">{name}</text>')
    for number in range(math.ceil(south / step), math.floor(north / step) + 1):
        y, name = at(west, number * step)[1], _degrees(number * step, digits, ends[2:])
        lines.append(f'<path class="degree" d="M0 {y:.6g}H{width:.6g}"/>')
        names.append(f'<text x="8" y="{y - 10:.6g}">{name}</text>')
    return lines, names


def _scale(right: float, y: float, unit: float) -> str:
    """A bar of a round length that ends at `right`."""
    kilometres = _nice(WIDE / unit * DEGREE / 4)
    left = right - kilometres / DEGREE * unit
    return (
        f'<path class="scale" d="M{left:.6g} {y - 8:.6g}v8H{right:.6g}v-8"/>'
        f'<text x="{left:.6g}" y="{y - 16:.6g}">{kilometres:.6g} km</text>'
    )


def _degrees(value: float, digits: int, ends: tuple[str, ...]) -> str:
    return ends[value >= 0] % f"{abs(value):.{digits}f}"


def _nice(value: float) -> float:
    """The largest of 1, 2, 5, 10, … that is no more."""
    power = 10.0 ** math.floor(math.log10(value))
    return power * next(k for k in (5, 2, 1) if k * power <= value * (1 + 1e-9))
