"""The claims and errata that need no training: counted in built layers, or read off kept runs.

`measured` gives the rows of `small_claims.csv`: `claim` (its id in `published.toml`), `item`,
`value`, `low`, `high` (95 %, where it is an estimate), `seed 1`, … (the same for other
seeds, by the names of `families.spread`).
`errata` gives those of `errata.csv`: `erratum`, `what`, `value`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import dehaze, f2
from ..evaluation import families, tables
from ..evaluation.selection import Outcome
from ..f2 import Interval

if TYPE_CHECKING:
    from ..evaluation.candidates import Pool
    from ..evaluation.families import Family

Array = np.ndarray
Row = dict[str, Any]
LABELS_OF_F2_LOSS = ("cloudy", "agriculture")


def measured(kinds: list[Family]) -> pd.DataFrame:
    """Every claim of this module, a row or more for each.

    kinds  `families.sort` of the kept runs
    """
    count = convolutions()
    rows = [
        _row("miss-weighs-twice", false_alarms_per_miss()),
        _row("flatten-saves-parameters", values_left_out()),
        _row("separable-parameters", count["separable 3×3, 16 to 32"]),
        _row("plain-parameters", count["3×3, 16 to 32"]),
        _row("five-by-five", count["5×5"] / count["two 3×3"]),
        _row("batch-normalisation-bounds", normalised_within_unit()),
        *recalibration(kinds),
        *dehazing(kinds),
        *f2_loss(kinds),
    ]
    columns = ["claim", "item", "value", "low", "high"]
    frame = pd.DataFrame(rows)
    return frame[columns + sorted(set(frame) - set(columns))]


def _row(claim: str, value: float | Interval, item: str = "", **seeds: float) -> Row:
    if isinstance(value, Interval):
        ends = {"value": value.value, "low": value.low, "high": value.high}
    else:
        ends = {"value": value, "low": np.nan, "high": np.nan}
    return {"claim": claim, "item": item or claim, **ends, **seeds}


# ---- counted -------------------------------------------------------------------------------------


def false_alarms_per_miss(hits: int = 10) -> int:
    """How many false alarms cost F2 as much as one miss does, beside `hits` right labels."""
    one_miss = f2.from_counts(hits, 1, 0)
    return next(n for n in range(1, 100) if f2.from_counts(hits, 0, n) <= one_miss)


def values_left_out(size: int = 7, channels: int = 512) -> float:
    """Share of a feature map's values that flattening leaves out, from the built layer."""
    import keras

    flat = keras.Sequential([keras.Input((size, size, channels)), keras.layers.Flatten()])
    return 1 - flat.output_shape[-1] / (size * size * channels)


def convolutions() -> dict[str, int]:
    """Weights without biases of the convolutions that the teaching article compares."""
    from keras import layers

    def count(channels: int, *stack: Any) -> int:
        import keras

        return keras.Sequential([keras.Input((16, 16, channels)), *stack]).count_params()

    def plain(kernel: int, filters: int = 64) -> Any:
        return layers.Conv2D(filters, kernel, padding="same", use_bias=False)

    return {
        "3×3, 16 to 32": count(16, plain(3, 32)),
        "separable 3×3, 16 to 32": count(16, layers.SeparableConv2D(32, 3, use_bias=False)),
        "5×5": count(64, plain(5)),
        "one 3×3": count(64, plain(3)),
        "two 3×3": count(64, plain(3), plain(3)),
    }


def normalised_within_unit(seed: int = 0) -> float:
    """Share of a batch-normalised layer's outputs that lie within 0 … 1, for normal inputs."""
    import keras

    values = np.random.default_rng(seed).normal(3, 2, (256, 64)).astype("float32")
    normalised = np.asarray(keras.layers.BatchNormalization()(values, training=True))
    return float(((normalised >= 0) & (normalised <= 1)).mean())


# ---- from kept runs ------------------------------------------------------------------------------


