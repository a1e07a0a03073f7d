"""The model's page: its card as rows, and the honest numbers that lie in `results/`."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l

from paperlib.labels import LABELS

from .. import label_sets
from ..models import ModelVersion

#: Parts of a card that are shown otherwise, or that only a program reads.
ELSEWHERE = ("what", "limits", "network", "scores", "thresholds", "label_thresholds", "tags",
             "recalibration", "sha256", "brought")  # fmt: skip
#: What tells how good the labels are, in this order, with a title; the report holds the others.
SHOWN = {
    "overall_f2": _l("F2 of whole systems"),
    "table1_f2": _l("F2 of each label (table 1)"),
    "differences": _l("Differences between systems"),
    "reliability": _l("Reliability of the probabilities"),
    "recalibration_overall": _l("Recalibration by ridge regression"),
    "dehazing_overall": _l("With and without dehazing"),
    "dehazing_labels": _l("With and without dehazing, label by label"),
    "f2_baselines": _l("What a constant answer reaches"),
}


def card_rows(version: ModelVersion | None) -> list[dict]:
    """`[{key, value}]` of the card for people; the rest of it stands elsewhere."""
    if version is None:
        return []
    rows = ((k, v) for k, v in version.card.items() if k not in ELSEWHERE)
    return [{"key": _words(k), "value": _text(v)} for k, v in rows]


def limits(version: ModelVersion | None) -> list[dict]:
    """What the model cannot do: `[{text, lang}]`; `lang` is "" in the language of the page."""
    found = []
    for text in version.card.get("limits", ()) if version else ():
        told = gettext(text)
        found.append({"text": told, "lang": "en" if told == text else ""})
    return found


def reads(version: ModelVersion) -> str:
    """Which pixels the network sees: "original" or "dehazed"; "" where the card does not say."""
    recipe = version.card.get("recipe")
    dehazes = recipe.get("dehazing") if isinstance(recipe, dict) else None
    if not isinstance(dehazes, bool):
        return ""  # another predictor's card
    return "dehazed" if dehazes else "original"


def _words(name: str) -> str:
    return gettext(name.replace("_", " "))


def scores(version: ModelVersion | None) -> dict | None:
    """`{chips, f2, labels}` as the card holds them; None where it holds none.

    `f2` has `value`, `low` and `high` in 0…1 as text, and the same in percent as `at`; each of
    `labels` has a `title` as well. `rare_f2`, and `rare` of each label, with the thresholds that
    find rare labels, or None.
    """
    held = version.card.get("scores") if version else None
    try:
        each = held["f2_of_each_label"]
        rare = held.get("with_label_thresholds") or {}
        own = {n: _interval(at) for n, at in rare.get("f2_of_each_label", {}).items()}
        labels = [
            {"title": label_sets.title(n), "rare": own.get(n), **_interval(each[n])}
            for n in LABELS
            if n in each
        ]
        f2 = _interval(held["f2_mean_over_chips"])
        rare_f2 = _interval(rare["f2_mean_over_chips"]) if own else None
        return {"chips": int(held["chips"]), "f2": f2, "rare_f2": rare_f2, "labels": labels}
    except (KeyError, TypeError, ValueError):
        return None  # another predictor's card


def brought(version: ModelVersion | None) -> list[dict]:
    """What each part of the recipe changes: `[{part, value, low, high, on}]`, as the card says.

    The numbers are differences of F2 as text, with their sign; `on` says of which networks.
    """
    held = version.card.get("brought") if version else None
    try:
        return [
            {
                "part": _phrase(part),
                **{end: f"{float(one[end]):+.4f}" for end in ("value", "low", "high")},
                "on": _phrase(one["on"]),
            }
            for part, one in (held or {}).items()
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        return []  # another predictor's card


def _interval(given: dict) -> dict:
    numbers = {part: float(given[part]) for part in ("value", "low", "high")}
    at = {part: round(100 * min(max(number, 0), 1), 2) for part, number in numbers.items()}
    return {part: f"{number:.4f}" for part, number in numbers.items()} | {"at": at}


def _text(value) -> str:
    """A value of the card; what the catalogue knows is in the language of the page."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, str):
        return gettext(value) if value else ""
    if isinstance(value, dict):
        said = _("%(what)s: %(value)s")
        return _("; ").join(said % {"what": _words(k), "value": _text(v)} for k, v in value.items())
    if isinstance(value, list):
        return _(", ").join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def thresholds(version: ModelVersion | None) -> list[dict]:
    if version is None or len(version.thresholds) != len(LABELS):
        return []
    own = version.rare_thresholds or [None] * len(LABELS)
    return [
        {
            "name": n,
            "title": label_sets.title(n),
            "percent": round(100 * t, 1),
            "rare": None if r is None else round(100 * r, 1),
        }
        for n, t, r in zip(LABELS, version.thresholds, own, strict=True)
    ]


def tables() -> list[dict]:
    """`[{name, profile, header, rows}]` of the notebooks' tables; of scenes only without others.

    Cells of the header and of the rows are `{text, number}`.
    """
    for profiles in (("planet32", "paper"), ("sample",)):
        places = [(p, n) for p in profiles for n in SHOWN]
        if found := [table for p, n in places if (table := _table(p, n))]:
            return found
    return []


def _table(profile: str, name: str) -> dict | None:
    path: Path = settings.SHOWCASE["RESULTS"] / profile / f"{name}.csv"
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", newline="") as handle:
        lines = list(csv.reader(handle))
    if len(lines) < 2:
        return None
    rows = [[_cell(text) for text in row] for row in lines[1:]]
    header = [{**cell, "text": _head(text)} for text, cell in zip(lines[0], rows[0], strict=True)]
    return {"name": SHOWN[name], "profile": profile, "header": header, "rows": rows}


def _cell(text: str) -> dict:
    """`{text, number}`; at most four decimals: more than the intervals can tell apart."""
    number = bool(re.fullmatch(r"-?\d+(\.\d*)?(e-?\d+)?", text))
    if not number:
        return {
            "text": label_sets.title(text) if text in LABELS else _phrase(text),
            "number": False,
        }
    return {"text": text if text.lstrip("-").isdigit() else f"{float(text):.4f}", "number": True}


def _head(column: str) -> str:
    """A column's name for people; the file itself keeps the one for programs."""
    words = _part(column.replace("_", " "))
    return re.sub(r"\b(f2|ap)\b", lambda found: found[0].upper(), words)


def _phrase(text: str) -> str:
    """What a table says in words, in the language of the page: part by part, numbers apart."""
    return _(", ").join(_part(part) for part in text.split(", "))


def _part(text: str) -> str:
    number = re.search(r"\d+(\.\d+)?", text)
    if not number or gettext(text) != text:
        return gettext(text)
    pattern = text[: number.start()] + "{n}" + text[number.end() :]
    return gettext(pattern).replace("{n}", number[0])
