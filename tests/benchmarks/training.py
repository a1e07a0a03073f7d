"""Training through `experiment` beside a bare `model.fit`, and chips per second of the network.

    python tests/benchmarks/training.py [--width 0.25] [--chips 8192] [--rounds 5]

Both train the same network on the same chips in memory, in turns, so that a busy machine slows
both; the ratio is of the fastest rounds. `experiment`'s round holds everything that an epoch costs
there: the shuffle, the eight symmetries, the progress bar, the validation with its F2, the history
and the checkpoint. The bare round is `fit` with `validation_data` and nothing else.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from tqdm import tqdm

from paperlib import losses
from paperlib.chips import Chips
from paperlib.training import determinism, loop
from paperlib.training.config import Config, network


def random_chips(count: int) -> Chips:
    rng = np.random.default_rng(0)
    return Chips(
        names=np.array([f"chip_{i}" for i in range(count)]),
        images=rng.integers(0, 256, (count, 32, 32, 3), np.uint8),
        labels=(rng.random((count, 17)) < 0.2).astype(np.uint8),
        source="random",
    )


def compare(config: Config, chips: Chips, rounds: int) -> None:
    determinism.prepare()
    keras.utils.set_random_seed(0)  # a bare fit shuffles by the global seed
    train, validation = chips.part("train"), chips.part("validation")
    steps = len(train) // config.batch
    kept = steps * config.batch
    x, y = train.images[:kept], train.labels[:kept].astype("float32")
    held_out = validation.images, validation.labels.astype("float32")

    bare = network(config)
    bare.compile(
        keras.optimizers.Adam(1e-3), losses.get(config.loss), jit_compile=determinism.jit()
    )
    with tempfile.TemporaryDirectory() as folder:
        ours = loop.Training(config, chips, Path(folder), progress=True)
        with tqdm(disable=True) as bar:
            seconds: dict[str, list[float]] = {"bare": [], "experiment": []}
            for _ in range(rounds + 1):  # the first round traces and is left out
                started = time.perf_counter()
                bare.fit(
                    x,
                    y,
                    batch_size=config.batch,
                    verbose=0,
                    validation_data=held_out,
                    validation_batch_size=256,
                )
                seconds["bare"].append(time.perf_counter() - started)
                started = time.perf_counter()
                ours._epoch(bar)
                seconds["experiment"].append(time.perf_counter() - started)
    best = {name: min(values[1:]) for name, values in seconds.items()}
    pairs = [a / b for a, b in zip(seconds["bare"][1:], seconds["experiment"][1:], strict=True)]
    print(
        f"{config.precision:15s} batch norm {config.batch_norm:5s}"
        f" bare {kept / best['bare']:6.0f} chips/s,"
        f" experiment {kept / best['experiment']:6.0f} chips/s,"
        f" speed {best['bare'] / best['experiment']:.3f} of bare"
        f" (median of pairs {statistics.median(pairs):.3f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--chips", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    chips = random_chips(arguments.chips)
    for precision in ("float32", "mixed_bfloat16"):
        for batch_norm in ("head", "all"):
            config = Config(
                width=arguments.width,
                batch_norm=batch_norm,
                precision=precision,
                epochs=10_000,
                schedule="one-cycle",
                rate=1e-3,
            )
            compare(config, chips, arguments.rounds)


if __name__ == "__main__":
    main()
