"""`published.toml`: every number and claim of the two sources, quoted, each with its place."""

from __future__ import annotations

import json
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from .labels import LABELS


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    """`published.toml`: numbers, claims, errata, figures, each with its place and quotation."""
    text = resources.files("paperlib").joinpath("published.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def published_f2() -> np.ndarray:
    """Table 1's column, `(17,)` in the order of `LABELS`."""
    column = published()["table1"]["f2"]
    return np.array([column[tag] for tag in LABELS])


def claims() -> list[dict[str, Any]]:
    """Every claim with its rules and the words of its test.

    One for each row of table 1 is made from `[table1.claim]`, and one for each of the article's
    design rules from `[design.claim]`.
    """
    facts = published()
    rows = [dict(claim) for claim in facts["claim"]]
    for rule in facts["design"]["rules"]:
        given = {"kind": "sign", "row": rule["name"]} | rule
        row = _filled(facts["design"]["claim"], given)
        row["test"] = rule.get("test", row["test"])
        row["rule"][0]["margin"] = rule.get("margin", row["rule"][0]["margin"])
        rows.append(row)
    for tag, printed in facts["table1"]["f2"].items():
        row = _filled(facts["table1"]["claim"], {"label": tag, "published": f"{printed:.5f}"})
        rows.append({**row, "published": printed})
    for row in rows:
        row["test"] = _test(row)
    return rows


def _filled(template: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The template with each `{name}` replaced by its value."""
    text = json.dumps(template, ensure_ascii=False)
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", json.dumps(str(value), ensure_ascii=False)[1:-1])
    return json.loads(text)


def _test(claim: dict[str, Any]) -> str:
    """How the verdict comes about: the claim's own words, or those for its kind of rule."""
    facts, rule = published(), claim["rule"][0]
    words = claim.get("test") or facts["tests"]["sign" if rule["kind"] == "sign" else "exact"]
    allowed = facts["margins"].get(rule.get("margin", ""), 0)
    for name in ("full", "rule"):
        words = words.replace(f"{{{name}}}", facts["tests"][name])
    return words.replace("{margin}", f"{allowed:g}")
