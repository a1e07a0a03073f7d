"""What a worker does with a batch: read, cut, keep, predict what is new, label; in small groups.

Each group is committed whole, so a worker killed at any moment loses at most the group in its
hands; the next worker continues from the database: files still `stored` are read, placements still
`waiting` are predicted from the gallery's copies.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from . import copies, engine, health, intake, names, storage
from .limits import limits
from .models import Batch, Chip, ModelVersion, Placement, Prediction, Upload, Worker, token
from .reading import Head, Member, Refused, reader
from .rows import update_rows
from .states import BATCH, PLACEMENT, UPLOAD

log = logging.getLogger("showcase.work")
FIRST, GROUP = 8, 64  # chips in a batch's first group and in later ones
ATTEMPTS = 3  # without progress, until what is left of a batch counts as failed

#: This process in claims and heartbeats; the worker command sets its own name.
me = f"process-{token()}"
#: When the group in hand began, for the keeper; None between groups.
busy_since: float | None = None
#: The batch that this process works on now.
in_hand: int | None = None
#: Set when the process was asked to end.
stopping = threading.Event()
_guard = threading.Lock()
_pool = ThreadPoolExecutor(thread_name_prefix="copies")


@dataclass
class Cut:
    """One chip in memory on its way to its placement."""

    upload: int
    row: int
    column: int
    pixels: np.ndarray
    sha256: str
    head: Head
    last: bool  # of its upload: when it is kept, the upload is read


def work(batch: int) -> str:
    """Work on a batch for one slice of time; what became of it. Never raises for its content."""
    rows = Batch.objects.filter(pk=batch)
    try:
        version = engine.load()[1]
    except engine.NoModel:
        rows.filter(state="queued").update(setback="model")
        _again(batch, 5)
        return "no model"
    now = timezone.now()
    claimed = BATCH.step(
        rows,
        "claim",
        worker=me,
        model=version,
        started_at=Coalesce("started_at", now),
        touched_at=now,
        setback="",
    )
    if not claimed:
        return "nothing to do"
    _take_in_hand(batch)
    try:
        state = _slice(batch, version)
    except Exception:
        log.exception("slice failed", extra={"batch": batch})
        requeue(rows.filter(worker=me), setback="fault")
        return "fault"
    finally:
        _take_in_hand(None)
        _set_busy(None)
    log.info("slice ended", extra={"batch": batch, "state": state})
    return state


def _again(batch: int, seconds: float = 0) -> None:
    from .tasks import work_on

    later = timezone.now() + timedelta(seconds=seconds) if seconds else None
    work_on.using(run_after=later).enqueue(batch)


def requeue(rows, setback: str) -> int:
    """Give running batches back to the queue; one that fails for the third time is given up."""
    count = 0
    for pk, attempts in list(rows.filter(state="running").values_list("pk", "attempts")):
        one = Batch.objects.filter(pk=pk)
        with transaction.atomic():
            now = timezone.now()
            changes = {"attempts": attempts + 1, "setback": setback, "queued_at": now}
            if not BATCH.step(one.filter(attempts=attempts), "reclaim", **changes):
                continue
            count += 1
            if attempts + 1 >= ATTEMPTS:
                died = {"code": "worker_died"}
                UPLOAD.step(Upload.objects.filter(batch_id=pk), "refuse", **died)
                PLACEMENT.step(Placement.objects.filter(batch_id=pk), "fail", **died)
            _again(pk, 2 if setback == "fault" else 0)
    return count


def _take_in_hand(batch: int | None) -> None:
    global in_hand
    in_hand = batch


def _set_busy(value: float | None) -> None:
    global busy_since
    busy_since = value


def _slice(pk: int, version: ModelVersion) -> str:
    end = time.monotonic() + float(settings.SHOWCASE["SLICE_SECONDS"])
    first = True
    for group in _groups(pk):
        _set_busy(time.monotonic())
        if not _still_mine(pk):
            intake.drop_copies(Batch.objects.get(pk=pk))
            return "cancelled"
        begun = time.monotonic()
        _settle(pk, version, group)
        _note_speed(len(group), time.monotonic() - begun, first)
        first = False
        if time.monotonic() > end or stopping.is_set():
            return _yield(pk)
    _set_busy(time.monotonic())
    if not _still_mine(pk):
        intake.drop_copies(Batch.objects.get(pk=pk))
        return "cancelled"
    if not _take_over(pk, version):
        return _yield(pk, 0.3)  # another worker is at some of the chips
    return _finish(pk)


def _still_mine(pk: int) -> bool:
    """False once the batch was cancelled, deleted, or given to another worker."""
    rows = Batch.objects.filter(pk=pk, state="running", worker=me)
    return bool(rows.update(touched_at=timezone.now()))


def _yield(pk: int, seconds: float = 0) -> str:
    with transaction.atomic():
        rows = Batch.objects.filter(pk=pk, worker=me)
        if BATCH.step(rows, "yield", queued_at=timezone.now()):
            _again(pk, seconds)
    return "yielded"


# --- reading --------------------------------------------------------------------------------------


def _groups(pk: int) -> Iterator[list[Cut | Placement]]:
    """What is to be predicted, in groups: first what waits from before, then what is read now."""
    size = FIRST
    waiting = Placement.objects.filter(batch_id=pk, state="waiting").select_related("chip")
    last = 0
    while found := list(waiting.filter(pk__gt=last).order_by("pk")[:GROUP]):
        last = found[-1].pk
        yield found
    group: list[Cut] = []
    room = limits().chips - Placement.objects.filter(batch_id=pk).count()
    last = 0
    stored = Upload.objects.filter(batch_id=pk, state="stored").order_by("pk")
    while uploads := list(stored.filter(pk__gt=last)[:GROUP]):
        last = uploads[-1].pk
        likes = _likes(uploads)
        for upload in uploads:
            if places := _known(upload, likes.get(upload.sha256), room):
                room -= len(places)
                with transaction.atomic():
                    Placement.objects.bulk_create(places, ignore_conflicts=True)
                    _mark_read([(upload.pk, likes[upload.sha256])])
                yield list(Placement.objects.filter(upload=upload).select_related("chip"))
                continue
            try:
                for cut in _read(upload, room):
                    group.append(cut)
                    if cut.last:
                        room -= cut.head.rows * cut.head.columns
                    if len(group) >= size:
                        yield group
                        group, size = [], GROUP
            except Refused as refusal:
                # Whole files only: chips of a picture that broke in the middle are not kept.
                group = [cut for cut in group if cut.upload != upload.pk]
                _refuse(upload, str(refusal))
    if group:
        yield group


def _read(upload: Upload, room: int) -> Iterator[Cut]:
    """Cut one upload copy; an archive becomes uploads of its own, which are read in their turn."""
    try:
        data = storage.read(upload.copy)
    except (FileNotFoundError, ValueError):
        raise Refused("missing") from None
    parts = reader.read(data, chips=max(room, 0), inside=upload.parent_id is not None)
    head = next(parts)
    if head.kind == "zip":
        _unpack(upload, parts)
        _count(upload.batch_id)
        return
    for piece in parts:
        last = (piece.row + 1, piece.column + 1) == (head.rows, head.columns)
        mark = fingerprint(piece.pixels)
        yield Cut(upload.pk, piece.row, piece.column, piece.pixels, mark, head, last)


def fingerprint(pixels: np.ndarray) -> str:
    """sha256 of a chip's shape and RGB pixels: equal content, whatever file it came in."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def _unpack(archive: Upload, parts: Iterator[Member]) -> None:
    """Store an archive's members as uploads; done again after a kill, it adds nothing twice."""
    there = set(Upload.objects.filter(parent=archive).values_list("position", flat=True))
    for member in parts:
        if member.position in there:
            continue
        reason = member.reason or ("" if member.data else "truncated")
        copy = ""
        if not reason:
            copy = storage.new_copy(member=True)
            storage.write(copy, member.data)
        Upload.objects.create(
            batch_id=archive.batch_id,
            parent=archive,
            position=member.position,
            name=names.clean(member.name),
            state="failed" if reason else "stored",
            code=reason,
            copy=copy,
            size=len(member.data),
            sha256=hashlib.sha256(member.data).hexdigest() if copy else "",
        )
    UPLOAD.step(Upload.objects.filter(pk=archive.pk), "read", kind="zip")


