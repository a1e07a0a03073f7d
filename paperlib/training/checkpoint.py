"""The state of a training run between two epochs, in one file that is whole or not there.

Everything that the next epoch depends on is in it: weights, the optimiser's slots, the schedule and
the history. The shuffle, the random transforms and dropout are functions of (seed, epoch) and need
no state, so a run that was killed and continued ends with the same bits as one that was not.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np

from ..utils import files


def write(path: Path, meta: dict, variables: dict[str, list]) -> None:
    """Write lists of Keras variables (or arrays) and a JSON value to one `.npz`."""
    arrays = {
        f"{group}/{i:04d}": np.asarray(keras.ops.convert_to_numpy(value))
        for group, values in variables.items()
        for i, value in enumerate(values)
    }
    with files.replacing(path) as partial:  # not compressed: 200 MB of noise at full width
        np.savez(partial, meta=np.array(json.dumps(meta)), **arrays)


def read(path: Path) -> tuple[dict, dict[str, list[np.ndarray]]] | None:
    """What `write` wrote; None where there is no file or it is not one of ours."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            groups: dict[str, list[np.ndarray]] = {}
            for key in sorted(k for k in stored.files if k != "meta"):
                groups.setdefault(key.partition("/")[0], []).append(stored[key])
            return json.loads(str(stored["meta"])), groups
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def assign(variables: list, values: list[np.ndarray]) -> None:
    """Give each Keras variable its stored value; `ValueError` where the lists do not match."""
    shapes = [tuple(v.shape) for v in variables], [v.shape for v in values]
    if shapes[0] != shapes[1]:
        raise ValueError("stored variables do not fit this network")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every random layer's seed state (transforms, dropout) from (seed, epoch)."""
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for i, state in enumerate(states):
        first = np.random.SeedSequence([seed, epoch, i]).generate_state(1)[0]
        state.assign(np.array([first, 0], np.uint32))
