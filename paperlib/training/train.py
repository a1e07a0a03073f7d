"""Train one configuration on chips, or continue, or take the run that exists.

run = train(config, chips, project.runs)       # minutes, continues where it was killed
run = train(config, chips, project.runs)       # at once: a finished run is never trained again
"""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..chips import Chips, leakage
from ..utils import code, files
from ..utils.errors import PaperError
from .config import Config
from .runs import TIMING, Run, cache_of, describe, find, load

if TYPE_CHECKING:
    from tqdm import tqdm


def train(
    config: Config, chips: Chips, runs_folder: str | Path, *, progress: bool | tqdm = True
) -> Run:
    """Train `config` on the training chips, or continue, or take the run that is there.

    chips        of `config.variant`, at `config.size`; the validation chips choose the epoch, the
                 test chips (where there are any) are only predicted
    runs_folder  where the run folder goes; a run of the same configuration on other chips is saved,
                 and this one gets the chips' fingerprint in its folder name
    progress     whether to show a bar, or the bar of a whole grid to advance by batches

    The weights saved are those of the best epoch, by what the configuration watches. A checkpoint
    is continued only by the code that wrote it. Raises `PaperError` for chips that cannot train the
    configuration, and for a training that diverges, of which nothing is saved.
    """
    if kept := find(config, runs_folder, chips):
        return kept
    check(config, chips)
    _check_leaks(chips)
    from . import identity, probe
    from .loop import Training  # Keras takes seconds to import

    folder = Path(runs_folder) / config.slug
    for more in (chips.fingerprint[:8], identity.backend.name()):
        if (folder / "run.json").is_file():
            folder = folder.with_name(f"{folder.name}-{more}")
    made_by = identity.made_by()
    stamp = code.total(made_by["code"] | made_by["environment"])[:8]
    cache = cache_of(f"{config.slug}-{chips.fingerprint[:8]}-{stamp}")
    with files.locked(cache / "lock"):
        if kept := find(config, runs_folder, chips):  # another process finished it meanwhile
            return kept
        started = time.time()
        per_epoch = steps(config, chips) // config.epochs
        numbers = probe.numbers(config, len(chips.tags), per_epoch)
        taught = None
        if config.teacher:
            from .distillation import soft_labels

            taught = soft_labels(config.teacher, chips, runs_folder, views=config.teacher_views)
        shown = chips
        if config.copies:
            from . import copies

            shown = copies.make(chips, config)
        training = Training(config, shown, cache, taught=taught, progress=progress)
        training.run()
        split = shown.split
        rest = np.flatnonzero(split != "train")
        probability = np.full((len(rest), len(chips.tags)), np.nan, np.float16)
        probability[:, training.columns] = training.predict(rest)
        names, truth = shown.names[rest], shown.labels[rest]
        facts = {
            "chips": describe(chips),
            "predictions": leakage.predictions_digest(names, truth, probability),
            "best_epoch": training.best_epoch,
            "epochs": len(training.history),
            "parameters": training.network.count_params(),
            "cache": cache.name,
            "probe": {"steps": per_epoch, "numbers": numbers},
            **made_by,
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
        files.write_json(cache / TIMING, timing)
        files.write_json(folder / "run.json", facts)  # last: it says that the rest is whole
    return load(folder)


def steps(config: Config, chips: Chips) -> int:
    """Batches that the run takes at most."""
    count = config.train_chips or int((chips.split == "train").sum())
    if config.copies:
        from . import copies

        count = copies.training_count(count, config)
    return config.epochs * (count // config.batch)


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
    per_epoch = steps(config, chips) // config.epochs
    if not per_epoch:
        raise PaperError(
            f"{chips.source}: fewer training chips than batch={config.batch}", "lower the batch"
        )
    if config.schedule == "cyclical" and per_epoch * config.cycle < 2:
        problem = f"cycle={config.cycle}: a rate cannot rise and fall in one step"
        raise PaperError(problem, "more epochs a cycle")


def _check_leaks(chips: Chips) -> None:
    """No validation chip among the training chips, by name or by pixels; once per process."""
    if chips.fingerprint not in _CHECKED:
        leakage.check_training(chips.part("train"), chips.part("validation"))
        _CHECKED.add(chips.fingerprint)


_CHECKED: set[str] = set()


def _surroundings() -> dict:
    """Versions and hardware: what may change the last digits of a run."""
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
