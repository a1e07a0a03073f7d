"""The epochs of one run: data in a fixed order, one `fit` per epoch, a checkpoint after each."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm  # as text, also in a notebook: `paper run` reads its last line

from .. import f2, losses
from ..chips import Chips, leakage
from ..chips.split import first_by_hash
from ..networks import augment
from ..utils.errors import PaperError
from . import checkpoint, determinism, distillation, schedules
from .config import Config, network
from .runs import WEIGHTS


class Diverged(PaperError):
    """A training whose loss or predictions are no numbers any more."""


_KEPT: dict[tuple, tuple[keras.Model, keras.Model]] = {}  # compiled models, last used last
_KEEP = 3  # the paper's three losses


def epoch_of(
    images: np.ndarray, labels: np.ndarray, order: np.ndarray, batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """The chips of one epoch in the order they are shown, in whole batches.

    The chips left over after the last whole batch are other ones in each epoch. A copy in memory
    rather than a generator: on TensorFlow a generator runs in a thread of tf.data, and taking it
    down at the end of an epoch can wait for the interpreter's lock that it holds itself, for ever.
    """
    shown = order[: len(order) // batch * batch]
    return images[shown], labels[shown]


class Training:
    """A run in progress; `run()` takes it from its last finished epoch to its end.

    taught  `(N, L)` probabilities of a teacher, for a configuration that has one
    steps   in one epoch of the schedule, where the chips are fewer than the run's (`probe`)
    """

    def __init__(
        self,
        config: Config,
        chips: Chips,
        cache: Path,
        *,
        taught: np.ndarray | None = None,
        progress: bool | tqdm = True,
        steps: int = 0,
    ):
        determinism.prepare()
        self.config, self.progress = config, progress
        self.images = chips.images
        tags = chips.tags
        self.columns = list(range(len(tags)))
        if config.outputs != "all":
            self.columns = [tags.index(config.outputs)]
        self.labels = np.ascontiguousarray(chips.labels[:, self.columns], dtype=np.float32)
        self.targets = self.labels
        if taught is not None:
            self.targets = distillation.mixed_targets(self.labels, taught, config.teaching)
        self.train = np.flatnonzero(chips.split == "train")
        if config.train_chips and not config.copies:  # `copies.make` has taken them
            first = first_by_hash(chips.names[self.train], config.train_chips)
            self.train = self.train[first]
        leakage.check_trained_on(chips.chip_names[self.train])
        self.validation = np.flatnonzero(chips.split == "validation")
        self.steps = steps or len(self.train) // config.batch
        self.checkpoint, self.weights = cache / "checkpoint.npz", cache / WEIGHTS

        self.history: list[dict] = []
        self.seconds: list[float] = []
        self.best_epoch, self.best = -1, -np.inf
        self.rate = config.rate
        self.finished = False
        self.loss = losses.get(config.loss)
        self.network, self.model = self._build(len(tags))
        self._restore()

    def run(self) -> None:
        """Train the epochs that are left, then take the weights of the best one."""
        if not self.finished:
            with self._bar() as bar:
                while len(self.history) < self.config.epochs and not self._stopped():
                    self._epoch(bar)
            self.finished = True
            self._save()
        stored = checkpoint.read(self.weights)
        if stored is None:
            raise RuntimeError(f"{self.weights} has gone: remove {self.checkpoint} and start again")
        checkpoint.assign(self.network.weights, stored[1]["weights"])

    def epoch(self) -> None:
        """Train one epoch more, without a bar."""
        with tqdm(disable=True) as bar:
            self._epoch(bar)

    def _bar(self) -> AbstractContextManager[tqdm]:
        if not isinstance(self.progress, bool):
            self.progress.set_description_str(self.config.slug)
            self.progress.update(len(self.history) * self.steps)
            return nullcontext(self.progress)
        return tqdm(
            total=self.config.epochs * self.steps,
            initial=len(self.history) * self.steps,
            desc=self.config.slug,
            unit="batch",
            disable=not self.progress,
            mininterval=0.5,
        )

    def predict(self, index: np.ndarray) -> np.ndarray:
        """Probabilities `(len(index), outputs)` float32 of the chips at `index`."""
        return augment.predict(self.network, self.images[index])

    def _build(self, labels: int) -> tuple[keras.Model, keras.Model]:
        """The network, and the model that trains it; compiled once per process and architecture.

        Tracing and compiling takes as long as an epoch of a narrow network, and the networks of a
        grid mostly differ in their weights, not their graph: the next takes a compiled one over.
        """
        config = self.config
        alike = replace(config, seed=0, variant="original", outputs="all", teacher="")
        # none of these is part of the graph
        alike = replace(alike, train_chips=0, teaching=0.5, teacher_views=1, split_by="chip")
        if config.schedule == "plateau":  # then the rate is a variable, not part of the graph
            alike = replace(alike, rate=1.0, epochs=1, plateau=1, patience=1)
        key = alike, self.steps if config.schedule != "plateau" else 0, len(self.columns)
        if key in _KEPT:
            built, model = _KEPT[key] = _KEPT.pop(key)
            checkpoint.assign(built.weights, network(config, labels).get_weights())
            for variable in model.optimizer.variables:
                variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
            if config.schedule == "plateau":
                model.optimizer.learning_rate = config.rate
            return built, model
        while len(_KEPT) >= _KEEP:
            del _KEPT[next(iter(_KEPT))]
        built = network(config, labels)
        images = keras.Input((config.size, config.size, 3), dtype="uint8", name="chips")
        x = images
        for layer in augment.random_transforms("none" if config.copies else config.augment):
            x = layer(x)
        model = keras.Model(images, built(x))
        rate: float | keras.optimizers.schedules.LearningRateSchedule = config.rate
        if config.schedule == "one-cycle":
            rate = schedules.one_cycle(config.rate, self.steps * config.epochs)
        elif config.schedule == "cyclical":
            rate = schedules.Triangular(config.rate / 4, config.rate, self.steps * config.cycle)
        optimizer = keras.optimizers.Adam(rate)
        model.compile(optimizer=optimizer, loss=self.loss, jit_compile=determinism.jit())
        model.optimizer.build(model.trainable_variables)
        _KEPT[key] = built, model
        return built, model

    def _epoch(self, bar: tqdm) -> None:
        epoch, config = len(self.history), self.config
        started = time.time()
        if config.schedule == "plateau":
            self.model.optimizer.learning_rate = self.rate
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        checkpoint.reseed(self.model, config.seed, epoch)
        order = np.random.default_rng([config.seed, epoch]).permutation(self.train)
        done = self.model.fit(
            *epoch_of(self.images, self.targets, order, config.batch),
            batch_size=config.batch,
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=[_Bar(bar)],
        )

        probability = self.predict(self.validation)
        truth = self.labels[self.validation]
        row = {
            "epoch": epoch,
            "loss": float(done.history["loss"][0]),
            "val_loss": self._mean_loss(truth, probability),
            "val_f2": float(f2.f2_score(truth.astype(np.uint8), probability > 0.2)),
            "rate": rate,
        }
        if not np.isfinite([row["loss"], row["val_loss"]]).all() or np.isnan(probability).any():
            raise Diverged(
                f"{config.slug} diverged in epoch {epoch + 1}: loss {row['loss']:g}, "
                f"validation loss {row['val_loss']:g}",
                f"use a lower rate than {config.rate:g}; nothing of it was saved",
            )
        self.history.append(row)
        score = -row["val_loss"] if config.watch == "val_loss" else self._metric(truth, probability)
        if self.best_epoch < 0 or score > self.best:
            self.best = score
            self.best_epoch = epoch
            checkpoint.write(self.weights, {"epoch": epoch}, {"weights": self.network.weights})
        elif config.schedule == "plateau" and self._flat() % config.plateau == 0:
            self.rate = self.rate * 0.1
        self.seconds.append(time.time() - started)
        self._save()
        bar.set_postfix_str(
            f"epoch {epoch + 1}, val_loss {row['val_loss']:.4f}, F2 {row['val_f2']:.4f}"
        )

    def _metric(self, truth: np.ndarray, probability: np.ndarray) -> float:
        """F2 at threshold 0.2: mean over chips, of a network of one label that label's own."""
        found = (probability > 0.2).astype(np.uint8)
        if self.config.outputs == "all":
            return float(f2.f2_score(truth.astype(np.uint8), found))
        return float(f2.f2_score(truth.astype(np.uint8), found, "labels")[0])

    def _mean_loss(self, truth: np.ndarray, probability: np.ndarray) -> float:
        """The loss over batches of the training size, weighted by their chips."""
        total = 0.0
        for start in range(0, len(truth), self.config.batch):
            part = slice(start, start + self.config.batch)
            value = float(keras.ops.convert_to_numpy(self.loss(truth[part], probability[part])))
            total += value * len(truth[part])
        return total / len(truth)

    def _flat(self) -> int:
        """How many of the last epochs brought nothing better of what is watched."""
        return len(self.history) - 1 - self.best_epoch if self.history else 0

    def _stopped(self) -> bool:
        return self.config.schedule == "plateau" and self._flat() >= self.config.patience

    def _save(self) -> None:
        meta = {
            "history": self.history,
            "seconds": self.seconds,
            "best_epoch": self.best_epoch,
            "best": self.best,
            "rate": self.rate,
            "finished": self.finished,
        }
        variables = {} if self.finished else self._variables()
        checkpoint.write(self.checkpoint, meta, variables)

    def _restore(self) -> None:
        stored = checkpoint.read(self.checkpoint)
        if stored is None:
            return
        meta, values = stored
        for name in ("history", "seconds", "best_epoch", "best", "rate", "finished"):
            setattr(self, name, meta[name])
        if not self.finished:
            for group, variables in self._variables().items():
                checkpoint.assign(variables, values[group])

    def _variables(self) -> dict[str, list]:
        return {"weights": self.network.weights, "optimizer": self.model.optimizer.variables}


class _Bar(keras.callbacks.Callback):
    """One tick per batch; it never looks at the loss, so that the device need not wait."""

    def __init__(self, bar: tqdm):
        super().__init__()
        self.bar = bar

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update(1)
