"""The gallery's pictures of a chip, encoded here from pixels: no byte of an upload survives.

`original` (lossless) and `thumb` are made from the upload copy when no batch waits, or when
somebody asks for them before; then the copy goes. `dehazed` and `transmission` are made from the
original, after that.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from .. import storage
from ..decoder.answers import Away, Piece, Refused
from ..decoder.client import Decoder
from ..models import RETIRED, Chip, Placement, Upload
from ..states import BATCH
from . import batches

SUFFIX = {
    kind: mime.rsplit("/", 1)[-1].replace("jpeg", "jpg") for kind, mime in storage.KINDS.items()
}
THUMB = 160  # pixels
SLICE = 32  # uploads, or chips, drawn until the worker looks whether a batch waits
NEAR = 16  # uploads whose thumbnails are drawn together when one is asked for
PATIENCE = 10  # seconds that a visitor's request waits for the decoder
TRIES = 3  # to draw a chip, until it stays without its pictures

log = logging.getLogger("showcase.chip_images")
_asked, _alone = Decoder(), threading.Lock()  # for pictures that visitors ask for


def png(image: np.ndarray) -> bytes:
    """RGB `(H, W, 3)` or grey `(H, W)` uint8 -> PNG without metadata."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    # The quickest compression: the best one takes four times as long for 6 % fewer bytes.
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def thumb(image: np.ndarray) -> bytes:
    """A JPEG of at most `THUMB` pixels; a small chip is enlarged with its pixels kept visible."""
    height, width = image.shape[:2]
    scale = THUMB / max(height, width)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.cvtColor(cv2.resize(image, size, interpolation=way), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def pixels(chip: Chip) -> np.ndarray:
    """RGB `(H, W, 3)` uint8 from the gallery's own original; `FileNotFoundError` without one."""
    data = np.frombuffer(storage.read(storage.chip_copy(chip.pictures, "original")), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise FileNotFoundError(f"the original of chip {chip.pk} is damaged")
    return image[..., ::-1].copy()


def read(chip: Chip, kind: str) -> bytes:
    """A picture's bytes; `original` and `thumb` are made here where nobody has asked before.

    Raises `FileNotFoundError` for what is not there (yet), or not any more.
    """
    name = storage.chip_copy(chip.pictures, kind)
    try:
        return storage.read(name)
    except FileNotFoundError:
        if chip.drawn or kind not in ("original", "thumb"):
            raise
    if not _alone.acquire(timeout=PATIENCE):
        raise Away(None, "the decoder is busy")
    try:
        return storage.read(name)  # whoever asked for its neighbour has made this one, too
    except FileNotFoundError:
        uploads = _near(chip, kind)
        if uploads:
            # What is public may be seen by one child; the worker draws it again by itself.
            _asked.serve(uploads[0].batch_id if uploads[0].batch.private else 0)
            _draw_uploads(uploads, _asked, kinds=(kind,))
        else:
            _as_twin(chip, (kind,))
        return storage.read(name)
    finally:
        _alone.release()


def _near(chip: Chip, kind: str) -> list[Upload]:
    """The upload that a chip is cut from; for a thumbnail those behind it, too: the page's next."""
    rows = Upload.objects.filter(state="read").exclude(copy="").select_related("batch")
    own = rows.filter(placements__chip=chip).first()
    if own is None or kind != "thumb" or own.rows * own.columns > 1:
        return [own] if own else []
    alike = rows.filter(batch=own.batch_id, pk__gte=own.pk, rows=1, columns=1)
    return list(alike.order_by("pk")[:NEAR])


def close() -> None:
    """End the child process that decodes for visitors."""
    with _alone:
        _asked.close()


def draw_some(decoder: Decoder) -> bool:
    """Make some of the pictures that are missing; False where none is."""
    if first := waiting().first():
        uploads = list(waiting().filter(batch=first.batch_id)[:SLICE])
        decoder.serve(first.batch_id)
        done = [upload.pk for upload in _draw_uploads(uploads, decoder)]
        batches.drop_copies(waiting().filter(pk__in=done))
        return True
    if twins := list(without_source()[:SLICE]):
        for chip in twins:
            _attempt(chip, _as_twin, drawn=True)
        return True
    chips = list(undrawn()[:SLICE])
    for chip in chips:
        _attempt(chip, dehaze)
    return bool(chips)


def waiting() -> QuerySet[Upload]:
    """Uploads of ended batches that have a chip to be drawn, or whose copy is needed no more."""
    places = Placement.objects.filter(upload=OuterRef("pk"))
    to_draw = Exists(places.filter(chip__drawn=False, chip__tries__lt=TRIES))
    # A chip that the model refused may be tried again: the copy stays for a day (`housekeeping`).
    kept = Exists(places.filter(state="failed", batch__state__in=BATCH.by_event["retry"].sources))
    rows = Upload.objects.filter(state="read", batch__state__in=BATCH.final).exclude(copy="")
    return rows.filter(Q(to_draw) | ~Q(kept)).order_by("pk")


def without_source() -> QuerySet[Chip]:
    """Chips to be drawn from the pictures of one with the same pixels: their batch was made private
    or public since the upload's copy went."""
    rows = Chip.objects.filter(views=False, drawn=False, tries__lt=TRIES, confidence__gt=0)
    copies = Placement.objects.filter(chip=OuterRef("pk")).exclude(upload__copy="")
    return rows.filter(~Exists(copies), placements__isnull=False).order_by("pk").distinct()


def _as_twin(chip: Chip, kinds: Iterable[str] = ("original", "thumb")) -> None:
    twin = Chip.objects.filter(content=chip.content, drawn=True).exclude(content="").first()
    if twin is None:
        raise FileNotFoundError(f"no chip has the pixels of chip {chip.pk}")
    for kind in kinds:
        storage.write(
            storage.chip_copy(chip.pictures, kind),
            storage.read(storage.chip_copy(twin.pictures, kind)),
        )


def undrawn() -> QuerySet[Chip]:
    """Labelled chips that lack their dehazed copy only."""
    rows = Chip.objects.filter(views=False, drawn=True, tries__lt=TRIES)
    return rows.filter(confidence__gt=0, placements__isnull=False).order_by("pk").distinct()


def _draw_uploads(
    uploads: list[Upload], decoder: Decoder, kinds: tuple[str, ...] = ("original", "thumb")
) -> list[Upload]:
    """Draw all chips of uploads; those of which every chip is drawn, or given up."""
    places: dict[int, dict[tuple[int, int], Chip]] = {}
    rows = Placement.objects.filter(upload__in=uploads).select_related("chip")
    for place in rows:
        if not place.chip.drawn and place.chip.tries < TRIES:
            places.setdefault(place.upload_id, {})[place.row, place.column] = place.chip
    left = [upload for upload in uploads if upload.pk in places]
    for upload, piece in _pieces(left, decoder):
        chips = places[upload.pk]
        if isinstance(piece, Piece) and (piece.row, piece.column) in chips:
            chip = chips.pop((piece.row, piece.column))
            whole = set(kinds) == {"original", "thumb"}
            _attempt(chip, lambda chip, piece=piece: _write(chip, piece.pixels, kinds), drawn=whole)
        elif piece is None:  # the end: chips that did not come will not come
            for chip in chips.values():
                Chip.objects.filter(pk=chip.pk).update(tries=F("tries") + 1)
            chips.clear()
    still = Placement.objects.filter(upload__in=uploads, chip__drawn=False, chip__tries__lt=TRIES)
    open_ = set(still.values_list("upload", flat=True))
    return [upload for upload in uploads if upload.pk not in open_]


def _pieces(uploads: list[Upload], decoder: Decoder) -> Iterator[tuple[Upload, Piece | None]]:
    """The chips of uploads of one batch, whole; None after the last of each."""
    for upload in uploads:
        with contextlib.suppress(FileNotFoundError, Refused):
            for item in decoder.read(storage.read(upload.copy), chips=2**31):
                if isinstance(item, Piece):
                    yield upload, item
        yield upload, None


def _write(chip: Chip, image: np.ndarray, kinds: tuple[str, ...]) -> None:
    encoders = {"original": png, "thumb": thumb}
    for kind in kinds:
        storage.write(storage.chip_copy(chip.pictures, kind), encoders[kind](image))


def _attempt(chip: Chip, step, *, drawn: bool = False) -> None:
    """Draw one chip; one that cannot be drawn keeps no other from it, and is left after `TRIES`."""
    try:
        step(chip)
    except (cv2.error, ValueError, FileNotFoundError) as error:
        log.warning("not drawn", extra={"chip": chip.pk, "error": str(error)})
        Chip.objects.filter(pk=chip.pk).update(tries=F("tries") + 1)
    else:
        if drawn:
            Chip.objects.filter(pk=chip.pk).update(drawn=True)
    # One that was deleted meanwhile is known to nobody any more.
    if not Chip.objects.filter(pk=chip.pk).exclude(sha256__startswith=RETIRED).exists():
        storage.remove(storage.chip_copy(chip.pictures, kind) for kind in storage.KINDS)


def dehaze(chip: Chip) -> None:
    """Dehazed copy and transmission map, the package's parameters scaled to the chip's size."""
    from paperlib.chips.variants import scaled
    from paperlib.dehaze.steps import steps

    image = pixels(chip)
    found = steps(image, **scaled(min(image.shape[:2])))
    storage.write(storage.chip_copy(chip.pictures, "dehazed"), png(found.clear))
    grey = np.rint(255 * np.clip(found.fine, 0, 1)).astype(np.uint8)
    storage.write(storage.chip_copy(chip.pictures, "transmission"), png(grey))
    Chip.objects.filter(pk=chip.pk).update(views=True)
