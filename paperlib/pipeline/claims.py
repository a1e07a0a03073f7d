"""Published beside reproduced: every number and claim of `published.toml` with its verdict.

A claim's rules are data. Each reads one result file of a profile and says `reproduced`,
`not reproduced` or `cannot be tested here` with the reason; the claim is reproduced where all of
its rules are. The kinds of rule:

    number       one value (or a count of rows) against the printed number, or above a bound
    relative     1 − first row ÷ second row, against the printed number
    sign         one difference for each of several rows: the interval on the claimed side of 0
    share        share of the rows whose value is above (under) a bound
    correlation  Spearman's rank correlation of two columns, its interval on one side of 0
    least        one row has the smallest value of all

A result file that is missing, changed since its notebook wrote it, or made from other training runs
or earlier results than are there now, is an error and gets no verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..profiles import Profile, profile
from ..published import published
from ..utils import files
from ..utils.errors import PaperError
from . import manifest, notebooks
from .notebooks import Notebook

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
CANNOT, ERROR = "cannot be tested here", "error"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, CANNOT)
GENERATED = "the claim is about the competition's chips; these are generated scenes"


def claims() -> list[dict[str, Any]]:
    """Every claim with its rules; one for each row of table 1 is made from `[table1.claim]`."""
    facts = published()
    rows = []
    for tag, printed in facts["table1"]["f2"].items():
        text = json.dumps(facts["table1"]["claim"])
        filled = text.replace("{label}", tag).replace("{published}", f"{printed:.5f}")
        rows.append({**json.loads(filled), "published": printed})
    return [*facts["claim"], *rows]


@dataclass(frozen=True)
class Measure:
    """One measured value of a claim: what it is called, value, and 95 % interval where known."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Finding:
    """What became of one claim on one profile.

    claim     its entry in `published.toml`
    profile   the profile's name
    verdict   one of `VERDICTS`, or `ERROR`
    reason    why, in words
    measures  what was found, a value for each row that a rule reads
    notebook  name of the notebook that computes it;  cell  the id of the cell
    output    result file, from the checkout's root
    """

    claim: Mapping[str, Any]
    profile: str
    verdict: str
    reason: str
    measures: tuple[Measure, ...] = ()
    notebook: str = ""
    cell: str = ""
    output: str = ""

    @property
    def command(self) -> str:
        """What runs just this item again."""
        return f"paper run {self.notebook[:2]} --profile {self.profile}"


@dataclass
class Results:
    """The result files of one profile in one checkout, read only where they are current."""

    root: Path
    profile: Profile
    notebooks: list[Notebook]
    manifest: dict[str, Any]
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    _faults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path, name: str) -> Results:
        folder = root / "results" / name
        declared = notebooks.read_all(root / "notebooks")
        return cls(root, profile(name), declared, manifest.read(folder))

    def maker(self, output: str) -> Notebook:
        """The notebook that declares a result file; `PaperError` where none does."""
        for notebook in self.notebooks:
            if output in notebook.results:
                return notebook
        raise PaperError(f"no notebook makes {output}", "name an output that a notebook declares")

    def table(self, output: str) -> pd.DataFrame:
        """A result file, checked to be what its notebook wrote and made from what is there.

        Raises `PaperError` where it is missing, changed or older than its inputs.
        """
        if output not in self._tables:
            notebook = self.maker(output)
            path = f"results/{self.profile.name}/{output}"
            if fault := self.fault(notebook, path):
                command = f"paper run {notebook.number} --profile {self.profile.name}"
                raise PaperError(fault, command)
            self._tables[output] = pd.read_csv(self.root / path)
        return self._tables[output]

    def fault(self, notebook: Notebook, path: str) -> str:
        """Why the file at `path` may not be used; `""` where it may.

        Held against the sha256 in the manifest, never against times: the file itself, the training
        runs the notebook used or looked for, and the earlier results it needs.
        """
        entry = self.manifest["notebooks"].get(notebook.name)
        full = self.root / path
        if entry is None or path not in entry["outputs"]:
            return f"{path} is not there: {notebook.name} was not run" + (
                "" if entry is None else " since it makes this file"
            )
        if not full.is_file():
            return f"{path} is missing"
        if files.sha256(full) != entry["outputs"][path]:
            return f"{path} was changed after {notebook.name} wrote it"
        if notebook.name not in self._faults:
            self._faults[notebook.name] = self._older(notebook, entry)
        fault = self._faults[notebook.name]
        return f"{path} is older than its inputs: {fault}" if fault else ""

    def _older(self, notebook: Notebook, entry: Mapping[str, Any]) -> str:
        runs = self.root / "results" / self.profile.name / "runs"
        for slug, digest in entry["runs"].items():
            if manifest.run_digest(runs / slug) != digest:
                return f"training run {slug} has changed"
        there = manifest.runs_there(runs, entry.get("looked_in", [""]))
        if entry["runs_there"] not in (None, there):
            return "training runs were added or taken away"
        needs = manifest.needs_digest(self.root, self.profile.name, self.notebooks, notebook)
        if needs != entry["made_from"]["needs"]:
            return "an earlier result that it needs has changed"
        return ""

    def cell(self, output: str) -> str:
        """Id of the cell that writes a result file: the last that names it in code."""
        stem = Path(output).stem
        named = [
            cell.id
            for cell in self.maker(output).node.cells
            if cell.cell_type == "code" and f'"{stem}"' in cell.source
        ]
        return named[-1] if named else ""

    @property
    def full(self) -> bool:
        """Whether the profile's network is the paper's: all channels, chips of 128 px or more."""
        return self.profile.size >= 128 and self.profile.width >= 1


