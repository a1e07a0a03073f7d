"""The child process that decodes strangers' bytes: no Django, no secrets, under resource limits.

It reads requests from standard input and answers on standard output, both as frames: four bytes of
length, that many bytes of JSON, then `size` bytes of payload. A picture comes back as RGB pixels
cut into chips; an archive as its members. It opens no file and writes none. Run as a script.

Where the system has shared memory, many small files are one request: their bytes lie in a piece of
memory that the parent made, and the pixels are put into it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import stat
import struct
import sys
import warnings
import zipfile
from itertools import pairwise
from pathlib import Path

try:
    import resource
except ImportError:  # Windows: the parent's clock is then the only limit
    resource = None

MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)


class Refused(Exception):
    """A reason from `reasons.REASONS`."""


def sniff(data: bytes) -> str:
    """The format by content: `jpeg`, `png`, `tiff`, `zip` or `""`."""
    return next((kind for magic, kind in MAGIC if data.startswith(magic)), "")


def grid(width: int, height: int, chip: int) -> tuple[list[int], list[int]]:
    """Borders of columns and rows: tiles of nearly `chip` pixels that share the picture evenly."""
    columns, rows = max(round(width / chip), 1), max(round(height / chip), 1)
    return (
        [round(i * width / columns) for i in range(columns + 1)],
        [round(i * height / rows) for i in range(rows + 1)],
    )


def check_size(width: int, height: int, most: dict) -> None:
    """Before anything is decoded."""
    if min(width, height) < most["least_side"]:
        raise Refused("too_small")
    if width * height > most["pixels"]:
        raise Refused("too_many_pixels")


def picture(data: bytes, kind: str, most: dict):
    """Yield the head `{kind, width, height, rows, columns}`, then `(row, column, pixels)`.

    Whoever sends an array for the next chip instead of asking for it gets the pixels in there.
    """
    source = {"jpeg": jpeg, "tiff": tiff}.get(kind, pillow)(data, most)
    width, height = next(source), next(source)
    xs, ys = grid(width, height, most["chip"])
    rows, columns = len(ys) - 1, len(xs) - 1
    if rows * columns > most["chips"]:
        raise Refused("too_many_chips")
    head = {"kind": kind, "width": width, "height": height, "rows": rows, "columns": columns}
    into = yield head
    cut = next(source)
    for row in range(rows):
        for column in range(columns):
            corners = xs[column], ys[row], xs[column + 1], ys[row + 1]
            into = yield row, column, cut(*corners, into)
    source.close()


def jpeg(data: bytes, most: dict):
    """JPEG, as the predictor reads it; yields as `pillow` does."""
    from paperlib.chips import decode

    try:
        height, width, components = decode.header(data)
    except decode.BadChip:
        yield from pillow(data, most)  # knows more oddities, and says what is wrong
        return
    check_size(width, height, most)
    yield width
    yield height
    bgr = three(data) if components == 3 and alike() else None
    pixels = decode.decode(data, components) if bgr is None else bgr
    if pixels.shape != (height, width, 3):
        raise Refused("broken")  # a second header says something else
    yield from_array(pixels) if bgr is None else from_bgr(bgr)


def from_array(pixels):
    """A function that cuts `(left, top, right, bottom)` out of RGB pixels, `into` an array."""
    import numpy as np

    def cut(left: int, top: int, right: int, bottom: int, into=None):
        part = pixels[top:bottom, left:right]
        if into is None:
            return part
        np.copyto(into, part)
        return into

    return cut


def from_bgr(pixels):
    """The same for OpenCV's order of colours."""
    import cv2

    def cut(left: int, top: int, right: int, bottom: int, into=None):
        return cv2.cvtColor(pixels[top:bottom, left:right], cv2.COLOR_BGR2RGB, into)

    return cut


def three(data: bytes):
    """BGR of a JPEG of three components by OpenCV, quicker than Pillow; None where it cannot."""
    import cv2
    import numpy as np

    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


@functools.cache
def alike() -> bool:
    """Whether OpenCV gives Pillow's very pixels: both hold the same library, each its own build.

    Tried once per process, in a few milliseconds, on each way of storing colours.
    """
    import numpy as np
    from PIL import Image

    from paperlib.chips import decode

    y, x = np.mgrid[:45, :51]
    colours = np.stack([5 * y + x, 7 * x - 3 * y, 11 * (x ^ y)], axis=2).astype(np.uint8)
    for subsampling in range(3):
        buffer = io.BytesIO()
        Image.fromarray(colours).save(buffer, "JPEG", quality=90, subsampling=subsampling)
        found = three(buffer.getvalue())
        if found is None or not np.array_equal(found[..., ::-1], decode.exact(buffer.getvalue())):
            return False
    return True


