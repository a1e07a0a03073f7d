"""Transfer learning both ways: fixed features under a linear model, and fine-tuning.

    table = learning_curve(chips, methods=("svm", "logistic"), counts=(64, 256), weights=IMAGENET)

Training chips are added in the order of their names' hashes, so that a larger set holds the smaller
one; every method predicts the same validation chips. A cell of the curve (a method at a count) is
computed once and saved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from .. import f2
from ..chips import Chips
from ..chips.split import first_by_hash
from ..evaluation import selection
from ..training.config import Config
from ..utils import backend, cache, code, files, paths
from ..utils.errors import PaperError

#: The ImageNet weights that the shipped results were made with (torchvision's training run).
IMAGENET = "vgg16_imagenet_torchvision_notop.h5@acf0d53fbfa8"


@dataclass(frozen=True)
class Method:
    """One way to use a network that was trained on something else.

    name     for tables and figures
    model    `svm` or `logistic` on fixed features, or `network` (trained by `train`)
    weights  True where it starts from the ready-made weights
    frozen   block up to which the network does not learn (`network` only)
    """

    name: str
    model: str
    weights: bool
    frozen: str = ""


METHODS: dict[str, Method] = {
    "svm": Method("fixed features, linear SVM", "svm", True),
    "logistic": Method("fixed features, logistic regression", "logistic", True),
    "untrained": Method("features of an untrained network, logistic regression", "logistic", False),
    "last": Method("fine-tuning of the last block", "network", True, "block4"),
    "all": Method("fine-tuning of all blocks", "network", True),
    "scratch": Method("from scratch", "network", False),
}


def subset(chips: Chips, count: int) -> Chips:
    """All chips that are not for training, and the first `count` training chips by their hash."""
    train = np.flatnonzero(chips.split == "train")
    chosen = train[first_by_hash(chips.names[train], count)]
    rest = np.flatnonzero(chips.split != "train")
    return chips.take(np.sort(np.concatenate([chosen, rest])))


def linear(
    kind: str, features: np.ndarray, labels: np.ndarray, others: np.ndarray, *, folds: int = 3
) -> np.ndarray:
    """One linear classifier per label on standardised features -> `(M, L)` in 0…1.

    kind      `"svm"` (squared hinge loss; its distance from the plane through a sigmoid) or
              `"logistic"` (log loss: what a network's sigmoid layer learns). A softmax would allow
              one label.
    features  `(N, C)` of the training chips, labels `(N, L)`; others `(M, C)`

    How strongly the weights are held small is chosen for all labels together, by the log loss of
    `folds` folds of the training chips. A label that all or none of them has gets its frequency.
    """
    mean, spread = features.mean(0), features.std(0) + 1e-6
    x, z = (features - mean) / spread, (others - mean) / spread
    fold = np.arange(len(x)) % folds
    strengths = (1e-5, 1e-4, 1e-3, 1e-2) if kind == "svm" else (1e-4, 1e-3, 1e-2, 1e-1)
    losses = []
    for strength in strengths:
        held = np.empty(labels.shape)
        for k in range(folds):
            held[fold == k] = _fit(kind, strength, x[fold != k], labels[fold != k], x[fold == k])
        held = held.clip(1e-6, 1 - 1e-6)
        losses.append(-np.mean(np.where(labels > 0, np.log(held), np.log(1 - held))))
    return _fit(kind, strengths[int(np.argmin(losses))], x, labels, z).astype(np.float32)


def _fit(kind: str, strength: float, x, labels, z) -> np.ndarray:
    out = np.empty((len(z), labels.shape[1]))
    for column, wanted in enumerate(labels.T):
        if wanted.min() == wanted.max():
            out[:, column] = wanted.mean()
        elif kind == "svm":
            # the dual is exact and quick where there are fewer chips than features, or few
            model = LinearSVC(C=strength, dual=len(x) < x.shape[1], random_state=0, max_iter=3000)
            out[:, column] = 1 / (1 + np.exp(-2 * model.fit(x, wanted).decision_function(z)))
        else:
            model = LogisticRegression(C=strength, max_iter=300)
            out[:, column] = model.fit(x, wanted).predict_proba(z)[:, 1]
    return out


def _trained(
    chips: Chips, how: Method, weights: str, options: Mapping | None, folder: Path
) -> np.ndarray:
    """Train a network on the training chips given; its `(M, L)` of the validation chips."""
    from ..training.train import train

    given = {"size": chips.size, "schedule": "one-cycle", "frozen_to": how.frozen}
    given["weights"] = weights if how.weights else ""
    run = train(Config.from_dict(given | dict(options or {})), chips, folder)
    return run.part("validation").probability


def learning_curve(
    chips: Chips,
    *,
    methods: tuple[str, ...] = tuple(METHODS),
    counts: tuple[int, ...],
    weights: str = IMAGENET,
    at: tuple[str, ...] = ("block5_pool",),
    options: Mapping | None = None,
    only_saved: bool = False,
    progress: bool = True,
) -> dict[tuple[str, int], np.ndarray]:
    """(method, training chips) -> `(M, L)` float16: probabilities of the validation chips.

    chips    any set with training and validation chips; counts: of training chips
    weights  of VGG-16, for the methods that start from something
    at       layers whose channels, averaged over the chip, are the fixed features
    options  of `config.Config`, for the methods that train a network
    only_saved  take what earlier calls have finished, compute nothing

    Every cell is kept by what it depends on, and a run that is killed goes on with the next one.
    `PaperError` where the weights are not there.
    """
    from ..training import features as fixed  # Keras takes seconds to import

    computing = ["paperlib.training.train", "paperlib.training.features"]
    made_by = code.total(code.reached(computing, alone=[__name__]))
    runs = paths.cache_folder() / "transfer" / made_by  # `train` takes what is there
    switches = sorted(backend.settings().items())
    cells: dict[tuple[str, int], np.ndarray] = {}
    seen: dict[bool, np.ndarray] = {}
    held = chips.split == "validation"
    place = {name: i for i, name in enumerate(chips.names.tolist())}
    for count in counts:
        some = subset(chips, count)
        chosen = np.array([place[name] for name in some.part("train").names.tolist()])
        for method in methods:
            how = METHODS[method]
            settings = json.dumps(dict(options or {}), sort_keys=True)
            parts = (some.fingerprint, method, weights if how.weights else "", at, settings)
            key = f"transfer-{cache.key(*parts, made_by, switches)}"
            if found := cache.load(key):
                cells[method, count] = np.array(found[0])
                continue
            if only_saved:
                continue
            if how.model == "network":
                made = _trained(some, how, weights, options, runs).astype(np.float16)
            else:
                if how.weights not in seen:
                    pooled = fixed.features(
                        chips,
                        weights=weights if how.weights else "",
                        at=fixed.BLOCKS if set(at) <= set(fixed.BLOCKS) else at,
                        progress=progress,
                    )
                    seen[how.weights] = np.concatenate([pooled[name] for name in at], axis=1)
                x = seen[how.weights]
                made = linear(how.model, x[chosen], chips.labels[chosen], x[held])
                made = made.astype(np.float16)
            cache.save(key, made)
            cells[method, count] = made
    return cells


def table(
    cells: Mapping[tuple[str, int], np.ndarray],
    names: np.ndarray,
    truth: np.ndarray,
    *,
    size: int,
    tags: tuple[str, ...],
) -> pd.DataFrame:
    """One row per method and count, thresholds by the nested protocol on the validation chips.

    Returns `method`, `what`, `size`, `chips`, `f2` (mean over chips), `low`, `high`,
    `macro_f2` (mean over labels), `macro_low`, `macro_high`; 95 % bootstrap over chips.
    """
    rows = []
    for (method, count), probability in sorted(cells.items(), key=lambda c: (c[0][1], c[0][0])):
        outcome = selection.protocol_nested(
            truth, probability.astype(np.float32), names, labels=tags
        )
        value, low, high = outcome.interval
        by_label = f2.label_draws(truth, outcome.prediction, 2000, 0).mean(1)
        rows.append(
            {
                "method": method,
                "what": METHODS[method].name,
                "size": size,
                "chips": count,
                "f2": value,
                "low": low,
                "high": high,
                "macro_f2": float(f2.f2_score(truth, outcome.prediction, "labels").mean()),
                "macro_low": float(np.quantile(by_label, 0.025)),
                "macro_high": float(np.quantile(by_label, 0.975)),
            }
        )
    return pd.DataFrame(rows)


def write(
    path: str | Path, cells: Mapping[tuple[str, int], np.ndarray], chips: Chips, **note: object
) -> None:
    """Ship predictions: `.npz` of names, truth, tags and each cell's probabilities, and a note."""
    held = chips.part("validation")
    arrays = {f"{method}/{count}": p for (method, count), p in cells.items()}
    facts = {
        "chips": chips.source,
        "size": chips.size,
        "train": int((chips.split == "train").sum()),
    }
    files.write_arrays(
        path,
        names=held.names,
        truth=held.labels,
        tags=np.array(chips.tags),
        note=np.array(json.dumps({**facts, **note}, sort_keys=True)),
        **arrays,
    )


@dataclass(frozen=True, eq=False)
class Shipped:
    """What `write` wrote: names `(M,)`, truth `(M, L)`, tags, cells, and the note."""

    names: np.ndarray
    truth: np.ndarray
    tags: tuple[str, ...]
    cells: dict[tuple[str, int], np.ndarray]
    note: dict

    def table(self) -> pd.DataFrame:
        return table(self.cells, self.names, self.truth, size=self.note["size"], tags=self.tags)


def read(path: str | Path) -> Shipped:
    """Predictions that `write` wrote."""
    arrays, note = files.read_arrays(path)
    names, truth, tags = (arrays.pop(key) for key in ("names", "truth", "tags"))
    cells = {}
    for key, probability in arrays.items():
        method, _, count = key.rpartition("/")
        cells[method, int(count)] = probability
    return Shipped(names, truth, tuple(tags.tolist()), cells, note)


def shipped() -> dict[str, Shipped]:
    """What was computed once on real chips and comes with the checkout, by its name.

    Raises `PaperError` where the package stands alone, without `results/`.
    """
    folder = Path(__file__).resolve().parents[2] / "results"
    found = {
        f"{path.parent.name}/{path.stem}": read(path)
        for path in sorted(folder.glob("*/transfer*.npz"))
    }
    if not found:
        raise PaperError(f"{folder} holds no transfer results", "run this in a checkout")
    return found


def weights_at_hand(weights: str = IMAGENET) -> str:
    """`weights` where their file is on this machine, else `""`: a notebook then says so."""
    from ..networks.build import weights_file

    try:
        weights_file(weights)
    except PaperError:
        return ""
    return weights
