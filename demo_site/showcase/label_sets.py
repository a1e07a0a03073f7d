"""Label sets as bitmasks: bit i is `paperlib.labels.LABELS[i]`.

A chip's labels are one integer in the covering index of the gallery, so "any of" is
`labels & mask != 0` and "all of" is `labels & mask = mask`, decided without reading the row. A join
table would need one lookup per label and chip, and an "all of" over k labels a k-fold join; at 17
labels the integer wins until millions of chips.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import get_language

from paperlib.labels import CHINESE, ENGLISH, GROUP, INDEX, LABELS


def mask(names: Iterable[str]) -> int:
    """Labels -> integer; `KeyError` for a name that is not among the 17."""
    result = 0
    for name in names:
        result |= 1 << INDEX[name]
    return result


def names(value: int) -> list[str]:
    """Integer -> labels, in the order of `LABELS`."""
    return [name for i, name in enumerate(LABELS) if value >> i & 1]


def title(name: str) -> str:
    """The label's name in the language of the page."""
    chinese = (get_language() or "en").startswith("zh")
    return CHINESE[name] if chinese else ENGLISH[name]


def find(text: str) -> str | None:
    """The label that `text` names in any of its spellings, or None."""
    wanted = text.strip().lower().replace("-", " ").replace("_", " ")
    for name in LABELS:
        spellings = (name.replace("_", " "), ENGLISH[name].replace("-", " "), CHINESE[name])
        if wanted in spellings:
            return name
    return None


def describe(value: int) -> list[dict]:
    """`[{name, title, group}]` of a mask, for templates."""
    return [{"name": n, "title": title(n), "group": GROUP[n]} for n in names(value)]
