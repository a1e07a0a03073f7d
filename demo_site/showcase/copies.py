"""The gallery's copies of a chip, encoded here from pixels: no byte of an upload survives.

While a visitor waits, a group of chips is kept in one file, a pack: a chip that came as a plain
JPEG as that JPEG's bare picture, which is not served, any other as its pixels. A worker can start
again from it. `original` (lossless), `thumb`, `dehazed` and `transmission` are made from it when no
batch waits, the first two also when somebody asks for them before; then the pack goes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from django.db import Error
from django.db.models import F, Q

from . import signals, storage
from .decoding import Away, decode
from .models import Chip
from .reading import Refused
from .rows import find_rows

KINDS = {
    "original": "image/png",
    "thumb": "image/jpeg",
    "dehazed": "image/png",
    "transmission": "image/png",
}
SUFFIX = {kind: mime.rsplit("/", 1)[-1].replace("jpeg", "jpg") for kind, mime in KINDS.items()}
THUMB = 160  # pixels
SLICE = 64  # chips drawn in one task
TRIES = 3  # to draw a chip, until it stays without its copies

log = logging.getLogger("showcase.copies")


def png(image: np.ndarray) -> bytes:
    """RGB `(H, W, 3)` or grey `(H, W)` uint8 -> PNG without metadata."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1].tobytes()


def thumb(image: np.ndarray) -> bytes:
    """A JPEG of at most `THUMB` pixels; a small chip is enlarged with its pixels kept visible."""
    height, width = image.shape[:2]
    scale = THUMB / max(height, width)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(image, size, interpolation=way)
    small = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def keep(parts: Sequence[np.ndarray]) -> list[tuple[str, int]]:
    """Store uint8 arrays as one pack; for each the pack's name and the byte it begins at."""
    pack, places, at = storage.new_pack(), [], 0
    for part in parts:
        places.append((pack, at))
        at += part.size
    if parts:
        storage.write_parts(pack, [np.ascontiguousarray(part) for part in parts])
    return places


def drop_unused(packs: Iterable[str]) -> None:
    """Delete those of the packs that hold the pixels of no chip.

    Only for packs that no further chip will be kept from: of whoever wrote them, or of a batch that
    is gone.
    """
    packs = set(packs)
    storage.remove(packs - {pack for (pack,) in find_rows(Chip, ("pack",), "pack", packs)})


