"""What a worker does with a batch: read, cut, keep, predict what is new, label; in small groups.

While a group is predicted, the decoder is at work on the next (`ahead.py`).

Each group is committed whole, so a worker killed at any moment loses at most the group in its
hands; the next worker continues from the database: files still `stored` are read, placements still
`waiting` are predicted from the gallery's copies.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from . import copies, decoding, engine, health, intake, names, removal, settle, signals, storage
from .ahead import Ahead, Cut, Failed, Sent, Unpacked
from .limits import EARLY_FILES, limits
from .models import Batch, Chip, ModelVersion, Placement, Prediction, Upload, Worker, token
from .reading import reader
from .rows import find_rows
from .settle import Place, Said
from .states import BATCH, PLACEMENT, UPLOAD

log = logging.getLogger("showcase.work")
FIRST, GROUP = 8, 128  # chips in a batch's first group, and in a later one at most
PAUSE = 64  # members unpacked, or files refused, until the worker looks whether others wait
BREATH = 1.0  # seconds after which it looks at the latest, whatever it waits for
PATIENCE = 0.3  # seconds that a free worker waits for a group of more than FIRST chips
PAGE = 512  # uploads looked at together
ATTEMPTS = 3  # without progress, until what is left of a batch counts as failed
#: Seconds until a batch is tried again.
LATER = {"fault": 2, "disk": 10, "storage": 10, "decoder": 10, "database": 10}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

#: This process in claims and heartbeats; the worker command sets its own name.
me = f"process-{token()}"
#: When the group in hand began, for the keeper; None between groups.
busy_since: float | None = None
#: The batch that this process works on now.
in_hand: int | None = None
#: Set when the process was asked to end.
stopping = threading.Event()
_guard = threading.Lock()


def work(batch: int) -> str:
    """Work on a batch for one slice of time; what became of it. Never raises for its content."""
    rows = Batch.objects.filter(pk=batch)
    try:
        version = engine.load()[1]
    except engine.NoModel:
        rows.filter(state="queued").update(setback="model")
        _again(batch, 5)
        return "no model"
    if not _claim(rows, version):
        return "nothing to do"
    return _slice(batch, version)


def _claim(rows, version: ModelVersion) -> bool:
    """Take a queued batch; of two workers that try, one has it."""
    now = timezone.now()
    return bool(
        BATCH.step(
            rows,
            "claim",
            worker=me,
            model=version,
            started_at=Coalesce("started_at", now),
            touched_at=now,
            setback="",
        )
    )


def early(batch: int) -> str:
    """Work on what has arrived of a batch that is still being sent, but for what is large.

    When it is submitted meanwhile, this worker claims it and goes on as `work` does. Nothing
    depends on that: what is left undone here is done by the batch's own task.
    """
    sent = Batch.objects.filter(pk=batch, state__in=("receiving", "queued"))
    try:
        version = engine.load()[1]
    except engine.NoModel:
        return "no model"
    if not sent.filter(state="receiving", worker="").update(worker=me):
        return "nothing to do"
    end = time.monotonic() + float(settings.SHOWCASE["SLICE_SECONDS"])
    others = Batch.objects.filter(state="queued").exclude(pk=batch)
    try:
        with contextlib.closing(_groups(batch, large=False)) as groups:
            for group in groups:
                if group is not None:
                    _set_busy(time.monotonic())
                if not sent.filter(worker=me).exists():
                    return "given up"
                if group:
                    _settle(batch, version, group)
                if time.monotonic() > end or stopping.is_set() or others.exists():
                    return "yielded"
                if _claim(sent.filter(worker=me), version):
                    return _slice(batch, version, groups)
    except Exception:
        log.exception("early work failed", extra={"batch": batch})
        return "fault"
    finally:
        _set_busy(None)
        sent.filter(worker=me).update(worker="")
    return "read"


def _again(batch: int, seconds: float = 0) -> None:
    signals.batch_waits.send(None, batch=batch, seconds=seconds)


def patiently(step: Callable[[], object]) -> None:
    """Do a step again until the database lets it: locked for long, or restarted, it comes back."""
    while True:
        try:
            step()
            return
        except (OperationalError, InterfaceError) as error:
            if stopping.is_set():
                raise
            log.warning("the database does not answer", extra={"error": str(error)})
            connection.close()
            time.sleep(1)


def setback(fault: Exception) -> str:
    """What a fault is to a batch: a code of `reasons.SETBACKS`."""
    if isinstance(fault, OSError) and fault.errno in FULL:
        return "disk"
    if isinstance(fault, storage.StorageAway):
        return "storage"
    if isinstance(fault, decoding.Away):
        return "decoder"
    if isinstance(fault, OperationalError | InterfaceError):
        return "disk" if "full" in str(fault) else "database"
    return "fault"


def requeue(rows, setback: str) -> int:
    """Give running batches back to the queue; one that fails for the third time is given up.

    A full disk, a file store, a decoder or a database that is away is no fault of the batch: it
    waits as long as that lasts.
    """
    counts = setback in ("worker", "fault")
    count = 0
    for pk, attempts in list(rows.filter(state="running").values_list("pk", "attempts")):
        one = Batch.objects.filter(pk=pk)
        with transaction.atomic():
            now = timezone.now()
            changes = {"attempts": attempts + counts, "setback": setback, "queued_at": now}
            if not BATCH.step(one.filter(attempts=attempts), "reclaim", **changes):
                continue
            count += 1
            if counts and attempts + 1 >= ATTEMPTS:
                died = {"code": "worker_died"}
                UPLOAD.step(Upload.objects.filter(batch_id=pk), "refuse", **died)
                PLACEMENT.step(Placement.objects.filter(batch_id=pk), "fail", **died)
            _again(pk, LATER.get(setback, 0))
    return count


def _take_in_hand(batch: int | None) -> None:
    global in_hand
    in_hand = batch


def _set_busy(value: float | None) -> None:
    global busy_since
    busy_since = value


def _slice(batch: int, version: ModelVersion, begun: Iterator[list] | None = None) -> str:
    """Work on a batch that this process has claimed, for one slice of time; what became of it.

    begun  groups that were being read when it was claimed
    """
    _take_in_hand(batch)
    _set_busy(time.monotonic())  # what comes before the first group may hang, too
    try:
        state = _all_groups(batch, version, begun)
    except Exception as fault:
        log.exception("slice failed", extra={"batch": batch})
        _set_busy(None)
        mine, why = Batch.objects.filter(pk=batch, worker=me), setback(fault)
        patiently(lambda: requeue(mine, why))  # the disk may be the database's, too
        return "fault"
    finally:
        _take_in_hand(None)
        _set_busy(None)
    log.info("slice ended", extra={"batch": batch, "state": state})
    return state


def _all_groups(pk: int, version: ModelVersion, begun: Iterator[list] | None) -> str:
    end = time.monotonic() + float(settings.SHOWCASE["SLICE_SECONDS"])
    first, moved = True, False
    settle.publish(pk)
    since, chips = time.monotonic(), 0
    with contextlib.closing(_then_all(begun, pk)) as groups:
        for group in groups:
            if group is not None:
                _set_busy(time.monotonic())
            if not _still_mine(pk):
                return _let_go(pk)
            moved |= _settle(pk, version, group) if group else group is not None
            now, chips = time.monotonic(), chips + len(group or ())
            if chips and (first or now - since > 1):
                _note_speed(chips, now - since, first)
                since, first, chips = now, False, 0
            # Not before something new was done: a large file is read from its start in each slice.
            if (moved and now > end) or stopping.is_set():
                return _yield(pk)
    if chips:
        _note_speed(chips, time.monotonic() - since, first)
    _set_busy(time.monotonic())
    if not _still_mine(pk):
        return _let_go(pk)
    if not _take_over(pk, version):
        return _yield(pk, 0.3)  # another worker is at some of the chips
    if settle.stored(pk, 0, 1):
        raise RuntimeError("a file was left unread")  # it is tried again, and given up in the end
    return _finish(pk)


def _then_all(begun: Iterator[list | None] | None, pk: int) -> Iterator[list | None]:
    if begun is not None:
        yield from begun
    yield from _groups(pk)


def _let_go(pk: int) -> str:
    """What a visitor cancelled keeps no copies; what another worker has needs them."""
    for batch in Batch.objects.filter(pk=pk, state="cancelled"):
        intake.drop_copies(batch)
        return "cancelled"
    return "given up"


def _still_mine(pk: int) -> bool:
    """False once the batch was cancelled, deleted, or given to another worker."""
    return find_rows(Batch, ("state", "worker"), "id", [pk]) == [("running", me)]


def _yield(pk: int, seconds: float = 0) -> str:
    with transaction.atomic():
        rows = Batch.objects.filter(pk=pk, worker=me)
        if BATCH.step(rows, "yield", queued_at=timezone.now()):
            _again(pk, seconds)
    return "yielded"


# --- reading --------------------------------------------------------------------------------------


def _groups(pk: int, *, large: bool = True) -> Iterator[list[Cut] | list[Place] | None]:
    """What is to be predicted, in groups: what waits from before, what is known, what is new.

    An empty group is a pause in work that gives no chips; None is one in which nothing was done
    since the last, while a large file is decoded. What waits, archives and large files are for
    when the batch has been submitted (`large`).
    """
    last = 0
    while large and (found := settle.waiting(pk, last, GROUP)):
        last = found[-1].pk
        yield found
    last = 0
    while uploads := settle.stored(pk, last, PAGE):
        if not large:  # small groups cost more for each chip, and nobody waits yet
            uploads = uploads[: len(uploads) // EARLY_FILES * EARLY_FILES]
            if not uploads:
                return
        first, last = uploads[0].pk, uploads[-1].pk
        # A picture that is read again after a kill has some of its places already.
        there = Placement.objects.filter(batch_id=pk)
        again = there.filter(upload__state="stored", upload__gte=first, upload__lte=last)
        placed: dict[int, set[tuple[int, int]]] = {}
        for upload, *place in again.values_list("upload", "row", "column"):
            placed.setdefault(upload, set()).add(tuple(place))
        room = limits().chips - there.count() + sum(map(len, placed.values()))
        known = settle.known(uploads, room)
        for start in range(0, len(known), GROUP):
            # Files are not chips: each of them may be a mosaic of a thousand.
            places = settle.place_known(pk, known[start : start + GROUP])
            for begin in range(0, len(places), GROUP):
                yield places[begin : begin + GROUP]
        done = {upload.pk for upload, _, _ in known}
        room -= sum(len(places) for _, _, places in known)
        unknown = [upload for upload in uploads if upload.pk not in done]
        ahead = Ahead(
            reader, unknown, room, engine.fitting(),
            side=engine.side(), large=large, placed=placed,
            unpacked=settle.unpacked(pk) if large else (0, 0), seconds=_seconds_left(pk),
        )  # fmt: skip
        try:
            yield from _cuts(ahead, FIRST if large else max(FIRST, EARLY_FILES))
        finally:
            ahead.close()
            with contextlib.suppress(Error, OSError):  # else the sweep finds them
                copies.drop_unused(ahead.packs)
            with contextlib.suppress(Error):
                spent = F("read_seconds") + ahead.seconds
                Batch.objects.filter(pk=pk).update(read_seconds=spent)


def _seconds_left(pk: int) -> float:
    """How long the decoder may still work for a batch; what is tried again counts again."""
    ((spent,),) = find_rows(Batch, ("read_seconds",), "id", [pk]) or [(0,)]
    return float(settings.SHOWCASE["BATCH_READ_SECONDS"]) - spent


def _cuts(ahead: Ahead, first: int) -> Iterator[list[Cut] | None]:
    """Chips in groups: as many as are there when the worker is free.

    So the first group, of `first`, is small and quick, later ones are larger and cost less for each
    chip, and the last holds what is left.
    """
    cuts: list[Cut] = []
    others = 0  # things done that give no chips
    least = enough = first
    until, looked = 0.0, time.monotonic()
    while True:
        seconds = None
        if len(cuts) >= first:
            seconds = max(until - time.monotonic(), 0) if len(cuts) < least else 0
        item = ahead.take(BREATH if seconds is None else seconds)
        if item is not None:
            _set_busy(time.monotonic())
        if isinstance(item, Cut):
            cuts += [item, *ahead.cuts(enough - len(cuts) - 1)]
        elif isinstance(item, Unpacked | Failed):
            if isinstance(item, Unpacked):
                done = _unpack(item)
            else:
                # Whole files only: chips of a picture that broke in the middle are not kept.
                cuts = [cut for cut in cuts if cut.upload.pk != item.upload.pk]
                done = _refuse(item.upload, item.code)
            others += bool(done)
            if done is None:  # whoever takes the groups looks whether the batch is still ours
                yield []
        elif ahead.over:
            break
        # Files are refused after seconds, or in no time: neither keeps others waiting for long.
        if others >= PAUSE or time.monotonic() - looked > BREATH:
            yield [] if others else None
            others, looked = 0, time.monotonic()
        if (item is None and len(cuts) >= first) or len(cuts) >= enough:
            size = min(len(cuts), GROUP)
            yield cuts[:size]
            cuts, least, enough = cuts[size:], min(4 * least, GROUP), GROUP
            looked = time.monotonic()
            until = looked + PATIENCE
    while cuts:
        yield cuts[:GROUP]
        cuts = cuts[GROUP:]


def _held(batch: int):
    """The batch's row while it is ours to work on; nobody else's files and chips are touched.

    A worker that was stopped for long (a laptop's sleep, a paused machine) reads on where it was,
    though another one may have finished its batch and deleted the copies.
    """
    return Batch.objects.filter(pk=batch, worker=me, state__in=("receiving", "queued", "running"))


def _unpack(item: Unpacked) -> bool | None:
    """Store an archive's member as an upload; False where that was done before a pause or kill.

    None where the batch is not ours any more.
    """
    archive, member = item.upload, item.member
    held = _held(archive.batch_id)
    if member is None:
        if not held.exists():
            return None
        UPLOAD.step(Upload.objects.filter(pk=archive.pk), "read", kind="zip")
        settle.count(archive.batch_id)
        return True
    mine = Upload.objects.filter(parent_id=archive.pk, position=member.position)
    there = list(held.values_list(Exists(mine)))
    if not there or there == [(True,)]:
        return False if there else None
    reason = member.reason or ("" if member.data else "truncated")
    copy = ""
    if not reason:
        copy = storage.new_copy(member=True)
        storage.write(copy, member.data)
    Upload.objects.create(
        batch_id=archive.batch_id,
        parent_id=archive.pk,
        position=member.position,
        name=names.clean(member.name),
        state="failed" if reason else "stored",
        code=reason,
        copy=copy,
        size=len(member.data),
        sha256=hashlib.sha256(member.data).hexdigest() if copy else "",
    )
    return True


def _refuse(upload: Sent, reason: str) -> bool | None:
    """Refuse a file, and take back what was made of it; None where it is not ours any more."""
    members = Upload.objects.filter(parent_id=upload.pk)  # of an archive that was a bomb
    mine = Q(upload_id=upload.pk) | Q(upload__parent_id=upload.pk)
    with transaction.atomic():
        # The row is the lock: it stays ours until this is committed. And only a file that still
        # waits is refused: what another worker has read meanwhile stands in the gallery.
        held = _held(upload.batch_id).select_for_update().first()
        row = Upload.objects.filter(pk=upload.pk)
        if held is None or not UPLOAD.step(row, "refuse", code=reason):
            return None
        stored = list(members.values_list("copy", flat=True))
        places = Placement.objects.filter(mine)
        chips = list(places.values_list("chip_id", flat=True))
        places.delete()
        members.delete()
        removal.retire(chips)  # else they stood in the gallery without a batch, for ever
    storage.remove(stored)
    settle.count(upload.batch_id)
    log.info("file refused", extra={"upload": upload.pk, "reason": reason})
    return True


# --- predicting and labelling ---------------------------------------------------------------------


def _settle(pk: int, version: ModelVersion, group: list[Cut] | list[Place]) -> bool:
    """Keep a group's chips, predict those that this model has not seen, label them all.

    False where nothing came of it: all is done already, or another worker is at it.
    """
    places = group
    if new := isinstance(group[0], Cut):
        places = settle.keep(pk, group, version, me)
    if not places:
        return False
    said, claims = settle.claim(places, version, me)
    predicted: dict[int, Said | None] = {}
    if claims:
        predicted = settle.write_down(claims, _run(settle.images(places, claims)))
    _label(pk, places, said | {k: v for k, v in predicted.items() if v}, predicted)
    return new or bool(said or predicted)


def _run(images: list[np.ndarray]) -> list[tuple | None]:
    """One call for all; where it fails, one call for each, to find the chip at fault."""
    try:
        return list(zip(*engine.predict(images), strict=True))
    except Exception:
        if len(images) == 1:
            log.exception("prediction failed")
            return [None]
        return [_run([image])[0] for image in images]


_label = settle.label


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
    settle.count(pk)
    batch = Batch.objects.get(pk=pk)
    event = "finish" if batch.chips_labelled or not batch.files_failed else "fail"
    with transaction.atomic():
        rows = Batch.objects.filter(pk=pk, worker=me)
        if not BATCH.step(rows, event, finished_at=timezone.now()):
            return _let_go(pk)
        if copies.missing().filter(placements__batch=pk).exists():
            signals.copies_missing.send(None)
    # The chips' pixels are on disk before the upload copies go.
    packs = Chip.objects.filter(placements__batch=pk).exclude(pack="")
    storage.settle(packs.values_list("pack", flat=True).distinct())
    intake.drop_copies(batch, keep_failed=True)
    return "finished" if event == "finish" else "failed"


def _note_speed(chips: int, seconds: float, first: bool) -> None:
    """The running mean behind the estimates; a batch's first group only where nothing is known."""
    each = seconds / max(chips, 1)
    row = Worker.objects.filter(name=me)
    with _guard:
        if not row.filter(chip_seconds__gt=0).exists():
            row.update(chip_seconds=each)
        elif not first:
            row.update(chip_seconds=0.7 * F("chip_seconds") + 0.3 * each)
