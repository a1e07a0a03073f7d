"""JPEGs that may be kept as they are until a chip's copies are drawn, without their metadata.

The pixels of a chip are ten times as many bytes as its JPEG, and to write them costs more than to
decode them once more. A JPEG is kept only where that is as quick again: it has no more bytes than
its pixels, few segments and few scans. Left out is whatever stands in segments of its own and
behind the end; bytes that somebody hid among those of the picture itself stay, so that no kept JPEG
is ever served.
"""

from __future__ import annotations

import math
import struct

from paperlib.chips.jpeg import end_of_scan

_SCANS, _SEGMENTS = 16, 64  # usual are 1 and 10, or 10 and 40 where they are progressive
#: Segments that the picture needs: quantisation, Huffman tables and restart interval, the frame
#: (baseline, extended or progressive), the scans.
_TABLES, _FRAME, _SCAN, _LAST = {0xDB, 0xC4, 0xDD}, {0xC0, 0xC1, 0xC2}, 0xDA, b"\xff\xd9"
#: Two more say how the colours are stored; of the first, only that it is there.
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
_COLOURS = ((0xE0, b"JFIF\0", 18), (0xEE, b"Adobe", 16))  # marker, first bytes, whole length
#: Exif, colour profiles, comments and the like: left out.
_OTHER = {*range(0xE0, 0xF0), 0xFE}


def bare(data: bytes) -> bytes | None:
    """A plain JPEG's own segments and scans: no metadata, nothing behind its end.

    None for every other JPEG, be it damaged, of another kind, or needlessly large.
    """
    at, kept, frames, scans, pixels, said = 2, [b"\xff\xd8"], 0, 0, 0, set()
    for _ in range(_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if marker in _FRAME and at + 9 <= len(data):
            frames, pixels = frames + 1, math.prod(struct.unpack_from(">HH", data, at + 5))
        if marker in _TABLES or marker in _FRAME or marker == _SCAN:
            kept.append(data[at:end])
        elif marker not in _OTHER:
            return None
        for one, name, size in _COLOURS:
            if marker == one and data.startswith(name, at + 4):
                if end != at + size or marker in said:
                    return None  # it holds more, such as a thumbnail
                kept.append(_JFIF if name.startswith(b"JFIF") else data[at:end])
                said.add(marker)
        at = end
        if marker == _SCAN:
            found, scans = end_of_scan(data, at), scans + 1
            if frames != 1 or scans > _SCANS or found is None:
                return None
            kept.append(data[at : found.start()])
            at = found.start()
            if found.group() == _LAST:
                whole = b"".join([*kept, _LAST])
                return whole if len(whole) <= 3 * pixels else None
    return None
