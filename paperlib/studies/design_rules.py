"""The teaching article's design rules, each as one controlled comparison.

A rule is two configurations that differ in what it speaks of and in nothing else (but for
fine-tuning, where either side has a recipe of its own), trained on the same chips for as many
epochs, with several seeds. `table` gives the difference of the nested F2
with an interval that holds both the luck of the training and that of the chips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..evaluation.across_seeds import chip_scores, difference
from ..training.config import Config, network
from . import transfer
from .accuracy_against_size import saved

if TYPE_CHECKING:
    from ..profiles import Profile
    from ..project import Project

FOLDER = "rules"
MISSING = "not compared here"

#: Profile -> the network that the rules change, and the budget; any other takes planet32's.
BASE: dict[str, dict[str, Any]] = {
    "tiny": {"network": "vgg11", "width": 0.0625, "train_chips": 48, "epochs": 1, "batch": 16},
    "sample": {"network": "vgg11", "width": 0.0625, "train_chips": 768, "epochs": 3, "batch": 64},
    "planet32": {
        "network": "vgg16",
        "width": 0.125,
        "train_chips": 6144,
        "epochs": 4,
        "batch": 64,
    },
}
SEEDS = {"tiny": (0, 1)}
#: Of fine-tuning: at the full width, for which the weights were trained, so on a smaller budget.
_FULL = {
    "network": "vgg16",
    "width": 1.0,
    "train_chips": 2048,
    "epochs": 2,
    "batch": 64,
    "precision": "mixed_bfloat16",
}


@dataclass(frozen=True)
class Rule:
    """One rule of the article: what it says, and the two sides of its comparison.

    name      for tables and claims;  says  in our words
    sides     what is done where it is followed, and where it is not
    follow, ignore  changes to the base configuration
    live      changed in the profiles on scenes, which compare only the rules that have this
    """

    name: str
    says: str
    sides: tuple[str, str]
    follow: Mapping[str, Any] = field(default_factory=dict)
    ignore: Mapping[str, Any] = field(default_factory=dict)
    live: tuple[str, ...] = ()


RULES: tuple[Rule, ...] = (
    Rule(
        "application",
        "The architecture follows the application: for a small chip, fewer halvings.",
        ("three halvings, to 4×4", "five halvings, to 1×1"),
        {"network": "vgg16-three-halvings"},
    ),
    Rule(
        "paths",
        "Multiply the paths through the network.",
        ("two paths in each layer", "one path"),
        {"network": "vgg16-paths"},
    ),
    Rule(
        "simplicity",
        "Pursue simplicity: bigger is not necessarily better.",
        ("VGG-11", "VGG-16"),
        {"network": "vgg11"},
    ),
    Rule(
        "symmetry",
        "Build symmetrically: every stage alike.",
        ("2, 2, 3, 3, 3 convolutions", "1, 1, 9, 1, 1 convolutions"),
        {},
        {"network": "vgg16-lopsided"},
    ),
    Rule(
        "pyramid",
        "Shape a pyramid: more channels as the map shrinks.",
        ("channels double", "the same channels everywhere, as much work"),
        {},
        {"network": "vgg16-flat"},
    ),
    Rule(
        "over-training",
        "Train on harder inputs than those that will come.",
        ("symmetries, rotation, zoom, elastic", "symmetries"),
        {"augment": "paper"},
    ),
    Rule(
        "augmentation",
        "Cover the problem's space: show each chip in many ways.",
        ("the eight symmetries", "each chip as it is"),
        {},
        {"augment": "none"},
        ("tiny", "sample"),
    ),
    Rule(
        "skips",
        "Build features in small steps, with short skips.",
        ("shortcuts round convolutions", "no shortcuts"),
        {"network": "vgg16-skips"},
        {},
        ("sample",),
    ),
    Rule(
        "normalisation",
        "Normalise the inputs of every layer.",
        ("after every convolution", "once, at the head"),
        {},
        {"batch_norm": "head"},
        ("tiny", "sample"),
    ),
    Rule(
        "fine-tuning",
        "Fine-tune a network that others have trained.",
        ("from ImageNet's weights, rate 1e-4", "from scratch, rate 1e-3, normalised throughout"),
        {**_FULL, "weights": transfer.IMAGENET, "rate": 1e-4, "batch_norm": "head"},
        _FULL,
    ),
    Rule(
        "cyclical rate",
        "Let the learning rate go up and down in cycles.",
        ("cyclical", "plateau"),
        {"schedule": "cyclical"},
        {"schedule": "plateau", "plateau": 1},
    ),
)


def base(profile: Profile) -> dict[str, Any]:
    """The changes to the profile's configuration that all rules share."""
    given = {"precision": "float32", "weights": "", "schedule": "one-cycle", "batch_norm": "all"}
    return given | BASE.get(profile.name, BASE["planet32"])


