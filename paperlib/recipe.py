"""What each part of the paper's recipe brings, measured on the runs that are kept.

Each part is measured alone: nested F2 with it less without it, on the same validation chips, with
the paired bootstrap's interval.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import accuracy_against_size, candidates, families
from .selection import Outcome, protocol_nested

if TYPE_CHECKING:
    from .experiment import Run
    from .families import Family
    from .project import Project

#: Part -> the candidate that has it; all are held against the first, plain one.
PLAIN = "original, log"
PARTS = {
    "dehazing": "dehazed, log",
    "F2 loss": "original, f2",
    "hard-example loss": "original, hard",
}


def brought(paper: Project, run: Run) -> dict[str, dict[str, Any]]:
    """Part of the recipe -> `gain`, for what the kept runs can say.

    Dehazing and the losses on the networks that the paper's system is built from; a model per label
    against the same network for all labels; and where `run` had a teacher, a small network with
    and without one. Recalibration and views are measured on the released network (`release`).
    """
    found = families.sort(candidates.kept_runs(paper))
    made = _parts(families.joint(found))
    each = families.per_label(found)
    evaluated = families.evaluate(found)
    if each is not None and "network per label" in evaluated.less:
        less = evaluated.less["network per label"]
        own, other = (evaluated.outcomes[s]["nested"] for s in ("network per label", less))
        made["one model per label"] = gain(own, other, each.title)
    if run.config.teacher:
        alone, taught = (
            [paper.find(config, accuracy_against_size.FOLDER) for config in configs]
            for configs in accuracy_against_size.students(paper.profile)
        )
        pairs = ((a, b) for a, b in zip(alone, taught, strict=True) if a and b)
        for a, b in list(pairs)[:1]:
            own, other = accuracy_against_size.nested(b), accuracy_against_size.nested(a)
            made["taught by a larger network"] = gain(
                own, other, accuracy_against_size.title(a.config)
            )
    return made


def _parts(family: Family) -> dict[str, dict[str, Any]]:
    pool = family.pool()
    there = {name: p for name, p in pool.probability.items() if name in (PLAIN, *PARTS.values())}
    if PLAIN not in there:
        return {}
    alone = {name: protocol_nested(pool.truth, p, pool.names) for name, p in there.items()}
    return {
        part: gain(alone[name], alone[PLAIN], family.title)
        for part, name in PARTS.items()
        if name in alone
    }


def gain(with_it: Outcome, without: Outcome, on: str) -> dict[str, Any]:
    """Nested F2 with a part less without it, and on which networks: value, low, high, on."""
    return {**rounded(with_it.minus(without)), "on": on}


def rounded(interval: Iterable[float]) -> dict[str, float]:
    """An interval as a card has it: value, low, high, to four digits."""
    return {
        name: round(float(number), 4)
        for name, number in zip(("value", "low", "high"), interval, strict=True)
    }
