"""What each part of the paper's recipe brings, measured on the runs that are saved.

Each part is measured alone: nested F2 with it minus without it, on the same validation chips, of
networks that differ in nothing else (where a baseline as briefly trained is not saved, the card
names the epochs of both sides). Of one network on each side the interval is the paired bootstrap's,
over chips; of several, with different seeds, it holds the luck of the training as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..evaluation import across_seeds, families, systems
from ..evaluation.candidates import Candidate
from ..evaluation.selection import Outcome
from . import accuracy_against_size, train

if TYPE_CHECKING:
    from ..evaluation.families import Family
    from ..project import Project
    from ..training.runs import Run

#: Part -> the candidate that has it; all are compared with the first, plain one.
PLAIN = Candidate("original", "log")
PARTS = {
    "dehazing": Candidate("dehazed", "log"),
    "F2 loss": Candidate("original", "f2"),
    "hard-example loss": Candidate("original", "hard"),
}


def gains(paper: Project, run: Run) -> dict[str, dict[str, Any]]:
    """Part of the recipe -> `gain`, for what the saved runs can say.

    Dehazing and the losses on the networks that the paper's system is built from; a model per label
    against the same network for all labels; and where `run` had a teacher, a small network with
    and without one. Recalibration and views are measured on the released network (`release`).
    """
    found = families.sort(train.saved_runs(paper))
    made = _parts(families.joint(found)) | _per_label(found)
    if run.config.teacher:
        made |= _taught(paper)
    return made


def _per_label(found: Sequence[Family]) -> dict[str, dict[str, Any]]:
    """A network for each label minus one for all, log loss, original chips, one seed."""
    each = families.per_label(found)
    baseline = each and families.joint_baseline(found, each)
    if each is None or baseline is None:
        return {}
    own, other = (_plain(family) for family in (each, baseline))
    if own is None or other is None:
        return {}
    on = each.title
    if more := systems.unlike(replace(each.design, outputs="all"), baseline.design):
        on += (
            f"; the network for all labels, {baseline.title}, differs in {', '.join(more)} as well"
        )
    return {"one model per label": gain(own, other, on)}


def _plain(family: Family) -> Outcome | None:
    pool = family.pool()
    found = pool.of(PLAIN.variant, PLAIN.loss)
    return pool.nested(found[0]) if found else None


def _taught(paper: Project) -> dict[str, dict[str, Any]]:
    """A small network taught by the profile's own minus alone, over the seeds that both have."""
    runs = (
        [paper.find(config, accuracy_against_size.FOLDER) for config in configs]
        for configs in accuracy_against_size.students(paper.profile)
    )
    pairs = [(alone, taught) for alone, taught in zip(*runs, strict=True) if alone and taught]
    if len(pairs) < 2:
        return {}
    alone, taught = (across_seeds.chip_scores(side) for side in zip(*pairs, strict=True))
    on = accuracy_against_size.title(pairs[0][0].config)
    less = rounded(across_seeds.difference(taught, alone))
    return {"taught by a larger network": {**less, "on": on, "seeds": len(pairs)}}


def _parts(family: Family) -> dict[str, dict[str, Any]]:
    pool = family.pool()
    if PLAIN not in pool.probability:
        return {}
    return {
        part: gain(pool.nested(one), pool.nested(PLAIN), family.title)
        for part, one in PARTS.items()
        if one in pool.probability
    }


def gain(with_it: Outcome, without: Outcome, on: str) -> dict[str, Any]:
    """Nested F2 with a part minus without it, and on which networks: value, low, high, on."""
    return {**rounded(with_it.minus(without)), "on": on}


def rounded(interval: Iterable[float]) -> dict[str, float]:
    """An interval as a card has it: value, low, high, to four digits."""
    return {
        name: round(float(number), 4)
        for name, number in zip(("value", "low", "high"), interval, strict=True)
    }
