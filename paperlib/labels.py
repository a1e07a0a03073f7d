"""The 17 tags of the Planet Amazon chips: order, names, groups, and chips <-> arrays.

The order is that of the paper's table 1; every `(N, 17)` array of this package uses it. The
spelling is the competition's own (`artisinal_mine`, `slash_burn`); the Chinese names are the
paper's (its section 4.1 and table 1), also where it calls mines coal mining (采煤).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

# tag -> (English, Chinese, group, chips of the 40,479 positive for it, a repeated tag counted once)
_TABLE: dict[str, tuple[str, str, str, int]] = {
    "cloudy": ("cloudy", "全云", "weather", 2089),
    "partly_cloudy": ("partly cloudy", "局部有云", "weather", 7261),
    "haze": ("haze", "有雾", "weather", 2697),
    "clear": ("clear", "清晰", "weather", 28431),
    "primary": ("primary forest", "原始森林", "common", 37513),
    "water": ("water", "水", "common", 7411),
    "habitation": ("habitation", "居住", "common", 3660),
    "agriculture": ("agriculture", "农业", "common", 12315),
    "road": ("road", "道路", "common", 8071),
    "cultivation": ("cultivation", "种植", "common", 4477),
    "bare_ground": ("bare ground", "裸地", "common", 862),
    "slash_burn": ("slash and burn", "刀耕火种", "rare", 209),
    "selective_logging": ("selective logging", "选择性砍伐", "rare", 340),
    "blooming": ("blooming", "开花", "rare", 332),
    "conventional_mine": ("conventional mine", "常规采煤", "rare", 100),
    "artisinal_mine": ("artisanal mine", "矿业采煤", "rare", 339),
    "blow_down": ("blow-down", "吹倒", "rare", 98),
}

LABELS: tuple[str, ...] = tuple(_TABLE)
COUNT: int = len(LABELS)
INDEX: dict[str, int] = {tag: i for i, tag in enumerate(LABELS)}
ENGLISH: dict[str, str] = {tag: row[0] for tag, row in _TABLE.items()}
CHINESE: dict[str, str] = {tag: row[1] for tag, row in _TABLE.items()}
GROUP: dict[str, str] = {tag: row[2] for tag, row in _TABLE.items()}
WEATHER: tuple[str, ...] = tuple(tag for tag in LABELS if GROUP[tag] == "weather")
COMMON: tuple[str, ...] = tuple(tag for tag in LABELS if GROUP[tag] == "common")
RARE: tuple[str, ...] = tuple(tag for tag in LABELS if GROUP[tag] == "rare")

#: Chips of the whole labelled set, and how many of them are positive for each tag (a repeat counts
#: once).
PUBLISHED_CHIPS = 40_479
PUBLISHED_COUNTS: dict[str, int] = {tag: row[3] for tag, row in _TABLE.items()}


def encode(tags: Iterable[str]) -> np.ndarray:
    """Tags of one chip -> `(17,)` uint8 of 0 and 1; a tag given twice counts once.

    Raises `KeyError` with the tag for one that is not among the 17.
    """
    row = np.zeros(COUNT, np.uint8)
    for tag in tags:
        row[INDEX[tag]] = 1
    return row


def encode_many(rows: Sequence[Iterable[str]]) -> np.ndarray:
    """Tags of N chips -> `(N, 17)` uint8."""
    return np.stack([encode(row) for row in rows]) if len(rows) else np.zeros((0, COUNT), np.uint8)


def decode(row: np.ndarray) -> list[str]:
    """`(17,)` of 0 and 1 (or booleans) -> tags, in the order of `LABELS`."""
    row = np.asarray(row)
    if row.shape != (COUNT,):
        raise ValueError(f"row: expected shape ({COUNT},), got {row.shape}")
    return [tag for tag, on in zip(LABELS, row, strict=True) if on]
