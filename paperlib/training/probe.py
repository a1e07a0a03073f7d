"""A few training steps on fixed chips: what the code of a run does, in a handful of numbers.

Whether a run is of other code is decided by what the code does, not by its text: two epochs of two
batches, with the run's own network, loss, transforms, variant and schedule, on chips drawn from a
seed. The numbers stand in run.json. A moved function leaves them as they are; a changed loss does
not. Equal within the tolerance is equal: another number of threads or another processor rounds
differently, and four steps of Adam carry that into the fourth digit at most.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..chips import Chips, split_of, variants
from ..utils import backend, cache, code, files, paths
from .config import Config

#: (Relative, absolute) difference that still counts as none; F2 jumps with each decision.
TOLERANCE, TOLERANCE_F2 = (2e-3, 5e-4), (0.0, 0.05)
_FIRST = ("colours of the variant", "loss")  # what a reader understands best
_BATCHES, _EPOCHS, _HELD_OUT = 2, 2, 16
Numbers = dict[str, list[float]]


@functools.cache
def code_now() -> dict[str, str]:
    """File -> digest of all that a training run's code reaches; not what only keeps its books."""
    room = "paperlib.training"
    return code.reached(
        [f"{room}.loop", f"{room}.copies", f"{room}.distillation"], alone=[f"{room}.train"]
    )


def same_graph(config: Config) -> Config:
    """The configuration whose probe is this one's too: seed, label and teacher do not matter."""
    outputs = "all" if config.outputs == "all" else "one"
    teacher = "a teacher" if config.teacher else ""
    return replace(
        config, seed=0, outputs=outputs, teacher=teacher, train_chips=0, teacher_views=1
    )  # fmt: skip


def key(config: Config, labels: int, steps: int, threads: str) -> str:
    """What a probe by the code of now is saved under.

    labels   L of the chips; steps: batches in one epoch of the run, which its schedule depends on
    threads  as of `determinism.threads`: sums of one differ from those of several
    """
    parts = (same_graph(config).to_dict(), labels, steps, threads)
    return cache.key(json.dumps(parts, sort_keys=True), code.total(code_now()), backend.settings())


def known(config: Config, labels: int, steps: int, threads: str) -> Numbers | None:
    """The numbers that the code of now gives, where they were computed before."""
    path = _place(config, labels, steps, threads)
    return files.read_json(path) if path.is_file() else None


def numbers(config: Config, labels: int, steps: int) -> Numbers:
    """Name -> numbers of a configuration's probe by the code of now: seconds, once for each graph.

    labels  L of the chips; steps: batches in one epoch of the run
    """
    determinism = sys.modules.get(f"{__package__}.determinism")  # which imports Keras
    threads = determinism.threads() if determinism else "all"
    found = known(config, labels, steps, threads)
    if found is None:
        found = _take(config, labels, steps)
        files.write_json(_place(config, labels, steps, threads), found)
    return found


def difference(before: Numbers, now: Numbers, precision: str = "float32") -> str:
    """The first number that differs by more than the tolerance, or `""`.

    precision  the dtype policy they were computed with: of half precision ten times as much counts
               as rounding
    """
    coarse = 1.0 if precision == "float32" else 10.0
    for name in sorted(before, key=lambda name: (name not in _FIRST, name)):
        a, b = np.asarray(before[name], float), np.asarray(now.get(name, []), float)
        if a.shape != b.shape:
            return f"{name}: {len(a)} numbers before, {len(b)} now"
        relative, absolute = TOLERANCE_F2 if name == "val_f2" else TOLERANCE
        off = ~np.isclose(b, a, rtol=coarse * relative, atol=coarse * absolute, equal_nan=True)
        if off.any():
            at = int(np.argmax(off))
            return f"{name} {a[at]:.4g} before, {b[at]:.4g} now"
    return ""


def _place(config: Config, labels: int, steps: int, threads: str) -> Path:
    return paths.cache_folder() / "probes" / f"{key(config, labels, steps, threads)}.json"


def _take(config: Config, labels: int, steps: int) -> Numbers:
    from .loop import Diverged, Training  # Keras takes seconds to import

    tags = tuple(f"label {i}" for i in range(labels))
    chips = _chips(config, tags)
    config = replace(config, seed=0, train_chips=0)
    if config.outputs != "all":
        config = replace(config, outputs=tags[0])
    taught = None
    if config.teacher:
        taught = np.random.default_rng(1).random((len(chips), labels)).astype(np.float32)
    colours = chips.images.mean(axis=(0, 1, 2))
    if config.copies:
        from . import copies

        chips = copies.make(chips, config)
    with tempfile.TemporaryDirectory() as folder:
        training = Training(
            config, chips, Path(folder), taught=taught, progress=False, steps=steps
        )  # fmt: skip
        try:
            for _ in range(min(_EPOCHS, config.epochs)):
                training.epoch()
        except Diverged:
            return {"diverged in epoch": [len(training.history) + 1]}
        probability = training.predict(training.validation[:_HELD_OUT])
    rows = training.history
    return {
        **{name: [row[name] for row in rows] for name in ("loss", "val_loss", "val_f2")},
        "rate": [row["rate"] * 1e3 for row in rows],
        "probability": [float(value) for value in probability.mean(axis=0)],
        "colours of the variant": [float(value) for value in colours],
    }


def _chips(config: Config, tags: tuple[str, ...]) -> Chips:
    """Chips drawn from a seed: patches of colour under noise, of the configuration's variant."""
    train = _BATCHES * config.batch
    if config.copies:
        train = -(-train // int(0.8 * config.copies) if config.copies > 1 else 2 * train) + 8
    wanted = {"train": train, "validation": _HELD_OUT}
    names = []
    number = 0
    while any(wanted.values()):
        name = f"probe_{number}"
        number += 1
        if wanted.get(part := split_of(name), 0):
            wanted[part] -= 1
            names.append(name)
    rng = np.random.default_rng(0)
    side = config.size
    coarse = rng.integers(20, 220, (len(names), 4, 4, 3))
    at = np.arange(side) * 4 // side
    noise = rng.integers(-20, 20, (len(names), side, side, 3))
    images = (coarse[:, at][:, :, at] + noise).clip(0, 255).astype(np.uint8)
    labels = (rng.random((len(names), len(tags))) < 0.3).astype(np.uint8)
    chips = Chips(np.array(names), images, labels, "the probe's", tags)
    if config.variant == "original":
        return chips
    clear = variants.dehaze(images)
    if config.variant != "dehazed":
        seventeen = np.tile(labels, (1, -(-17 // len(tags))))[:, :17]
        clear = variants.compose(
            images, clear, seventeen, chips.names, variant=config.variant
        )  # fmt: skip
    return chips.with_images(clear, config.variant)
