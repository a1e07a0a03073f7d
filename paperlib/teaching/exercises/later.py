"""One exercise each for notebooks 03 (views), 07 (ridge), 10 (depthwise), 11 and 13."""

from __future__ import annotations

import numpy as np

from .checking import Book, Exercise, Function, Verdict, code

PREPARATION, RIDGE, NETWORKS = Book("03"), Book("07"), Book("10")
TRANSFER, DESIGN_RULES = Book("11"), Book("13")


def _views(flaws: frozenset[str], image: np.ndarray) -> np.ndarray:
    other = image[:, ::-1]
    if "colours" in flaws:
        other = image[..., ::-1]
    if "turns twice" in flaws:
        other = image
    if "mirrors only" in flaws:
        return np.stack([image, image[::-1], image[:, ::-1], image[::-1, ::-1]])
    both = [np.rot90(one, quarter) for one in (image, other) for quarter in range(4)]
    return np.stack(both[:4] if "turns only" in flaws else both)


def _in_order(views: np.ndarray) -> np.ndarray:
    """Views sorted by their pixels: any order is right."""
    if views.ndim < 2:
        return views
    rows = views.reshape(len(views), -1)
    return views[np.lexsort(rows.T[::-1])]


PREPARATION.add(
    Exercise(
        "views",
        _views,
        lambda: [(np.random.default_rng(seed).random((5, 5, 3)),) for seed in (0, 1)],
        {
            "turns only": "these are the four turns; mirrored, each of them is another view",
            "mirrors only": "these are the mirrors along the axes and both; the quarter turns are "
            "missing",
            "turns twice": "the four turns are there twice. Mirror before the second round, along "
            "one "
            "axis: along both it is a half turn",
            "colours": "the order of the colours is mirrored; mirror rows or columns",
        },
        "Four quarter turns, of the chip and of its mirror image",
        code("""
        def my_views(image):
            return [np.rot90(one, k) for one in (image, image[:, ::-1]) for k in range(4)]
        """),
        "the eight symmetries of the square: no pixel changes its value",
        _in_order,
    )
)


