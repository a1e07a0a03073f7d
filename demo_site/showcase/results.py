"""The model's page: its card as rows, and the honest numbers that lie in `results/`."""

from __future__ import annotations

import csv
from pathlib import Path

from django.conf import settings

from paperlib.labels import LABELS

from . import tags
from .models import ModelVersion

ROWS = 40  # of one table
#: Tables about how good the labels are; the others belong into the report.
_SHOWN = ("table1", "f2_", "headline", "published", "claims", "overall", "protocol", "selection")
_ELSEWHERE = ("scores", "thresholds", "recalibration", "sha256", "tags", "network")
#: Parts of a card that are shown otherwise, or that only a program reads.
ELSEWHERE = {"what", "limits", "network", "scores", "thresholds", "tags", "recalibration", "sha256"}
#: What tells how good the labels are; the report holds the other tables.
SHOWN = ("overall_f2", "table1_f2", "differences", "reliability", "recalibration_overall")
SHOWN += ("dehazing_overall", "dehazing_labels", "f2_baselines")


def card_rows(version: ModelVersion | None) -> list[dict]:
    """`[{key, value}]` of the card for people; the rest of it stands elsewhere."""
    if version is None:
        return []
    rows = [{"key": k.replace("_", " "), "value": _text(v)} for k, v in version.card.items()]
    return [row for row, key in zip(rows, version.card, strict=True) if key not in _ELSEWHERE]


def scores(version: ModelVersion | None) -> dict | None:
    """The card's own scores as a table `{name, profile, header, rows}`: one row per label."""
    found = (version.card if version else {}).get("scores")
    labels = found.get("f2_of_each_label") if isinstance(found, dict) else None
    if not isinstance(labels, dict):
        return None
    rows = [[name, *_interval(labels[name])] for name in LABELS if name in labels]
    overall = found.get("f2_mean_over_chips")
    if overall:
        rows.insert(0, ["mean over chips", *_interval(overall)])
    return {
        "name": f"F2 on {found.get('chips', '?')} validation chips",
        "profile": version.name,
        "header": ["label", "f2", "low", "high"],
        "rows": rows,
    }


def _interval(value) -> list[str]:
    if not isinstance(value, dict):
        return [f"{value:.4f}", "", ""]
    return [f"{value[k]:.4f}" if k in value else "" for k in ("value", "low", "high")]


def _text(value) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{k.replace('_', ' ')}: {_text(v)}" for k, v in value.items())
    if isinstance(value, list):
        return (
            " ".join(map(_text, value))
            if value and len(str(value[0])) > 40
            else ", ".join(map(_text, value))
        )
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def thresholds(version: ModelVersion | None) -> list[dict]:
    if version is None or len(version.thresholds) != len(LABELS):
        return []
    return [
        {"name": n, "title": tags.title(n), "percent": round(100 * t, 1)}
        for n, t in zip(LABELS, version.thresholds, strict=True)
    ]


def tables(version: ModelVersion | None) -> list[dict]:
    """`[{name, profile, header, rows}]`: the card's scores, then the notebooks' tables about F2."""
    folder: Path = settings.SHOWCASE["RESULTS"]
    own = scores(version)
    found = [own] if own else []
    for profile in ("planet32", "paper", "sample"):
        for path in sorted((folder / profile).glob("*.csv")):
            if not path.stem.startswith(_SHOWN):
                continue
            with open(path, encoding="utf-8", newline="") as handle:
                lines = [row for _, row in zip(range(ROWS + 1), csv.reader(handle), strict=False)]
            if len(lines) > 1:
                name = path.stem.replace("_", " ")
                found.append(
                    {"name": name, "profile": profile, "header": lines[0], "rows": lines[1:]}
                )
    return found
