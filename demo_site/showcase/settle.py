"""From chips in memory to labelled chips in the database, a group at a time in two transactions.

The first keeps the chips and claims those that are to be predicted, the second writes down what was
predicted and gives the labels. A worker killed between the two has lost only the predictions of the
group in its hands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils import timezone

from . import copies, storage
from .ahead import Cut
from .models import Batch, Chip, ModelVersion, Placement, Prediction, Upload, token
from .names import place_name
from .rows import insert_rows, update_rows
from .states import PLACEMENT, UPLOAD

_PLACE = ("batch", "upload", "chip", "row", "column")


@dataclass(slots=True)
class Place:
    """A placement that waits for its labels; `pixels` while they are still in memory."""

    pk: int
    chip: int
    name: str
    pixels: np.ndarray | None = None
    new: bool = False  # nobody can have predicted this chip


@dataclass(slots=True)
class Said:
    """What a model says about a chip: the prediction's key, labels as a bitmask, confidence."""

    pk: int
    labels: int
    confidence: float


# --- what needs no decoding -----------------------------------------------------------------------


def waiting(batch: int, after: int, most: int) -> list[Place]:
    """Placements of a batch that wait from before, by key."""
    rows = Placement.objects.filter(batch_id=batch, state="waiting", pk__gt=after).order_by("pk")
    return [Place(p.pk, p.chip_id, p.name) for p in rows.select_related("upload")[:most]]


def known(uploads: list[Upload], room: int) -> list[tuple[Upload, Upload, list[tuple]]]:
    """Uploads whose very bytes were read before: each with its like and the like's places.

    Left out are those of which a chip was deleted since, and those that do not fit into `room`.
    """
    same = Upload.objects.filter(
        sha256__in={u.sha256 for u in uploads}, state="read", rows__gt=0
    ).exclude(sha256="")
    likes = {like.sha256: like for like in same.order_by("-pk")}
    places: dict[int, list[tuple]] = {}
    rows = Placement.objects.filter(upload__in=[like.pk for like in likes.values()])
    for upload, *place in rows.values_list("upload", "chip", "row", "column"):
        places.setdefault(upload, []).append(tuple(place))
    found = []
    for upload in uploads:
        like = likes.get(upload.sha256)
        there = places.get(like.pk, []) if like else []
        if like and len(there) == like.rows * like.columns <= room:
            room -= len(there)
            found.append((upload, like, there))
    return found


def place_known(batch: int, group: list[tuple[Upload, Upload, list[tuple]]]) -> list[Place]:
    """Placements for bytes that were read before; they wait for their labels."""
    with transaction.atomic():
        insert_rows(
            Placement,
            _PLACE,
            [(batch, upload.pk, *place) for upload, _, places in group for place in places],
        )
        _mark_read([(upload.pk, like, True) for upload, like, _ in group])
    uploads = [upload.pk for upload, _, _ in group]
    rows = Placement.objects.filter(upload__in=uploads, state="waiting").select_related("upload")
    return [Place(p.pk, p.chip_id, p.name) for p in rows]


def _mark_read(uploads: Iterable[tuple[int, object, bool]]) -> None:
    """What was found in each upload goes into its row; those that are whole are read."""
    uploads = list(uploads)
    names = ("kind", "width", "height", "rows", "columns")
    update_rows(
        Upload, names, [(*(getattr(found, n) for n in names), pk) for pk, found, _ in uploads]
    )
    UPLOAD.step(Upload.objects.filter(pk__in=[pk for pk, _, whole in uploads if whole]), "read")


# --- first transaction: keep and claim ------------------------------------------------------------