def recalibration(kinds: list[Family]) -> list[Row]:
    """How much less optimistic ridge is than no recalibration, paired over chips."""
    outcomes = tables.recalibrations(families.joint(kinds).pool(), kinds=("none", "ridge"))
    change = optimism_difference(outcomes["ridge"], outcomes["none"])
    return [_row("ridge-reduces-overfitting", change)]


def optimism_difference(one: dict[str, Outcome], other: dict[str, Outcome]) -> Interval:
    """Optimism of `one` less that of `other`, paired over chips with a 95 % bootstrap interval.

    one, other  protocol -> outcome; optimism is F2 on the paper's protocol less nested F2
    """

    def by_chip(outcome: Outcome) -> Array:
        order = np.argsort(outcome.names)
        return f2.chip_f2(outcome.truth, outcome.prediction)[order]

    gain = (by_chip(one["paper"]) - by_chip(one["nested"])) - (
        by_chip(other["paper"]) - by_chip(other["nested"])
    )
    return f2.mean_interval(gain)


def dehazing(kinds: list[Family]) -> list[Row]:
    """Overall F2 with dehazed chips, and with both: each less the original chips alone.

    Each side chooses the loss for each label among its own networks. No rows where no network on
    dehazed chips is kept.
    """
    rows: dict[str, Row] = {}
    for name, pool in _seeds(kinds):
        sides = {side: pool.of(side) for side in ("original", "dehazed")}
        if not all(sides.values()):
            continue
        original = pool.nested(*sides["original"])
        others = {
            "dehazing-helps-overall": pool.nested(*sides["dehazed"]),
            "choice-repairs": pool.nested(*sides["original"], *sides["dehazed"]),
        }
        for claim, outcome in others.items():
            if not name:
                rows[claim] = _row(claim, outcome.minus(original))
            elif claim in rows:
                rows[claim][name] = outcome.score - original.score
    return list(rows.values())


def f2_loss(kinds: list[Family]) -> list[Row]:
    """Binary F2 with the F2 loss less that with the log loss, original chips, label by label.

    Each label at its own threshold, chosen for that label's F2 (nested).
    No rows where not both are kept.
    """
    rows: dict[str, Row] = {}
    claim = "f2-loss-helps-cloudy-and-agriculture"
    for name, pool in _seeds(kinds):
        found = {one.loss: one for one in pool.of("original")}
        if not {"log", "f2"} <= found.keys():
            continue
        log, better = (pool.nested(found[loss], thresholds="labels") for loss in ("log", "f2"))
        change = f2.paired_bootstrap(log.truth, log.prediction, better.prediction, "labels")
        for tag in LABELS_OF_F2_LOSS:
            place = pool.tags.index(tag)
            value = Interval(*(float(end[place]) for end in change))
            if not log.truth[:, place].any():
                continue
            if not name:
                rows[tag] = _row(claim, value, tag)
            elif tag in rows:
                rows[tag][name] = value.value
    return list(rows.values())


def _seeds(kinds: list[Family]) -> list[tuple[str, Pool]]:
    """The pool that a claim is judged on, without a name; then those of the other seeds, with it.

    Where the family of the claim has one seed, they are another family's (`families.spread`): "no
    other seed shows the opposite sign" would else hold of nothing.
    """
    chosen = families.joint(kinds)
    family, names = families.spread(kinds, chosen)
    others = [(name, family.pool(seed=seed)) for seed, name in names.items()]
    return [("", chosen.pool()), *others]


# ---- errata --------------------------------------------------------------------------------------