def evaluate(root: Path, name: str) -> list[Finding]:
    """The verdict on every claim from the result files of profile `name`, in the file's order.

    A claim whose output is missing or stale is found with verdict `ERROR` and the cure as reason.
    """
    results = Results.of(root, name)
    return [judge(claim, results) for claim in claims()]


def judge(claim: Mapping[str, Any], results: Results) -> Finding:
    """The verdict on one claim: the worst of its rules'; `not reproduced` before `cannot`."""
    output = claim["rule"][0]["output"]
    where: dict[str, Any] = {
        "claim": claim,
        "profile": results.profile.name,
        "output": f"results/{results.profile.name}/{output}",
    }
    try:
        where["notebook"] = results.maker(output).name
        where["cell"] = results.cell(output)
        parts = [_RULES[rule["kind"]](rule, claim, results) for rule in claim["rule"]]
    except PaperError as error:
        return Finding(verdict=ERROR, reason=str(error), **where)
    except KeyError as error:  # written by an older notebook
        fault = PaperError(f"{where['output']} has no column {error}", "run its notebook again")
        return Finding(verdict=ERROR, reason=str(fault), **where)
    where["measures"] = tuple(measure for part in parts for measure in part[2])
    if claim.get("needs") == "planet" and results.profile.source != "planet":
        return Finding(verdict=CANNOT, reason=GENERATED, **where)
    for verdict in (NOT_REPRODUCED, CANNOT, REPRODUCED):
        reasons = [reason for found, reason, _ in parts if found == verdict]
        if reasons:
            return Finding(verdict=verdict, reason="; ".join(dict.fromkeys(reasons)), **where)
    raise PaperError(f"claim {claim['id']!r} has no rule", "give it one in published.toml")


# ---- rules: each gives (verdict, reason, measures) -----------------------------------------------

Part = tuple[str, str, list[Measure]]


