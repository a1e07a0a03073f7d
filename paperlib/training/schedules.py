"""Learning rates that change from step to step."""

from __future__ import annotations

import keras
from keras import ops


def one_cycle(most: float, total: int) -> keras.optimizers.schedules.CosineDecay:
    """From a 25th of `most` straight up to it in a fifth of `total` steps, then down a cosine."""
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=most / 25,
        warmup_target=most,
        warmup_steps=total // 5,
        decay_steps=total - total // 5,
    )


@keras.saving.register_keras_serializable("paperlib")
class Triangular(keras.optimizers.schedules.LearningRateSchedule):
    """The cyclical rate: straight up from `least` to `most` and down again, cycle after cycle.

    least, most  the lowest and the highest rate
    cycle        steps of one whole cycle, up and down: 2 or more

    At step s: least + (most − least)·(1 − |2·(s mod cycle)/cycle − 1|). Smith 2017, section 3.1,
    "triangular", whose stepsize is half a cycle.
    """

    def __init__(self, least: float, most: float, cycle: int):
        if not 0 < least <= most:
            raise ValueError(f"least: above 0 and up to most={most}, not {least}")
        if cycle < 2:
            raise ValueError(f"cycle: 2 steps or more, not {cycle}")
        self.least, self.most, self.cycle = least, most, cycle

    def __call__(self, step):
        share = ops.cast(ops.mod(ops.cast(step, "int32"), self.cycle), "float32") / self.cycle
        return self.least + (self.most - self.least) * (1.0 - ops.abs(2.0 * share - 1.0))

    def get_config(self):
        return {"least": self.least, "most": self.most, "cycle": self.cycle}