def errata(chip_scores: Array) -> pd.DataFrame:
    """What the code can check of the errata: `erratum`, `what`, `value`.

    chip_scores  `(N,)` F2 of each chip, for the standard error
    """
    count = convolutions()
    with_j, with_i = equation5()
    squared, plain = ridge_objectives()
    dense, kernel, apart = dense_as_convolution()
    stacks = vgg_channels()
    facts = [
        ("equation-5", "largest gap of the two sides, with J", with_j),
        ("equation-5", "smallest gap of the two sides, as printed", with_i),
        ("l2-norm", "ridge's weights from the minimum of the squared norm's objective", squared),
        ("l2-norm", "ridge's weights from the minimum of the norm's objective", plain),
        ("flatten", "values into the dense layer after flattening", 7 * 7 * 512),
        ("flatten", "values into the dense layer after global pooling", 512),
        ("twice", "false alarms that cost as much as one miss", false_alarms_per_miss()),
        ("fifth-decimal", "standard error at 8,096 chips", chip_scores.std() / np.sqrt(8096)),
        ("article-five-by-five", "5×5 ÷ one 3×3", count["5×5"] / count["one 3×3"]),
        ("article-five-by-five", "5×5 ÷ two 3×3", count["5×5"] / count["two 3×3"]),
        ("article-batch-normalisation", "share outside 0 … 1", 1 - normalised_within_unit()),
        ("article-channels", "channels of stack 4", stacks[3]),
        ("article-channels", "channels of stack 5", stacks[4]),
        ("article-lost-signs", "50·4·4", 50 * 4 * 4),
        ("article-lost-signs", "7·7·512", 7 * 7 * 512),
        ("article-dense-kernel", "weights of the dense layer", dense),
        ("article-dense-kernel", "weights of the 7×7 convolution", kernel),
        ("article-dense-kernel", "largest difference of their outputs", apart),
    ]
    return pd.DataFrame(facts, columns=["erratum", "what", "value"])


def equation5(seed: int = 0) -> tuple[float, float]:
    """Largest gap between the sides of equation 5 with J, and smallest as printed (with I)."""
    rng = np.random.default_rng(seed)
    scene, light = rng.uniform(0.15, 0.8, (64, 64, 3)), np.array([0.8, 0.85, 0.9])
    t = np.full(scene.shape[:2], 0.6)
    hazy = dehaze.add_haze(scene, t, light)
    left = _dark(hazy / light)
    right, printed = (t * _dark(x / light) + 1 - t for x in (scene, hazy))
    return float(np.abs(left - right).max()), float(np.abs(left - printed).min())


def _dark(values: Array) -> Array:
    return dehaze.dark_channel(np.clip(values, 0, 1), patch=5)


def ridge_objectives(seed: int = 0) -> tuple[float, float]:
    """How far scikit-learn's ridge weights are from the minimum with ‖w‖², and with ‖w‖."""
    from scipy.optimize import minimize
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(80, 5))
    y = x @ np.array([1.0, -2, 0.5, 0, 3]) + rng.normal(size=80)
    ridge = Ridge(alpha=20.0, fit_intercept=False).fit(x, y).coef_
    gaps = []
    for power in (2, 1):
        best = minimize(
            lambda w, power=power: ((y - x @ w) ** 2).sum() + 20.0 * np.linalg.norm(w) ** power,
            np.ones(5),
            tol=1e-12,
        )
        gaps.append(float(np.abs(best.x - ridge).max()))
    return gaps[0], gaps[1]


def dense_as_convolution(channels: int = 512, units: int = 16) -> tuple[int, int, float]:
    """Weights of a dense layer on 7 × 7 × `channels` and of the same 7×7 convolution, and how far
    their outputs are apart."""
    import keras

    values = np.random.default_rng(0).normal(size=(1, 7, 7, channels)).astype("float32")
    dense = keras.Sequential(
        [keras.Input((7, 7, channels)), keras.layers.Flatten(), keras.layers.Dense(units)]
    )
    kernel = keras.Sequential([keras.Input((7, 7, channels)), keras.layers.Conv2D(units, 7)])
    weight, bias = dense.get_weights()
    kernel.set_weights([weight.reshape(7, 7, channels, units), bias])
    a, b = (np.asarray(model(values)).ravel() for model in (dense, kernel))
    return dense.count_params(), kernel.count_params(), float(np.abs(a - b).max().round(3))


def vgg_channels() -> list[int]:
    """Channels of the five stacks of VGG-16, from the built network."""
    import keras

    from ..networks import build

    model = build.original("D", size=32, classes=2)
    found: Iterable[int] = [
        layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
    ]
    channels = list(found)
    del model
    gc.collect()
    return [channels[i] for i in (0, 2, 4, 7, 10)]
