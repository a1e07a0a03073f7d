"""The process that decodes: no Django, no secrets, under limits, and closed in (`sandbox`).

It reads requests from standard input and answers on standard output, in frames: the length of a
JSON text and of a payload, then these. A request is how much is allowed, and some files; the answer
to each is one or more frames with a list of records:

    {"head": {"kind", "width", "height", "rows", "columns"}}
    {"chip": [row, column, height, width], "sha256": …, "shape": […], "bytes": …}
    {"member": [position, name, reason], "bytes": …}
    {"end": true}  or  {"refused": code}

`bytes` is the record's part of the payload: a chip's pixels, brought to the predictor's side where
the request says which, or the content of an archive's member.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import sys
import zipfile

from . import sandbox
from .archives import members
from .images import Refused, geotiff, picture, sniff

try:
    import resource
except ImportError:  # Windows: the parent's clock is then the only limit
    resource = None

_RECORDS, _BYTES = 64, 2**21  # of one frame, so that the parent has work early
HEAD = struct.Struct(">IQ")  # lengths of a frame's JSON and of its payload


def send(out, value, parts=()) -> None:
    """One frame."""
    text = json.dumps(value).encode()
    out.write(HEAD.pack(len(text), sum(map(len, parts))) + text)
    for part in parts:
        out.write(part)
    out.flush()


def answer(request: dict, data: bytes, out) -> None:
    """One file; what it takes of what is allowed is not allowed to those behind it."""
    limit_time(request["seconds"])
    records, parts, size = [], [], 0
    end: dict = {"end": True}
    try:
        for record, part in found(data, request):
            records.append(record | {"bytes": len(part)})
            parts.append(part)
            size += len(part)
            if size >= _BYTES or len(records) >= _RECORDS:
                send(out, records, parts)
                records, parts, size = [], [], 0
    except BrokenPipeError:
        raise
    except Exception as error:
        end = {"refused": reason(error)}
    send(out, [*records, end], parts)


def found(data: bytes, most: dict):
    """What is in a file: yield `(record, bytes)`."""
    kind = sniff(data)
    if not kind:
        raise Refused("not_a_picture")
    if kind == "zip":
        if most["inside"]:
            raise Refused("nested")
        yield {"head": {"kind": "zip"}}, b""
        count = size = 0
        for position, name, why, content in members(data, most):
            name = name.encode("utf-8", "replace").decode("utf-8")[:4096]
            yield {"member": [position, name, why]}, content
            count, size = count + 1, size + len(content)
        most["members"], most["unpacked"] = most["members"] - count, most["unpacked"] - size
        return
    parts = picture(data, kind, most)
    head = next(parts)
    most["chips"] -= head["rows"] * head["columns"]
    yield {"head": head}, b""
    try:
        for row, column, pixels in parts:
            small = chip(pixels, most["side"])
            at = [row, column, *pixels.shape[:2]]
            yield (
                {"chip": at, "sha256": fingerprint(pixels), "shape": small.shape},
                small.tobytes(),
            )
    except Exception:  # of a file that is refused no chip stays
        most["chips"] += head["rows"] * head["columns"]
        raise


def chip(pixels, side: int | None):
    """A chip as the predictor wants it."""
    if not side:
        return pixels
    from paperlib.chips.jpeg import fit

    return fit(pixels, side)


def fingerprint(pixels) -> str:
    """What makes a chip the same as another: shape and RGB pixels, in whatever file they came."""
    import numpy as np

    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def reason(error: Exception) -> str:
    """The code of `failure_reasons.REASONS` for what went wrong."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, MemoryError):
        return "memory"
    text = str(error).lower()
    broken_off = "truncated" in text or "not enough" in text or "eof" in text
    return "truncated" if broken_off and not isinstance(error, zipfile.BadZipFile) else "broken"


def limit(megabytes: int) -> None:
    """Memory for the whole process; no files of its own, no children, no core dumps."""
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
    """Processor time for the next file; the parent watches the clock on the wall as well."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def preload() -> None:
    """Whatever is read from disk at the first file of a kind is read here."""
    import codecs
    import io

    import cv2
    import numpy as np
    from PIL import Image, ImageOps, MpoImagePlugin, TiffImagePlugin  # noqa: F401

    cv2.setNumThreads(1)
    for name in ("cp437", "ascii", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"):
        codecs.lookup(name)
    tile, most = np.zeros((16, 16, 3), np.uint8), {"least_side": 1, "pixels": 2**20}
    most |= {"chip": 16, "chips": 1}
    for kind in ("JPEG", "PNG"):
        buffer = io.BytesIO()
        Image.fromarray(tile).save(buffer, kind)
        list(picture(buffer.getvalue(), kind.lower(), most))
    list(picture(geotiff(tile), "tiff", most))
    chip(tile, 8)


def enter(megabytes: int) -> list[str]:
    """Read all that will be needed, then give up everything else; what the kernel lacks for that.

    Before any library is loaded, since those start threads.
    """
    missing = sandbox.leave()
    preload()
    limit(megabytes)
    return missing + sandbox.close()


def main() -> None:
    """Answer until the parent closes its end; argument: memory in MiB."""
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    source = sys.stdin.buffer
    send(answers, {"missing": enter(int(sys.argv[1]))})
    while len(head := source.read(HEAD.size)) == HEAD.size:
        length, _ = HEAD.unpack(head)
        request = json.loads(source.read(length))
        files = [source.read(size) for size in request["sizes"]]
        try:
            for data, packed in zip(files, request["packed"], strict=True):
                request["inside"] = packed
                answer(request, data, answers)
        except BrokenPipeError:
            return