def _likes(uploads: list[Upload]) -> dict[str, Upload]:
    """By sha256: other uploads with the same bytes that were read already."""
    same = Upload.objects.filter(
        sha256__in={u.sha256 for u in uploads}, state="read", rows__gt=0
    ).exclude(sha256="")
    return {upload.sha256: upload for upload in same.order_by("-pk")}


def _known(upload: Upload, like: Upload | None, room: int) -> list[Placement]:
    """Placements for bytes that were read before: nothing needs to be decoded again."""
    if like is None:
        return []
    places = list(like.placements.all())
    if len(places) != like.rows * like.columns or len(places) > room:
        return []  # some of its chips were deleted, or they are too many
    return [
        Placement(
            batch_id=upload.batch_id,
            upload=upload,
            chip_id=place.chip_id,
            row=place.row,
            column=place.column,
        )
        for place in places
    ]


def _mark_read(uploads: list[tuple[int, Head | Upload]]) -> None:
    """These uploads are read: what was found in each goes into its row."""
    update_rows(
        [
            Upload(
                pk=pk,
                kind=found.kind,
                width=found.width,
                height=found.height,
                rows=found.rows,
                columns=found.columns,
            )
            for pk, found in uploads
        ],
        ["kind", "width", "height", "rows", "columns"],
    )
    UPLOAD.step(Upload.objects.filter(pk__in=[pk for pk, _ in uploads]), "read")