def _ridge(flaws: frozenset[str], x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    n, size = x.shape
    penalty = strength * np.eye(size)
    for name, other in (
        ("none", 0 * penalty), ("everywhere", np.full((size, size), strength)),
        ("times n", n * penalty), ("squared", strength**2 * np.eye(size)),
        ("minus", -penalty), ("fixed", np.eye(size)),
    ):  # fmt: skip
        penalty = other if name in flaws else penalty
    weights = np.linalg.solve(x.T @ x + penalty, x.T @ y)
    if "lasso" in flaws:
        plain = np.linalg.solve(x.T @ x, x.T @ y)
        return np.sign(plain) * np.maximum(np.abs(plain) - strength / n, 0)
    return x @ weights if "predictions" in flaws else weights


def _regressions() -> list[tuple[np.ndarray, np.ndarray, float]]:
    rng = np.random.default_rng(2)
    cases = []
    for n, size, strength in ((20, 3, 2.0), (15, 5, 0.5), (8, 2, 10.0)):
        x = rng.normal(size=(n, size))
        cases.append((x, x @ rng.normal(size=size) + rng.normal(0, 0.3, n), strength))
    return cases


RIDGE.add(
    Exercise(
        "ridge",
        _ridge,
        _regressions,
        {
            "none": "this is least squares; the penalty is missing",
            "everywhere": "the strength is added to every number of the matrix; only the diagonal "
            "has "
            "the squares of single weights",
            "times n": "the strength is multiplied by the number of chips; here the sum is not a "
            "mean",
            "squared": "the strength is squared; it is the weights that are squared",
            "minus": "the penalty is subtracted; it would reward large weights",
            "fixed": "a strength of 1 is typed in; it is an argument",
            "lasso": "weights are pulled to exactly 0: that is what lasso does",
            "predictions": "these are the predictions; the weights are wanted",
        },
        "Set the derivative of squared error plus penalty to zero: what does each term leave?",
        code("""
        def my_ridge(x, y, strength):
            return np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y)
        """),
        "the stronger the penalty, the smaller all weights; none is exactly 0",
    )
)


def _separable(flaws: frozenset[str], kernel: int, channels_in: int, channels_out: int) -> int:
    area = kernel if "one side" in flaws else kernel**2
    depth = area * (channels_out if "outputs" in flaws else channels_in)
    point = channels_in * channels_out
    if "plain" in flaws:
        return area * point
    if "depth only" in flaws:
        return depth
    if "one kernel" in flaws:
        depth = area
    if "multiplied" in flaws:
        return depth * point
    return (
        (0 if "point only" in flaws else depth) + point + (channels_out if "bias" in flaws else 0)
    )


NETWORKS.add(
    Exercise(
        "separable",
        _separable,
        lambda: [(3, 16, 32), (5, 8, 4), (3, 64, 64), (7, 3, 12)],
        {
            "plain": "this is the ordinary convolution; what is wanted does one thing after the "
            "other",
            "depth only": "the 1 × 1 convolution behind, which mixes the channels, is missing",
            "point only": "the kernels that look at the neighbours are missing, one for each "
            "channel",
            "one kernel": "each channel that goes in has a kernel of its own",
            "outputs": "the kernels belong to the channels that go in; only then are they mixed",
            "one side": "a kernel is a square: its weights fill an area",
            "multiplied": "the two steps follow each other: their weights are added",
            "bias": "without biases here",
        },
        "First one kernel for each channel that goes in, then a 1 × 1 convolution",
        code("""
        def my_separable(kernel, channels_in, channels_out):
            return kernel**2 * channels_in + channels_in * channels_out
        """),
        "from 16 to 32 channels with 3 × 3: 656 weights in place of 4,608",
    )
)


def _features(flaws: frozenset[str], train: np.ndarray, held: np.ndarray) -> np.ndarray:
    def pooled(maps: np.ndarray) -> np.ndarray:
        return maps.max((1, 2)) if "largest" in flaws else maps.mean((1, 2))

    known, new = pooled(train), pooled(held)
    if "own" in flaws:
        known = new
    if "together" in flaws:
        known = np.concatenate([known, new])
    middle, width = known.mean(0), known.std(0)
    if "one number" in flaws:
        middle, width = known.mean(), known.std()
    if "variance" in flaws:
        width = width**2
    if "training" in flaws:
        new = pooled(train)
    new = new if "no mean" in flaws else new - middle
    return new if "no width" in flaws else new / width


TRANSFER.add(
    Exercise(
        "features",
        _features,
        lambda: [
            tuple(
                np.random.default_rng(seed).gamma(2, 1, (n, 4, 4, 6)) * np.arange(1, 7) + shift
                for n, shift in ((12, 0), (5, 1))
            )
            for seed in (0, 1)
        ],
        {
            "own": "the new chips are standardised by their own mean and deviation; a model gets "
            "only "
            "what the training chips say",
            "together": "the new chips take part in mean and deviation: a leak of what is not "
            "known",
            "no mean": "the mean is not taken off",
            "no width": "it is not divided by the standard deviation",
            "variance": "this divides by the variance; the standard deviation is its root",
            "one number": "one mean and deviation for all channels; each channel has its own",
            "largest": "this is the largest value of each map; the mean is wanted",
            "training": "these are the training chips; the new ones are wanted",
        },
        "Pool each map to one number, then measure it in units of the training chips",
        code("""
        def my_features(train, new):
            train, new = train.mean(axis=(1, 2)), new.mean(axis=(1, 2))
            return (new - train.mean(axis=0)) / train.std(axis=0)
        """),
        "new chips are measured with the training chips' rule",
    )
)


def _plateau(flaws: frozenset[str], losses: np.ndarray, rate: float, factor: float) -> np.ndarray:
    best, now, rates = np.inf, rate, []
    for loss in losses:
        before = now
        better = loss <= best if "equal" in flaws else loss < best
        if not better:
            now = rate * factor if "once" in flaws else now * factor
            now = now - rate * factor if "subtracted" in flaws else now
        elif "back" in flaws:
            now = rate
        rates.append(now if "early" in flaws else before)
        best = loss if "last" in flaws else min(best, loss)
    return np.array(rates)


DESIGN_RULES.add(
    Exercise(
        "plateau",
        _plateau,
        lambda: [
            (np.array([1.0, 0.8, 0.9, 0.85, 0.7, 0.7, 0.6]), 0.1, 0.5),
            (np.array([3.0, 2.0, 2.5, 2.5, 1.0, 1.1]), 1.0, 0.1),
        ],
        {
            "last": "the loss is compared with the last one; the best so far is meant",
            "equal": "an equal loss is no improvement",
            "early": "the rate falls within the epoch whose loss is not known yet; it falls after "
            "it",
            "once": "it always falls to the same rate; each time it falls from where it is",
            "back": "the rate goes up again after a better epoch; once down it stays",
            "subtracted": "the rate is multiplied by the factor, nothing is subtracted",
        },
        "Keep the best loss so far; after an epoch that is not better the next one is slower",
        code("""
        def my_plateau(losses, rate, factor):
            best, rates = np.inf, []
            for loss in losses:
                rates.append(rate)
                if loss >= best:
                    rate *= factor
                best = min(best, loss)
            return rates
        """),
        "the rate of the paper: down when the validation loss stalls",
    )
)


def plateau(losses: np.ndarray, rate: float, factor: float) -> np.ndarray:
    """The right answer to exercise "plateau", for the notebook's picture: rates `(E,)`."""
    return _plateau(frozenset(), losses, rate, factor)


def check_views(answer: Function) -> Verdict:
    """Notebook 03: `answer(image)`, `(S, S, 3)`: the eight symmetries, `(8, S, S, 3)`, any "
    "order."""
    return PREPARATION.check("views", answer)


def check_ridge(answer: Function) -> Verdict:
    """Notebook 07: `answer(x, y, strength)`: the weights `(K,)` of ridge without intercept."""
    return RIDGE.check("ridge", answer)


def check_separable(answer: Function) -> Verdict:
    """Notebook 10: `answer(kernel, channels_in, channels_out)`: weights, without biases."""
    return NETWORKS.check("separable", answer)


def check_features(answer: Function) -> Verdict:
    """Notebook 11: `answer(train, new)`, `(N, H, W, C)` each: features `(M, C)` of the new "
    "chips."""
    return TRANSFER.check("features", answer)


def check_plateau(answer: Function) -> Verdict:
    """Notebook 13: `answer(losses, rate, factor)`: the learning rate of each epoch, `(E,)`."""
    return DESIGN_RULES.check("plateau", answer)
