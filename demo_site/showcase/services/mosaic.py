"""A large picture put together again: its grid of chips as SVG, one window of it at a time.

A picture may hold thousands of chips. Written cell by cell as a template, a page of them took
minutes of the processor; here what the cells of one label set have in common is written once.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

from django.db.models import Case, Count, F, When
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from paperlib.labels import LABELS

from .. import failure_reasons, label_sets
from ..models import Upload
from .rare import Limits

SIDE = 32  # cells of a window, each way, at most
WORDS = 6  # so many columns at most, and the labels fit into the cells as words
_FIELDS = ("pk", "row", "column", "state", "code", "chip__key", "chip__hidden", "counted")
#: A correction goes before what the model said.
_COUNTED = Case(When(chip__corrected=True, then=F("chip__labels")), default=F("prediction__labels"))


@dataclass(frozen=True)
class Window:
    """One part of a picture; `number` counts from 1, row by row. Rows and columns are cells."""

    number: int
    count: int
    top: int
    left: int
    rows: int
    columns: int

    @property
    def words(self) -> bool:
        return self.columns <= WORDS

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number < self.count else None


def window(upload: Upload, asked: str | None) -> Window:
    """The part that the address asks for; the first where it asks for nonsense."""
    across, down = -(-upload.columns // SIDE), -(-upload.rows // SIDE)
    number = int(asked) if asked and asked.isascii() and asked.isdigit() and len(asked) < 9 else 1
    number = min(max(number, 1), across * down)
    top, left = (SIDE * part for part in divmod(number - 1, across))
    rows, columns = min(SIDE, upload.rows - top), min(SIDE, upload.columns - left)
    return Window(number, across * down, top, left, rows, columns)


def legend(placements, limits: Limits | None = None) -> list[dict]:
    """The labels of a picture or batch, with the number of its chips that have each.

    `share` is that number in percent of the most frequent one. `limits` as of `rare.limits`.
    """
    counts = dict.fromkeys(LABELS, 0)
    said = placements.filter(prediction__isnull=False, chip__hidden=False).order_by()
    if limits:
        whole = said.select_related("chip", "prediction").iterator(chunk_size=500)
        masks = Counter(place.mask(limits) for place in whole).items()
    else:
        masks = said.annotate(counted=_COUNTED).values_list("counted")
        masks = masks.annotate(chips=Count("id"))
    for mask, chips in masks:
        for name in label_sets.names(mask):
            counts[name] += chips
    most = max(counts.values()) or 1
    return [
        {
            "name": name,
            "title": label_sets.title(name),
            "count": count,
            "share": round(100 * count / most, 1),
        }
        for name, count in counts.items()
        if count
    ]


def cells(upload: Upload, part: Window, *, all_of_them: bool) -> SafeString:
    """The window as an `<svg>`; `all_of_them` shows what staff has taken down, too."""
    rows = upload.placements.order_by("row", "column").filter(
        row__gte=part.top, row__lt=part.top + part.rows,
        column__gte=part.left, column__lt=part.left + part.columns,
    )  # fmt: skip
    width, height = upload.width / upload.columns, upload.height / upload.rows
    page, look = reverse("chip", args=["-"])[:-2], functools.cache(lambda mask: _look(mask, part))
    place = escape(_("row %(r)s, column %(c)s"))
    down = escape(_("Taken down by those who run this site."))
    found = []
    for pk, row, column, state, code, key, hidden, mask in rows.annotate(
        counted=_COUNTED
    ).values_list(*_FIELDS):
        names = ""
        if hidden and not all_of_them:
            inner = _blank("coming", down)
        elif state == "labelled":
            names, titles, drawn = look(mask or 0)
            where = place % {"r": row + 1, "c": column + 1}
            inner = (
                f'<a href="{page}{key}/?of={upload.batch.token}&amp;at={pk}" '
                f'aria-label="{where}: {titles}"><title>{titles}</title>'
                f'<image href="{page}{key}/thumb.image" width="256" height="256" '
                'preserveAspectRatio="none"/><rect class="net" width="256" height="256"/>'
                f'<g class="said-here" aria-hidden="true">{drawn}</g></a>'
            )
        else:
            inner = _blank("failed", escape(failure_reasons.sentence(code)))
        found.append(
            f'<svg x="{column * width:.6g}" y="{row * height:.6g}" width="{width:.6g}" '
            f'height="{height:.6g}" viewBox="0 0 256 256" preserveAspectRatio="none" '
            f'data-cell="{names}">{inner}</svg>'
        )
    box = (part.left * width, part.top * height, part.columns * width, part.rows * height)
    return mark_safe(
        f'<svg viewBox="{" ".join(f"{number:.6g}" for number in box)}" '
        f'preserveAspectRatio="xMinYMin" role="group" aria-label="{escape(upload.name)}">'
        f"{''.join(found)}</svg>"
    )


def _look(mask: int, part: Window) -> tuple[str, str, str]:
    """Of one label set: names for the script, titles for people, and what stands in the cell."""
    labels = label_sets.describe(mask)
    if part.words:
        drawn = "".join(
            f'<text x="12" y="{24 * number + 26}">{escape(label["title"])}</text>'
            for number, label in enumerate(labels)
        )
    else:
        drawn = "".join(
            f'<use class="dot {label["group"]}" href="#mark-{label["group"]}" '
            f'x="{34 * (number % 7) + 8}" y="{34 * (number // 7) + 8}" width="32" height="32"/>'
            for number, label in enumerate(labels)
        )
    titles = escape(", ".join(label["title"] for label in labels))
    return " ".join(label["name"] for label in labels), titles, drawn


def _blank(kind: str, why: str) -> str:
    return f'<g class="{kind}"><title>{why}</title><rect width="256" height="256"/></g>'
