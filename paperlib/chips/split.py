"""The split: decided by each chip's name alone, so it never moves when chips come or go.

bucket = int(sha256(image_name), 16) mod 100; **test** 0-19, **validation** 20-35, **train** 36-99.
Train to validation is the paper's 8:2; the test chips are never used to choose anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

SPLITS: tuple[str, ...] = ("train", "validation", "test")


@lru_cache(maxsize=1 << 17)  # every check of a split asks again; the archive has 40,479 chips
def bucket(name: str) -> int:
    """0…99 from the chip's name without folder or suffix (`train_123`)."""
    return int(hashlib.sha256(name.encode("utf-8")).hexdigest(), 16) % 100


def split_of(name: str) -> str:
    b = bucket(name)
    return "test" if b < 20 else "validation" if b < 36 else "train"


def first_by_hash(names: Iterable[str], count: int) -> np.ndarray:
    """Places of the first `count` names in the order of their hashes, `(count,)` int, ascending.

    The hash is not the split's, so that the first ones are like the others, and a larger `count`
    holds the smaller one.
    """
    given = list(names)
    if not 0 < count <= len(given):
        raise ValueError(f"count: 1 to {len(given)}, not {count}")
    keys = [hashlib.sha256(f"order {name}".encode()).digest() for name in given]
    return np.sort(np.array(sorted(range(len(given)), key=keys.__getitem__)[:count]))


def split_many(names: Iterable[str]) -> np.ndarray:
    """`(N,)` array of `"train"`, `"validation"` or `"test"`."""
    return np.array([split_of(name) for name in names], dtype="U10")
