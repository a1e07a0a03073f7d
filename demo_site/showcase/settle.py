"""From chips in memory to labelled chips in the database, a group at a time in two transactions.

The first keeps the chips and claims those that are to be predicted, the second writes down what was
predicted and gives the labels. A worker killed between the two has lost only the predictions of the
group in its hands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Sum
from django.utils import timezone

from . import copies
from .ahead import Cut, Sent
from .models import Batch, Chip, ModelVersion, Placement, Prediction, Upload, token
from .names import place_name
from .rows import find_rows, insert_rows, update_rows
from .states import PLACEMENT, UPLOAD

_DEADLOCKS = 3  # in a row
_PLACE = ("batch", "upload", "chip", "row", "column")


def _at_once_again(step: Callable) -> Callable:
    """Of two transactions that wait crosswise PostgreSQL ends one: that one is done again.

    It is rare: rows that others may write, too, are written in the order of their keys.
    """

    @functools.wraps(step)
    def repeated(*args, **kwargs):
        for _ in range(_DEADLOCKS):
            try:
                return step(*args, **kwargs)
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", "") != "40P01":
                    raise
        return step(*args, **kwargs)

    return repeated


@dataclass(slots=True)
class Place:
    """A placement that waits for its labels; `pixels` while they are still in memory."""

    pk: int
    chip: int
    name: str
    pixels: np.ndarray | None = None  # as the predictor wants them
    claim: int = 0  # key of the prediction that is ours to make, where that is known already


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


_STORED = """
    SELECT file.id, file.batch_id, file.parent_id, file.name, file.copy, file.sha256
    FROM showcase_upload file LEFT JOIN showcase_upload parent ON parent.id = file.parent_id
    WHERE file.batch_id = %s AND file.state IN ('stored') AND file.id > %s
      AND (parent.id IS NULL OR parent.state <> 'stored')
    ORDER BY file.id LIMIT %s
"""


def stored(batch: int, after: int, most: int) -> list[Sent]:
    """Uploads of a batch that are to be read, by key; of an archive only when it is whole."""
    with connection.cursor() as cursor:
        cursor.execute(_STORED, [batch, after, most])
        return [Sent(*row) for row in cursor.fetchall()]


def unpacked(batch: int) -> tuple[int, int]:
    """How many members the batch's archives gave that were unpacked, and their bytes."""
    rows = Upload.objects.filter(batch_id=batch, parent__state="read")
    found = rows.aggregate(members=Count("pk"), size=Sum("size"))
    return found["members"], found["size"] or 0


def known(uploads: list[Sent], room: int) -> list[tuple[Sent, Upload, list[tuple]]]:
    """Uploads whose very bytes were read before: each with its like and the like's places.

    Left out are those of which a chip was deleted since, and those that do not fit into `room`.
    """
    marks = {upload.sha256 for upload in uploads} - {""}
    found = find_rows(Upload, ("id", "state", "rows"), "sha256", marks)
    same = [pk for pk, state, rows in found if state == "read" and rows]
    if not same:
        return []
    likes = {like.sha256: like for like in Upload.objects.filter(pk__in=same).order_by("-pk")}
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


@_at_once_again
def place_known(batch: int, group: list[tuple[Sent, Upload, list[tuple]]]) -> list[Place]:
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
    names = ("kind", "width", "height", "rows", "columns")
    whole, begun = [], []
    for pk, found, all_of_it in uploads:
        (whole if all_of_it else begun).append((*(getattr(found, n) for n in names), pk))
    update_rows(Upload, names, begun)
    UPLOAD.step_rows(Upload, "read", names, whole)


# --- first transaction: keep and claim ------------------------------------------------------------