def pillow(data: bytes, most: dict):
    """JPEG and PNG: yield width, height and a function that cuts `(left, top, right, bottom)`."""
    import numpy as np
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # our own ceiling is checked first
    with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
        check_size(*image.size, most)
        # A phone's MPO is a JPEG with a second view behind it: the first is the picture.
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            raise Refused("animated")
        yield image.width
        yield image.height
        image.load()  # complains about a truncated file
        if image.mode.startswith("I;16"):
            pixels = np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
        else:
            pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    yield from_array(pixels)


def tiff(data: bytes, most: dict):
    """TIFF and GeoTIFF of any depth, read window by window; yields as `pillow` does."""
    import numpy as np
    import rasterio
    from rasterio.enums import ColorInterp
    from rasterio.io import MemoryFile
    from rasterio.windows import Window

    warnings.simplefilter("ignore")
    # Only GDAL's own TIFF reader: a virtual dataset could name other files or addresses.
    with MemoryFile(data) as memory, memory.open(driver="GTiff") as image:
        check_size(image.width, image.height, most)
        if len(image.subdatasets) > 1:
            raise Refused("animated")
        kinds, count = image.colorinterp, image.count
        if any(np.dtype(t).kind == "c" for t in image.dtypes):
            raise Refused("unreadable")
        colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        named = {str(d).lower(): i + 1 for i, d in enumerate(image.descriptions) if d}
        if all(c in kinds for c in colours):
            bands = [kinds.index(c) + 1 for c in colours]
        elif {"red", "green", "blue"} <= set(named):
            bands = [named["red"], named["green"], named["blue"]]
        elif count == 4 and set(image.dtypes) == {"uint16"}:
            # Blue, green, red, near infrared, as satellites' four-band products come (the
            # competition's own, too), which seldom say so.
            bands = [3, 2, 1]
        else:
            bands = [1, 2, 3] if count >= 3 else [1, 1, 1]
        palette = None
        if kinds[0] == ColorInterp.palette:
            palette = np.zeros((256, 3), np.uint8)
            for index, colour in image.colormap(1).items():
                if 0 <= index < 256:
                    palette[index] = colour[:3]
        low, high = None, None
        if any(t != "uint8" for t in image.dtypes):
            shape = (3, min(image.height, 512), min(image.width, 512))
            few = image.read(bands, out_shape=shape, masked=True).astype(float)
            few = np.ma.masked_invalid(few).filled(np.nan).reshape(3, -1)
            if np.isnan(few).all(axis=1).any():
                raise Refused("unreadable")
            low, high = np.nanpercentile(few, (2, 98), axis=1)[..., None, None]

        def cut(left: int, top: int, right: int, bottom: int, into=None) -> np.ndarray:
            pixels = image.read(bands, window=Window(left, top, right - left, bottom - top))
            if palette is not None:
                pixels = palette[pixels[0]].transpose(2, 0, 1)
            elif low is not None:
                spread = np.maximum(high - low, 1e-12)
                pixels = np.nan_to_num(np.clip((pixels - low) / spread, 0, 1))
                pixels = np.rint(255 * pixels).astype(np.uint8)
            into = np.empty((*pixels.shape[1:], 3), np.uint8) if into is None else into
            np.copyto(into, pixels.transpose(1, 2, 0))
            return into

        del rasterio
        yield image.width
        yield image.height
        yield cut


