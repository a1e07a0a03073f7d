"""Notebook 16: does dehazing help a network to see the ground, where the truth is known?

UC Merced's pictures have 256 pixels and no haze. Equation 3 adds haze of known transmission and
light, so dehazing by the dark channel can be held against leaving the haze, against dehazing with
the true transmission and light, and against the pictures as they were. A fixed network, VGG-16
trained on ImageNet, looks at all of them; a logistic regression reads its features.

    paper full-resolution --data DATA [--only-saved]

writes `results/ucmerced/full_resolution.npz`: the predictions of every condition, from which tables
and figures are made. What an earlier call finished is taken from the cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from .. import f2
from ..chips import Chips, ucmerced
from ..chips.added_haze import SIZE, STATES, Condition, pictures
from ..evaluation import selection
from ..evaluation.calibration import macro_average_precision
from ..utils import cache, code, files
from ..utils.errors import PaperError
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
_COMPUTING = ("paperlib.chips.added_haze", "paperlib.training.features")  # what features depend on
#: Pictures that are shown, and shipped for it (public domain).
EXAMPLES = ("mediumresidential46", "forest48", "runway48", "baseballdiamond50", "agricultural00")


def conditions() -> list[Condition]:
    """All that are computed, the most telling first."""
    states = ("hazy", "dehazed", "dehazed-truth", "dehazed-light")
    found = [Condition("clear"), Condition("dehazed")]
    found += [Condition(s, SMALLER_AT) for s in states[:3]]
    found += [Condition(s, SMALLER_AT, SIZE, DRAWS[1]) for s in states[:2]]
    for size in SMALLER:
        found.append(Condition("clear", size=size))
        more = ("hazy", "dehazed", "dehazed-small", "dehazed-truth")
        found += [Condition(s, SMALLER_AT, size) for s in more]
    found += [Condition(s, 0.2) for s in states[:3]] + [Condition(states[3], SMALLER_AT)]
    found += [Condition(s, 0.6) for s in states[:3]] + [Condition(s, 0.8) for s in states[:3]]
    found += [Condition(states[2], SMALLER_AT, SIZE, DRAWS[1])]
    return found + [Condition(states[3], t) for t in (0.2, 0.6, 0.8)]


# ---- predictions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prediction:
    """What one regression says of the validation chips of one condition: `(M, L)`."""

    condition: Condition
    trained: str
    probability: np.ndarray


def predictions(
    clear: Chips, *, weights: str = transfer.IMAGENET, only_saved: bool = False
) -> Iterator[Prediction]:
    """Every condition's predictions, each saved; `clear` are all chips at 256 pixels.

    only_saved  what earlier calls have finished, and no more
    """
    made_by = code.stamp(*_COMPUTING)
    read_by = code.total(code.reached(alone=[transfer.__name__]))
    train, held = clear.split == "train", clear.split == "validation"
    labels = clear.labels[train]

    def key(condition: Condition, kind: str) -> str:
        return f"{NAME}-{kind}-{cache.key(clear.fingerprint, condition.key, weights, made_by)}"

    def features(condition: Condition) -> np.ndarray | None:
        found = cache.load(key(condition, "features"))
        if found is not None:
            return np.array(found[0])
        if only_saved:
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
    for condition in tqdm(wanted, unit="condition", disable=only_saved):
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


def ship(data: str | Path, root: Path, *, only_saved: bool = False) -> Path | None:
    """Write the predictions of all conditions into `root`/ucmerced; None where there is none.

    What was shipped before of the same pictures, by the same code, and is not computed now stays.
    """
    clear = ucmerced.read(data, ucmerced.SIDE)
    held = clear.part("validation")
    made = {(one.condition, one.trained): one.probability
            for one in predictions(clear, only_saved=only_saved)}  # fmt: skip
    note = {
        "chips": clear.source,
        "pictures": clear.fingerprint,
        "train": int((clear.split == "train").sum()),
        "weights": transfer.IMAGENET,
        "made_by": code.stamp(*_COMPUTING),
    }
    path = root / "ucmerced" / f"{NAME}.npz"
    if path.is_file():
        before = read(path.parent)
        if before.note != note and before.made.keys() - made.keys():
            raise PaperError(
                f"{path} is of other pictures or code, and holds more", "move it aside"
            )
        made = made if before.note != note else before.made | made
    if not made:
        return None
    files.write_arrays(
        path,
        names=held.names,
        truth=held.labels,
        tags=np.array(held.tags),
        note=np.array(json.dumps(note, sort_keys=True)),
        **{f"{condition.key}/{trained}": p for (condition, trained), p in made.items()},
    )
    examples = clear.take(np.flatnonzero(np.isin(clear.names, EXAMPLES)))
    files.write_arrays(
        path.with_name(f"{NAME}_examples.npz"), names=examples.names, images=examples.images
    )
    return path


def example_pictures() -> dict[str, np.ndarray]:
    """`clear`, or `STATE/STRENGTH` -> `(5, 224, 224, 3)` uint8, made from the shipped examples."""
    with np.load(_folder() / f"{NAME}_examples.npz", allow_pickle=False) as stored:
        names, images = stored["names"], stored["images"]
    nothing = np.zeros((len(names), len(ucmerced.TAGS)), np.uint8)
    clear = Chips(names, images, nothing, "UC Merced", ucmerced.TAGS)
    shown = {"clear": pictures(clear, Condition("clear"))}
    for strength in STRENGTHS:
        for state in ("hazy", "dehazed", "dehazed-light", "dehazed-truth"):
            shown[f"{state}/{strength}"] = pictures(clear, Condition(state, strength))
    return shown


# ---- tables --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shipped:
    """What `ship` wrote: names `(M,)`, truth `(M, L)`, tags, and each condition's predictions."""

    names: np.ndarray
    truth: np.ndarray
    tags: tuple[str, ...]
    made: dict[tuple[Condition, str], np.ndarray]
    note: dict

    @property
    def strengths(self) -> list[float]:
        """Those of which hazy and dehazed pictures at full size are there, the thinnest first."""
        made = {
            state: {
                c.strength for c, _ in self.made if (c.state, c.size, c.draw) == (state, SIZE, 0)
            }
            for state in ("hazy", "dehazed")
        }
        return sorted(made["hazy"] & made["dehazed"], reverse=True)

    @property
    def missing(self) -> list[Condition]:
        """The conditions that nobody has computed yet."""
        there = {condition for condition, _ in self.made}
        return [condition for condition in conditions() if condition not in there]

    def outcome(self, condition: Condition, trained: str) -> selection.Outcome:
        """Thresholds by the nested protocol, without recalibration."""
        probability = self.made[condition, trained].astype(np.float32)
        return selection.protocol_nested(self.truth, probability, self.names, labels=self.tags)


