"""Every system that saved runs make, scored on each protocol and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import pandas as pd

from ..chips import Chips
from . import tables
from .families import Family, joint, joint_baseline, per_label, title

if TYPE_CHECKING:
    from ..training.config import Config
    from .candidates import Pool
    from .selection import Outcome


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every system of every family, scored.

    outcomes  system -> protocol -> outcome
    designs   system -> design of its family
    baseline  system -> the system that it is compared with, on the same chips
    seeds     columns `system`, `seed`, `f2`: nested, every seed of the candidates' family and of
              every other that has several
    own       protocol -> outcome of the whole system with each label's own threshold
    raw       what table 1's "original" F2 may be of, nested, each label's own threshold: the whole
              system before ridge (`"raw"`), and that of original chips alone (`"original"`)
    """

    outcomes: dict[str, dict[str, Outcome]]
    designs: dict[str, Config]
    baseline: dict[str, str]
    seeds: pd.DataFrame
    own: dict[str, Outcome]
    raw: dict[str, Outcome]

    @property
    def networks(self) -> dict[str, str]:
        """System -> title of its family."""
        return {system: title(design) for system, design in self.designs.items()}

    @property
    def whole(self) -> str:
        """The paper's system, as far as there are runs for it."""
        return next(
            s for s in ("choice per label, ridge", "one network, ridge") if s in self.outcomes
        )

    def overall(self) -> pd.DataFrame:
        """`tables.overall`, with a column `networks`."""
        table = tables.overall(self.outcomes)
        table.insert(1, "networks", table["system"].map(self.networks))
        return table

    def differences(self) -> pd.DataFrame:
        """`system`, `baseline`, `protocol`, `difference` of mean-over-chips F2, `low`, `high`.

        The same of other seeds, nested, stands in `seed 1` and so on, where both systems have them.
        """
        scores = {(row.system, row.seed): row.f2 for row in self.seeds.itertuples()}
        rows = []
        for system, reference in self.baseline.items():
            for protocol, outcome in self.outcomes[system].items():
                named = {"system": system, "baseline": reference, "protocol": protocol}
                change = outcome.difference(self.outcomes[reference][protocol])
                rows.append({**named, **change})
                if protocol == "nested":
                    rows[-1] |= {
                        f"seed {seed}": score - scores[reference, seed]
                        for (one, seed), score in scores.items()
                        if one == system
                        and (reference, seed) in scores
                        and seed != self._first(system)
                    }
        return pd.DataFrame(rows)

    def _first(self, system: str) -> int:
        """The seed whose outcomes are `outcomes`: the first of the system's rows."""
        return int(self.seeds.loc[self.seeds["system"] == system, "seed"].iloc[0])

    def across(self) -> list[str]:
        """The comparisons between designs, in words: who minus whom, and in what they differ."""
        return [
            f"{self._named(system)} minus {self._named(other)}: they differ in "
            f"{_listed(unlike(self.designs[system], self.designs[other]))}"
            for system, other in self.baseline.items()
            if self.designs[system] != self.designs[other]
        ]

    def _named(self, system: str) -> str:
        networks = self.networks[system]
        return f"*{system}*" if system == networks else f"*{system}* ({networks})"

    def fixed(self) -> list[str]:
        """Threshold 0.2 minus fitted thresholds, nested, in words: a line for each network."""
        said = []
        for system in self.outcomes:
            if not system.endswith(FIXED):
                continue
            one = self.outcomes[system]["nested"]
            change = one.minus(self.outcomes[system.removesuffix(FIXED)]["nested"])
            verdict = "no clear difference"
            if change.low > 0 or change.high < 0:
                verdict = "0.2 is better" if change.low > 0 else "fitted thresholds are better"
            said.append(
                f"{self.networks[system]}: {change.value:+.4f} "
                f"({change.low:+.4f} to {change.high:+.4f}): {verdict}"
            )
        return said


