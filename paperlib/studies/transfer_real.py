"""The shipped transfer results on real chips: computed once, by one command that can be killed.

    paper transfer --data DATA [--chips ucmerced|planet] [--size 64 --size 32] [--only-saved]

writes `transfer_<SIZE>px.npz` into the results folder of the chips; what an earlier call
finished is taken from the cache. DATA holds `LandUse_Multilabeled.txt`, or Planet's `train_v2.csv`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..chips import Chips, planet, ucmerced
from ..chips.split import first_by_hash
from ..utils.errors import PaperError
from . import transfer

LINEAR = ("svm", "logistic", "untrained")
NETWORKS = ("last", "all", "scratch")
#: Of the trained networks. Half precision while training halves the time on a CPU with AMX.
OPTIONS = {"batch": 32, "epochs": 6, "rate": 1e-4, "precision": "mixed_bfloat16", "dense": 256}
TRAINED_AT = (32,)  # sizes at which networks are trained as well


@dataclass(frozen=True)
class Real:
    """Real chips for the comparison.

    read    data folder, size -> all chips
    counts  of training chips; 0 stands for all there are
    held    how many validation chips are predicted, the first by their hashes; 0: all
    folder  of `results/`
    sizes   of the chips in pixels
    """

    read: Callable[[str | Path, int], Chips]
    counts: tuple[int, ...]
    held: int
    folder: str
    sizes: tuple[int, ...]


#: What `--chips` takes.
SETS: dict[str, Real] = {
    "ucmerced": Real(ucmerced.read, (64, 256, 0), 0, "ucmerced", (64, 32)),
    # enough to see the curves; a network on all of them is what the grids train
    "planet": Real(planet.read, (128, 512, 2048), 2000, "planet32", (32,)),
}


def wanted(chips: Chips, real: Real) -> tuple[Chips, tuple[int, ...]]:
    """The chips that a comparison uses (training and validation), and its counts."""
    available = int((chips.split == "train").sum())
    counts = tuple(count or available for count in real.counts)
    some = transfer.subset(chips, max(counts))
    held = np.flatnonzero(some.split == "validation")
    if real.held:
        held = held[first_by_hash(some.names[held], real.held)]
    train = np.flatnonzero(some.split == "train")
    return some.take(np.sort(np.concatenate([train, held]))), counts


def ship(
    data: str | Path, size: int, root: Path, *, which: str = "ucmerced", only_saved: bool = False
) -> Path | None:
    """Predictions at one chip size; None where nothing has been computed.

    data  of the set's `read`; root: the results folder of the checkout; which: of `SETS`;
    only_saved as `learning_curve`

    Raises `PaperError` where the file that is there holds cells that are not finished now.
    """
    real = SETS[which]
    chips, counts = wanted(real.read(data, size), real)
    how = {"counts": counts, "only_saved": only_saved}
    cells = transfer.learning_curve(chips, methods=LINEAR, **how)
    trained = {}
    if size in TRAINED_AT:
        trained = transfer.learning_curve(chips, methods=NETWORKS, options=OPTIONS, **how)
    if not cells and not trained:
        return None
    path = root / real.folder / f"transfer_{size}px.npz"
    if path.is_file() and transfer.read(path).cells.keys() - (cells | trained).keys():
        raise PaperError(f"{path} holds more cells than are finished now", "move it aside")
    note = {"epochs": OPTIONS["epochs"], "options": OPTIONS} if trained else {"epochs": 0}
    transfer.write(path, cells | trained, chips, weights=transfer.IMAGENET, **note)
    return path