def rules(profile: Profile) -> tuple[Rule, ...]:
    """The rules that a profile compares: all on real chips, a few on scenes."""
    if profile.source != "scenes":
        return RULES
    return tuple(rule for rule in RULES if profile.name in rule.live)


def sides(rule: Rule, profile: Profile, **changes: Any) -> tuple[list[Config], list[Config]]:
    """The rule's two sides: the configurations that follow it, one per seed, and that do not."""
    made = []
    for side in (rule.follow, rule.ignore):
        given = base(profile) | dict(side)
        if given["network"].startswith("vgg16-") and base(profile)["network"] == "vgg11":
            given["network"] = given["network"].replace("vgg16", "vgg11")
        given |= changes
        seeds = SEEDS.get(profile.name, (0, 1, 2))
        made.append([Config.of(profile, **{**given, "seed": seed}) for seed in seeds])
    return made[0], made[1]


def configs(profile: Profile, **changes: Any) -> list[Config]:
    """The grid `rules`: every side of every rule once, seeds of one side after each other."""
    both = [side for rule in rules(profile) for side in sides(rule, profile, **changes)]
    return list(dict.fromkeys(config for side in both for config in side))


COLUMNS = ("rule", "follow", "ignore", "seeds", "training_chips", "epochs", "f2_follow",
           "f2_ignore", "difference", "low", "high", "multiply_adds_follow",
           "multiply_adds_ignore", "verdict")  # fmt: skip


def table(project: Project, every: Sequence[Rule] = RULES) -> pd.DataFrame:
    """A row per rule: `COLUMNS`, then the difference of each seed's pair, `seed 0` and so on.

    On scenes what is missing is trained; on real chips a rule whose runs are not all kept, and on
    any profile one that it does not compare, gets the verdict "not compared here".
    """
    from ..networks.complexity import cost  # Keras takes seconds to import

    runs = saved(project, configs(project.profile), FOLDER)
    scores = {run.config.slug: chip_scores([run])[0] for run in runs}
    rows = []
    for rule in every:
        row: dict[str, Any] = {"rule": rule.name, "follow": rule.sides[0], "ignore": rule.sides[1]}
        row["verdict"] = MISSING
        rows.append(row)
        if rule not in rules(project.profile):
            continue
        both = sides(rule, project.profile)
        if any(config.slug not in scores for side in both for config in side):
            continue
        follow, ignore = (np.stack([scores[config.slug] for config in side]) for side in both)
        gap = difference(follow, ignore)
        first = both[0][0]
        row |= {
            "seeds": len(both[0]),
            "training_chips": first.train_chips,
            "epochs": first.epochs,
            "f2_follow": follow.mean(),
            "f2_ignore": ignore.mean(),
            "difference": gap.value,
            "low": gap.low,
            "high": gap.high,
            "verdict": gap.verdict,
            "multiply_adds_follow": cost(network(_counted(first)))["multiply_adds"],
            "multiply_adds_ignore": cost(network(_counted(both[1][0])))["multiply_adds"],
        }
        each = (follow.mean(1) - ignore.mean(1)).tolist()
        row |= {f"seed {config.seed}": gain for config, gain in zip(both[0], each, strict=True)}
    seeds = sorted({key for row in rows for key in row if key.startswith("seed ")})
    return pd.DataFrame(rows, columns=[*COLUMNS, *seeds])


def _counted(config: Config) -> Config:
    """The same network without ready-made weights, which need not be here for counting."""
    return Config.from_dict({**config.to_dict(), "weights": ""})
