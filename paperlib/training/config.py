"""The configuration of a training run: everything it depends on besides its chips.

config = Config.of(profile("planet32"), loss="f2", seed=1)
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields

from ..chips.variants import VARIANTS
from ..profiles import Profile
from ..utils.errors import PaperError

SCHEDULES = ("plateau", "one-cycle", "cyclical")
#: Names that the rooms above Keras know, which takes seconds to import: a wrong one is refused at
#: once. A test holds that they are the same.
NAMES = {
    "loss": ("log", "f2", "hard", "f2-chip", "hard-chip", "hard-label"),
    "network": (
        *("vgg11", "vgg13", "vgg16c", "vgg16", "vgg19"),
        *("resnet50", "inception_v3", "inception_resnet_v2", "mobilenet", "mobilenet_v2"),
        *("vgg16-three-halvings", "vgg16-lopsided", "vgg16-flat", "vgg16-paths", "vgg16-skips"),
        *("vgg11-three-halvings", "vgg11-skips"),
    ),
    "augment": ("none", "symmetries", "paper", "figure-3"),
    "batch_norm": ("head", "all"),
    "precision": ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"),
}


@dataclass(frozen=True)
class Config:
    """Everything a run depends on besides its chips.

    The defaults follow the paper's section 4.2 as far as it is given; `studies.deviations` lists,
    for every profile, what does not.

    network, size, width, weights, batch_norm, dropout, dense, frozen_to   as `networks.build`
    variant   which chips, one of `chips.variants.VARIANTS`; `train` is given these chips
    loss      a name from `losses.LOSSES`
    outputs   `"all"`, or one tag: a network for this label alone
    seed      of the initial weights, the shuffle, the transforms and dropout
    epochs    the most there are; batch: chips per step; rate: Adam's first (or highest) rate
    schedule  `"plateau"`: ×0.1 after `plateau` epochs in which what is watched gets no better, stop
              after `patience`; `"one-cycle"`: a fifth of the steps up to `rate`, then down a
              cosine to nothing, all epochs (Smith & Topin 2019): good for few epochs from scratch;
              `"cyclical"`: from a quarter of `rate` straight up to it and down, every `cycle`
              epochs, all epochs (Smith 2017)
    watch     what the best epoch and the plateau go by: `"val_loss"`, or `"val_f2"`, the metric, as
              in the paper's section 4.2: F2 at threshold 0.2, mean over chips, of one label its own
    precision Keras' dtype policy while training
    augment   a name from `augment.AUGMENTATIONS`
    train_chips  how many training chips, the first by their names' hashes; 0: all there are
    teacher   `""`, or the slug of a saved run whose answers are `teaching` of the target
              (`distillation`); log loss, all labels
    teacher_views  symmetries of each chip that the teacher's answer is averaged over, 1 to 8
    copies    0: transforms are drawn anew in each epoch; else how many fixed random copies of each
              training chip take its place, split 8:2 again (`copies.make`)
    split_by  with `copies`: `"chip"`, all copies of a chip on one side; `"copy"`, each copy at
              random, so that most chips stand on both sides (the paper's order, section 4.2)
    """

    network: str = "vgg16"
    size: int = 32
    width: float = 1.0
    weights: str = ""
    variant: str = "original"
    loss: str = "log"
    outputs: str = "all"
    seed: int = 0
    epochs: int = 30
    batch: int = 128
    rate: float = 1e-4
    schedule: str = "plateau"
    plateau: int = 2
    patience: int = 3
    precision: str = "float32"
    augment: str = "symmetries"
    batch_norm: str = "head"
    dropout: float = 0.0
    dense: int = 512
    frozen_to: str = ""
    cycle: int = 2
    train_chips: int = 0
    teacher: str = ""
    teaching: float = 0.5
    teacher_views: int = 1
    copies: int = 0
    split_by: str = "chip"
    watch: str = "val_loss"

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(f"variant: one of {', '.join(VARIANTS)}, not {self.variant!r}")
        for key, names in {**NAMES, "schedule": SCHEDULES}.items():
            if getattr(self, key) not in names:
                raise ValueError(f"{key}: one of {', '.join(names)}, not {getattr(self, key)!r}")
        if self.size < 1 or not self.width > 0 or self.dense < 1 or not 0 <= self.dropout < 1:
            raise ValueError("size, width and dense are positive, dropout is from 0 to below 1")
        if self.patience < 1 or self.plateau < 1:
            raise ValueError("plateau and patience are 1 or more")
        if self.epochs < 1 or self.batch < 1 or not 0 < self.rate < float("inf"):
            raise ValueError("epochs, batch and rate are positive")
        if self.cycle < 1 or self.train_chips < 0:
            raise ValueError("cycle is 1 or more, train_chips 0 or more")
        if self.seed < 0 or not 0 <= self.teaching <= 1:
            raise ValueError("seed is 0 or more, teaching from 0 to 1")
        if self.teacher and (self.loss != "log" or self.outputs != "all"):
            raise ValueError("teacher: teaches all labels, by the log loss")
        if not 1 <= self.teacher_views <= 8:
            raise ValueError(f"teacher_views: 1 to 8, not {self.teacher_views}")
        if self.watch not in ("val_loss", "val_f2"):
            raise ValueError(f"watch: val_loss or val_f2, not {self.watch!r}")
        if self.split_by not in ("chip", "copy") or self.copies < 0:
            raise ValueError("copies is 0 or more, split_by chip or copy")
        if self.copies and self.teacher:
            raise ValueError("copies: without a teacher")
        if self.weights not in ("", "imagenet") and "@" not in self.weights:
            from ..networks.build import weights_name  # Keras takes seconds

            object.__setattr__(self, "weights", weights_name(self.weights))

    @classmethod
    def from_dict(cls, values: dict) -> Config:
        """A configuration from JSON; `PaperError` for a key that does not exist."""
        known = {f.name: f for f in fields(cls)}
        if unknown := sorted(set(values) - set(known)):
            raise PaperError(
                f"configuration: unknown key {', '.join(map(repr, unknown))}",
                f"the keys are {', '.join(known)}",
            )
        types = {"int": int, "float": (int, float), "str": str}
        for key, value in values.items():
            if isinstance(value, bool) or not isinstance(value, types[str(known[key].type)]):
                raise PaperError(f"configuration: {key}={value!r}", f"{key} is {known[key].type}")
        return cls(**{k: float(v) if known[k].type == "float" else v for k, v in values.items()})

    @classmethod
    def of(cls, profile: Profile, **changes) -> Config:
        """The profile's network, with changes.

        From ready-made weights it is trained as the paper says. From scratch it needs more help to
        get as far in as few epochs: batch normalisation throughout and a one-cycle rate.
        """
        given = {
            "size": profile.size,
            "width": profile.width,
            "epochs": profile.epochs,
            "batch": profile.batch,
            "rate": profile.rate,
            "weights": profile.weights,
            "precision": profile.precision,
            "watch": profile.watch,
            "augment": profile.augment,
        }
        if not changes.get("weights", profile.weights):
            given |= {"batch_norm": "all", "schedule": "one-cycle"}
        return cls.from_dict(given | changes)

    @classmethod
    def parse(cls, pairs: Iterable[str]) -> dict:
        """`["loss=f2", "epochs=4"]` of a command line -> changes for `of`."""
        kinds = {f.name: {"int": int, "float": float}.get(str(f.type), str) for f in fields(cls)}
        changes = {}
        for pair in pairs:
            key, _, text = pair.partition("=")
            if key not in kinds:
                raise PaperError(f"unknown key {key!r}", f"the keys are {', '.join(kinds)}")
            try:
                changes[key] = kinds[key](text)
            except ValueError:
                kind = kinds[key].__name__
                raise PaperError(f"{key}={text}: no {kind}", f"write {key}=VALUE") from None
        return changes

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)

    @property
    def slug(self) -> str:
        """A folder name that says the main things and ends with a digest of all of them.

        Only what differs from the defaults is digested, so that a key added later, with the old
        behaviour as its default, leaves the runs that are there valid.
        """
        changed = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != f.default
        }
        text = json.dumps(changed, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return (
            f"{self.network}-w{self.width:g}-{self.size}px-{self.variant}-{self.loss}"
            f"-{self.outputs}-s{self.seed}-{digest}"
        )


def network(config: Config, labels: int = 17, *, like: Config | None = None):
    """The untrained Keras network of a configuration.

    like  build with this configuration's input scaling but without its ready-made weights

    Raises `PaperError` for a `frozen_to` that is no block or layer of the network.
    """
    from ..networks import build  # Keras takes seconds to import

    try:
        return build.build(
            config.network,
            size=config.size,
            width=config.width,
            outputs=labels if config.outputs == "all" else 1,
            weights=config.weights,
            centred_only=bool((like or config).weights),
            batch_norm=config.batch_norm,
            dropout=config.dropout,
            dense=config.dense,
            precision=config.precision,
            seed=config.seed,
            frozen_to=config.frozen_to,
        )
    except ValueError as error:
        if not str(error).startswith("frozen_to"):
            raise
        raise PaperError(f"configuration: {error}") from None
