"""What the training tests share, and what the processes they kill run: small chips, small network.

python training_stand_ins.py RUNS EPOCH STEP    trains, and kills itself (SIGKILL) there
"""

from __future__ import annotations

import os
import signal
import sys

import numpy as np

from paperlib.chips import Chips
from paperlib.training.config import Config

TAGS = ("bright", "red", "striped")
CONFIG = Config(
    network="vgg11",
    width=0.0625,
    dropout=0.2,
    epochs=4,
    batch=32,
    rate=3e-3,
)


def chips(count: int = 180, seed: int = 0) -> Chips:
    """Chips whose labels can be seen: bright, red, striped."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((count, 3)) < 0.5).astype(np.uint8)
    images = rng.integers(40, 90, (count, 32, 32, 3))
    images += 80 * labels[:, 0, None, None, None]
    images[..., 0] += 60 * labels[:, 1, None, None]
    images[:, ::4] += 20 * labels[:, 2, None, None, None]
    return Chips(
        names=np.array([f"stand_in_{i}" for i in range(count)]),
        images=images.clip(0, 255).astype(np.uint8),
        labels=labels,
        source="stand-ins",
        tags=TAGS,
    )


def main(runs: str, epoch: int, step: str) -> None:
    from paperlib.training import checkpoint, loop, train

    write, tick = checkpoint.write, loop._Bar.on_train_batch_end
    state = {"saved": 0}

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def writing(path, *arguments):
        if path.name == "checkpoint.npz":
            if step == "before-checkpoint" and state["saved"] == epoch:
                die()  # the weights of this epoch are written, its checkpoint is not
            state["saved"] += 1
        write(path, *arguments)

    def ticking(self, batch, logs=None):
        if step == "batch" and state["saved"] == epoch and batch == 1:
            die()
        tick(self, batch, logs)

    checkpoint.write, loop._Bar.on_train_batch_end = writing, ticking
    train.train(CONFIG, chips(), runs, progress=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
