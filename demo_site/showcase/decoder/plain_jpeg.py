"""JPEGs that may be kept as they are until a chip's copies are drawn, without what is no picture.

The pixels of a chip are ten times as many bytes as its JPEG, and to write them costs more than to
decode them once more. A JPEG is kept only where that is as quick again: the time to decode it grows
with its scans, of which a progressive one may hold a thousand, so that these are counted.
"""

from __future__ import annotations

import re
import struct

_SCANS = 16  # usual are 1, and 10 where they are progressive
#: Segments that the picture needs: quantisation, Huffman tables and restart interval, the frame
#: (baseline, extended or progressive), the scans.
_TABLES, _FRAME, _SCAN, _LAST = {0xDB, 0xC4, 0xDD}, {0xC0, 0xC1, 0xC2}, 0xDA, b"\xff\xd9"
#: Two more say how the colours are stored: marker, first bytes, whole length.
_COLOURS = ((0xE0, b"JFIF\0", 18), (0xEE, b"Adobe", 16))
#: Exif, colour profiles, comments and the like: left out.
_OTHER = {*range(0xE0, 0xF0), 0xFE}
#: In the scan only stuffed bytes and restarts follow 0xFF; what ends it is the first that is not.
_END = re.compile(b"\xff[^\x00\xd0-\xd7]").search


def bare(data: bytes) -> bytes | None:
    """A plain JPEG's picture and nothing else: no metadata, nothing behind its end.

    None for every other JPEG, be it damaged or of another kind.
    """
    at, kept, frames, scans = 2, [b"\xff\xd8"], 0, 0
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        frames += marker in _FRAME
        if marker in _TABLES or marker in _FRAME or marker == _SCAN:
            kept.append(data[at:end])
        elif marker not in _OTHER:
            return None
        for one, name, size in _COLOURS:
            if marker == one and data.startswith(name, at + 4):
                if end != at + size:
                    return None  # it holds more, such as a thumbnail
                kept.append(data[at:end])
        at = end
        if marker == _SCAN:
            found, scans = _END(data, at), scans + 1
            if frames != 1 or scans > _SCANS or found is None:
                return None
            kept.append(data[at : found.start()])
            at = found.start()
            if found.group() == _LAST:
                return b"".join([*kept, _LAST])
    return None
