"""The penalties of notebook 07 at work: one label's weights and errors against their strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Lasso, Ridge

Array = np.ndarray


@dataclass(frozen=True)
class Path:
    """One kind of penalty at S strengths.

    strength   `(S,)`: λ of notebook 07's formula
    weights    `(S, K)` on standardised inputs
    fit, held  `(S,)` mean squared error on the chips fitted on, and on the others
    """

    strength: Array
    weights: Array
    fit: Array
    held: Array


def penalty_paths(
    probability: Array, truth: Array, label: int, *, strengths: int = 40
) -> dict[str, Path]:
    """Ridge and lasso for one label from no penalty to one that leaves nothing: name -> `Path`.

    probability, truth  `(N, L)`; every second chip is fitted on, the others are held out
    label               column that is predicted again
    strengths           S; even steps of the logarithm up to the strength that leaves (almost) no
                        weight: for lasso exactly none, for ridge a hundredth

    Hoerl & Kennard 1970 (ridge), Tibshirani 1996 (lasso).
    """
    if not 0 <= label < truth.shape[1]:
        raise ValueError(f"label: 0 to {truth.shape[1] - 1}, not {label}")
    known, new = slice(0, None, 2), slice(1, None, 2)
    middle, width = probability[known].mean(0), probability[known].std(0)
    inputs = (probability - middle) / np.where(width > 0, width, 1)
    y = truth[:, label].astype(np.float64)
    n = len(y[known])
    covariance = np.abs(inputs[known].T @ (y[known] - y[known].mean()))
    tops = {"ridge": 100.0 * n, "lasso": 2 * covariance.max()}
    paths = {}
    for name, top in tops.items():
        strength = top * np.logspace(-4, 0, strengths)
        weights, fit, held = [], [], []
        for value in strength:
            # scikit-learn's lasso halves the mean squared error; the formula here has the sum
            model = Ridge(value) if name == "ridge" else Lasso(value / (2 * n), max_iter=20_000)
            model.fit(inputs[known], y[known])
            weights.append(model.coef_)
            for part, errors in ((known, fit), (new, held)):
                errors.append(np.mean((y[part] - model.predict(inputs[part])) ** 2))
        paths[name] = Path(strength, np.array(weights), np.array(fit), np.array(held))
    return paths