def _number(rule: Mapping[str, Any], claim: Mapping[str, Any], results: Results) -> Part:
    table = _rows(rule, results)
    if table.empty:
        return CANNOT, rule.get("absent", "the results have no such row"), []
    if rule.get("count"):
        value, low, high = float((table[rule["columns"]].sum(axis=1) > 0).sum()), None, None
    elif "columns" in rule:
        row = table.iloc[-1]
        value, low, high = float(row[rule["columns"]].sum()), None, None
        if "divide_by" in rule:
            value /= float(row[rule["divide_by"]].sum())
    else:
        if len(table) > 1:
            raise PaperError(f"{rule['output']}: {len(table)} rows fit the rule", "narrow `where`")
        row = table.iloc[-1]
        value, low, high = (float(row[rule[k]]) if k in rule else None for k in _VALUE)
    if value is None or np.isnan(value):
        return CANNOT, rule.get("absent", "the results leave this value empty"), []
    measure = Measure(rule.get("name", ""), value, low, high)
    bottom, top = (value if low is None else low), (value if high is None else high)
    if rule.get("above"):
        bound = rule.get("bound", claim.get("published"))
        said, lower = f"above {bound:g}", top <= bound
        good, higher = bottom > bound, False
        if not good and not lower:
            return NOT_REPRODUCED, f"the interval reaches down to {bottom:.4g}", [measure]
    else:
        printed = rule.get("equals", claim.get("published"))
        # A tolerance of 0 still allows the sixth digit that the result files round to.
        near = rule["tolerance"] + 1e-9 * abs(printed)
        said = f"{printed:g}" if rule["tolerance"] == 0 else f"{printed:g} ± {rule['tolerance']:g}"
        lower, higher = top < printed - near, bottom > printed + near
        good = not lower and not higher
    found = f"{value:.4g}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
    if good and "widest" in rule and top - bottom > rule["widest"]:
        return CANNOT, f"the interval is {top - bottom:.2f} wide: too few chips", [measure]
    if good:
        word = "is" if rule.get("above") else "agrees with"
        return REPRODUCED, f"{found} {word} {said}", [measure]
    if lower and _inconclusive(rule, results):
        return CANNOT, rule["below"]["reason"], [measure]
    word = "not" if low is None or rule.get("above") else "higher than" if higher else "lower than"
    return NOT_REPRODUCED, f"{found} is {word} {said}", [measure]


def _relative(rule: Mapping[str, Any], claim: Mapping[str, Any], results: Results) -> Part:
    rows = [_only(_current(rule, results), rule[which]) for which in ("first", "second")]
    if any(len(table) != 1 for table in rows):
        return CANNOT, rule.get("absent", "the results have no such row"), []
    first, second = (float(table[rule["column"]].iloc[0]) for table in rows)
    value, printed = 1 - first / second, claim["published"]
    measure = Measure(rule.get("name", ""), value)
    if abs(value - printed) <= rule["tolerance"]:
        return REPRODUCED, f"{value:.4g} agrees with {printed:g}", [measure]
    return NOT_REPRODUCED, f"{value:.4g} is not {printed:g}", [measure]


def _sign(rule: Mapping[str, Any], claim: Mapping[str, Any], results: Results) -> Part:
    ((key, names),) = rule["each"].items()
    table = _rows(rule, results)
    measures, against, side = [], [], rule["sign"]
    for name in names:
        row = table[table[key] == name].dropna(subset=[rule["column"]])
        if len(row) != 1:
            reason = rule.get("absent", f"the results have no row for {name}")
            return CANNOT, reason, measures
        value, low, high = (float(row[rule[k]].iloc[0]) for k in _VALUE)
        measures.append(Measure(name, value, low, high))
        ends = sorted((side * low, side * high))
        who = "" if name == claim["id"] else f"{name}: "
        seeds = [c for c in table.columns if "seeds" in rule and c.startswith(rule["seeds"])]
        others = row[seeds].to_numpy(float).ravel()
        if ends[1] < 0:
            against.append(f"{who}the opposite is found")
        elif ends[0] <= 0:
            against.append(f"{who}no clear difference, the interval holds 0")
        elif any(side * other < 0 for other in others):
            against.append(f"{who}another seed shows the opposite sign")
    if against:
        return NOT_REPRODUCED, "; ".join(against), measures
    return REPRODUCED, f"{'above' if side > 0 else 'below'} 0 with its whole interval", measures


def _share(rule: Mapping[str, Any], claim: Mapping[str, Any], results: Results) -> Part:
    del claim
    values = _rows(rule, results)[rule["column"]].dropna()
    if values.empty:
        return CANNOT, rule.get("absent", "the results leave this value empty"), []
    over = "above" in rule
    bound = rule["above"] if over else rule["under"]
    hits = int((values > bound).sum() if over else (values < bound).sum())
    word = "above" if over else "below"
    measure = Measure(f"{word} {bound:g}, of {len(values)}", hits)
    text = f"{hits} of {len(values)} are {word} {bound:g}"
    if hits / len(values) > rule["more_than"]:
        return REPRODUCED, text, [measure]
    if _inconclusive(rule, results):
        return CANNOT, f"{text}: {rule['below']['reason']}", [measure]
    return NOT_REPRODUCED, text, [measure]