def members(data: bytes, most: dict):
    """Yield `(position, name, reason, bytes)` of an archive's files; sizes are counted.

    Nothing is ever written under a member's name, so one that climbs out of the folder could do no
    harm; it is refused all the same, since no honest archive holds one.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [entry for entry in archive.infolist() if not ignored(entry)]
        if len(entries) > most["members"]:
            raise Refused("too_many_members")
        total, ceiling = 0, min(most["unpacked"], most["ratio"] * max(len(data), 1))
        why = "bomb" if ceiling < most["unpacked"] else "unpacked"
        if sum(entry.file_size for entry in entries) > ceiling:
            raise Refused(why)
        for position, entry in enumerate(entries):
            name = entry.filename
            parts = name.replace("\\", "/").split("/")
            if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0]:
                yield position, name, "climbs", b""
            elif stat.S_ISLNK(entry.external_attr >> 16):
                yield position, name, "link", b""
            elif entry.flag_bits & 1:
                yield position, name, "encrypted", b""
            elif entry.file_size > most["file_bytes"]:
                yield position, name, "too_large", b""
            else:
                reason, content = "", b""
                try:
                    with archive.open(entry) as handle:
                        content = handle.read(most["file_bytes"] + 1)
                except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError):
                    reason = "broken"
                except Exception as error:  # zlib.error, lzma.LZMAError …
                    reason = "broken" if "rror" in type(error).__name__ else "unreadable"
                total += len(content)  # what it says of itself may be a lie
                if len(content) > most["file_bytes"]:
                    reason, content = "too_large", b""
                if total > ceiling:
                    raise Refused(why)
                yield position, name, reason, content


def ignored(entry: zipfile.ZipInfo) -> bool:
    """Folders, and what systems put beside pictures."""
    parts = entry.filename.replace("\\", "/").split("/")
    return entry.is_dir() or parts[0] == "__MACOSX" or parts[-1].lower() in (
        "", ".ds_store", "thumbs.db", "desktop.ini",
    )  # fmt: skip


def answer(data: bytes, most: dict, out) -> None:
    kind = sniff(data)
    if not kind:
        raise Refused("not_a_picture")
    if kind == "zip":
        if most["inside"]:
            raise Refused("nested")
        frame(out, {"head": {"kind": "zip"}})
        for position, name, reason, content in members(data, most):
            name = name.encode("utf-8", "replace").decode("utf-8")[:4096]
            frame(out, {"position": position, "name": name, "reason": reason}, content)
    else:
        parts = picture(data, kind, most)
        frame(out, {"head": next(parts)})
        for row, column, pixels in parts:
            height, width = pixels.shape[:2]
            at = {"row": row, "column": column, "height": height, "width": width}
            frame(out, at, pixels.tobytes())
    frame(out, {"end": True})


def answer_many(request: dict, memory, out) -> None:
    """Several files at once, through shared memory: one answer with one entry for each.

    An entry is `{"refused": code}`, `{"large": true}` for a file that must come alone (an archive,
    or one whose pixels do not fit), or `{"head": …, "pieces": [[row, column, height, width, at]]}`
    with `at` the place of the pixels in the memory.
    """
    import numpy as np

    most, at, end = request["most"], request["pixels_at"], request["pixels_end"]
    chips, entries = most["chips"], []
    for start, size, inside in request["files"]:
        most |= {"inside": inside, "chips": chips}
        try:
            entry = small(bytes(memory[start : start + size]), most, at, end)
            pieces = []
            for height, width, place in entry["places"]:
                target = np.frombuffer(memory, np.uint8, 3 * height * width, place)
                target = target.reshape(height, width, 3)
                row, column, _ = entry["parts"].send(target)
                pieces.append([row, column, height, width, place])
                at = place + target.size
            next(entry["parts"], None)  # closes what it reads from
            chips -= len(pieces)
            entries.append({"head": entry["head"], "pieces": pieces})
        except Large:
            entries.append({"large": True})
        except Exception as error:
            entries.append({"refused": reason(error)})
    frame(out, {"files": entries})


class Large(Exception):
    """The file must come alone."""


def small(data: bytes, most: dict, at: int, end: int) -> dict:
    """A picture's head, its parts, and where in the memory each of them has its place."""
    kind = sniff(data)
    if not kind:
        raise Refused("not_a_picture")
    if kind == "zip":
        raise Large
    parts = picture(data, kind, most)
    head = next(parts)
    if 3 * head["width"] * head["height"] > end - at:
        raise Large  # nothing was decoded yet
    xs, ys = grid(head["width"], head["height"], most["chip"])
    places = []
    for top, bottom in pairwise(ys):
        for left, right in pairwise(xs):
            places.append((bottom - top, right - left, at))
            at += 3 * (bottom - top) * (right - left)
    return {"head": head, "parts": parts, "places": places}


def reason(error: Exception) -> str:
    """The code of `reasons.REASONS` for what went wrong."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, MemoryError):
        return "memory"
    text = str(error).lower()
    broken_off = "truncated" in text or "not enough" in text or "eof" in text
    return "truncated" if broken_off and not isinstance(error, zipfile.BadZipFile) else "broken"


def frame(out, value: dict, payload: bytes = b"") -> None:
    head = json.dumps({**value, "size": len(payload)}).encode()
    out.write(struct.pack(">I", len(head)) + head)
    out.write(payload)
    out.flush()


def limit(megabytes: int) -> None:
    """Memory for the whole process; no files, no children, no core dumps."""
    if resource is None:
        return
    byte = megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (byte, byte))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def limit_time(seconds: float) -> None:
    """Processor time for the next request; the parent watches the clock on the wall as well."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main() -> None:
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    source = sys.stdin.buffer
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # paperlib of this checkout
    limit(int(sys.argv[1]))
    memory = None
    if len(sys.argv) > 2:
        import mmap

        memory = memoryview(mmap.mmap(int(sys.argv[2]), int(sys.argv[3])))
    while len(size := source.read(4)) == 4:
        most = json.loads(source.read(struct.unpack(">I", size)[0]))
        try:
            if "files" in most:
                limit_time(most["most"]["seconds"])
                answer_many(most, memory, answers)
                continue
            data = source.read(most["size"])
            limit_time(most["seconds"])
            answer(data, most, answers)
        except BrokenPipeError:
            return
        except Exception as error:
            frame(answers, {"refused": reason(error)})
        data = None


if __name__ == "__main__":
    main()
