"""Grids of runs: the paper's candidates, several seeds, one network per label, the studies' own.

A grid is a list of configurations. Each run is saved and resumable on its own, so a grid that was
killed continues, a grid on two machines can be put together by copying folders, and two grids share
the runs they have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..labels import LABELS
from ..profiles import Profile
from ..training.config import Config
from ..utils.errors import PaperError
from . import accuracy_against_size, design_rules, until_it_stalls

LOSSES = ("log", "f2", "hard")
PAIR = ("original", "dehazed")
SEEDS = (0, 1, 2)
#: Of the shipped full-width runs (torchvision's VGG-16); `weights="imagenet"` is Keras's own.
WEIGHTS = "vgg16_imagenet_torchvision_notop.h5@acf0d53f"


@dataclass(frozen=True)
class Grid:
    """A named list of configurations.

    meant_for  one line;  configs  profile, changes -> runs
    folder     of `runs/` that they are kept in: `""` for candidates of the paper's system
    """

    meant_for: str
    configs: Callable[..., list[Config]]
    folder: str = ""


def _narrow(profile: Profile, **changes: Any) -> Config:
    """One network of a grid: as wide as the profile says for grids, so that all are comparable."""
    return Config.of(profile, **{"width": profile.narrow, **changes})


def _main(profile: Profile, **changes: Any) -> list[Config]:
    return [
        _narrow(profile, **{"variant": variant, "loss": loss, **changes})
        for variant in PAIR
        for loss in LOSSES
    ]


def _seeds(profile: Profile, **changes: Any) -> list[Config]:
    return [c for seed in SEEDS for c in _main(profile, **{"seed": seed, **changes})]


def _each_label(profile: Profile, **changes: Any) -> list[Config]:
    return [
        _narrow(profile, **{"variant": variant, "outputs": tag, **changes})
        for variant in PAIR
        for tag in LABELS
    ]


def _labels(profile: Profile, **changes: Any) -> list[Config]:
    """As wide as those of the grid `main`; the profile says the epochs, which are fewer."""
    given = {"epochs": profile.label_epochs, "batch": profile.label_batch}
    return _each_label(profile, **given | changes)


def _labels_joint(profile: Profile, **changes: Any) -> list[Config]:
    """One network for all labels, else trained as those of the grid `labels`, epochs and all."""
    wide = _labels(profile, **changes)
    return list(dict.fromkeys(replace(config, outputs="all") for config in wide))


def _paper(profile: Profile, **changes: Any) -> list[Config]:
    return [c for loss in LOSSES for c in _each_label(profile, **{"loss": loss, **changes})]


#: Full width from ImageNet's weights. That the paper starts from them is a reading: it loads
#: Keras's VGGNet-16 (section 4.2) and takes ImageNet's mean.
_FULL = {"width": 1.0, "weights": WEIGHTS, "rate": 1e-4, "epochs": 4}
_FULL["precision"] = "mixed_bfloat16"  # twice as fast where the processor has it


def _full(profile: Profile, **changes: Any) -> list[Config]:
    return _main(profile, **_FULL | changes)


def _labels_full(profile: Profile, **changes: Any) -> list[Config]:
    """A network per label and training set, as section 3.2 has it, at full width: for a GPU."""
    return _each_label(profile, **_FULL | changes)


def _released(profile: Profile, **changes: Any) -> list[Config]:
    """A teacher of full width, then what is released, with half the channels."""
    both = {"weights": WEIGHTS, "batch_norm": "all", "schedule": "one-cycle"}
    both |= {"precision": "mixed_bfloat16"}
    large = {"width": 1.0, "rate": 5e-4, "epochs": 10}
    teacher = Config.of(profile, **both | large | changes)
    small = {"width": 0.5, "rate": 1e-3, "epochs": 16}
    small |= {"teacher": teacher.slug, "teaching": 0.7, "teacher_views": 8}
    return [teacher, Config.of(profile, **both | small | changes)]


def _readings(profile: Profile, **changes: Any) -> list[Config]:
    losses = ("f2-chip", "hard-chip", "hard-label")
    return [
        *(_narrow(profile, **{"variant": "dehazed-hazy", "loss": a, **changes}) for a in LOSSES),
        *(_narrow(profile, **{"loss": loss, **changes}) for loss in losses),
    ]


def _section_42(profile: Profile, **changes: Any) -> list[Config]:
    """Only hazy training chips dehazed: three seeds narrow, then once at full width."""
    variant = {"variant": "hazy-training-dehazed"}
    narrow = [_narrow(profile, **variant | {"seed": seed, **changes}) for seed in SEEDS]
    return [*narrow, Config.of(profile, **_FULL | variant | changes)]


COPIES, COPY_EPOCHS = 4, 6
FEW_CHIPS = {"train_chips": 2048, "epochs": 24}


def _leak(profile: Profile, **changes: Any) -> list[Config]:
    """Copies split at random, and the same copies split by chip: of all training chips, and of few
    for many epochs, time to learn them by heart. On scenes briefly, one seed, all chips."""
    brief = profile.source == "scenes"
    budgets = [{"epochs": min(2 if brief else COPY_EPOCHS, profile.epochs)}]
    if not brief:
        budgets.append(FEW_CHIPS)
    given = {"augment": "figure-3", "copies": COPIES}
    return [
        _narrow(profile, **given | budget | {"split_by": split_by, "seed": seed, **changes})
        for budget in budgets
        for seed in (SEEDS[:1] if brief else SEEDS)
        for split_by in ("copy", "chip")
    ]


def _transforms(profile: Profile, **changes: Any) -> list[Config]:
    names = ("none", "symmetries", "figure-3", "paper")
    return [_narrow(profile, **{"augment": name, **changes}) for name in names]


#: Every grid, by the name that `paper train --grid` takes.
GRIDS: dict[str, Grid] = {
    "main": Grid("2 variants × 3 losses, one network for all labels", _main),
    "seeds": Grid("the same with 3 seeds: how much of a difference is chance", _seeds),
    "labels": Grid("2 variants × 17 labels, a small network for each label, log loss", _labels),
    "labels-joint": Grid(
        "2 variants, one network for all labels, trained as briefly as those of `labels`",
        _labels_joint,
    ),
    "labels-full": Grid(
        "2 variants × 17 labels, VGG-16 at full width from ImageNet's weights: for a GPU",
        _labels_full,
    ),
    "paper": Grid(
        "2 variants × 17 labels × 3 losses: the reading that a label chooses its loss as well",
        _paper,
    ),
    "full": Grid("2 variants × 3 losses, VGG-16 at full width from ImageNet's weights", _full),
    "released": Grid(
        "the released model, which is the last: half the width; first its teacher",
        _released,
        "released",
    ),
    "readings": Grid("only hazy chips dehazed; the other sums in the losses", _readings),
    "section-4.2": Grid(
        "of the training chips only hazy ones dehazed, validation chips as they are", _section_42
    ),
    "leak": Grid(
        "copies of the chips split at random, as the paper's order allows, and split by chip",
        _leak,
        "leak",
    ),
    "transforms": Grid(
        "the random transforms: none, symmetries, those of figure 3, with zoom", _transforms
    ),
    "backbones": Grid(
        "VGG and the networks after it at several widths, and taught small ones: notebook 12",
        accuracy_against_size.configs,
        accuracy_against_size.FOLDER,
    ),
    "plateau": Grid(
        "the same, all chips, until the loss stalls; the best widths with 3 seeds: notebook 12",
        until_it_stalls.grid,
        until_it_stalls.FOLDER,
    ),
    "rules": Grid(
        "the article's design rules, each followed and not, 3 seeds: notebook 13",
        design_rules.configs,
        design_rules.FOLDER,
    ),
}


def configs(name: str, profile: Profile, **changes: Any) -> list[Config]:
    """The configurations of a grid; `changes` hold for all of them.

    Raises `PaperError` for a name that is not in `GRIDS`.
    """
    if name not in GRIDS:
        raise PaperError(f"no grid is called {name!r}", f"choose one of {', '.join(GRIDS)}")
    made = GRIDS[name].configs(profile, **changes)
    return list(dict.fromkeys(made))  # a change can make two of them equal