def _refuse(upload: Upload, reason: str) -> None:
    members = Upload.objects.filter(parent=upload)  # of an archive that turned out to be a bomb
    stored = list(members.values_list("copy", flat=True))
    with transaction.atomic():
        Placement.objects.filter(upload=upload).delete()
        members.delete()
        UPLOAD.step(Upload.objects.filter(pk=upload.pk), "refuse", code=reason)
    storage.remove(stored)
    _count(upload.batch_id)
    log.info("file refused", extra={"upload": upload.pk, "reason": reason})


# --- keeping, predicting, labelling ---------------------------------------------------------------


def _settle(pk: int, version: ModelVersion, group: list[Cut | Placement]) -> None:
    """Keep the copies of a group's chips, then predict those that this model has not seen."""
    if not group:
        return
    fresh: dict[int, np.ndarray] = {}
    if isinstance(group[0], Cut):
        group, fresh = _keep(pk, group)
    chips = {place.chip_id: place.chip for place in group}
    known = _predictions(chips, version)
    predicted = _predict([chips[c] for c in chips if c not in known], fresh, version)
    _label(pk, group, known | {k: v for k, v in predicted.items() if v}, predicted)


def _keep(pk: int, cuts: list[Cut]) -> tuple[list[Placement], dict[int, np.ndarray]]:
    """Chips and placements of a group; a chip's row exists only once its copies do."""
    pixels = {cut.sha256: cut.pixels for cut in cuts}
    there = set(Chip.objects.filter(sha256__in=pixels).values_list("sha256", flat=True))
    new = [
        Chip(sha256=sha256, height=image.shape[0], width=image.shape[1])
        for sha256, image in pixels.items()
        if sha256 not in there
    ]
    # Encoding and writing leave Python's lock: they take every core there is.
    list(_pool.map(lambda chip: copies.keep(chip, pixels[chip.sha256]), new))
    with transaction.atomic():
        Chip.objects.bulk_create(new, ignore_conflicts=True)
        rows = {chip.sha256: chip for chip in Chip.objects.filter(sha256__in=pixels)}
        Placement.objects.bulk_create(
            [
                Placement(
                    batch_id=pk,
                    upload_id=cut.upload,
                    chip=rows[cut.sha256],
                    row=cut.row,
                    column=cut.column,
                )
                for cut in cuts
            ],
            ignore_conflicts=True,
        )
        _mark_read([(cut.upload, cut.head) for cut in cuts if cut.last])
    # Another worker kept the same content at the same moment: our copies have no row.
    for chip in new:
        if rows[chip.sha256].key != chip.key:
            storage.remove([storage.chip_copy(chip.key, kind) for kind in copies.KINDS])
    uploads = {cut.upload for cut in cuts}
    chips = [rows[sha].pk for sha in pixels]
    places = Placement.objects.filter(
        batch_id=pk, upload__in=uploads, chip__in=chips, state="waiting"
    ).select_related("chip")
    return list(places), {rows[sha].pk: image for sha, image in pixels.items()}


def _predictions(chips, version: ModelVersion) -> dict[int, Prediction]:
    rows = Prediction.objects.filter(chip__in=chips, model=version, probability__isnull=False)
    return {row.chip_id: row for row in rows.defer("probability", "raw")}


def _predict(
    chips: list[Chip], fresh: dict[int, np.ndarray], version: ModelVersion
) -> dict[int, Prediction | None]:
    """Predict those of the chips that nobody has claimed; None for a chip the model refused."""
    if not chips:
        return {}
    Prediction.objects.bulk_create(
        [Prediction(chip=chip, model=version, worker=me) for chip in chips], ignore_conflicts=True
    )
    claims = Prediction.objects.filter(
        chip__in=chips, model=version, worker=me, probability__isnull=True
    )
    mine = {row.chip_id: row for row in claims}
    todo = [chip for chip in chips if chip.pk in mine]
    if not todo:
        return {}
    images = [fresh[c.pk] if c.pk in fresh else copies.pixels(c) for c in todo]
    results = _run(images)
    done: dict[int, Prediction | None] = {}
    for chip, result in zip(todo, results, strict=True):
        row = mine[chip.pk]
        if result is None:
            done[chip.pk] = None
            continue
        row.probability, row.raw = Prediction.pack(result[0]), Prediction.pack(result[1])
        row.labels, row.confidence, row.created_at = result[2], float(result[3]), timezone.now()
        done[chip.pk] = row
    with transaction.atomic():
        good = [row for row in done.values() if row]
        update_rows(good, ["probability", "raw", "labels", "confidence", "created_at"])
        bad = [mine[pk].pk for pk, row in done.items() if row is None]
        Prediction.objects.filter(pk__in=bad).delete()
    return done


