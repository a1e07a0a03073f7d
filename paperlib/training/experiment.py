"""One training run: a configuration and chips -> a run folder that is kept.

    config = Config.of(profile("planet32"), loss="f2", seed=1)
    run = train(config, chips, project.runs)       # minutes, continues where it was killed
    run = train(config, chips, project.runs)       # at once: a finished run is never trained again
    run.part("validation").probability             # (N, 17)

The run folder `<runs>/<slug>/` holds what is shown and shipped: config.json, history.csv,
predictions.npz, run.json. Weights and checkpoints are large and lie in the cache.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import f2, project
from ..chips import Chips, leakage
from ..profiles import Profile
from ..utils import files
from ..utils.errors import PaperError

if TYPE_CHECKING:
    from tqdm import tqdm

VARIANTS = ("original", "dehazed", "dehazed-hazy")
SCHEDULES = ("plateau", "one-cycle", "cyclical")


@dataclass(frozen=True)
class Config:
    """Everything a run depends on besides its chips.

    The defaults are the paper's recipe as far as it is given, but for `augment`: the paper also
    rotates, resizes and warps (`"paper"`), where the default has the eight symmetries alone.

    network, size, width, weights, batch_norm, dropout, dense, frozen_to   as `networks.build`
    variant   which chips: original, dehazed (all), or dehazed-hazy (of the training chips only
              the hazy and cloudy ones, the paper's section 4.2); `train` is given these chips
    loss      a name from `losses.LOSSES`
    outputs   `"all"`, or one tag: a network for this label alone
    seed      of the initial weights, the shuffle, the transforms and dropout
    epochs    the most there are; batch: chips per step; rate: Adam's first (or highest) rate
    schedule  `"plateau"`: ×0.1 after `plateau` epochs without a lower validation loss, stop after
              `patience` (the paper); `"one-cycle"`: a fifth of the steps up to `rate`, then down a
              cosine to nothing, all epochs (Smith & Topin 2019): good for few epochs from scratch;
              `"cyclical"`: from a quarter of `rate` straight up to it and down, every `cycle`
              epochs, all epochs (Smith 2017)
    precision Keras' dtype policy while training
    augment   a name from `augment.AUGMENTATIONS`
    train_chips  how many training chips, the first by their names' hashes; 0: all there are
    teacher   `""`, or the slug of a kept run whose answers are `teaching` of the target
              (`distillation`); log loss, all labels
    teacher_views  symmetries of each chip that the teacher's answer is averaged over, 1 to 8
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

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(f"variant: one of {', '.join(VARIANTS)}, not {self.variant!r}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule: one of {', '.join(SCHEDULES)}, not {self.schedule!r}")
        if self.epochs < 1 or self.batch < 1 or self.rate <= 0:
            raise ValueError("epochs, batch and rate are positive")
        if self.cycle < 1 or self.train_chips < 0:
            raise ValueError("cycle is 1 or more, train_chips 0 or more")
        if self.teacher and (self.loss != "log" or self.outputs != "all"):
            raise ValueError("teacher: teaches all labels, by the log loss")
        if not 1 <= self.teacher_views <= 8:
            raise ValueError(f"teacher_views: 1 to 8, not {self.teacher_views}")
        if self.weights not in ("", "imagenet") and "@" not in self.weights:
            from ..networks.build import weights_name

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


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, as its folder says.

    history      one row per epoch: epoch, loss, val_loss, val_f2 (mean over chips at threshold 0.2,
                 of the labels it was trained for), rate
    names        `(N,)` of the validation and test chips; split `(N,)`
    truth        `(N, L)` uint8
    probability  `(N, L)` float32; NaN in the columns of labels the network was not trained for
    facts        run.json: the chips' fingerprint, the best epoch, versions, hardware
    """

    config: Config
    folder: Path
    history: pd.DataFrame
    names: np.ndarray
    split: np.ndarray
    truth: np.ndarray
    probability: np.ndarray
    facts: dict = field(default_factory=dict)

    def part(self, split: str) -> Run:
        """The same run with the predictions of one split only."""
        keep = self.split == split
        return replace(
            self,
            names=self.names[keep],
            split=self.split[keep],
            truth=self.truth[keep],
            probability=self.probability[keep],
        )

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self.facts["chips"]["tags"])

    @property
    def val_f2(self) -> float:
        """F2 of the validation chips at threshold 0.2, by the weights that are kept.

        Mean over chips; of a network of one label that label's own, since the mean over chips is 0
        wherever it is absent.
        """
        if self.config.outputs == "all":
            return float(self.history["val_f2"].iloc[self.facts["best_epoch"]])
        part, column = self.part("validation"), [self.tags.index(self.config.outputs)]
        found = part.probability[:, column] > 0.2
        return float(f2.f2_score(part.truth[:, column], found, average="labels")[0])

    @property
    def timing(self) -> dict | None:
        """Seconds in all and per epoch, where this machine trained the run; else None."""
        path = self.weights_file.with_name("timing.json")
        return files.read_json(path) if path.is_file() else None

    @property
    def weights_file(self) -> Path:
        """Where the trained weights lie on this machine, if it has them."""
        return _cache(self.config, self.facts["chips"]["fingerprint"]) / "weights.npz"

    def model(self):
        """The trained Keras network; `PaperError` where its weights are not in the cache."""
        from . import checkpoint

        stored = checkpoint.read(self.weights_file)
        if stored is None:
            raise PaperError(
                f"the weights of {self.config.slug} are not here ({self.weights_file})",
                f"remove {self.folder} and train it again",
            )
        model = network(replace(self.config, weights=""), len(self.tags), like=self.config)
        checkpoint.assign(model.weights, stored[1]["weights"])
        return model


def network(config: Config, labels: int = 17, *, like: Config | None = None):
    """The untrained Keras network of a configuration.

    like  build with this configuration's input scaling but without its ready-made weights
    """
    from ..networks import build

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


def load(folder: str | Path) -> Run:
    """A finished run from its folder; `PaperError` where it is not one or was changed.

    Runs of before there was a digest in run.json are taken as they are; `sign` gives them one.
    """
    folder = Path(folder)
    try:
        facts = files.read_json(folder / "run.json")
        config = Config.from_dict(files.read_json(folder / "config.json"))
        with np.load(folder / "predictions.npz", allow_pickle=False) as stored:
            arrays = {k: stored[k] for k in ("names", "split", "truth", "probability")}
        history = pd.read_csv(folder / "history.csv")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PaperError(f"{folder} is no finished run ({error})", "train it again") from error
    if written := facts.get("predictions"):
        said = (arrays[k] for k in ("names", "truth", "probability"))
        leakage.check_unchanged(*said, written, str(folder))
    arrays["probability"] = arrays["probability"].astype(np.float32)
    return Run(config=config, folder=folder, history=history, facts=facts, **arrays)


def sign(folder: str | Path) -> None:
    """Write the digest of a run's predictions into its run.json, where it has none.

    Raises `PaperError` where it has one, and it is another.
    """
    load(folder)
    place = Path(folder) / "run.json"
    facts = files.read_json(place)
    if "predictions" not in facts:
        with np.load(place.with_name("predictions.npz"), allow_pickle=False) as stored:
            said = [stored[k] for k in ("names", "truth", "probability")]
        facts["predictions"] = leakage.predictions_digest(*said)
        files.write_json(place, facts)


def find(config: Config, runs_folder: str | Path, chips: Chips | None = None) -> Run | None:
    """The finished run of `config`, or None.

    chips  only a run on these chips counts; without them the first one trained does
    """
    runs = Path(runs_folder)
    for folder in [runs / config.slug, *sorted(runs.glob(f"{config.slug}-*"))]:
        if (folder / "run.json").is_file():
            run = load(folder)
            if chips is None or same_chips(run.facts["chips"], describe(chips)):
                return run
    return None


def describe(chips: Chips) -> dict:
    """What identifies chips in run.json.

    `fingerprint` is exact. `labels` is the digest of names and labels, and `colours` the mean of
    some chips: they recognise chips whose pixels were decoded or dehazed by another build of a
    library, which rounds a few pixels differently.
    """
    digest = hashlib.sha256("\n".join(chips.names.tolist()).encode())
    digest.update(np.ascontiguousarray(chips.labels))
    some = np.linspace(0, len(chips) - 1, min(len(chips), 64)).astype(int)
    return {
        "source": chips.source,
        "count": len(chips),
        "tags": list(chips.tags),
        "fingerprint": chips.fingerprint,
        "labels": digest.hexdigest(),
        "colours": [round(float(chips.images[i].mean()), 2) for i in some],
    }


def same_chips(kept: dict, now: dict) -> bool:
    """Whether two descriptions are of the same chips, up to rounding in their decoding."""
    if kept["fingerprint"] == now["fingerprint"]:
        return True
    if kept["labels"] != now["labels"] or kept["tags"] != now["tags"]:
        return False
    return bool(np.abs(np.subtract(kept["colours"], now["colours"])).max() <= 0.25)


def train(
    config: Config, chips: Chips, runs_folder: str | Path, *, progress: bool | tqdm = True
) -> Run:
    """Train `config` on the training chips, or continue, or take the run that is there.

    chips        of `config.variant`, at `config.size`; the validation chips choose the epoch, the
                 test chips (where there are any) are only predicted
    runs_folder  where the run folder goes; a run of the same configuration on other chips is kept,
                 and this one gets the chips' fingerprint in its folder name
    progress     whether to show a bar, or the bar of a whole grid to advance by batches

    The weights kept are those of the epoch with the lowest validation loss. Raises `PaperError` for
    chips that cannot train the configuration.
    """
    if kept := find(config, runs_folder, chips):
        return kept
    check(config, chips)
    _check_leaks(chips)
    from . import checkpoint
    from .loop import Training

    folder = Path(runs_folder) / config.slug
    if (folder / "run.json").is_file():
        folder = folder.with_name(f"{config.slug}-{chips.fingerprint[:8]}")
    cache = _cache(config, chips.fingerprint)
    with checkpoint.only_one(cache):
        if kept := find(config, runs_folder, chips):  # another process finished it meanwhile
            return kept
        started = time.time()
        taught = None
        if config.teacher:
            from .distillation import soft_labels

            taught = soft_labels(config.teacher, chips, runs_folder, views=config.teacher_views)
        training = Training(config, chips, cache, taught=taught, progress=progress)
        training.run()
        split = chips.split
        rest = np.flatnonzero(split != "train")
        probability = np.full((len(rest), len(chips.tags)), np.nan, np.float16)
        probability[:, training.columns] = training.predict(rest)
        names, truth = chips.names[rest], chips.labels[rest]
        facts = {
            "chips": describe(chips),
            "predictions": leakage.predictions_digest(names, truth, probability),
            "best_epoch": training.best_epoch,
            "epochs": len(training.history),
            "parameters": training.network.count_params(),
            **_surroundings(),
        }
        files.write_json(folder / "config.json", config.to_dict())
        files.write_text(
            folder / "history.csv",
            pd.DataFrame(training.history).to_csv(index=False, lineterminator="\n"),
        )
        files.write_arrays(
            folder / "predictions.npz",
            names=names,
            split=split[rest],
            truth=truth,
            probability=probability,
        )
        timing = {"seconds": training.seconds, "last_sitting": time.time() - started}
        files.write_json(cache / "timing.json", timing)
        files.write_json(folder / "run.json", facts)  # last: it says that the rest is whole
    return load(folder)


def _cache(config: Config, fingerprint: str) -> Path:
    return project.cache_folder() / "runs" / f"{config.slug}-{fingerprint[:8]}"


def check(config: Config, chips: Chips) -> None:
    """`PaperError` for chips that cannot train the configuration."""
    if chips.size != config.size:
        raise PaperError(
            f"chips of {chips.size} px for a network of {config.size} px", "read them at that size"
        )
    if config.outputs != "all" and config.outputs not in chips.tags:
        raise PaperError(f"outputs: no label {config.outputs!r}", "use 'all' or a tag of the chips")
    for split in ("train", "validation"):
        if not (chips.split == split).any():
            raise PaperError(f"{chips.source}: no {split} chip", "give more chips")
    count = int((chips.split == "train").sum())
    if config.train_chips > count:
        raise PaperError(
            f"{chips.source}: fewer than train_chips={config.train_chips} training chips",
            "lower train_chips",
        )
    if (config.train_chips or count) < config.batch:
        raise PaperError(
            f"{chips.source}: fewer training chips than batch={config.batch}", "lower the batch"
        )


def _check_leaks(chips: Chips) -> None:
    """No validation chip among the training chips, by name or by pixels; once per process."""
    if chips.fingerprint not in _CHECKED:
        leakage.check_training(chips.part("train"), chips.part("validation"))
        _CHECKED.add(chips.fingerprint)


_CHECKED: set[str] = set()


def _surroundings() -> dict:
    """Versions and hardware: what may change the last digits of a run."""
    import platform
    from importlib.metadata import version

    import keras

    from . import determinism

    backend = keras.backend.backend()
    return {
        "backend": backend,
        "hardware": determinism.hardware(),
        "threads": determinism.threads(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("keras", "numpy", backend)},
        },
    }