def keep(batch: int, cuts: list[Cut]) -> list[Place]:
    """Chips and placements of a group; a chip's row exists only once its pixels are stored."""
    pixels = {cut.sha256: cut.pixels for cut in cuts}
    rows = Chip.objects.filter(sha256__in=pixels).values_list("sha256", "pk")
    there = dict(rows)
    new = {sha: image for sha, image in pixels.items() if sha not in there}
    packed = copies.keep(list(new.values()))
    heads = {cut.upload.pk: (cut.head, False) for cut in cuts}
    heads |= {cut.upload.pk: (cut.head, True) for cut in cuts if cut.last}
    with transaction.atomic():
        insert_rows(
            Chip,
            ("key", "sha256", "height", "width", "pack", "pack_at"),
            [
                (token(), sha, *image.shape[:2], pack, at)
                for (sha, image), (pack, at) in zip(new.items(), packed, strict=True)
            ],
        )
        ours = set()
        if new:
            made = Chip.objects.filter(sha256__in=new).values_list("sha256", "pk", "pack")
            for sha, pk, pack in made:
                there[sha] = pk
                if pack == packed[0][0]:
                    ours.add(pk)
        insert_rows(
            Placement,
            _PLACE,
            [(batch, c.upload.pk, there[c.sha256], c.row, c.column) for c in cuts],
        )
        _mark_read((pk, *found) for pk, found in heads.items())
        found = Placement.objects.filter(upload__in=heads, state="waiting").values_list(
            "upload", "row", "column", "pk"
        )
        places = {(upload, row, column): pk for upload, row, column, pk in found}
    if packed and not ours:
        storage.remove([packed[0][0]])  # another worker kept the same content at this moment
    result = []
    for cut in cuts:
        pk = places.get((cut.upload.pk, cut.row, cut.column))
        if pk is not None:  # else it was labelled before a kill
            chip, size = there[cut.sha256], cut.head.rows * cut.head.columns
            name = place_name(cut.upload.name, size, cut.row, cut.column)
            result.append(Place(pk, chip, name, cut.pixels, chip in ours))
    return result


def claim(
    places: list[Place], version: ModelVersion, me: str
) -> tuple[dict[int, Said], dict[int, int]]:
    """What this model said before, by chip; and the chips that are ours to predict now.

    The second is chip -> prediction, a row without numbers yet: of two workers exactly one has it.
    """
    chips = {place.chip for place in places}
    rows = Prediction.objects.filter(chip__in=chips, model=version)
    said, mine, foreign = {}, {}, set()
    if not all(place.new for place in places):
        said, mine, foreign = _split(rows, me)
    free = chips - set(said) - set(mine) - foreign
    if free:
        with transaction.atomic():
            names = ("chip", "model", "worker")
            insert_rows(Prediction, names, [(chip, version.pk, me) for chip in free])
            said, mine, _ = _split(rows.all(), me)
    return said, mine


def _split(rows, me: str) -> tuple[dict[int, Said], dict[int, int], set[int]]:
    said, mine, foreign = {}, {}, set()
    claimed = ExpressionWrapper(Q(probability__isnull=True), BooleanField())
    wanted = rows.values_list("chip", "pk", "worker", "labels", "confidence", claimed)
    for chip, pk, worker, labels, confidence, still in wanted:
        if not still:
            said[chip] = Said(pk, labels, confidence)
        elif worker == me:
            mine[chip] = pk
        else:
            foreign.add(chip)
    return said, mine, foreign


def images(places: list[Place], chips: Iterable[int]) -> list[np.ndarray]:
    """The pixels of chips, in their order: from memory, else from the gallery's copies."""
    there = {place.chip: place.pixels for place in places if place.pixels is not None}
    chips = list(chips)
    stored = Chip.objects.in_bulk([chip for chip in chips if chip not in there])
    return [there[chip] if chip in there else copies.pixels(stored[chip]) for chip in chips]


# --- second transaction: write down and label -----------------------------------------------------


def write_down(claims: dict[int, int], results: list[tuple | None]) -> dict[int, Said | None]:
    """Predictions into the rows that were claimed for them; None for a chip the model refused."""
    now = timezone.now()
    done: dict[int, Said | None] = {}
    rows, refused = [], []
    for (chip, pk), result in zip(claims.items(), results, strict=True):
        if result is None:
            done[chip] = None
            refused.append(pk)
            continue
        probability, raw, labels, confidence = result
        done[chip] = Said(pk, labels, float(confidence))
        packed = Prediction.pack(probability), Prediction.pack(raw)
        rows.append((*packed, labels, float(confidence), now, pk))
    with transaction.atomic():
        names = ("probability", "raw", "labels", "confidence", "created_at")
        update_rows(Prediction, names, rows)
        if refused:
            Prediction.objects.filter(pk__in=refused).delete()
    return done


