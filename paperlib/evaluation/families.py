"""Like with like: kept runs sorted into families of one design.

The runs of a family differ in their chips (original, dehazed), their loss, their seed and, where
each label has its own network, in their label; width, first weights, epochs and all else are the
same. Candidates among which a label may choose come from one family, and a difference between two
families is told as what it is: one of design.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import pandas as pd

from ..chips import Chips
from ..utils.errors import PaperError
from . import candidates, tables
from .selection import protocol_nested, protocol_paper

if TYPE_CHECKING:
    from ..project import Project
    from ..training.config import Config
    from ..training.runs import Run
    from .candidates import Pool
    from .selection import Outcome

_EACH = "each"  # `outputs` of a design with a network for each label


def title(design: Config) -> str:
    """ "VGG-16 × 0.125, 12 epochs": what a design is called."""
    start = f"{design.network.upper().replace('VGG', 'VGG-')}"
    width = "" if design.width == 1 else f" × {design.width:g}"
    from_weights = ", from ImageNet weights" if design.weights else ""
    each = "" if design.outputs == "all" else ", one per label"
    return f"{start}{width}{from_weights}, {design.epochs} epochs{each}"


@dataclass(frozen=True, eq=False)
class Family:
    """Kept runs of one design, at least one.

    design  the configuration they share: variant, loss and seed are those of a base network,
            outputs is `"all"`, or `"each"` where each label has its own network
    runs    in the order of the grids
    """

    design: Config
    runs: tuple[Run, ...]

    @property
    def per_label(self) -> bool:
        return self.design.outputs != "all"

    @property
    def title(self) -> str:
        """What sets the design apart from the others'."""
        return title(self.design)

    @property
    def summary(self) -> str:
        """The title, and how many runs, whole candidates and seeds there are."""
        if not self.seeds:
            return f"{self.title}: {len(self.runs)} run(s), not yet one for every label"
        count = self.candidates(self.seeds[0])
        seeds = f", {len(self.seeds)} seeds" if len(self.seeds) > 1 else ""
        return f"{self.title}: {len(self.runs)} run(s), {count} candidate(s){seeds}"

    def complete(self, seed: int) -> list[Run]:
        """The seed's runs that make whole candidates: all 17 labels of a variant and loss."""
        mine = [r for r in self.runs if r.config.seed == seed]
        if not self.per_label:
            return mine
        needed = len(mine[0].tags) if mine else 0
        count = pd.Series([(r.config.variant, r.config.loss) for r in mine]).value_counts()
        return [r for r in mine if count[(r.config.variant, r.config.loss)] == needed]

    def candidates(self, seed: int) -> int:
        """How many candidates predict all labels with this seed."""
        return len({(r.config.variant, r.config.loss) for r in self.complete(seed)})

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds with a whole candidate, those with the most candidates first."""
        there = sorted({r.config.seed for r in self.runs})
        whole = [seed for seed in there if self.candidates(seed)]
        return tuple(sorted(whole, key=lambda seed: -self.candidates(seed)))

    def pool(
        self, part: str = "validation", *, seed: int | None = None, chips: Chips | None = None
    ) -> Pool:
        """The candidates of one seed (the one with the most), the base network's kind first.

        part, chips  as `candidates.gather`
        """
        if not self.seeds:
            raise PaperError(
                f"{self.title}: no candidate predicts all labels yet",
                "train the rest: paper train --grid labels",
            )
        runs = self.complete(self.seeds[0] if seed is None else seed)
        first = [(r.config.variant, r.config.loss) != ("original", "log") for r in runs]
        ordered = [r for _, r in sorted(zip(first, runs, strict=True), key=lambda pair: pair[0])]
        return candidates.gather(ordered, part, chips)


def sort(runs: Iterable[Run]) -> list[Family]:
    """Runs -> families, in order of their first run; the base network's own comes first."""
    by_design: dict[Config, list[Run]] = {}
    for run in runs:
        by_design.setdefault(_design(run.config), []).append(run)
    return [Family(design, tuple(members)) for design, members in by_design.items()]


def _design(config: Config) -> Config:
    outputs = "all" if config.outputs == "all" else _EACH
    return replace(config, variant="original", loss="log", seed=0, outputs=outputs)