def _correlation(rule: Mapping[str, Any], claim: Mapping[str, Any], results: Results) -> Part:
    del claim
    x, y = rule["columns"]
    table = _rows(rule, results)[[x, y]].dropna()
    name = rule.get("name", "")
    if len(table) < 4:
        return CANNOT, f"{name}: only {len(table)} rows have both values", []
    value, low, high = rank_correlation(table[x].to_numpy(), table[y].to_numpy())
    measure, side = Measure(name, value, low, high), rule["sign"]
    if min(side * low, side * high) > 0:
        return REPRODUCED, f"{name}: they go together", [measure]
    return NOT_REPRODUCED, f"{name}: no clear correlation, the interval holds 0", [measure]


def rank_correlation(x: np.ndarray, y: np.ndarray, draws: int = 2000) -> tuple[float, float, float]:
    """Spearman's rank correlation of `(N,)` with `(N,)`, with its 95 % bootstrap interval.

    A draw in which one of the two is constant counts 0: it shows no correlation.
    """
    from scipy.stats import rankdata

    def correlate(a: np.ndarray, b: np.ndarray) -> float:
        a, b = rankdata(a) - (len(a) + 1) / 2, rankdata(b) - (len(b) + 1) / 2
        below = np.sqrt((a @ a) * (b @ b))
        return float(a @ b / below) if below > 0 else 0.0

    drawn = np.random.default_rng(0).integers(0, len(x), (draws, len(x)))
    low, high = np.quantile([correlate(x[d], y[d]) for d in drawn], (0.025, 0.975))
    return correlate(x, y), float(low), float(high)


def _least(rule: Mapping[str, Any], claim: Mapping[str, Any], results: Results) -> Part:
    del claim
    table = _rows(rule, results).dropna(subset=[rule["column"]])
    mine = _only(table, rule["row"])
    if len(mine) != 1:
        return CANNOT, rule.get("absent", "the results have no such row"), []
    name, value = rule["name"], float(mine[rule["column"]].iloc[0])
    best = table.loc[table[rule["column"]].idxmin()]
    measure = Measure(name, value)
    if value <= float(best[rule["column"]]):
        return REPRODUCED, f"{name}: it is the nearest", [measure]
    key = next(iter(rule["row"]))
    nearer = f"{best[key]} is nearer ({best[rule['column']]:.3f} against {value:.3f})"
    return NOT_REPRODUCED, f"{name}: {nearer}", [measure]


_RULES = {
    "number": _number,
    "relative": _relative,
    "sign": _sign,
    "share": _share,
    "correlation": _correlation,
    "least": _least,
}
_VALUE = ("column", "low", "high")


def _inconclusive(rule: Mapping[str, Any], results: Results) -> bool:
    """Whether too low a value says nothing here: as `below` in the rule says."""
    below = rule.get("below")
    return below is not None and not (below.get("unless") == "full" and results.full)


def _current(rule: Mapping[str, Any], results: Results) -> pd.DataFrame:
    return results.table(rule["output"])


def _rows(rule: Mapping[str, Any], results: Results) -> pd.DataFrame:
    """The rows of the rule's file that `where` (equal), `only` (among) and `skip` leave.

    `prefer` names values of a column, best first: the first that is there is taken.
    """
    table = _only(_current(rule, results), rule.get("where", {}))
    for key, names in rule.get("prefer", {}).items():
        there = [name for name in names if (table[key] == name).any()]
        table = table[table[key].isin(there[:1])]
    for key, names in rule.get("only", {}).items():
        table = table[table[key].isin(names)]
    for key, names in rule.get("skip", {}).items():
        table = table[~table[key].isin(names)]
    return table


def _only(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    for key, value in where.items():
        table = table[table[key] == value]
    return table


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings have each verdict; errors only where there are any."""
    found = [finding.verdict for finding in findings]
    return {v: found.count(v) for v in (*VERDICTS, ERROR) if v != ERROR or ERROR in found}
