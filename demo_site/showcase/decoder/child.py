"""The child process that decodes strangers' bytes: no Django, no secrets, under resource limits.

It reads requests from standard input and answers on standard output, both as frames: four bytes of
length, that many bytes of JSON, then `size` bytes of payload. A picture comes back as RGB pixels
cut into chips; an archive as its members. It opens no file and writes none.

Where the system has shared memory, many small files are one request: their bytes lie in a piece of
memory that the parent made, and the pixels are put into it.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
import zipfile
from itertools import pairwise

from . import plain_jpeg, sandbox
from .archives import members
from .pictures import Refused, grid, orientation, picture, sniff

try:
    import resource
except ImportError:  # Windows: the parent's clock is then the only limit
    resource = None


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
    with `at` the place of the pixels in the memory. A plain JPEG that is a single chip has `"jpeg":
    [at, size]`, too, the place of its bare picture; its pixels are fitted to the request's `side`
    where there is one.
    """
    most, at, end = request["most"], request["pixels_at"], request["pixels_end"]
    chips, entries = most["chips"], []
    for start, size, inside in request["files"]:
        most |= {"inside": inside, "chips": chips}
        try:
            data = bytes(memory[start : start + size])
            entry, at = small(data, most, request.get("side"), memory, at, end)
            chips -= len(entry["pieces"])
            entries.append(entry)
        except Large:
            entries.append({"large": True})
        except Exception as error:
            entries.append({"refused": reason(error)})
    frame(out, {"files": entries})


class Large(Exception):
    """The file must come alone."""


def small(data: bytes, most: dict, side: int | None, memory, at: int, end: int) -> tuple[dict, int]:
    """A picture's entry, and where the memory is free behind what was put there."""
    kind = sniff(data)
    if not kind:
        raise Refused("not_a_picture")
    if kind == "zip":
        raise Large
    # One that must be turned is not kept: without its metadata it would stay as it lies.
    bare = plain_jpeg.bare(data) if kind == "jpeg" and orientation(data) == 1 else None
    parts = picture(data if bare is None else bare, kind, most)
    entry = {"head": next(parts), "pieces": []}
    height, width = entry["head"]["height"], entry["head"]["width"]
    one = entry["head"]["rows"] * entry["head"]["columns"] == 1
    if bare is None or not one:
        bare, side = b"", None
    if len(bare) + 3 * (side * side if side else height * width) > end - at:
        raise Large  # nothing was decoded yet
    if bare:
        memory[at : at + len(bare)] = bare
        entry["jpeg"] = [at, len(bare)]
        at += len(bare)
    xs, ys = grid(width, height, most["chip"])
    for top, bottom in pairwise(ys):
        for left, right in pairwise(xs):
            size = bottom - top, right - left
            target = pixels_at(memory, at, (side, side) if side else size)
            if side:
                from paperlib.chips.jpeg import fit

                row, column, pixels = next(parts)
                target[:] = fit(pixels, side)
            else:
                row, column, _ = parts.send(target)
            entry["pieces"].append([row, column, *size, at])
            at += target.size
    next(parts, None)  # closes what it reads from
    return entry, at


def pixels_at(memory, at: int, size: tuple[int, int]):
    """`(height, width, 3)` of the memory as an array."""
    import numpy as np

    return np.frombuffer(memory, np.uint8, 3 * size[0] * size[1], at).reshape(*size, 3)


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
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def limit_time(seconds: float) -> None:
    """Processor time for the next request; the parent watches the clock on the wall as well."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def enter(megabytes: int) -> list[str]:
    """Read all that will be needed, then give up everything else; what the kernel lacks for that.

    Before any library is loaded, since those start threads.
    """
    missing = sandbox.leave()
    preload()
    limit(megabytes)
    return missing + sandbox.close()


def preload() -> None:
    """Whatever is read from disk at the first file of a kind is read here."""
    import codecs
    import io

    import cv2
    import numpy as np
    from PIL import Image, ImageOps, MpoImagePlugin, TiffImagePlugin  # noqa: F401

    from .pictures import geotiff

    cv2.setNumThreads(1)
    for name in ("cp437", "ascii", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"):
        codecs.lookup(name)
    tile = np.zeros((16, 16, 3), np.uint8)
    for kind in ("JPEG", "PNG"):
        buffer = io.BytesIO()
        Image.fromarray(tile).save(buffer, kind)
        most = {"least_side": 1, "pixels": 2**20, "chip": 16, "chips": 1}
        list(picture(buffer.getvalue(), kind.lower(), most))
    list(picture(geotiff(tile), "tiff", most))


def main() -> None:
    """Answer until the parent closes its end; arguments: memory in MiB, then what it shares."""
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    source = sys.stdin.buffer
    memory = None
    if len(sys.argv) > 2:
        import mmap

        memory = memoryview(mmap.mmap(int(sys.argv[2]), int(sys.argv[3])))
    enter(int(sys.argv[1]))
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
