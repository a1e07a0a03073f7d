"""The shipped transfer results on UC Merced: computed once, by one command that can be killed.

    paper transfer --data DATA [--size 64 --size 32] [--only-kept]

writes `results/ucmerced/transfer_<SIZE>px.{npz,csv}` of the checkout; what
an earlier call finished is taken from the cache. DATA holds `LandUse_Multilabeled.txt`.
"""

from __future__ import annotations

from pathlib import Path

from . import files, transfer
from .chips import ucmerced

FEW = (64, 256)  # training chips, besides all there are
LINEAR = ("svm", "logistic", "untrained")
NETWORKS = ("last", "all", "scratch")
#: Of the trained networks. Half precision while training halves the time on a CPU with AMX.
OPTIONS = {"batch": 32, "epochs": 6, "rate": 1e-4, "precision": "mixed_bfloat16", "dense": 256}
TRAINED_AT = (32,)  # sizes at which networks are trained as well


def ship(data: str | Path, size: int, folder: Path, *, only_kept: bool = False) -> Path | None:
    """Predictions and their table at one chip size; None where nothing has been computed.

    data  of `ucmerced.read`; folder: where the two files go; only_kept as `learning_curve`
    """
    chips = ucmerced.read(data, size)
    counts = (*FEW, int((chips.split == "train").sum()))
    how = {"counts": counts, "only_kept": only_kept}
    cells = transfer.learning_curve(chips, methods=LINEAR, **how)
    trained = {}
    if size in TRAINED_AT:
        trained = transfer.learning_curve(chips, methods=NETWORKS, options=OPTIONS, **how)
    if not cells and not trained:
        return None
    path = folder / f"transfer_{size}px.npz"
    note = {"epochs": OPTIONS["epochs"], "options": OPTIONS} if trained else {"epochs": 0}
    transfer.write(path, cells | trained, chips, weights=transfer.IMAGENET, **note)
    table = transfer.read(path).table()
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    files.write_text(path.with_suffix(".csv"), text)
    return path