def _folder() -> Path:
    return Path(__file__).parents[2] / "results" / "ucmerced"


def read(folder: Path | None = None) -> Shipped:
    """The shipped predictions, of `results/ucmerced` in the checkout or of another folder.

    Raises `PaperError` where there are none.
    """
    arrays, note = files.read_arrays((folder or _folder()) / f"{NAME}.npz")
    names, truth, tags = (arrays.pop(key) for key in ("names", "truth", "tags"))
    made = {}
    for key, probability in arrays.items():
        size, strength, draw, state, trained = key.split("/")
        made[Condition(state, float(strength), int(size), int(draw)), trained] = probability
    return Shipped(names, truth, tuple(tags.tolist()), made, note)


def scores(found: Shipped, replicates: int = 2000) -> pd.DataFrame:
    """A row for each condition and training: F2 and macro average precision with their intervals.

    `f2` is the mean over chips by the nested protocol; `ap` needs no threshold, and is of the
    probabilities as they come. `gain` and `ap_gain` are minus those of the hazy pictures (without
    haze: the clear ones) of the same strength, size, draw and training, paired over pictures.
    Intervals: 95 % bootstrap over pictures.
    """
    draws = {
        each: _precision_draws(found.truth, probability, replicates)
        for each, probability in found.made.items()
    }
    rows = []
    for (condition, trained), probability in found.made.items():
        here = found.outcome(condition, trained)
        ap = macro_average_precision(found.truth, probability.astype(float))
        row = condition._asdict() | {"trained": trained}
        row |= _three("f2", here.interval, "")
        row |= _three("ap", f2.percentile_interval(ap, draws[condition, trained]), "ap_")
        base = condition._replace(state="hazy" if condition.strength < 1 else "clear"), trained
        if condition.strength == 1 and trained == "clear":
            base = base[0], "same"  # trained on clear pictures, too
        if base in found.made and base[0] != condition:
            before = found.outcome(*base)
            gain = f2.paired_bootstrap(
                found.truth, before.prediction, here.prediction, replicates=replicates
            )
            ap -= macro_average_precision(found.truth, found.made[base].astype(float))
            more = f2.percentile_interval(ap, draws[condition, trained] - draws[base])
            row |= _three("gain", gain, "gain_") | _three("ap_gain", more, "ap_gain_")
        rows.append(row)
    order = ["size", "strength", "draw"]
    table = pd.DataFrame(rows).sort_values(order, ascending=[False, False, True], kind="stable")
    return table.reset_index(drop=True)


