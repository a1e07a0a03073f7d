"""The second column: the paper's claims on other chips, dehazed at full size, with haze added.

Which claims, and which rows judge them, stands in `elsewhere.toml`; the rules are the claims' own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from .. import published
from . import claims
from .claims import Finding, Results
from .verdict_rules import CANNOT


@lru_cache(maxsize=1)
def facts() -> dict[str, Any]:
    """`elsewhere.toml`: `output`, `title`, `departs` and `claims`."""
    text = resources.files(__package__).joinpath("elsewhere.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def evaluate(root: Path, name: str) -> dict[str, Finding]:
    """Id of a claim -> its verdict there, from the result files of profile `name`.

    Every profile draws the same rows from the same shipped predictions. A missing or stale file is
    a finding with verdict `ERROR` and the cure as reason, as in `claims.evaluate`.
    """
    results = Results.of(root, name)
    return {
        claim["id"]: judge(claim, results)
        for claim in published.claims()
        if claim["id"] in facts()["claims"]
    }


def judge(claim: Mapping[str, Any], results: Results) -> Finding:
    """One claim's verdict by its own rules, on the rows that `elsewhere.toml` names."""
    here = facts()["claims"][claim["id"]]
    if "cannot" in here:
        return Finding(claim, results.profile.name, CANNOT, here["cannot"])
    rules = [
        rule
        | {"output": facts()["output"], "where": {"claim": claim["id"]}, "each": {"item": rows}}
        | {
            "column": "value",
            "low": "low",
            "high": "high",
            "absent": "no network for it is trained there",
        }
        for rule, rows in zip(claim["rule"], here["items"], strict=True)
    ]
    there = {key: value for key, value in claim.items() if key != "needs"}  # of any chips
    there["reading_there"] = here.get("reading", "")
    return claims.judge({**there, "rule": rules}, results)
