"""The last block and the classifier of a network trained on what its fixed blocks see, seen once.

Below `config.frozen_to` nothing learns, so what comes out there is computed once for each picture
and symmetry and saved in half precision; a run then costs the last block alone. Other random
transforms than symmetries would need new pictures in every epoch, and are left out.
"""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from .. import losses
from ..chips import Chips, leakage
from ..networks.views import symmetries
from ..utils import cache, code
from ..utils.errors import PaperError
from . import determinism
from .config import Config, network

_BLOCK = 128  # pictures per saved block: what a killed run loses at most


def halves(config: Config, labels: int) -> tuple[keras.Model, keras.Model]:
    """The fixed part `(N, S, S, 3)` -> `(N, s, s, C)`, and the learning part on it -> `(N, L)`.

    labels  L. Raises `ValueError` where the configuration freezes nothing.
    """
    if not config.frozen_to:
        raise ValueError("frozen_to: name the last block that does not learn")
    whole = network(config, labels)
    seam = whole.get_layer(f"{config.frozen_to}_pool").output
    below = keras.Model(whole.input, keras.layers.Activation("linear", dtype="float32")(seam))
    above = keras.Model(seam, whole.output)
    maps = keras.Input(seam.shape[1:], dtype="float16", name="maps")
    return below, keras.Model(maps, above(keras.ops.cast(maps, seam.dtype)))


def maps(chips: Chips, config: Config, views: int = 1, batch: int = 32) -> np.ndarray:
    """What comes out of the fixed blocks, `(V, N, s, s, C)` float16, computed once and saved.

    chips   `(N, S, S, 3)`;  views  V, the first symmetries of `networks.views`

    A run that is killed goes on after its last 128 pictures.
    """
    made_by = code.stamp(__name__)
    what = (config.network, config.weights, config.frozen_to, config.precision, views)
    key = f"maps-{cache.key(chips.fingerprint, *what, made_by)}"
    if (found := cache.load(key)) is not None:
        return found[0]
    determinism.prepare()
    below, _ = halves(config, 1)

    def block(start: int) -> np.ndarray:
        seen = symmetries(chips.images[start : start + _BLOCK], views)
        flat = np.ascontiguousarray(seen).reshape(-1, *chips.images.shape[1:])
        parts = [
            np.asarray(below.predict_on_batch(flat[i : i + batch]), np.float16)
            for i in range(0, len(flat), batch)
        ]
        return np.concatenate(parts).reshape(*seen.shape[:2], *parts[0].shape[1:])

    blocks = [cache.block(key, start, lambda s=start: block(s))
              for start in range(0, len(chips), _BLOCK)]  # fmt: skip
    cache.save(key, np.concatenate(blocks, axis=1))
    cache.drop_blocks(key)
    return cache.load(key)[0]


def train(
    config: Config,
    seen: np.ndarray,
    names: np.ndarray,
    labels: np.ndarray,
    stop: np.ndarray,
    shown: np.ndarray,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Probabilities `(M, L)` float32 of the pictures `shown`, and what the run was like.

    seen    `(V, N, s, s, C)` of `maps`, of training pictures;  labels  `(N, L)`
    names   `(N,)`: training pictures alone, or `PaperError`
    stop    `(N,)` bool: those that say when to stop, and are not learned from
    shown   `(M, s, s, C)`, as they are

    Adam at `config.rate`, ×0.1 after `config.plateau` epochs in which the loss on `stop` gets no
    better; ends after `config.patience`, with the weights of the best epoch. Each epoch shows every
    picture once, under a symmetry drawn for it. Raises `PaperError` where it diverges.
    """
    leakage.check_trained_on(names)
    determinism.prepare()
    started = time.time()
    _, model = halves(config, labels.shape[1])
    loss, rate = losses.get(config.loss), config.rate
    model.compile(keras.optimizers.Adam(rate), loss=loss, jit_compile=determinism.jit())
    learn, truth = np.flatnonzero(~stop), labels.astype(np.float32)
    best, best_epoch, weights, history = np.inf, 0, model.get_weights(), []
    for epoch in range(config.epochs):
        rng = np.random.default_rng([config.seed, epoch])
        order = rng.permutation(learn)[: len(learn) // config.batch * config.batch]
        view = rng.integers(0, len(seen), len(order))
        model.optimizer.learning_rate = rate
        done = model.fit(seen[view, order], truth[order], batch_size=config.batch,
                         shuffle=False, verbose=0)  # fmt: skip
        said = model.predict(seen[0, stop], batch_size=256, verbose=0)
        value = float(keras.ops.convert_to_numpy(loss(truth[stop], said)))
        if not np.isfinite(value):
            raise PaperError(f"{config.slug} diverged in epoch {epoch + 1}", "use a lower rate")
        history.append([round(float(done.history["loss"][0]), 5), round(value, 5)])
        if value < best:
            best, best_epoch, weights = value, epoch, model.get_weights()
        elif (flat := epoch - best_epoch) >= config.patience:
            break
        elif flat % config.plateau == 0:
            rate *= 0.1
    model.set_weights(weights)
    probability = np.asarray(model.predict(shown, batch_size=256, verbose=0), np.float32)
    facts = {"epochs": len(history), "best_epoch": best_epoch + 1, "history": history}
    return probability, {**facts, "seconds": round(time.time() - started, 1)}
