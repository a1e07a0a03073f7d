"""Weights against the strength of a penalty: what notebook 07 draws of ridge and lasso."""

from __future__ import annotations

import numpy as np
import pytest

from paperlib.labels import LABELS
from paperlib.plots import ridge as draw
from paperlib.teaching import penalties


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = (rng.random((400, 17)) < 0.3).astype(np.uint8)
    truth[:, 5] = np.where(rng.random(400) < 0.8, truth[:, 4], truth[:, 5])
    return np.clip(0.25 + 0.5 * truth + rng.normal(0, 0.2, truth.shape), 0, 1), truth


def test_lasso_sets_weights_to_zero_and_ridge_makes_all_smaller(world):
    paths = penalties.penalty_paths(*world, 5)
    lasso, squares = paths["lasso"].weights, paths["ridge"].weights
    assert (lasso[-1] == 0).all()
    counts = (np.abs(lasso) > 0).sum(1)
    assert counts[0] == 17
    assert (np.diff(counts) <= 1).all()
    assert (np.abs(squares) > 0).all()
    norms = np.linalg.norm(squares, axis=1)
    assert (np.diff(norms) < 0).all()
    assert norms[-1] < 0.05 * norms[0]


def test_errors_are_those_of_the_formula(world):
    probability, truth = world
    path = penalties.penalty_paths(probability, truth, 5, strengths=3)["ridge"]
    known = probability[::2]
    x = (known - known.mean(0)) / known.std(0)
    y = truth[::2, 5] - truth[::2, 5].mean()
    weights = np.linalg.solve(x.T @ x + path.strength[1] * np.eye(17), x.T @ y)
    np.testing.assert_allclose(path.weights[1], weights, atol=1e-9)
    assert path.fit[1] == pytest.approx(np.mean((y - x @ weights) ** 2))
    assert (np.diff(path.fit) >= 0).all()
    with pytest.raises(ValueError, match="0 to 16"):
        penalties.penalty_paths(probability, truth, 17)


def test_the_figure_holds_every_weight_and_both_errors(world):
    paths = penalties.penalty_paths(*world, 5, strengths=8)
    given = {k: (p.strength, p.weights, p.fit, p.held) for k, p in paths.items()}
    figure = draw.penalty_paths(given, LABELS, 5)
    above, below = figure.axes[0], figure.axes[2]
    assert len(above.lines) == 18  # with the line at zero
    np.testing.assert_array_equal(above.lines[5].get_ydata(), paths["ridge"].weights[:, 5])
    np.testing.assert_array_equal(below.lines[1].get_ydata(), paths["ridge"].held)
