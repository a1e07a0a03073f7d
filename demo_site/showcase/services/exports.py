"""Downloads: a batch as csv and json, visitors' flags as the competition's csv."""

from __future__ import annotations

import csv
import functools
import io
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from django.db.models import Count, Max
from django.http import FileResponse
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from paperlib.labels import LABELS

from .. import filenames, label_sets
from ..models import Batch, Flag, Placement, Prediction, Upload
from .rare import Limits


def download(rows: Iterable[str], name: str, kind: str) -> FileResponse:
    """A file to save. All rows are read first: a reader who takes his time holds no query open."""
    file = tempfile.SpooledTemporaryFile(2**20)  # noqa: SIM115  the response closes it
    for row in rows:
        file.write(row.encode())
    file.seek(0)
    kind = f"{kind}; charset=utf-8"
    response = FileResponse(file, as_attachment=True, filename=name, content_type=kind)
    response["Cache-Control"] = "no-store"
    return response


def _labelled(batch: Batch):
    rows = batch.placements.filter(state="labelled").select_related(
        "chip", "upload", "prediction", "prediction__model"
    )
    return rows.order_by("id").iterator(chunk_size=500)


@functools.lru_cache(4)
def _upload_names(token: str, count: int, last: int) -> dict[int, str]:
    """Names of a batch's uploads, as long as it has so many; for pages asked for one by one."""
    rows = Upload.objects.filter(batch__token=token).order_by("id")
    held = list(rows.values_list("id", "name"))
    found = filenames.distinct(filenames.image_name(name) for _, name in held)
    return {pk: name for (pk, _), name in zip(held, found, strict=True)}


def chip_names(batch: Batch) -> Callable[[Placement], str]:
    """A function from a placement to its name in downloads, which no other of the batch has.

    Uploads are numbered in the order they came, so a name stays as it is while more arrive.
    """
    there = batch.uploads.aggregate(count=Count("id"), last=Max("id"))
    of_upload = _upload_names(batch.token, there["count"], there["last"] or 0)

    def name(place: Placement) -> str:
        chips = place.upload.rows * place.upload.columns
        return filenames.place_name(of_upload[place.upload_id], chips, place.row, place.column)

    return name


def csv_rows(batch: Batch, limits: Limits | None = None) -> Iterator[str]:
    """As `paper predict` writes it: `image_name,tags` and one probability per label.

    Chips that staff has taken down stay out. `limits` as of `rare.limits`.
    """
    yield _line(["image_name", "tags", *LABELS])
    name = chip_names(batch)
    for place in _labelled(batch):
        if place.chip.hidden:
            continue
        values = Prediction.unpack(place.prediction.probability)
        labels = " ".join(label_sets.names(place.mask(limits)))
        yield _line([name(place), labels, *(f"{v:.6f}" for v in values)])


def json_rows(batch: Batch, limits: Limits | None = None) -> Iterator[str]:
    head = {
        "batch": batch.token,
        "title": batch.title,
        "state": batch.state,
        "model": str(batch.model) if batch.model else None,
        "finished": localtime(batch.finished_at).isoformat() if batch.finished_at else None,
    }
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "chips": [\n'
    comma, name = "", chip_names(batch)
    for place in _labelled(batch):
        entry = chip_entry(place, name(place), limits)
        yield comma + json.dumps(entry, ensure_ascii=False)
        comma = ",\n"
    yield "\n]}\n"


def chip_entry(place: Placement, name: str, limits: Limits | None = None) -> dict:
    """One placed chip with its labels and probabilities, for json and the API.

    Of a chip that staff has taken down nothing is told but its place.
    """
    entry = {
        "image_name": name,
        "chip": place.chip.key,
        "row": place.row,
        "column": place.column,
        "state": place.state,
        "reason": place.reason,
        "tags": [],
        "corrected": place.chip.corrected,
        "probability": {},
    }
    if place.chip.hidden:
        reason = _("Taken down by those who run this site.")
        return entry | {"chip": "", "state": "hidden", "reason": reason}
    if place.prediction:
        values = Prediction.unpack(place.prediction.probability)
        entry["tags"] = label_sets.names(place.mask(limits))
        entry["probability"] = {
            name: round(float(v), 6) for name, v in zip(LABELS, values, strict=True)
        }
    return entry


def flag_rows() -> Iterator[str]:
    """`image_name,tags` of each shown chip's flag that counts: the last that staff has accepted.

    What nobody has looked at stays out. Chips of the same name have their keys behind it.
    """
    yield _line(["image_name", "tags"])
    flags = Flag.objects.filter(state="accepted", chip__shown=True)
    named = flags.order_by().values_list("chip", "chip__name").distinct()
    same = Counter(filenames.image_name(name) for _, name in named.iterator(chunk_size=500))
    seen: set[int] = set()
    rows = flags.select_related("chip").order_by("-decided_at", "-id").iterator(chunk_size=500)
    for flag in rows:
        if flag.chip_id not in seen:
            seen.add(flag.chip_id)
            name = filenames.image_name(flag.chip.name)
            if same[name] > 1 or not name:
                name = f"{name}_{flag.chip.key}" if name else flag.chip.key
            yield _line([name, " ".join(label_sets.names(flag.labels))])


def _line(values: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()
