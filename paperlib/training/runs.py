"""Saved training runs: read from their folders, found by configuration and chips.

    run = find(config, project.runs)
    run.part("validation").probability             # (N, 17)

The run folder `<runs>/<slug>/` holds what is shown and shipped: config.json, history.csv,
predictions.npz, run.json. Weights and checkpoints are large and lie in the cache.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from .. import f2
from ..chips import Chips, leakage
from ..utils import backend, files, paths
from ..utils.errors import PaperError
from .config import Config, network

WEIGHTS, TIMING = "weights.npz", "timing.json"


def cache_of(name: str) -> Path:
    """The folder of this machine's cache for a run's checkpoint, weights and times."""
    return paths.cache_folder() / "runs" / name


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, as its folder says.

    history      one row per epoch: epoch, loss, val_loss, val_f2 (mean over chips at threshold 0.2,
                 of the labels it was trained for), rate
    names        `(N,)` of the validation and test chips; split `(N,)`
    truth        `(N, L)` uint8
    probability  `(N, L)` float32; NaN in the columns of labels the network was not trained for
    metadata     run.json: the chips' fingerprint, the best epoch, versions, hardware, the code it
                 was made by and the numbers of its probe (`identity`)
    """

    config: Config
    folder: Path
    history: pd.DataFrame
    names: np.ndarray
    split: np.ndarray
    truth: np.ndarray
    probability: np.ndarray
    metadata: dict = field(default_factory=dict)

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
        return tuple(self.metadata["chips"]["tags"])

    @property
    def val_f2(self) -> float:
        """F2 of the validation chips at threshold 0.2, by the weights that are saved.

        Mean over chips; of a network of one label that label's own, since the mean over chips is 0
        wherever it is absent.
        """
        if self.config.outputs == "all":
            return float(self.history["val_f2"].iloc[self.metadata["best_epoch"]])
        part, column = self.part("validation"), [self.tags.index(self.config.outputs)]
        found = part.probability[:, column] > 0.2
        return float(f2.f2_score(part.truth[:, column], found, average="labels")[0])

    @property
    def timing(self) -> dict | None:
        """Seconds in all and per epoch, where this machine trained the run; else None."""
        path = self.weights_file.with_name(TIMING)
        return files.read_json(path) if path.is_file() else None

    @property
    def weights_file(self) -> Path:
        """Where the trained weights lie on this machine, if it has them."""
        name = self.metadata.get("cache") or f"{self.config.slug}-{self._fingerprint[:8]}"
        return cache_of(name) / WEIGHTS

    @property
    def _fingerprint(self) -> str:
        return self.metadata["chips"]["fingerprint"]

    def model(self):
        """The trained Keras network; `PaperError` where its weights are not in the cache."""
        from . import checkpoint  # Keras takes seconds to import

        stored = checkpoint.read(self.weights_file)
        if stored is None:
            raise PaperError(
                f"the weights of {self.config.slug} are not here ({self.weights_file})",
                f"remove {self.folder} and train it again",
            )
        model = network(replace(self.config, weights=""), len(self.tags), like=self.config)
        checkpoint.assign(model.weights, stored[1]["weights"])
        return model


def load(folder: str | Path) -> Run:
    """A finished run from its folder; `PaperError` where it is not one or was changed."""
    folder = Path(folder)
    try:
        facts = files.read_json(folder / "run.json")
        written = facts["predictions"]
        config = Config.from_dict(files.read_json(folder / "config.json"))
        with np.load(folder / "predictions.npz", allow_pickle=False) as stored:
            arrays = {k: stored[k] for k in ("names", "split", "truth", "probability")}
        history = pd.read_csv(folder / "history.csv")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PaperError(f"{folder} is no finished run ({error})", "train it again") from error
    predicted = (arrays[k] for k in ("names", "truth", "probability"))
    leakage.check_unchanged(*predicted, written, str(folder))
    arrays["probability"] = arrays["probability"].astype(np.float32)
    return Run(config=config, folder=folder, history=history, metadata=facts, **arrays)


def find(config: Config, runs_folder: str | Path, chips: Chips | None = None) -> Run | None:
    """The finished run of `config`, or None.

    chips  only a run on these chips, by the backend of now, counts; without them the first one
           trained does
    """
    runs = Path(runs_folder)
    for folder in [runs / config.slug, *sorted(runs.glob(f"{config.slug}-*"))]:
        if (folder / "run.json").is_file():
            run = load(folder)
            if chips is None or (
                run.metadata["backend"] == backend.name()
                and same_chips(run.metadata["chips"], describe(chips))
            ):
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


def same_chips(before: dict, now: dict) -> bool:
    """Whether two descriptions are of the same chips, up to rounding in their decoding."""
    if before["fingerprint"] == now["fingerprint"]:
        return True
    if before["labels"] != now["labels"] or before["tags"] != now["tags"]:
        return False
    return bool(np.abs(np.subtract(before["colours"], now["colours"])).max() <= 0.25)
