"""A group of chips into the database: one transaction, after their prediction.

What is there already stays as it is, so the same group may be saved twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from django.db import transaction

from ..decoder.answers import Head, Piece
from ..filenames import place_name
from ..models import Batch, Chip, ModelVersion, Placement, Prediction, Upload
from ..services import progress
from ..services.deletion import retire
from ..states import PLACEMENT, UPLOAD
from .lease import Lease


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


def known(contents: Iterable[str], version: ModelVersion) -> dict[str, Found]:
    """What this model said before, by content: of anybody's chip, which need not be shared."""
    rows = Prediction.objects.filter(model=version, chip__content__in=list(contents))
    fields = ("chip__content", "chip__sha256", "probability", "raw", "labels", "confidence")
    found: dict[str, Found] = {}
    for content, sha256, probability, raw, labels, confidence in rows.values_list(*fields):
        one = Found(bytes(probability), bytes(raw), labels, confidence, set())
        found.setdefault(content, one).own.add(sha256)
    return found


def save(lease: Lease, group: list[Cut], version: ModelVersion, found: dict[str, Found]) -> int:
    """Chips, predictions and places of a group, its uploads' states, the batch's counters.

    found  by content; what is not in it the model has refused

    Returns how many places are new: chips of a file that is read again have theirs already.

    Raises `LeaseLost` where the batch is not ours any more: then nothing is written.
    """
    batch = lease.batch
    marks = {cut.piece.sha256: batch.identity(cut.piece.sha256) for cut in group}
    first = {cut.piece.sha256: cut for cut in reversed(group)}
    with transaction.atomic():
        lease.hold()
        chips = _save_chips(batch, marks, first, found)
        new = [
            Prediction(
                chip=chips[mark], model=version, probability=said.probability, raw=said.raw,
                labels=said.labels, confidence=said.confidence,
            )
            for content, mark in marks.items()
            if (said := found.get(content)) and mark not in said.own
        ]  # fmt: skip
        Prediction.objects.bulk_create(new, ignore_conflicts=True)
        rows = Prediction.objects.filter(model=version, chip__in=chips.values())
        predictions = dict(rows.values_list("chip", "pk"))
        places = Placement.objects.filter(upload__in={cut.upload.pk for cut in group})
        before = places.count()
        Placement.objects.bulk_create(
            [_place(cut, chips[marks[cut.piece.sha256]], found, predictions) for cut in group],
            ignore_conflicts=True,
        )
        placed = places.count() - before
        _mark_read(group)
        progress.count(batch.pk, attempts=0, setback="")
    return placed


def _save_chips(
    batch: Batch, marks: dict[str, str], first: dict[str, Cut], found: dict[str, Found]
) -> dict[str, Chip]:
    """The chips of a group by their sha256, with the labels that were found; held until the end."""
    rows, public = [], not batch.scope
    for content, mark in marks.items():
        cut, said = first[content], found.get(content)
        height, width = cut.piece.size
        rows.append(
            Chip(
                sha256=mark, content=content, name=cut.name[:160], height=height, width=width,
                public=public, shown=public and said is not None,
                labels=said.labels if said else 0, confidence=said.confidence if said else 0,
            )
        )  # fmt: skip
    Chip.objects.bulk_create(rows, ignore_conflicts=True)
    # One that is being taken away is not there, or waits for this.
    held = Chip.objects.select_for_update(no_key=True).filter(sha256__in=marks.values())
    chips, other = {chip.sha256: chip for chip in held.order_by("pk")}, []
    for content, mark in marks.items():
        chip, said = chips[mark], found.get(content)
        if said and (said.labels, said.confidence) != (chip.labels, chip.confidence):
            # Another model, or none, had labelled it before.
            chip.labels = chip.labels if chip.corrected else said.labels
            chip.confidence, chip.shown = said.confidence, chip.public and not chip.hidden
            other.append(chip)
    Chip.objects.bulk_update(other, ["labels", "confidence", "shown"])
    return chips


def _place(cut: Cut, chip: Chip, found: dict[str, Found], predictions: dict[int, int]) -> Placement:
    said = found.get(cut.piece.sha256)
    return Placement(
        batch_id=cut.upload.batch_id, upload=cut.upload, chip=chip,
        row=cut.piece.row, column=cut.piece.column,
        state=PLACEMENT.target("label" if said else "fail", ""),
        code="" if said else "predictor",
        known=said is not None and chip.sha256 in said.own,
        prediction_id=predictions.get(chip.pk),
    )  # fmt: skip


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
        progress.count(upload.batch_id)


def _mark_read(group: list[Cut]) -> None:
    """What was found in each upload goes into its row; those that are whole are read."""
    heads = {cut.upload.pk: cut.head for cut in group}
    whole = {cut.upload.pk for cut in group if cut.last}
    alike: dict[tuple[Head, bool], list[int]] = {}
    for pk, head in heads.items():
        alike.setdefault((head, pk in whole), []).append(pk)
    for (head, read), uploads in alike.items():
        rows = Upload.objects.filter(pk__in=uploads, state="stored")
        if read:
            UPLOAD.step(rows, "read", **asdict(head))
        else:
            rows.update(**asdict(head))