def joint(families: Sequence[Family]) -> Family:
    """The family that the paper's system (figure 4) is built from.

    One network for all labels; six candidates if any family has them, else the most there are; of
    equal ones the widest, from ImageNet weights before from scratch.
    """
    whole = [f for f in families if not f.per_label]

    def merit(family: Family) -> tuple[int, float, bool]:
        count = family.candidates(family.seeds[0])
        return min(count, 6), family.design.width, bool(family.design.weights)

    return max(whole, key=merit)


def spread(families: Iterable[Family], chosen: Family) -> tuple[Family, dict[int, str]]:
    """Whose seeds say how much of a result of `chosen` is chance, and the name of each.

    The family itself where it has several seeds. Where it has one, as the widest networks do, the
    family with one network for all labels that has the most: then each name says whose seed it is.
    Returns the family and seed -> name, `"seed 1"`; the first seed of `chosen` is not among them.
    """
    most = max((f for f in families if not f.per_label), key=lambda f: len(f.seeds))
    if len(chosen.seeds) > 1 or len(most.seeds) < 2:
        return chosen, {seed: f"seed {seed}" for seed in sorted(chosen.seeds[1:])}
    return most, {seed: f"seed {seed} of {most.title}" for seed in sorted(most.seeds)}


def per_label(families: Sequence[Family]) -> Family | None:
    """The family with a network for each label, as the paper has it; None where none is whole.

    Of several the one with the most candidates; of equal ones the widest.
    """
    whole = [f for f in families if f.per_label and f.seeds]
    return max(whole, key=lambda f: (f.candidates(f.seeds[0]), f.design.width), default=None)


def twin(families: Sequence[Family], each: Family) -> Family | None:
    """The family with one network for all labels that is else like `each`.

    Where none was trained for as many epochs in as large batches, one that differs in these alone:
    the titles say the epochs.
    """
    wanted = _but_epochs(each.design)
    like = [f for f in families if not f.per_label and _but_epochs(f.design) == wanted]
    equal = (f for f in like if f.design == replace(each.design, outputs="all"))
    return next(equal, next(iter(like), None))


def _but_epochs(design: Config) -> Config:
    return replace(design, outputs="all", epochs=1, batch=1)


