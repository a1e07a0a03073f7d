"""The eight symmetries of the square, on arrays: what a prediction is averaged over."""

from __future__ import annotations

import numpy as np

VIEWS = 8


def symmetries(images: np.ndarray, views: int = VIEWS) -> np.ndarray:
    """Every image under the first V symmetries of the square.

    Parameters
    ----------
    images : ndarray of shape (N, S, S, C)
    views : int
        V, 1 to 8. View 0 is the image itself; view v is turned by v mod 4 quarters, from view 4 on
        after a mirror.

    Returns
    -------
    ndarray of shape (V, N, S, S, C)

    Raises
    ------
    ValueError
        For images that are not square, or V out of range.
    """
    if images.ndim != 4 or images.shape[1] != images.shape[2]:
        raise ValueError(f"images: expected square (N, S, S, C), got {images.shape}")
    if not 1 <= views <= VIEWS:
        raise ValueError(f"views: 1 to {VIEWS}, not {views}")
    both = images, images[:, :, ::-1]
    return np.stack([np.rot90(both[v // 4], v % 4, axes=(1, 2)) for v in range(views)])
