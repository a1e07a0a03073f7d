"""Fixed random copies of the training chips, split 8:2 by copy or by chip.

The paper transforms the training data first and splits them then (section 4.2), so that copies of
one chip can stand on both sides of its split. Here both orders are made on purpose and alike in all
else, to measure what the difference is worth. The chips that the package's own split holds out are
never among the copies that are trained on: they say what a network is worth on chips nobody saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..chips import Chips
from ..chips.split import first_by_hash
from ..networks import augment

if TYPE_CHECKING:
    from .config import Config

#: Parts of a set of copies that are not trained on: copies of training chips held back by the 8:2
#: split; validation chips of the package's split, one random copy of each and as they are.
HELD_BACK, UNSEEN_COPY, UNSEEN = "validation", "unseen-copy", "unseen"
TRAINED = 0.8


@dataclass(frozen=True, eq=False)
class Copies(Chips):
    """Chips whose images are copies; `parts` says the part of each, `shows` the chip it shows."""

    parts: np.ndarray = field(default_factory=lambda: np.empty(0, "U11"))
    shows: np.ndarray = field(default_factory=lambda: np.empty(0, "U11"))

    @property
    def split(self) -> np.ndarray:
        """`(N,)` str: `"train"` or one of the three held-out parts."""
        return self.parts

    @property
    def chip_names(self) -> np.ndarray:
        return self.shows


def training_count(chips: int, config: Config) -> int:
    """How many copies are trained on, of `chips` training chips."""
    if config.split_by == "chip":
        return int(TRAINED * chips) * config.copies
    return int(TRAINED * chips * config.copies)


def assign(chips: int, config: Config) -> np.ndarray:
    """`(copies, chips)` bool: which copies are trained on, drawn from the configuration's seed."""
    random = np.random.default_rng([config.seed, 82])
    trained = np.zeros((config.copies, chips), bool)
    if config.split_by == "chip":
        trained[:, random.permutation(chips)[: int(TRAINED * chips)]] = True
    else:
        count = training_count(chips, config)
        trained.ravel()[random.permutation(trained.size)[:count]] = True
    return trained


def make(chips: Chips, config: Config) -> Copies:
    """`config.copies` random copies of each training chip that is taken, and the validation chips.

    Transformed as `config.augment` says, from `config.seed`: both ways to split have the same
    copies. A copy is called `train_12~3`. Test chips are left out.
    """
    train, unseen = chips.part("train"), chips.part("validation")
    if config.train_chips:
        train = train.take(first_by_hash(train.names, config.train_chips))
    made = augment.transformed_copies(train.images, config.augment, config.copies, config.seed)
    extra = augment.transformed_copies(unseen.images, config.augment, 1, config.seed + 1000)[0]
    trained = assign(len(train), config)
    names = [
        *(f"{name}~{i}" for i in range(config.copies) for name in train.names),
        *(f"{name}~0" for name in unseen.names),
        *unseen.names,
    ]
    parts = [
        *np.where(trained, "train", HELD_BACK).ravel(),
        *[UNSEEN_COPY] * len(unseen),
        *[UNSEEN] * len(unseen),
    ]
    return Copies(
        names=np.array(names),
        images=np.concatenate([made.reshape(-1, *made.shape[2:]), extra, unseen.images]),
        labels=np.concatenate([*[train.labels] * config.copies, *[unseen.labels] * 2]),
        source=f"{chips.source}, {config.copies} random copies",
        tags=chips.tags,
        parts=np.array(parts),
        shows=np.array([name.partition("~")[0] for name in names]),
    )