def pixels(chip: Chip) -> np.ndarray:
    """RGB `(H, W, 3)` uint8 from the gallery's own copy, or from the pack until there is one.

    Raises `FileNotFoundError` where neither holds them whole, `Away` where nothing is decoded.
    """
    if chip.pack:
        shape = chip.height, chip.width, 3
        size = chip.pack_jpeg or chip.height * chip.width * 3
        try:
            data = storage.read_part(chip.pack, chip.pack_at, size)
            if chip.pack_jpeg:
                found = decode(data)
                if found.shape == shape:
                    return found
            elif len(data) == size:
                return np.frombuffer(data, np.uint8).reshape(shape)
        except (FileNotFoundError, Refused):  # its copies were made since the row was read
            pass
    data = np.frombuffer(storage.read(storage.chip_copy(chip.key, "original")), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise FileNotFoundError(f"the copy of chip {chip.pk} is damaged")
    return image[..., ::-1].copy()


def read(chip: Chip, kind: str) -> bytes:
    """A copy's bytes; `original` and `thumb` are made here where nobody has asked before.

    Raises `FileNotFoundError` for what is not there (yet), or not any more.
    """
    data, made = _read(chip, kind)
    if made and not there(chip):
        raise FileNotFoundError(f"chip {chip.pk} was deleted meanwhile")
    return data


def _read(chip: Chip, kind: str) -> tuple[bytes, bool]:
    """A copy's bytes, and whether they were made just now."""
    name = storage.chip_copy(chip.key, kind)
    try:
        return storage.read(name), False
    except FileNotFoundError:
        if not chip.pack or kind not in ("original", "thumb"):
            raise
    try:
        data = (png if kind == "original" else thumb)(pixels(chip))
    except cv2.error as error:
        raise FileNotFoundError(f"{name} cannot be made: {error}") from error
    storage.write(name, data)
    return data, True


def there(chip: Chip) -> bool:
    """Whether a chip is still there, asked after files of it were written.

    Where it is not, nobody knows of these files, and they go. One that is retired now (its sha256
    is another then) is deleted after this, files first.
    """
    if Chip.objects.filter(pk=chip.pk, sha256=chip.sha256).exists():
        return True
    storage.remove(storage.chip_copy(chip.key, kind) for kind in KINDS)
    return False


def unpack(chip: Chip) -> None:
    """Make a packed chip's original and thumbnail; its pixels in the pack are not needed then.

    The pack stays, even where no other chip is in it: a worker may be about to keep further chips
    of the same picture from it. The sweep for orphans takes it once it is old (`keeper`).
    """
    for kind in ("original", "thumb"):
        _read(chip, kind)
    storage.settle([storage.chip_copy(chip.key, "original")])
    chip.pack = ""
    Chip.objects.filter(pk=chip.pk).update(pack="", pack_at=0, pack_jpeg=0)


def draw(chip: Chip) -> None:
    """Dehazed copy and transmission map, the package's parameters scaled to the chip's size."""
    from paperlib import dehaze

    image = pixels(chip)
    patch, radius = scaled(min(image.shape[:2]))
    dark = dehaze.dark_channel(image, patch=patch)
    light = dehaze.atmospheric_light(image, dark)
    rough = dehaze.transmission(image, light, patch=patch)
    smooth = dehaze.guided_filter(dehaze.luma(image), rough, radius=radius)
    clear = dehaze.recover(image, smooth, light)
    storage.write(storage.chip_copy(chip.key, "dehazed"), png(clear))
    grey = np.rint(255 * np.clip(smooth, 0, 1)).astype(np.uint8)
    storage.write(storage.chip_copy(chip.key, "transmission"), png(grey))
    Chip.objects.filter(pk=chip.pk).update(views=True)


def scaled(size: int) -> tuple[int, int]:
    """Patch and radius in pixels: 15 and 40 at 256 pixels, in proportion elsewhere (odd patch)."""
    patch = max(round(15 * size / 256), 3) | 1
    return patch, max(round(40 * size / 256), 2)


def missing():
    """Chips that lack a copy: labelled but not drawn, or still packed."""
    rows = Chip.objects.filter(Q(confidence__gt=0) | ~Q(pack=""), views=False)
    return rows.filter(tries__lt=TRIES)


def draw_missing(after: int = 0) -> int:
    """Make the copies of up to `SLICE` chips that lack some, then queue the rest; how many.

    Ends early where other work waits, be it on files that still arrive: a visitor comes first. A
    chip that cannot be drawn keeps no other from it, and is left alone after `TRIES`.
    """
    from django_tasks_db.models import DBTaskResult

    others = DBTaskResult.objects.ready().filter(priority__gt=signals.COPIES_PRIORITY)
    rows = missing().filter(pk__gt=after)
    done = 0
    for chip in rows.order_by("pk")[:SLICE]:
        if done and others.exists():
            break
        done, after = done + 1, chip.pk
        try:
            if chip.pack:
                unpack(chip)
            if chip.confidence > 0:
                draw(chip)
        except (Error, storage.StorageAway, Away):
            raise  # no fault of the chip's
        except Exception as error:
            if there(chip):
                log.warning("not drawn", extra={"chip": chip.pk, "error": str(error)})
                Chip.objects.filter(pk=chip.pk).update(tries=F("tries") + 1)
        else:
            there(chip)  # else what was just drawn goes again
    if rows.filter(pk__gt=after).exists():
        signals.copies_missing.send(None, after=after)
    return done
