"""`published.toml`: every number and claim of the paper, each with its place."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from .labels import LABELS


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    """`published.toml`: every number and claim of the paper, each with its place."""
    text = resources.files("paperlib").joinpath("published.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def published_f2() -> np.ndarray:
    """Table 1's column, `(17,)` in the order of `LABELS`."""
    column = published()["table1"]["f2"]
    return np.array([column[tag] for tag in LABELS])
