"""The rules by which a claim gets its verdict, and the four words.

Each kind reads one result file of a profile and says one of

    reproduced             the whole interval lies where the claim says
    contradicted           the whole interval lies on the other side
    inconclusive           the interval holds both, lies within what counts as no difference, or
                           another seed says the opposite
    cannot be tested here  and why

The kinds: `number` (one value, or a count of rows, against the printed number or above a bound),
`relative` (1 − first row ÷ second row), `sign` (one difference for each of several rows, its
interval on the claimed side), `not-lower` and `within` (the same against a margin), `fraction` (of
the rows above or under a bound), `correlation` (Spearman's, of two columns), `least` (one
row has the smallest value of all), `untested` (nothing is measured). A rule with `full` speaks of a
number that was printed for the full network: a smaller one is not compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from ..published import published
from ..utils.errors import PaperError

REPRODUCED, CONTRADICTED = "reproduced", "contradicted"
INCONCLUSIVE, CANNOT, ERROR = "inconclusive", "cannot be tested here", "error"
#: Worst first: what a claim with several rules comes to is the first that one of them says.
VERDICTS = (REPRODUCED, CONTRADICTED, INCONCLUSIVE, CANNOT)
ORDER = (CONTRADICTED, CANNOT, INCONCLUSIVE, REPRODUCED)
NOT_FULL = (
    "printed for the full network (224 px, all channels); a smaller one on smaller chips is not "
    "compared with it, in either direction"
)

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """One measured value of a claim: what it is called, value, and 95 % interval where known."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    after: str = ""  # words that follow the value


Part = tuple[str, str, list[Measure]]  # verdict, reason, what was found


class Tables(Protocol):
    """What rules read: result files by name, and whether the profile's network is the paper's."""

    def table(self, output: str) -> pd.DataFrame: ...

    @property
    def full(self) -> bool: ...


def apply(rule: Rule, claim: Rule, tables: Tables) -> Part:
    """What one rule says to a claim."""
    verdict, reason, measures = _RULES[rule["kind"]](rule, claim, tables)
    if rule.get("full") and not tables.full:
        return CANNOT, NOT_FULL, measures
    return verdict, reason, measures


def margin(rule: Rule) -> float:
    """What counts as no difference, by its name in `published.toml`; 0 where none is named."""
    return float(published()["margins"][rule["margin"]]) if "margin" in rule else 0.0


def _number(rule: Rule, claim: Rule, tables: Tables) -> Part:
    table = _rows(rule, tables)
    if table.empty:
        return CANNOT, rule.get("absent", "the results have no such row"), []
    if rule.get("count"):
        value, low, high = float((table[rule["columns"]].sum(axis=1) > 0).sum()), None, None
    elif "columns" in rule:
        value, low, high = float(table.iloc[-1][rule["columns"]].sum()), None, None
    else:
        if len(table) > 1:
            raise PaperError(f"{rule['output']}: {len(table)} rows fit the rule", "narrow `where`")
        row = table.iloc[-1]
        value, low, high = (float(row[rule[k]]) if k in rule else None for k in _VALUE)
    if value is None or np.isnan(value):
        return CANNOT, rule.get("absent", "the results leave this value empty"), []
    low, high = (None if end is None or np.isnan(end) else end for end in (low, high))
    measures = [Measure(rule.get("name", ""), value, low, high)]
    for name, column in rule.get("beside", {}).items():
        measures.append(Measure(name, float(table.iloc[-1][column])))
    bottom, top = (value if low is None else low), (value if high is None else high)
    found = f"{value:.4g}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
    if rule.get("above"):
        bound = rule.get("bound", claim.get("published"))
        if bottom > bound:
            return REPRODUCED, f"{found} is above {bound:g}", measures
        if top <= bound:
            return CONTRADICTED, f"{found} is not above {bound:g}", measures
        return INCONCLUSIVE, f"the interval reaches down to {bottom:.4g}", measures
    printed = rule.get("equals", claim.get("published"))
    # A tolerance of 0 still allows the sixth digit that the result files round to.
    near = rule["tolerance"] + 1e-9 * abs(printed)
    said = f"{printed:g}" if rule["tolerance"] == 0 else f"{printed:g} ± {rule['tolerance']:g}"
    if top < printed - near and "fewer" in rule:
        return CANNOT, rule["fewer"], measures
    if top < printed - near or bottom > printed + near:
        word = "not" if low is None else "lower than" if top < printed else "higher than"
        return CONTRADICTED, f"{found} is {word} {said}", measures
    if "widest" in rule and top - bottom > rule["widest"]:
        return INCONCLUSIVE, f"the interval is {top - bottom:.2f} wide: too few chips", measures
    return REPRODUCED, f"{found} agrees with {said}", measures


def _relative(rule: Rule, claim: Rule, tables: Tables) -> Part:
    rows = [_only(tables.table(rule["output"]), rule[which]) for which in ("first", "second")]
    if any(len(table) != 1 for table in rows):
        return CANNOT, rule.get("absent", "the results have no such row"), []
    first, second = (float(table[rule["column"]].iloc[0]) for table in rows)
    value, printed = 1 - first / second, rule.get("equals", claim.get("published"))
    measure = Measure(rule.get("name", ""), value)
    if abs(value - printed) <= rule["tolerance"]:
        return REPRODUCED, f"{value:.4g} agrees with {printed:g}", [measure]
    return CONTRADICTED, f"{value:.4g} is not {printed:g}", [measure]


