"""The model's page: its card as rows, and the honest numbers that lie in `results/`."""

from __future__ import annotations

import csv
from pathlib import Path

from django.conf import settings

from paperlib.labels import LABELS

from . import tags
from .models import ModelVersion

ROWS = 40  # of one table


def card_rows(version: ModelVersion | None) -> list[dict]:
    """`[{key, value}]` of the card; lists and tables inside it become text."""
    if version is None:
        return []
    return [{"key": k.replace("_", " "), "value": _text(v)} for k, v in version.card.items()]


def _text(value) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{k.replace('_', ' ')}: {_text(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def thresholds(version: ModelVersion | None) -> list[dict]:
    if version is None or len(version.thresholds) != len(LABELS):
        return []
    return [
        {"name": n, "title": tags.title(n), "percent": round(100 * t, 1)}
        for n, t in zip(LABELS, version.thresholds, strict=True)
    ]


def tables() -> list[dict]:
    """`[{name, profile, header, rows}]` of the tables the notebooks wrote, real chips first."""
    folder: Path = settings.SHOWCASE["RESULTS"]
    found = []
    for profile in ("planet32", "paper", "sample"):
        for path in sorted((folder / profile).glob("*.csv")):
            with open(path, encoding="utf-8", newline="") as handle:
                lines = [row for _, row in zip(range(ROWS + 1), csv.reader(handle), strict=False)]
            if len(lines) > 1:
                name = path.stem.replace("_", " ")
                found.append(
                    {"name": name, "profile": profile, "header": lines[0], "rows": lines[1:]}
                )
    return found
