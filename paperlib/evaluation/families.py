"""Group saved runs by architecture and training configuration.

The runs of a family differ in their chips (original, dehazed), their loss, their seed and, where
each label has its own network, in their label; width, first weights, epochs and all else are the
same. Candidates among which a label may choose come from one family, and a difference between two
families is told as what it is: one of design.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from ..chips import Chips
from ..utils.errors import PaperError
from . import candidates

if TYPE_CHECKING:
    from ..training.config import Config
    from ..training.runs import Run
    from .candidates import Pool

_EACH = "each"  # `outputs` of a design with a network for each label


def title(design: Config) -> str:
    """ "VGG-16 × 0.125, 12 epochs": what a design is called."""
    start = f"{design.network.upper().replace('VGG', 'VGG-')}"
    width = "" if design.width == 1 else f" × {design.width:g}"
    from_weights = ", from ImageNet weights" if design.weights else ""
    each = "" if design.outputs == "all" else ", one per label"
    epochs = "1 epoch" if design.epochs == 1 else f"{design.epochs} epochs"
    return f"{start}{width}{from_weights}, {epochs}{each}"


@dataclass(frozen=True, eq=False)
class Family:
    """Saved runs of one design, at least one.

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


def seed_reference(families: Iterable[Family], chosen: Family) -> tuple[Family, dict[int, str]]:
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


def joint_baseline(families: Sequence[Family], each: Family) -> Family | None:
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
