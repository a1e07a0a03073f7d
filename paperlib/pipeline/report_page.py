"""What the report shows, prepared as plain values for its template."""

from __future__ import annotations

import ast
import base64
import io
import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup

from .. import __version__, published
from ..profiles import PROFILES
from ..utils import files
from . import claims, elsewhere, manifest, notebooks, pages, verdict_rules, verify
from .claims import Finding
from .html_page import mathml
from .readme_studies import machine, rows_of
from .screen import duration
from .verdict_rules import Measure

#: verdict -> (symbol, class in the style sheet); the words stand beside the symbol.
LOOKS = {
    verdict_rules.REPRODUCED: ("✓", "good"),
    verdict_rules.CONTRADICTED: ("✗", "bad"),
    verdict_rules.INCONCLUSIVE: ("≈", "unclear"),
    verdict_rules.CANNOT: ("○", "open"),
    verdict_rules.ERROR: ("!", "error"),
}
WIDEST = 1500  # pixels of an inlined picture


def context(
    root: Path, found: Mapping[str, Sequence[Finding]], stale: Sequence[str] = ()
) -> dict[str, Any]:
    """Everything that `report.html.j2` reads.

    found  profile -> `claims.evaluate` of it, in the order of the page's columns
    stale  lines of `account.hold`: what was not made by the code, data and notebooks of now
    """
    facts, names = published.published(), list(found)
    manifests = {name: manifest.read(root / "results" / name) for name in names}
    return {
        "version": __version__,
        "subject": facts["paper"]["subject"],
        "profiles": [PROFILES[name] for name in names],
        "tallies": {name: claims.counts(found[name]) for name in names},
        "looks": LOOKS,
        "stale": stale,
        "groups": groups(root, found),
        "elsewhere": elsewhere.facts(),
        "lens": {name: lens(root, name) for name in names},
        "lens_pictures": {name: inline(root, name, "figS09_lens") for name in names},
        "figures": figures(root, names),
        "others": facts["other"],
        "ours": {name: rows(root / "results" / name / "others.csv")[-2:] for name in names},
        "errata": errata(root, names),
        "runs": {name: runs(manifests[name]) for name in names},
        "agreements": verify.agreements(root, names),
        "agreement_looks": verify.LOOKS,
        "versions": manifests[names[0]].get("versions", {}),
        "checklists": checklists(root, names),
        "style": pages.text("report.css"),
        "script": pages.text("report.js"),
    }


# ---- claims --------------------------------------------------------------------------------------


def groups(root: Path, found: Mapping[str, Sequence[Finding]]) -> list[dict[str, Any]]:
    """The claims under their headings, each with a cell for every profile, and one more where
    other chips judge it, too (`elsewhere`)."""
    cards = [card(root, together) for together in zip(*found.values(), strict=True)]
    # each profile draws the same rows from the same shipped predictions; planet32's are shipped
    there = elsewhere.evaluate(root, "planet32" if "planet32" in found else next(iter(found)))
    for each in cards:
        each["elsewhere"] = cell(root, there[each["id"]]) if each["id"] in there else None
    order = list(dict.fromkeys(c["group"] for c in cards))
    cards.sort(key=lambda c: order.index(c["group"]))
    return [
        {"name": name, "cards": mine, "elsewhere": any(each["elsewhere"] for each in mine)}
        for name, members in groupby(cards, key=lambda c: c["group"])
        for mine in [list(members)]
    ]


def card(root: Path, together: Sequence[Finding]) -> dict[str, Any]:
    """One claim, a row of the page, from its findings on every profile."""
    claim = together[0].claim
    printed = claim.get("published")
    return {
        "id": claim["id"],
        "group": claim["group"],
        "text": claim["text"],
        "quote": claim["quote"],
        "english": claim["english"],
        "reading": claim.get("reading", ""),
        "place": claim["place"],
        "source": "teaching article" if claim.get("source") == "article" else "paper",
        "printed": "" if printed is None else plain(printed),
        "quantity": claim["quantity"],
        "test": claim["test"],
        "code": place_in_code(root, claim["code"]),
        "cells": [cell(root, finding) for finding in together],
    }


def cell(root: Path, finding: Finding) -> dict[str, Any]:
    """What one profile says to a claim: verdict, numbers, and where they come from."""
    symbol, look = LOOKS[finding.verdict]
    here = f"results/{finding.profile}/notebooks/{finding.notebook}.html"
    executed = (root / here).is_file() and bool(finding.notebook)
    anchor = f"#cell-id={finding.cell}" if finding.cell else ""
    source = f"../notebooks/{finding.notebook}.ipynb"
    signed = claims.signed(finding.claim)
    return {
        "profile": finding.profile,
        "verdict": finding.verdict,
        "symbol": symbol,
        "look": look,
        "reason": finding.reason,
        "reading": finding.claim.get("reading_there", ""),
        "values": [
            _value(measure, "" if measure.name == finding.claim["id"] else measure.name, signed)
            for measure in finding.measures
        ],
        "notebook": finding.notebook,
        "cell": finding.cell,
        "executed": executed,
        "link": here.removeprefix("results/") + anchor if executed else source,
        "output": finding.output,
        "output_link": finding.output.removeprefix("results/"),
        "command": finding.command if finding.notebook else "",
    }


def _value(measure: Measure, name: str, signed: bool) -> dict[str, str]:
    sign = "+" if signed else ""
    text = f"{measure.value:{sign}.4f}" if signed else plain(measure.value) + measure.after
    ends = ""
    if measure.low is not None and measure.high is not None and not math.isnan(measure.low):
        digits = 4 if signed or abs(measure.value) < 10 else 2
        ends = f"{measure.low:{sign}.{digits}f} to {measure.high:{sign}.{digits}f}"
        text = f"{measure.value:{sign}.{digits}f}"
    return {"name": name, "value": text.replace("-", "−"), "ends": ends.replace("-", "−")}