def coverage(paper: Project, runs: Iterable[Run]) -> pd.DataFrame:
    """What is kept of each grid and what is missing: `grid`, `networks`, `kept`, `wanted`, `train`.

    train  the command that trains what is missing; empty where nothing is
    """
    from ..training import run_grid

    there = {run.config for run in runs}
    rows = []
    for name in candidates.GRIDS:
        wanted = run_grid.configs(name, paper.profile)
        kept = sum(config in there for config in wanted)
        rows.append(
            {
                "grid": name,
                "networks": Family(_design(wanted[0]), ()).title,
                "kept": kept,
                "wanted": len(wanted),
                "train": "" if kept == len(wanted) else f"paper train --grid {name}",
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every system of every family, scored.

    outcomes  system -> protocol -> outcome
    designs   system -> design of its family
    less      system -> the system that it is compared with, on the same chips
    seeds     columns `system`, `seed`, `f2`: nested, every seed of the candidates' family and of
              every other that has several
    own       protocol -> outcome of the whole system with each label's own threshold (table 1)
    """

    outcomes: dict[str, dict[str, Outcome]]
    designs: dict[str, Config]
    less: dict[str, str]
    seeds: pd.DataFrame
    own: dict[str, Outcome]

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
        """`system`, `less`, `protocol`, `difference` of mean-over-chips F2, `low`, `high`.

        The same of other seeds, nested, stands in `seed 1` and so on, where both systems have them.
        """
        scores = {(row.system, row.seed): row.f2 for row in self.seeds.itertuples()}
        rows = []
        for system, reference in self.less.items():
            for protocol, outcome in self.outcomes[system].items():
                change = outcome.minus(self.outcomes[reference][protocol])
                rows.append(
                    {
                        "system": system,
                        "less": reference,
                        "protocol": protocol,
                        "difference": change.value,
                        "low": change.low,
                        "high": change.high,
                    }
                )
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
        """The comparisons between designs, in words: who, less whom, and in what they differ."""
        return [
            f"{self._named(system)} less {self._named(other)}: they differ in "
            f"{_listed(unlike(self.designs[system], self.designs[other]))}"
            for system, other in self.less.items()
            if self.designs[system] != self.designs[other]
        ]

    def _named(self, system: str) -> str:
        networks = self.networks[system]
        return f"*{system}*" if system == networks else f"*{system}* ({networks})"

    def fixed(self) -> list[str]:
        """Threshold 0.2 less fitted thresholds, nested, in words: a line for each network."""
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
    first = next(iter(pool.probability)).split(", ")
    return "one network, ridge", pool.only(*first), test.only(*first)


def evaluate(families: Sequence[Family], chips: Chips | None = None) -> Evaluation:
    """The base network, then the paper's system, then the other families, step by step.

    families  `sort` of kept runs, the base network's first
    chips     the data, where they are at hand: labels are then held against them

    Systems: "one network…" is the base network; "one candidate…" and "choice per label…" are of
    the family that `joint` names (where that is the base network's own, its first candidate is the
    base network); "network per label…" is the paper's own design; any other family is called by
    its title. Networks per label are held against their `twin`, all else against the base network.
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
    less: dict[str, str] = {}
    seeds: list[dict[str, object]] = []
    for family, one in called.items():
        pool, test = family.pool(chips=chips), family.pool("test")
        if family is base and base is not chosen:
            first = next(iter(pool.probability)).split(", ")
            pool, test = pool.only(*first), test.only(*first)
        made = tables.evaluate(pool, test, one=one, choice=choice[family])
        outcomes.update(made)
        designs.update(dict.fromkeys(made, family.design))
        less.update({system: one for system in made if system != one})
        if family is not base:
            like = twin(families, family) if family.per_label else None
            less[one] = called[like] if like is not None else called[base]
        if family is chosen or len(family.seeds) > 1:
            seeds += _seeds(family, list(made), one, choice[family])
    table = pd.DataFrame(seeds, columns=["system", "seed", "f2"])
    _, pool, test = whole(families, chips)
    own = tables.recalibrations(pool, test, ("ridge",), thresholds="labels")["ridge"]
    return Evaluation(outcomes, designs, less, table, own)


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


def recalibration_differences(
    families: Sequence[Family], outcomes: Mapping[str, Mapping[str, Outcome]]
) -> pd.DataFrame:
    """What recalibration brings to the paper's system, beside the same of other seeds.

    outcomes  `tables.recalibrations` of the validation pool of `joint(families)`
    Columns: `comparison` (`system` less `less`), `system`, `less`, `protocol`, `difference` of the
    mean-over-chips F2, `low`, `high`; nested, the same of the seeds of `spread`, by their names.
    """
    family, names = spread(families, joint(families))
    pools = {name: family.pool(seed=seed) for seed, name in names.items()}
    others = {name: tables.recalibrations(pool, nested_only=True) for name, pool in pools.items()}
    rows = []
    for system, less in (("lasso", "none"), ("ridge", "none"), ("ridge", "lasso")):
        for protocol, outcome in outcomes[system].items():
            change = outcome.minus(outcomes[less][protocol])
            row = {"comparison": f"{system} less {less}", "system": system, "less": less}
            row |= {"protocol": protocol, "difference": change.value}
            row |= {"low": change.low, "high": change.high}
            if protocol == "nested":
                row |= {
                    name: made[system]["nested"].score - made[less]["nested"].score
                    for name, made in others.items()
                }
            rows.append(row)
    return pd.DataFrame(rows)


def scores(family: Family) -> pd.DataFrame:
    """Each candidate alone, every seed: `networks`, `candidate`, `seed`, `f2` (nested), `low`,
    `high`."""
    rows = []
    for seed in sorted(family.seeds):
        pool = family.pool(seed=seed)
        for name, probability in pool.probability.items():
            alone = protocol_nested(pool.truth, probability, pool.names, labels=pool.tags)
            f2, low, high = alone.interval
            named = {"networks": family.title, "candidate": name, "seed": seed}
            rows.append({**named, "f2": f2, "low": low, "high": high})
    return pd.DataFrame(rows)


def choices(pool: Pool) -> pd.DataFrame:
    """Which candidate each label comes from: `label`, `candidate`, `share` of the folds that agree.

    The choice is the paper's, on all validation chips; `share` says how far chance decides it.
    """
    how = {"labels": pool.tags}
    whole = protocol_paper(pool.truth, pool.probability, pool.names, **how)
    folds = protocol_nested(pool.truth, pool.probability, pool.names, **how)
    chosen = whole.choice[0]
    return pd.DataFrame(
        {
            "label": pool.tags,
            "candidate": [whole.candidates[c] for c in chosen],
            "share": (folds.choice == chosen).mean(0),
        }
    )
