"""Recalibration: the probability of each label, predicted again from those of all labels.

    q_l = clip(b_l + Σ_k W_lk · p_k, 0, 1)

Labels go together (road with habitation, cloudy with nothing), so the other labels' probabilities
say something about each one. The paper (its section 3.3; the penalty in 2.2) fits W by ridge
regression (a squared L2 penalty; its text says "L2 norm"), and compares lasso (L1) and none.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.linear_model import RidgeCV, lasso_path
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted, validate_data

KINDS = ("ridge", "lasso", "none")

#: Strengths tried for ridge, on standardised inputs; the penalty is their product with ‖W‖².
RIDGE_STRENGTHS = tuple(10.0 ** np.arange(-2, 5.01, 0.5))


class Lasso(NamedTuple):
    """How lasso is fitted.

    fractions  the strengths tried, as fractions of the one that leaves no weight at all, the first
    tolerance  the duality gap at which the solver stops, as a fraction of the sum of squares
    """

    fractions: np.ndarray
    tolerance: float


LASSO = Lasso(10.0 ** np.arange(0, -4.01, -0.1), 1e-7)
#: Of fewer than ten chips for each input: less settles the weights, and takes thousands of steps.
LASSO_FEW = Lasso(10.0 ** np.arange(0, -2.01, -0.1), 1e-4)


class LabelRecalibrator(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Linear recalibration of each label from all labels; a scikit-learn regressor.

    kind   `"ridge"`, `"lasso"`, or `"none"` (the probabilities as they come, clipped to 0…1)
    folds  inner folds by which lasso's strength is chosen; ridge's is chosen by leave-one-out,
           which has a closed form
    seed   order of the chips in the inner folds

    After `fit`: `coef_` `(L, K)` and `intercept_` `(L,)` on the probabilities as they are,
    `strength_` `(L,)` as chosen for each label, `edge_` `(L,)`, whether that is the weakest (of
    ridge, or the strongest) of those tried, so that a better one may lie beyond, and
    `standard_coef_` `(L, K)`, the change of a label for one standard deviation of an input, which
    is comparable between inputs.

    Fit it on probabilities of chips that the networks did not see in training: on training chips
    the probabilities are too good, and the weights come out too trusting. `selection` checks that.

    Paper, section 3.3; Hoerl & Kennard 1970 (ridge), Tibshirani 1996 (lasso).
    """

    def __init__(self, kind: str = "ridge", *, folds: int = 5, seed: int = 0) -> None:
        self.kind = kind
        self.folds = folds
        self.seed = seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Choose each label's strength by inner cross-validation, then fit on all chips.

        X  `(N, K)` probabilities;  y  `(N, L)` (or `(N,)`) of 0 and 1
        """
        if self.kind not in KINDS:
            raise ValueError(f"kind: one of {', '.join(KINDS)}, not {self.kind!r}")
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=2
        )
        self.single_output_ = y.ndim == 1
        truth = y.reshape(len(y), -1).astype(np.float64)
        inputs, labels = X.shape[1], truth.shape[1]
        if self.kind == "none":
            if inputs != labels:
                raise ValueError(f'kind="none": {inputs} inputs cannot stand for {labels} labels')
            self.coef_, self.intercept_ = np.eye(labels), np.zeros(labels)
            self.strength_, self.standard_coef_ = np.zeros(labels), np.eye(labels)
            self.edge_ = np.zeros(labels, bool)
            return self
        centre, spread = X.mean(0), X.std(0)
        constant = spread < 1e-12  # a label the networks never move says nothing
        standard = np.where(constant, 0.0, (X - centre) / np.where(constant, 1.0, spread))
        if self.kind == "ridge":
            weights, strength = _ridge(standard, truth)
            edge = np.isin(strength, (RIDGE_STRENGTHS[0], RIDGE_STRENGTHS[-1]))
        else:
            folds = KFold(min(self.folds, len(X)), shuffle=True, random_state=self.seed)
            weights, strength, edge = _lasso(standard, truth, folds)
        weights[:, constant] = 0.0  # exactly, where the solver leaves 1e-15
        self.standard_coef_, self.strength_, self.edge_ = weights, strength, edge
        self.coef_ = weights / np.where(constant, 1.0, spread)
        self.intercept_ = truth.mean(0) - self.coef_ @ centre
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """`(N, K)` probabilities -> `(N, L)` recalibrated ones in 0…1."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        q = np.clip(X @ self.coef_.T + self.intercept_, 0.0, 1.0)
        if self.kind != "none":
            # Chips that are equal up to the last bits of a sum are equal: no threshold between.
            q = q.round(12)
        return q[:, 0] if self.single_output_ else q

    def to_dict(self) -> dict[str, Any]:
        """The fitted weights as plain numbers, for a model's card: `predictor` reads them."""
        check_is_fitted(self)
        return {
            "kind": self.kind,
            "coef": self.coef_.tolist(),
            "intercept": self.intercept_.tolist(),
            "strength": self.strength_.tolist(),
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Its output lies in 0…1, so it cannot follow the checks' targets, which do not.
        tags.regressor_tags.poor_score = True
        return tags


def lasso_for(chips: int, inputs: int) -> Lasso:
    """How lasso is fitted on so many chips and inputs."""
    return LASSO if chips >= 10 * inputs else LASSO_FEW


def _ridge(standard: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    model = RidgeCV(alphas=RIDGE_STRENGTHS, alpha_per_target=truth.shape[1] > 1)
    model.fit(standard, truth if truth.shape[1] > 1 else truth[:, 0])
    return np.atleast_2d(model.coef_), np.atleast_1d(model.alpha_).astype(np.float64)


def _lasso(
    standard: np.ndarray, truth: np.ndarray, folds: KFold
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights `(L, K)`, strength `(L,)`, and whether that is the weakest tried `(L,)`.

    Of each label, with λ the strength, `argmin_w ‖y − X w‖² / 2N + λ ‖w‖₁` (Tibshirani 1996), all
    columns centred; λ is the strongest of those with the least squared error on held-out chips.
    What scikit-learn's `LassoCV` finds, by the solver that it calls: here what the labels have in
    common is computed once, and inputs are not checked again for each strength.

    standard  `(N, K)`, each column of mean 0 and standard deviation 1;  truth  `(N, L)` of 0 and 1
    """
    how = lasso_for(*standard.shape)
    path = partial(lasso_path, check_input=False, max_iter=50_000, tol=how.tolerance)
    whole = _Centred.of(standard, truth)
    # A label that nothing explains (or with nothing to explain) keeps strength and weights 0.
    strongest = np.abs(whole.products).max(0) / len(standard)
    tried = np.outer(strongest, how.fractions)
    explained = np.flatnonzero(strongest > 1e-9)
    errors = np.zeros(tried.shape)
    for train, held_out in folds.split(standard):
        fold = _Centred.of(standard[train], truth[train])
        inputs, wanted = standard[held_out] - fold.mean_input, truth[held_out] - fold.mean_truth
        for label in explained:
            _, weights, _ = path(**fold.of_label(label), alphas=tried[label])
            errors[label] += ((inputs @ weights - wanted[:, [label]]) ** 2).mean(0)
    best = errors.argmin(1)
    strength = np.take_along_axis(tried, best[:, None], 1)[:, 0]
    strength[strongest <= 1e-9] = 0.0
    weights = np.zeros((truth.shape[1], standard.shape[1]))
    for label in np.flatnonzero(best):  # the first strength leaves none: exactly, not 1e-17
        weights[label] = path(**whole.of_label(label), alphas=strength[[label]])[1][:, 0]
    return weights, strength, (strength > 0) & (best == len(how.fractions) - 1)


class _Centred(NamedTuple):
    """N chips as lasso's solver takes them: means taken away, products of all columns at hand.

    inputs `(N, K)`, truth `(N, L)`;  mean_input `(K,)`, mean_truth `(L,)`, as taken away
    gram   `(K, K)`, inputs' own products;  products  `(K, L)`, of inputs and truth
    """

    inputs: np.ndarray
    truth: np.ndarray
    mean_input: np.ndarray
    mean_truth: np.ndarray
    gram: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, inputs: np.ndarray, truth: np.ndarray) -> Self:
        means = inputs.mean(0), truth.mean(0)
        # the solver reads columns
        inputs, truth = (
            np.asfortranarray(a - m) for a, m in zip((inputs, truth), means, strict=True)
        )
        return cls(inputs, truth, *means, inputs.T @ inputs, np.asfortranarray(inputs.T @ truth))

    def of_label(self, label: int) -> dict[str, np.ndarray]:
        y, products = self.truth[:, label], self.products[:, label]
        return {"X": self.inputs, "y": y, "precompute": self.gram, "Xy": products}