def _run(images: list[np.ndarray]) -> list[tuple | None]:
    """One call for all; where it fails, one call for each, to find the chip at fault."""
    try:
        return list(zip(*engine.predict(images), strict=True))
    except Exception:
        if len(images) == 1:
            log.exception("prediction failed")
            return [None]
        return [_run([image])[0] for image in images]


def _label(
    pk: int,
    places: list[Placement],
    predictions: dict[int, Prediction],
    predicted: dict[int, Prediction | None],
) -> None:
    batch = Batch.objects.only("private").get(pk=pk)
    chips = {p.chip_id: p.chip for p in places if p.chip_id in predictions}
    uploads = Upload.objects.in_bulk({p.upload_id for p in places})
    for place in places:
        if place.chip_id not in chips:
            continue
        chip, row = chips[place.chip_id], predictions[place.chip_id]
        chip.labels, chip.confidence = row.labels, row.confidence
        if not batch.private:
            place.upload = uploads[place.upload_id]
            chip.public = True
            chip.name = chip.name or place.name
        chip.shown = chip.public and not chip.hidden
    with transaction.atomic():
        update_rows(chips.values(), ["labels", "confidence", "public", "name", "shown"])
        labelled = [p for p in places if p.chip_id in chips]
        for place in labelled:
            place.prediction = predictions[place.chip_id]
            place.known = place.chip_id not in predicted
        update_rows(labelled, ["prediction", "known"])
        PLACEMENT.step(Placement.objects.filter(pk__in=[p.pk for p in labelled]), "label")
        refused = [p.pk for p in places if p.chip_id not in chips and p.chip_id in predicted]
        PLACEMENT.step(Placement.objects.filter(pk__in=refused), "fail", code="predictor")
        Batch.objects.filter(pk=pk).update(attempts=0)
        _count(pk)


def _count(pk: int) -> None:
    """The batch's counters, from the rows themselves."""
    places = Placement.objects.filter(batch_id=pk).aggregate(
        chips=Count("pk"),
        chips_labelled=Count("pk", filter=Q(state="labelled")),
        chips_known=Count("pk", filter=Q(state="labelled", known=True)),
        chips_failed=Count("pk", filter=Q(state="failed")),
    )
    # An archive that was unpacked is not a file of its own: its members are.
    files = Upload.objects.filter(batch_id=pk).aggregate(
        files=Count("pk", filter=~Q(kind="zip", state="read")),
        files_read=Count("pk", filter=Q(state="read") & ~Q(kind="zip")),
        files_failed=Count("pk", filter=Q(state="failed")),
    )
    Batch.objects.filter(pk=pk).update(**places, **files)


def _take_over(pk: int, version: ModelVersion) -> bool:
    """True where nothing waits any more; claims of workers that are gone become free."""
    waiting = Placement.objects.filter(batch_id=pk, state="waiting")
    if not waiting.exists():
        return True
    alive = list(health.alive().values_list("name", flat=True))
    Prediction.objects.filter(
        chip__in=waiting.values("chip_id"), model=version, probability__isnull=True
    ).exclude(worker__in=alive).update(worker=me)
    return False


def _finish(pk: int) -> str:
    from .tasks import draw_views

    _count(pk)
    batch = Batch.objects.get(pk=pk)
    storage.settle()  # the gallery's copies are on disk before the upload copies go
    event = "finish" if batch.chips_labelled or not batch.files_failed else "fail"
    with transaction.atomic():
        rows = Batch.objects.filter(pk=pk, worker=me)
        if not BATCH.step(rows, event, finished_at=timezone.now()):
            return "cancelled"
        if Chip.objects.filter(placements__batch=pk, views=False, confidence__gt=0).exists():
            draw_views.enqueue()
    intake.drop_copies(batch, keep_failed=True)
    return "finished" if event == "finish" else "failed"


def _note_speed(chips: int, seconds: float, first: bool) -> None:
    """The running mean behind the estimates; a batch's first group only where nothing is known."""
    each = seconds / max(chips, 1)
    row = Worker.objects.filter(name=me)
    with _guard:
        if not row.filter(chip_seconds__gt=0).update(
            chip_seconds=F("chip_seconds") * (1.0 if first else 0.7) + (0 if first else 0.3 * each)
        ):
            row.update(chip_seconds=each)