def label(
    batch: int, places: list[Place], said: dict[int, Said], predicted: dict[int, Said | None]
) -> None:
    """Give placements and chips their labels; `predicted` are those predicted for this batch.

    Chips of a batch that no worker has claimed yet stay out of the gallery (`publish` shows them):
    it may be cancelled before. Those of a batch that is cancelled at this moment go in, like the
    groups before: what was predicted stays.
    """
    good = [place for place in places if place.chip in said]
    refused = [p.pk for p in places if p.chip not in said and p.chip in predicted]
    with transaction.atomic():
        private, started = Batch.objects.values_list("private", "started_at").get(pk=batch)
        names = {place.chip: place.name for place in reversed(good)}
        _label_chips(
            [(said[chip], name, chip) for chip, name in names.items()],
            private or started is None,
        )
        rows = [(said[p.chip].pk, p.chip not in predicted, p.pk) for p in good]
        update_rows(Placement, ("prediction", "known"), rows)
        PLACEMENT.step(Placement.objects.filter(pk__in=[p.pk for p in good]), "label")
        if refused:
            PLACEMENT.step(Placement.objects.filter(pk__in=refused), "fail", code="predictor")
        count(batch, attempts=0)


def _label_chips(rows: list[tuple[Said, str, int]], private: bool) -> None:
    """The gallery's own columns; a chip is named by its first public upload."""
    table = connection.ops.quote_name(Chip._meta.db_table)
    if private:
        changes = "shown = (public AND NOT hidden)"
        values = [(s.labels, s.confidence, chip) for s, _, chip in rows]
    else:
        changes = "public = TRUE, shown = NOT hidden, "
        changes += "name = CASE WHEN name = '' THEN %s ELSE name END"
        values = [(s.labels, s.confidence, name, chip) for s, name, chip in rows]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET labels = %s, confidence = %s, {changes} WHERE id = %s", values
        )


def publish(batch: int) -> None:
    """Show the chips that were labelled while the batch was still being sent."""
    rows = Placement.objects.filter(
        batch_id=batch, batch__private=False, state="labelled", chip__public=False
    ).select_related("upload")
    names = {place.chip_id: place.name for place in rows.order_by("-pk")}
    if names:
        table = connection.ops.quote_name(Chip._meta.db_table)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {table} SET public = TRUE, shown = NOT hidden, "
                "name = CASE WHEN name = '' THEN %s ELSE name END WHERE id = %s",
                [(name, chip) for chip, name in names.items()],
            )


_COUNT_PLACES = """
    SELECT COUNT(*),
           COALESCE(SUM(CASE WHEN state = 'labelled' THEN 1 ELSE 0 END), 0),
           COALESCE(SUM(CASE WHEN state = 'labelled' AND known THEN 1 ELSE 0 END), 0),
           COALESCE(SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END), 0)
    FROM showcase_placement WHERE batch_id = %s
"""
# An archive that was unpacked is not a file of its own: its members are.
_COUNT_FILES = """
    SELECT COALESCE(SUM(CASE WHEN kind = 'zip' AND state = 'read' THEN 0 ELSE 1 END), 0),
           COALESCE(SUM(CASE WHEN kind <> 'zip' AND state = 'read' THEN 1 ELSE 0 END), 0),
           COALESCE(SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END), 0)
    FROM showcase_upload WHERE batch_id = %s
"""
_COUNTERS = ("chips", "chips_labelled", "chips_known", "chips_failed")
_COUNTERS += ("files", "files_read", "files_failed")


def count(batch: int, **changes) -> None:
    """The batch's counters, from the rows themselves."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_PLACES, [batch])
        counted = cursor.fetchone()
        cursor.execute(_COUNT_FILES, [batch])
        counted += cursor.fetchone()
    changes |= zip(_COUNTERS, map(int, counted), strict=True)
    rows = Batch.objects.filter(pk=batch)
    if not rows.exclude(state="receiving").update(**changes):
        del changes["files"]  # that is counted by those who receive them
        rows.filter(state="receiving").update(**changes)
