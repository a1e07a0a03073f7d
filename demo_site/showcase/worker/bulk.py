"""A group of chips into the database: one transaction, after their prediction.

Rows go in complete and by prepared statements: with a model object for each, that would take four
times as long, and more than the prediction itself. What is there already stays as it is, so the
same group may be saved twice.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.db import OperationalError, connection, models, transaction

from ..decoder.answers import Head, Piece
from ..filenames import place_name
from ..models import Batch, Chip, ModelVersion, Placement, Prediction, Upload, token
from ..services.deletion import retire
from ..states import PLACEMENT, UPLOAD
from .lease import Lease

_DEADLOCKS = 3  # in a row


@dataclass(slots=True)
class Cut:
    """One chip on its way to its place."""

    upload: Upload
    head: Head
    piece: Piece

    @property
    def last(self) -> bool:
        """Of its upload: when it is saved, the upload is read."""
        return (self.piece.row + 1, self.piece.column + 1) == (self.head.rows, self.head.columns)

    @property
    def name(self) -> str:
        chips = self.head.rows * self.head.columns
        return place_name(self.upload.name, chips, self.piece.row, self.piece.column)


@dataclass(slots=True)
class Found:
    """What the model says of a chip."""

    probability: bytes
    raw: bytes
    labels: int
    confidence: float
    own: set[str]  # sha256 of the chips that have it already


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


def known(contents: Iterable[str], version: ModelVersion) -> dict[str, Found]:
    """What this model said before, by content: of anybody's chip, which need not be shared."""
    rows = Prediction.objects.filter(model=version, chip__content__in=list(contents))
    fields = ("chip__content", "chip__sha256", "probability", "raw", "labels", "confidence")
    found: dict[str, Found] = {}
    for content, sha256, probability, raw, labels, confidence in rows.values_list(*fields):
        one = Found(bytes(probability), bytes(raw), labels, confidence, set())
        found.setdefault(content, one).own.add(sha256)
    return found


def identity(batch: Batch, content: str) -> str:
    """A chip's sha256: that of its content, among the chips of the batch's scope."""
    if not batch.scope:
        return content
    return hashlib.sha256(f"{batch.scope} {content}".encode()).hexdigest()


@_at_once_again
def save(lease: Lease, group: list[Cut], version: ModelVersion, found: dict[str, Found]) -> int:
    """Chips, predictions and places of a group, its uploads' states, the batch's counters.

    found  by content; what is not in it the model has refused

    Returns how many places are new: chips of a file that is read again have theirs already.

    Raises `LeaseLost` where the batch is not ours any more: then nothing is written.
    """
    batch = lease.batch
    marks = {cut.piece.sha256: identity(batch, cut.piece.sha256) for cut in group}
    first = {cut.piece.sha256: cut for cut in reversed(group)}
    with transaction.atomic():
        lease.hold()
        rows = []
        for content, mark in marks.items():
            one, said = first[content], found.get(content)
            labels, confidence = (said.labels, said.confidence) if said else (0, 0.0)
            public = not batch.scope
            rows.append((token(), mark, content, one.name[:160], *one.piece.size, public,
                         public and said is not None, labels, confidence))  # fmt: skip
        insert_rows(Chip, ("key", "sha256", "content", "name", "height", "width", "public",
                           "shown", "labels", "confidence"), rows)  # fmt: skip
        fields = ("sha256", "id", "content", "labels", "confidence")
        chips, other = {}, []
        # Held until the end: one that is being taken away is not there, or waits for this.
        held = Chip.objects.select_for_update(no_key=True)
        stored = held.filter(sha256__in=marks.values()).order_by("pk")
        for mark, pk, content, labels, confidence in stored.values_list(*fields):
            chips[mark], said = pk, found.get(content)
            if said and (said.labels, said.confidence) != (labels, confidence):
                other.append((said.labels, said.confidence, pk))
        _label_again(other)
        insert_rows(
            Prediction,
            ("chip", "model", "probability", "raw", "labels", "confidence"),
            [
                (chips[mark], version.pk, said.probability, said.raw, said.labels, said.confidence)
                for content, mark in marks.items()
                if (said := found.get(content)) and mark not in said.own
            ],
        )
        rows = Prediction.objects.filter(model=version, chip__in=chips.values())
        predictions = dict(rows.values_list("chip", "pk"))
        places = []
        for cut in group:
            content = cut.piece.sha256
            mark = marks[content]
            said, pk = found.get(content), chips[mark]
            state = PLACEMENT.target("label" if said else "fail", "")
            places.append((batch.pk, cut.upload.pk, pk, cut.piece.row, cut.piece.column, state,
                           "" if said else "predictor", said is not None and mark in said.own,
                           predictions.get(pk)))  # fmt: skip
        new = insert_rows(Placement, ("batch", "upload", "chip", "row", "column", "state", "code",
                                "known", "prediction"), places)  # fmt: skip
        _mark_read(group)
        count(batch.pk, attempts=0, setback="")
    return new


def refuse(lease: Lease, upload: Upload, code: str) -> None:
    """Refuse a file, and take back what was made of it; raises `LeaseLost`."""
    members = Upload.objects.filter(parent=upload)  # of an archive that was a bomb
    with transaction.atomic():
        lease.hold()
        UPLOAD.step(Upload.objects.filter(pk=upload.pk), "refuse", code=code)
        places = Placement.objects.filter(upload=upload)
        chips = set(places.values_list("chip_id", flat=True))
        places.delete()
        members.delete()
        retire(chips)  # else they stood in the gallery without a batch, for ever
        count(upload.batch_id)


def insert_rows(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence]) -> int:
    """Insert rows given by the fields `names`, the other fields by default; how many were new.

    A row that breaks a unique constraint is left out. Values are numbers, text and bytes.
    """
    rows = list(rows)
    if not rows:
        return 0
    blank, given = model(), [model._meta.get_field(name) for name in names]
    others = [f for f in model._meta.concrete_fields if not (f.primary_key or f in given)]
    usual = [f.get_db_prep_save(getattr(blank, f.attname), connection) for f in others]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in (*given, *others))
    places = ", ".join(["%s"] * (len(given) + len(others)))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({places}) "
            "ON CONFLICT DO NOTHING",
            [(*row, *usual) for row in rows],
        )
        return max(cursor.rowcount, 0)


def _label_again(rows: list[tuple[int, float, int]]) -> None:
    """Labels of chips that another model, or none, had labelled before."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE showcase_chip SET labels = CASE WHEN corrected THEN labels ELSE %s END, "
            "confidence = %s, shown = (public AND NOT hidden) WHERE id = %s",
            rows,
        )


def _mark_read(group: list[Cut]) -> None:
    """What was found in each upload goes into its row; those that are whole are read."""
    names = ("kind", "width", "height", "rows", "columns")
    whole = {cut.upload.pk for cut in group if cut.last}
    heads = {cut.upload.pk: cut.head for cut in group}
    quote = connection.ops.quote_name
    changes = ", ".join(f"{quote(name)} = %s" for name in (*names, "state"))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE showcase_upload SET {changes} WHERE id = %s AND state = 'stored'",
            [
                (
                    *(getattr(head, name) for name in names),
                    UPLOAD.target("read", "stored") if pk in whole else "stored",
                    pk,
                )
                for pk, head in sorted(heads.items())
            ],
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
    counters = dict(zip(_COUNTERS, map(int, counted), strict=True))
    Batch.objects.filter(pk=batch).update(**counters, **changes)
