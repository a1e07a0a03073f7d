"""Chips: labelled square pictures, whichever data set they come from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..labels import LABELS
from .split import SPLITS, bucket, split_many, split_of

__all__ = ["SPLITS", "Chips", "bucket", "split_many", "split_of"]


@dataclass(frozen=True, eq=False)
class Chips:
    """N chips in memory.

    names   `(N,)` str, without folder or suffix, each once
    images  `(N, S, S, 3)` uint8, RGB
    labels  `(N, L)` uint8 of 0 and 1, columns in the order of `tags`
    tags    the L label names (the 17 Planet tags unless the set has its own)
    source  one line for tables and the manifest: which chips, from where, at which size
    skipped chips left out by `--skip-bad`, each with the reason
    """

    names: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    source: str
    tags: tuple[str, ...] = LABELS
    skipped: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.names)
        if self.images.shape[:1] != (n,) or self.images.ndim != 4 or self.images.shape[3] != 3:
            raise ValueError(f"images: expected ({n}, S, S, 3), got {self.images.shape}")
        if self.images.dtype != np.uint8:
            raise ValueError(f"images: expected uint8, got {self.images.dtype}")
        if self.labels.shape != (n, len(self.tags)):
            raise ValueError(f"labels: expected ({n}, {len(self.tags)}), got {self.labels.shape}")
        if len(set(self.names.tolist())) != n:
            raise ValueError("names: a chip is there twice")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return int(self.images.shape[1])

    @cached_property
    def split(self) -> np.ndarray:
        """`(N,)` str: `"train"`, `"validation"` or `"test"`, by the hash of the name."""
        return split_many(self.names)

    @property
    def chip_names(self) -> np.ndarray:
        """`(N,)` str: the chip that each image shows; a set of copies overrides it."""
        return self.names

    def part(self, split: str) -> Chips:
        """The chips of one split, in their own order; may be empty (a folder may hold no test)."""
        if split not in SPLITS:
            raise ValueError(f"split: one of {', '.join(SPLITS)}, not {split!r}")
        return self.take(np.flatnonzero(self.split == split))

    def take(self, index: np.ndarray) -> Chips:
        return replace(
            self, names=self.names[index], images=self.images[index], labels=self.labels[index]
        )

    def with_images(self, images: np.ndarray, note: str) -> Chips:
        """The same chips with other pixels (dehazed, say); `note` is appended to the source."""
        return replace(self, images=images, source=f"{self.source}, {note}")

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over names, labels and pixels: equal for equal chips from any file."""
        digest = hashlib.sha256()
        digest.update("\n".join(self.names.tolist()).encode("utf-8"))
        digest.update(",".join(self.tags).encode("utf-8"))
        digest.update(str(self.images.shape).encode("ascii"))
        digest.update(np.ascontiguousarray(self.labels))
        digest.update(np.ascontiguousarray(self.images))
        return digest.hexdigest()