@_at_once_again
def keep(batch: int, cuts: list[Cut], version: ModelVersion, me: str) -> list[Place]:
    """Chips and placements of a group, and claims on the chips that are new.

    The chips' pixels are stored already. A chip that was there before keeps its own.
    """
    one = {cut.sha256: cut for cut in cuts}
    heads = {cut.upload.pk: (cut.head, False) for cut in cuts}
    heads |= {cut.upload.pk: (cut.head, True) for cut in cuts if cut.last}
    with transaction.atomic():
        insert_rows(
            Chip,
            ("key", "sha256", "height", "width", "pack", "pack_at", "pack_jpeg"),
            # In the order they came, which is the gallery's: where two workers keep the same new
            # chips crosswise, one of them does it again.
            [(token(), sha, *c.size, c.pack, c.at, c.jpeg) for sha, c in one.items()],
        )
        there, new = {}, []
        for sha, pk, pack, at in find_rows(
            Chip, ("sha256", "id", "pack", "pack_at"), "sha256", one
        ):
            there[sha] = pk
            if (pack, at) == (one[sha].pack, one[sha].at):
                new.append(pk)
        claims = _claim_new(new, version, me)
        insert_rows(
            Placement,
            _PLACE,
            [(batch, c.upload.pk, there[c.sha256], c.row, c.column) for c in cuts],
        )
        _mark_read((pk, *found) for pk, found in heads.items())
        wanted = ("state", "upload", "row", "column", "id")
        rows = find_rows(Placement, wanted, "upload", heads)
        places = {tuple(where): pk for state, *where, pk in rows if state == "waiting"}
    result = []
    for cut in cuts:
        pk = places.get((cut.upload.pk, cut.row, cut.column))
        if pk is not None:  # else it was labelled before a kill
            chip, size = there[cut.sha256], cut.head.rows * cut.head.columns
            name = place_name(cut.upload.name, size, cut.row, cut.column)
            result.append(Place(pk, chip, name, cut.pixels, claims.get(chip, 0)))
    return result


def _claim_new(chips: list[int], version: ModelVersion, me: str) -> dict[int, int]:
    """Claims on chips whose rows nobody else can see yet: chip -> prediction."""
    names = ("chip", "model", "worker")
    insert_rows(Prediction, names, [(chip, version.pk, me) for chip in chips])
    return dict(find_rows(Prediction, ("chip", "id"), "chip", chips))


@_at_once_again
def claim(
    places: list[Place], version: ModelVersion, me: str
) -> tuple[dict[int, Said], dict[int, int]]:
    """What this model said before, by chip; and the chips that are ours to predict now.

    The second is chip -> prediction, a row without numbers yet: of two workers exactly one has it.
    """
    claimed = {place.chip: place.claim for place in places if place.claim}
    others = {place.chip for place in places} - set(claimed)
    if not others:
        return {}, claimed
    said, mine, foreign = _split(others, version, me)
    if free := others - set(said) - set(mine) - foreign:
        names = ("chip", "model", "worker")
        insert_rows(Prediction, names, [(chip, version.pk, me) for chip in sorted(free)])
        said, mine, _ = _split(others, version, me)
    return said, claimed | mine


def _split(
    chips: Iterable[int], version: ModelVersion, me: str
) -> tuple[dict[int, Said], dict[int, int], set[int]]:
    """What this model says of chips; claims of ours, and the chips that others have claimed."""
    said, mine, foreign = {}, {}, set()
    names = ("model", "chip", "id", "worker", "labels", "confidence")
    rows = find_rows(Prediction, names, "chip", chips, more="probability IS NULL")
    for model, chip, pk, worker, labels, confidence, still in rows:
        if model != version.pk:
            continue
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


@_at_once_again
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


@_at_once_again
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
        ((private, started),) = find_rows(Batch, ("private", "started_at"), "id", [batch])
        names = {place.chip: place.name for place in reversed(good)}
        _label_chips(
            [(said[chip], name, chip) for chip, name in sorted(names.items())],
            private or started is None,
        )
        rows = [(said[p.chip].pk, p.chip not in predicted, p.pk) for p in good]
        PLACEMENT.step_rows(Placement, "label", ("prediction", "known"), rows)
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


@_at_once_again
def publish(batch: int) -> None:
    """Show the chips that were labelled while the batch was still being sent."""
    rows = Placement.objects.filter(
        batch_id=batch, batch__private=False, state="labelled", chip__public=False
    ).order_by("-pk")
    where = ("upload__name", "upload__rows", "upload__columns", "row", "column")
    names = {
        chip: place_name(name, down * across, row, column)
        for chip, name, down, across, row, column in rows.values_list("chip", *where)
    }
    if names:
        table = connection.ops.quote_name(Chip._meta.db_table)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {table} SET public = TRUE, shown = NOT hidden, "
                "name = CASE WHEN name = '' THEN %s ELSE name END WHERE id = %s",
                [(name, chip) for chip, name in sorted(names.items())],
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
