"""Kept JPEGs (`decoder.plain_jpeg`) decoded again, for any thread of any process.

By a child of this process's own, started at the first call. Web processes ask for thumbnails of
chips whose copies are not made yet, workers for whatever they make from a pack.
"""

from __future__ import annotations

import functools
import threading

import cv2
import numpy as np

from .decoder import plain_jpeg
from .reading import Head, Piece, Reader, Refused

_reader, _alone = Reader(shared=False), threading.Lock()


class Away(OSError):
    """The decoder decodes nothing at all: no fault of the picture, and it passes."""


def decode(data: bytes) -> np.ndarray:
    """RGB `(H, W, 3)` uint8.

    Raises `Refused` for anything but a kept JPEG, `Away` where no picture is decoded.
    """
    if plain_jpeg.bare(data) != data:  # whoever kept it might have been taken over
        raise Refused("broken")
    with _alone:
        try:
            return _once(data)
        except Refused:
            try:
                _once(_known())
            except Refused as error:
                raise Away("the decoder does not work") from error
            return _once(data)


def close() -> None:
    """End the child."""
    with _alone:
        _reader.close()


def _once(data: bytes) -> np.ndarray:
    try:
        head, piece = _reader.read(data, chips=1, whole=True)
        if not (isinstance(head, Head) and isinstance(piece, Piece)):
            raise ValueError("no picture")
        if piece.size != (head.height, head.width):
            raise ValueError("not all of the picture")
    except (ValueError, TypeError, AttributeError) as error:  # nothing that our child would say
        _reader.close()
        raise Refused("crashed") from error
    return piece.pixels


@functools.cache
def _known() -> bytes:
    """A picture that every decoder decodes."""
    return cv2.imencode(".jpg", np.full((32, 32, 3), 128, np.uint8))[1].tobytes()
