"""What notebook 12 shows of a trained network made smaller: its F2 for each way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np
import pandas as pd

from ..evaluation import selection
from ..networks.compression import _BATCH, WAYS, Array
from ..training import determinism
from ..utils import files

if TYPE_CHECKING:
    from ..project import Project
    from ..training.runs import Run


def predictions(project: Project, run: Run | None) -> dict[str, tuple[int, int, Array]]:
    """How a network was made smaller -> bytes, multiply-adds, `(N, L)` float16 probabilities.

    Of the run's validation chips, in its order. Computed where chips and trained weights are here,
    else as shipped in `compressed.npz`; empty where there is neither, or no run. What is computed
    is written there; a shipped file of another run stays as it is.
    """
    path = project.results / "compressed.npz"
    made: dict[str, tuple[int, int, Array]] = {}
    slug = run.folder.name if run else ""
    computed = bool(run and project.has_chips and run.weights_file.is_file())
    if computed:
        determinism.prepare()
        chips = project.chips(run.config.variant)
        place = {name: i for i, name in enumerate(chips.names.tolist())}
        part = run.part("validation")
        images = chips.images[[place[name] for name in part.names.tolist()]]
        trained = run.model()
        for way in WAYS:
            small = way(trained)
            # called, not `predict`: that would trace a graph for each of these networks
            parts = (images[i : i + _BATCH] for i in range(0, len(images), _BATCH))
            rows = [keras.ops.convert_to_numpy(small.model(part, training=False)) for part in parts]
            probability = np.concatenate(rows).astype(np.float16)
            made[small.how] = small.bytes, small.multiply_adds, probability
    elif path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            note = json.loads(str(stored["note"]))
            if note["run"] == slug:
                made = {
                    how: (*counted, stored[f"p{i}"])
                    for i, (how, counted) in enumerate(note["ways"].items())
                }
    if path.is_file() and not computed:
        files.write_bytes(path, path.read_bytes())  # the runner asks that it is written
        return made
    note = {"run": slug, "ways": {how: made[how][:2] for how in made}}
    arrays = {f"p{i}": probability for i, (*_, probability) in enumerate(made.values())}
    files.write_arrays(path, note=np.array(json.dumps(note)), **arrays)
    return made


def table(made: Mapping[str, tuple[int, int, Array]], run: Run | None) -> pd.DataFrame:
    """A row per way: `how`, `f2` (nested), `low`, `high`, `difference` to the network as trained
    (paired over chips) with `difference_low`, `difference_high`, `bytes`, `multiply_adds`."""
    outcomes = {}
    if run:
        part = run.part("validation")
        for how, (*_, probability) in made.items():
            p = probability.astype(np.float32)
            outcomes[how] = selection.protocol_nested(part.truth, p, part.names, labels=run.tags)
    rows = []
    for how, outcome in outcomes.items():
        change = outcome.minus(next(iter(outcomes.values())))
        row = {"how": how, "f2": outcome.score}
        row |= {"low": outcome.interval.low, "high": outcome.interval.high}
        row |= {"difference": change.value, "difference_low": change.low}
        row |= {"difference_high": change.high, "bytes": made[how][0]}
        rows.append({**row, "multiply_adds": made[how][1]})
    columns = ("how", "f2", "low", "high", "difference", "difference_low", "difference_high",
               "bytes", "multiply_adds")  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))