def plain(value: float) -> str:
    """A number as people write it: `40,479`, `0.92832`, `2.78`."""
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:.5g}"


@cache
def _lines(path: Path) -> dict[str, int]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name: node.lineno for node in ast.walk(tree) if isinstance(node, kinds)}


def place_in_code(root: Path, code: str) -> dict[str, Any]:
    """`"evaluation.tables:table1"` -> the file, the line where the function begins, a link."""
    module, _, name = code.partition(":")
    file = f"{module.replace('.', '/')}.py"
    line = _lines(Path(__file__).parents[1] / file)[name]
    return {"name": name, "path": f"paperlib/{file}", "line": line,
            "link": f"../paperlib/{file}#L{line}"}  # fmt: skip


# ---- the other parts -----------------------------------------------------------------------------


def rows(path: Path) -> list[dict[str, str]]:
    """A result file's rows; none where it is not there."""
    return rows_of(path) if path.is_file() else []


def lens(root: Path, profile: str) -> list[dict[str, str]]:
    """Notebook 09's distances, rounded; empty cells where nothing could be computed."""
    found = rows(root / "results" / profile / "table1_distances.csv")
    return [
        {key: f"{float(value):.4f}" if key != "candidate" and value else value
         for key, value in row.items()}
        for row in found
    ]  # fmt: skip


def figures(root: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The paper's figures, what each shows there, and ours of every profile."""
    makers = {
        Path(figure).stem: notebook
        for notebook in notebooks.read_all(root / "notebooks")
        for figure in (*notebook.figures, *notebook.if_possible)
    }
    listed = []
    for figure in published.published()["figure"]:
        # The page of the site is pictured once, for all profiles.
        once = figure["name"] == "fig09_showcase"
        where = ["sample"] if once else names
        pictures = {name: inline(root, name, figure["name"]) for name in where}
        maker = makers.get(figure["name"])
        listed.append(
            {
                **figure,
                "pictures": {name: data for name, data in pictures.items() if data},
                "notebook": maker.name if maker else "",
                "title": maker.title if maker else "",
                "why_not": why_no_new_picture(root) if once else "",
            }
        )
    return listed


def why_no_new_picture(root: Path) -> str:
    """Why the last run of the profile `sample` did not picture the site; "" where it did."""
    path = root / "results/sample/showcase.json"
    return files.read_json(path)["figure 9"]["why not"] if path.is_file() else ""


def inline(root: Path, profile: str, name: str) -> str:
    """A figure as a `data:` address, shrunk to what a page shows; `""` where it is not there."""
    from PIL import Image

    path = root / "figures" / profile / f"{name}.png"
    if not path.is_file():
        return ""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((WIDEST, 4 * WIDEST), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=88, method=4)
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode("ascii")


def errata(root: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Every erratum with the values that the code found, from the first profile that has them."""
    tables = (rows(root / "results" / name / "errata.csv") for name in names)
    checks = next((table for table in tables if table), [])
    return [
        {
            **erratum,
            "formula": Markup(mathml(tex, block=True)) if (tex := erratum.get("formula")) else "",
            "open": erratum.get("kind") == "open",
            "checks": [
                {"what": row["what"], "value": tidy(float(row["value"]))}
                for row in checks
                if row["erratum"] == erratum["id"]
            ],
        }
        for erratum in published.published()["erratum"]
    ]


def tidy(value: float) -> str:
    """A checked value in few digits; what is tiny as a power of ten."""
    if value and abs(value) < 1e-4:
        return f"{value:.0e}".replace("-", "−")
    return plain(float(f"{value:.4g}")) if abs(value) < 1e4 else plain(value)


def runs(found: Mapping[str, Any]) -> dict[str, Any]:
    """Of a manifest: when, where and how long each notebook ran, the chips, and the seed."""
    entries = found["run"]["notebooks"]
    table = [
        {
            "notebook": name,
            "status": found["notebooks"].get(name, {}).get("status", run["status"]),
            "took": duration(run["seconds"]) if "seconds" in run else "",
            "memory": f"{run['peak_mb'] / 1000:.1f} GB" if "peak_mb" in run else "",
            "finished": run["finished"][:16].replace("T", " "),
            "commit": (run["commit"] or "unknown")[:7] + ("" if run["clean"] else ", changed"),
        }
        for name, run in entries.items()
    ]
    machines = []
    for run in entries.values():
        hardware = run["hardware"]
        machines.append(f"{machine(hardware)}, {hardware['system']}")
    chips = [c["source"] for entry in found["notebooks"].values() for c in entry["chips"]]
    left_out = max(
        (len(c["skipped"]) for e in found["notebooks"].values() for c in e["chips"]), default=0
    )
    return {
        "table": table,
        "total": duration(sum(run.get("seconds", 0) for run in entries.values())),
        "machines": list(dict.fromkeys(machines)),
        "chips": list(dict.fromkeys(chips)),
        "left_out": left_out,
        "seed": found.get("seed", 0),
        "networks": sorted({slug for e in found["notebooks"].values() for slug in e["runs"]}),
    }


def checklists(root: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The checklists, each piece of evidence with a link and whether it is there."""
    listed = []
    for checklist in published.published()["checklist"]:
        items = []
        for item in checklist["items"]:
            paths = [path.replace("{profile}", names[0]) for path in item["evidence"]]
            links = [
                {"path": path, "link": f"../{path}", "there": (root / path).exists()}
                for path in paths
            ]
            items.append({**item, "evidence": links, "done": all(e["there"] for e in links)})
        listed.append({**checklist, "entries": items})
    return listed