def _each(judge: Callable[..., tuple[str, str]]) -> Callable[[Rule, Rule, Tables], Part]:
    """A rule for several rows of a table: the worst of what `judge` says to each."""

    def rule_for_rows(rule: Rule, claim: Rule, tables: Tables) -> Part:
        ((key, names),) = rule["each"].items()
        table = _rows(rule, tables)
        measures, said = [], []
        for name in names:
            row = table[table[key] == name].dropna(subset=[rule["column"]])
            if len(row) != 1:
                return CANNOT, rule.get("absent", f"the results have no row for {name}"), measures
            value, low, high = (float(row[rule[k]].iloc[0]) for k in _VALUE)
            measures.append(Measure(name, value, low, high))
            seeds = [c for c in table.columns if "seeds" in rule and c.startswith(rule["seeds"])]
            others = row[seeds].to_numpy(float).ravel()
            verdict, reason = judge(rule, low, high, others[~np.isnan(others)])
            who = "" if name == claim["id"] else f"{name}: "
            said.append((verdict, f"{who}{reason}"))
        worst = next(v for v in ORDER if v in [verdict for verdict, _ in said])
        reasons = [reason for verdict, reason in said if verdict == worst or len(said) > 1]
        return worst, "; ".join(dict.fromkeys(reasons)), measures

    return rule_for_rows


@_each
def _sign(rule: Rule, low: float, high: float, others: np.ndarray) -> tuple[str, str]:
    side, zero, allowed = rule["sign"], rule.get("zero", 0), margin(rule)
    ends = sorted((side * (low - zero), side * (high - zero)))
    others = side * (others - zero)
    if allowed and max(map(abs, ends)) <= allowed:
        return INCONCLUSIVE, f"lies within what counts as no difference (±{allowed:g})"
    if ends[0] > 0:
        if (others < 0).any():
            return INCONCLUSIVE, "another seed shows the opposite sign"
        return REPRODUCED, f"{'above' if side > 0 else 'below'} {zero:g} with its whole interval"
    if ends[1] < 0:
        if (others > 0).any():
            return INCONCLUSIVE, "the opposite is found, but another seed shows the claimed sign"
        return CONTRADICTED, "the opposite is found"
    return INCONCLUSIVE, f"no clear difference, the interval holds {zero:g}"


@_each
def _not_lower(rule: Rule, low: float, high: float, others: np.ndarray) -> tuple[str, str]:
    del others
    allowed = margin(rule)
    if low >= -allowed:
        return REPRODUCED, f"not lower, but for what counts as no difference ({allowed:g})"
    if high < -allowed:
        return CONTRADICTED, f"lower by more than {allowed:g}"
    return INCONCLUSIVE, f"the interval reaches lower than −{allowed:g}"


@_each
def _within(rule: Rule, low: float, high: float, others: np.ndarray) -> tuple[str, str]:
    del others
    allowed = margin(rule)
    if -allowed <= low and high <= allowed:
        return REPRODUCED, f"within ±{allowed:g} with its whole interval"
    if low > allowed or high < -allowed:
        return CONTRADICTED, f"outside ±{allowed:g} with its whole interval"
    return INCONCLUSIVE, f"the interval reaches beyond ±{allowed:g}"


def _fraction(rule: Rule, claim: Rule, tables: Tables) -> Part:
    del claim
    values = _rows(rule, tables)[rule["column"]].dropna()
    if values.empty:
        return CANNOT, rule.get("absent", "the results leave this value empty"), []
    over = "above" in rule
    bound = rule["above"] if over else rule["under"]
    hits = int((values > bound).sum() if over else (values < bound).sum())
    word = "above" if over else "below"
    measure = Measure("", hits, after=f" of {len(values)} {word} {bound:g}")
    text = f"{hits} of {len(values)} are {word} {bound:g}"
    enough = hits / len(values) > rule["more_than"]
    return REPRODUCED if enough else CONTRADICTED, text, [measure]


def _correlation(rule: Rule, claim: Rule, tables: Tables) -> Part:
    del claim
    x, y = rule["columns"]
    table = _rows(rule, tables)[[x, y]].dropna()
    name = rule.get("name", "")
    if len(table) < 4:
        return CANNOT, f"{name}: only {len(table)} rows have both values", []
    value, low, high = rank_correlation(table[x].to_numpy(), table[y].to_numpy())
    measure, side = Measure(name, value, low, high), rule["sign"]
    if min(side * low, side * high) > 0:
        return REPRODUCED, f"{name}: they go together", [measure]
    if max(side * low, side * high) < 0:
        return CONTRADICTED, f"{name}: they go against each other", [measure]
    return INCONCLUSIVE, f"{name}: no clear correlation, the interval holds 0", [measure]


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


def _least(rule: Rule, claim: Rule, tables: Tables) -> Part:
    del claim
    table = _rows(rule, tables).dropna(subset=[rule["column"]])
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
    return CONTRADICTED, f"{name}: {nearer}", [measure]


def _untested(rule: Rule, claim: Rule, tables: Tables) -> Part:
    del claim, tables
    return CANNOT, rule["reason"], []


_RULES: dict[str, Callable[[Rule, Rule, Tables], Part]] = {
    "number": _number,
    "relative": _relative,
    "sign": _sign,
    "not-lower": _not_lower,
    "within": _within,
    "fraction": _fraction,
    "correlation": _correlation,
    "least": _least,
    "untested": _untested,
}
KINDS = tuple(_RULES)
_VALUE = ("column", "low", "high")


def _rows(rule: Rule, tables: Tables) -> pd.DataFrame:
    """The rows of the rule's file that `where` (equal), `only` (among) and `skip` leave.

    `prefer` names values of a column, best first: the first that is there is taken.
    """
    table = _only(tables.table(rule["output"]), rule.get("where", {}))
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