def by_label(found: Shipped, strength: float, trained: str = "same") -> pd.DataFrame:
    """Each label's F2 on hazy pictures, and what dehazing them adds, with 95 % intervals."""
    hazy, dehazed = (
        found.outcome(Condition(state, strength), trained) for state in ("hazy", "dehazed")
    )
    gain = f2.paired_bootstrap(found.truth, hazy.prediction, dehazed.prediction, "labels")
    return pd.DataFrame(
        {
            "label": found.tags,
            "pictures": found.truth.sum(0),
            "hazy": f2.f2_score(found.truth, hazy.prediction, "labels"),
            "gain": gain.value,
            "low": gain.low,
            "high": gain.high,
        }
    )


def answers(table: pd.DataFrame) -> list[str]:
    """A sentence for each way of training, by the notebook's rule, and one for the true t and A."""
    found = []
    wanted = [("dehazed", trained) for trained in TRAINED] + [("dehazed-truth", "clear")]
    for state, trained in wanted:
        rows = table[(table["state"] == state) & (table["trained"] == trained)]
        rows = rows[(rows["strength"] == SMALLER_AT) & (rows["size"] == SIZE)].sort_values("draw")
        if rows.empty:
            continue
        first = rows.iloc[0]
        word = "helps" if first["gain_low"] > 0 else "costs" if first["gain_high"] < 0 else ""
        if word and (np.sign(rows["gain"]) != np.sign(first["gain"])).any():
            word = ""
        values = " and ".join(
            f"{row.gain:+.4f} ({row.gain_low:+.4f} to {row.gain_high:+.4f})"
            for row in rows.itertuples()
        )
        verdict = f"dehazing **{word}**" if word else "it is **undecided** whether dehazing helps"
        what = "" if state == "dehazed" else f", {STATES[state]}"
        found.append(f"Trained on {TRAINED[trained]}{what}: {verdict}: {values}.")
    return found


def sentence(table: pd.DataFrame) -> str:
    """What the curves say, in one sentence: at which haze dehazing helps, for each training.

    table  of `scores`; it helps or costs where the interval of the gain lies beyond 0
    """
    clauses = []
    for trained, name in TRAINED.items():
        rows = table[(table["state"] == "dehazed") & (table["trained"] == trained)]
        rows = rows[(rows["size"] == SIZE) & (rows["draw"] == 0) & (rows["strength"] < 1)]
        sides = {
            "helps": rows["gain_low"] > 0,
            "costs": rows["gain_high"] < 0,
            "is undecided": (rows["gain_low"] <= 0) & (rows["gain_high"] >= 0),
        }
        said = [
            f"{word} at {' and '.join(f'{t:g}' for t in rows['strength'][side])}"
            for word, side in sides.items()
            if side.any()
        ]
        if said:
            clauses.append(f"for a regression trained on {name} it {', '.join(said)}")
    return f"**Dehazing, by mean transmission:** {'; '.join(clauses)}."


def _three(name: str, interval: f2.Interval, prefix: str) -> dict[str, float]:
    return {name: interval.value, f"{prefix}low": interval.low, f"{prefix}high": interval.high}


def _precision_draws(truth: np.ndarray, probability: np.ndarray, replicates: int) -> np.ndarray:
    """Bootstrap draws over chips, `(R,)`, of the macro average precision; equal draws each time."""
    blocks = f2.drawn_counts(len(truth), replicates, 0)
    times = np.concatenate([each.T for each in blocks], axis=1).astype(np.float32)  # whole numbers
    values = np.full((truth.shape[1], times.shape[1]), np.nan)
    for label, (y, p) in enumerate(zip(truth.T, probability.T, strict=True)):
        order = np.argsort(-p, kind="stable")
        last = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)  # of equal probabilities
        hits = np.flatnonzero(y[order])
        if not len(hits):
            continue
        # The precision counts at the ranks with hits alone (equal probabilities stand on one): how
        # many were drawn down to it, and of them hits.
        # Row by row, for a row stays in the processor's cache where all of them do not.
        ends = np.unique(last[np.searchsorted(last, hits)])
        starts = [0, *(ends[:-1] + 1)]
        between = np.add.reduceat(times[order[: ends[-1] + 1]], starts)
        hits_at = np.searchsorted(hits, starts)
        drawn_at = np.add.reduceat(times[order[hits]], hits_at)
        down_to = np.zeros(times.shape[1], np.float32)
        right, precisions = np.zeros((2, times.shape[1]))
        for since, drawn in zip(between, drawn_at.astype(float), strict=True):
            down_to += since
            right += drawn
            precisions += drawn * right / np.maximum(down_to, 1)
        with np.errstate(invalid="ignore"):
            values[label] = precisions / right
    return np.nanmean(values, axis=0)
