"""Notebook 16: does dehazing help a network to see the ground, where the truth is known?

UC Merced's pictures have 256 pixels and no haze. Equation 3 adds haze of known transmission and
light, so there is a lower bound (hazy), an upper one (dehazed with the true transmission and light)
and the pictures as they were. A fixed network, VGG-16 trained on ImageNet, looks at all of them; a
logistic regression reads its features.

    paper full-resolution --data DATA [--only-kept]

writes `results/ucmerced/full_resolution.npz`: the predictions of every condition, from which tables
and figures are made. What an earlier call finished is taken from the cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..chips import Chips, ucmerced
from ..chips.added_haze import SIZE, Condition, pictures
from ..utils import cache, code, files
from . import transfer

STRENGTHS = (0.8, 0.6, 0.4, 0.2)  # mean transmission over a picture
SMALLER, SMALLER_AT = (128, 64, 32), 0.4  # sizes at which the comparison is made again
DRAWS = (0, 1)  # of the haze; the second at SMALLER_AT alone
#: What the regression learned from: how it is called.
TRAINED = {
    "same": "the same kind of picture",
    "clear": "clear pictures",
    "both": "hazy and dehazed pictures",
}
NAME = "full_resolution"


def conditions() -> list[Condition]:
    """All that are computed, the most telling first."""
    states = ("hazy", "dehazed", "dehazed-truth", "dehazed-light")
    found = [Condition("clear"), Condition("dehazed")]
    found += [Condition(s, t) for t in (0.4, 0.2, 0.6, 0.8) for s in states]
    for size in SMALLER:
        found.append(Condition("clear", size=size))
        more = ("hazy", "dehazed", "dehazed-small", "dehazed-truth")
        found += [Condition(s, SMALLER_AT, size) for s in more]
    found += [Condition(s, SMALLER_AT, SIZE, DRAWS[1]) for s in states]
    return found


# ---- predictions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prediction:
    """What one regression says of the validation chips of one condition: `(M, L)`."""

    condition: Condition
    trained: str
    probability: np.ndarray


def predictions(
    clear: Chips, *, weights: str = transfer.IMAGENET, only_kept: bool = False
) -> Iterator[Prediction]:
    """Every condition's predictions, each saved; `clear` are all chips at 256 pixels.

    only_kept  what earlier calls have finished, and no more
    """
    made_by = code.stamp("paperlib.chips.added_haze", "paperlib.training.features")
    read_by = code.total(code.reached(alone=[transfer.__name__]))
    train, held = clear.split == "train", clear.split == "validation"
    labels = clear.labels[train]

    def key(condition: Condition, kind: str) -> str:
        return f"{NAME}-{kind}-{cache.key(clear.fingerprint, condition.key, weights, made_by)}"

    def features(condition: Condition) -> np.ndarray | None:
        found = cache.load(key(condition, "features"))
        if found is not None:
            return np.array(found[0])
        if only_kept:
            return None
        from ..training import features as fixed  # Keras takes seconds to import

        shown = clear.with_images(pictures(clear, condition), condition.key)
        pooled = fixed.features(
            shown, weights=weights, at=("block5_pool",), precision="mixed_bfloat16"
        )
        cache.save(key(condition, "features"), pooled["block5_pool"])
        return pooled["block5_pool"]

    def fitted(
        condition: Condition, trained: str, x: list[np.ndarray], z: np.ndarray
    ) -> Prediction:
        place = f"{key(condition, trained)}-{read_by[:12]}"
        if (found := cache.load(place)) is None:
            y = np.concatenate([labels] * len(x))
            made = transfer.linear("logistic", np.concatenate([f[train] for f in x]), y, z[held])
            cache.save(place, made.astype(np.float16))
            found = cache.load(place)
        return Prediction(condition, trained, np.array(found[0]))

    wanted = conditions()
    for condition in tqdm(wanted, unit="condition", disable=only_kept):
        seen = features(condition)
        if seen is None:
            continue
        yield fitted(condition, "same", [seen], seen)
        bare = features(Condition("clear", size=condition.size))
        if condition.state != "clear" and bare is not None:
            yield fitted(condition, "clear", [bare], seen)
        pair = [condition._replace(state=state) for state in ("hazy", "dehazed")]
        if condition.state in ("hazy", "dehazed") and condition.strength < 1:
            both = [features(each) for each in pair]
            if all(each is not None for each in both):
                yield fitted(condition, "both", both, seen)


def ship(data: str | Path, root: Path, *, only_kept: bool = False) -> Path | None:
    """Write the predictions of all conditions into `root`/ucmerced; None where there is none."""
    clear = ucmerced.read(data, ucmerced.SIDE)
    held = clear.part("validation")
    made = list(predictions(clear, only_kept=only_kept))
    if not made:
        return None
    path = root / "ucmerced" / f"{NAME}.npz"
    note = {
        "chips": clear.source,
        "train": int((clear.split == "train").sum()),
        "weights": transfer.IMAGENET,
    }
    files.write_arrays(
        path,
        names=held.names,
        truth=held.labels,
        tags=np.array(held.tags),
        note=np.array(json.dumps(note, sort_keys=True)),
        **{f"{one.condition.key}/{one.trained}": one.probability for one in made},
    )
    return path