#: What the name of a system ends with whose threshold is one number for all labels.
FIXED = ", threshold 0.2"
#: How `unlike` calls the keys of a configuration; others are called as they are.
_WORDS = {
    "outputs": "the labels of a network",
    "weights": "the first weights",
    "rate": "the learning rate",
    "schedule": "its schedule",
    "batch": "the batch",
    "batch_norm": "batch normalisation",
}


def unlike(one: Config, other: Config) -> list[str]:
    """What two designs differ in, in words."""
    return [
        _WORDS.get(f.name, f.name)
        for f in fields(one)
        if getattr(one, f.name) != getattr(other, f.name)
    ]


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def whole(families: Sequence[Family], chips: Chips | None = None) -> tuple[str, Pool, Pool]:
    """The paper's system, as far as there are runs for it: its name, and its candidates.

    Returns the name that it has in `evaluate`, its validation pool and its test pool.
    """
    chosen = joint(families)
    several = chosen.candidates(chosen.seeds[0]) > 1
    family = chosen if several else families[0]
    pool, test = family.pool(chips=chips), family.pool("test")
    if several:
        return "choice per label, ridge", pool, test
    return "one network, ridge", pool.only(pool.first), test.only(pool.first)


def evaluate(families: Sequence[Family], chips: Chips | None = None) -> Evaluation:
    """The base network, then the paper's system, then the other families, step by step.

    families  `sort` of saved runs, the base network's first
    chips     the data, where they are at hand: labels are then compared with them

    Systems: "one network…" is the base network; "one candidate…" and "choice per label…" are of
    the family that `joint` names (where that is the base network's own, its first candidate is the
    base network); "network per label…" is the paper's own design; any other family is called by
    its title. Networks per label are compared with their `joint_baseline`, all else against the
    base network.
    """
    base, chosen, each = families[0], joint(families), per_label(families)
    called = {base: "one network"}
    choice = {base: "choice per label"}
    if chosen is not base:
        called[chosen], choice[chosen] = "one candidate", "choice per label"
    if each is not None:
        called[each], choice[each] = "network per label", "network per label, choice"
    for family in families:
        if family.seeds and family not in called:
            called[family], choice[family] = family.title, f"{family.title}, choice"
    outcomes: dict[str, dict[str, Outcome]] = {}
    designs: dict[str, Config] = {}
    baseline: dict[str, str] = {}
    seeds: list[dict[str, object]] = []
    for family, one in called.items():
        pool, test = family.pool(chips=chips), family.pool("test")
        if family is base and base is not chosen:
            pool, test = pool.only(pool.first), test.only(pool.first)
        made = tables.evaluate(pool, test, one=one, choice=choice[family])
        outcomes.update(made)
        designs.update(dict.fromkeys(made, family.design))
        baseline.update({system: one for system in made if system != one})
        if family is not base:
            like = joint_baseline(families, family) if family.per_label else None
            baseline[one] = called[like] if like is not None else called[base]
        if family is chosen or len(family.seeds) > 1:
            seeds += _seeds(family, list(made), one, choice[family])
    table = pd.DataFrame(seeds, columns=["system", "seed", "f2"])
    _, pool, test = whole(families, chips)
    own = tables.recalibrations(pool, test, ("ridge",), thresholds="labels")["ridge"]
    raw = {
        "raw": pool.nested(thresholds="labels"),
        "original": pool.nested(*pool.of("original"), thresholds="labels"),
    }
    return Evaluation(outcomes, designs, baseline, table, own, raw)


def _seeds(
    family: Family, systems: Sequence[str], one: str, choice: str
) -> list[dict[str, object]]:
    """`system`, `seed`, `f2` (nested) of those of `systems` that each seed makes."""
    rows: list[dict[str, object]] = []
    for seed in family.seeds:
        made = tables.evaluate(family.pool(seed=seed), one=one, choice=choice, nested_only=True)
        rows += [
            {"system": system, "seed": seed, "f2": protocols["nested"].score}
            for system, protocols in made.items()
            if system in systems
        ]
    return rows
