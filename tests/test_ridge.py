"""Recalibration: scikit-learn's estimator checks, the closed form, known answers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import Lasso, LassoCV, Ridge
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from paperlib import ridge
from paperlib.ridge import LASSO, LabelRecalibrator

#: Checks of scikit-learn that fit data with more inputs than labels.
ONE_COLUMN_EACH = [
    "check_fit_score_takes_y",
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_estimators_fit_returns_self",
    "check_readonly_memmap_input",
    "check_n_features_in_after_fitting",
    "check_positive_only_tag_during_fit",
    "check_estimators_dtypes",
    "check_dtype_object",
    "check_pipeline_consistency",
    "check_estimators_nan_inf",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_regressors_train",
    "check_regressor_data_not_an_array",
    "check_regressor_multioutput",
    "check_regressors_no_decision_function",
    "check_supervised_y_2d",
    "check_regressors_int",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_n_features_in",
    "check_fit2d_predict1d",
]


def without_recalibration(estimator) -> dict[str, str]:
    """`none` hands its input through, so it takes no other number of columns than of labels."""
    if estimator.kind != "none":
        return {}
    return dict.fromkeys(ONE_COLUMN_EACH, "as many columns as labels, which this check's are not")


@parametrize_with_checks(
    [LabelRecalibrator("ridge"), LabelRecalibrator("lasso"), LabelRecalibrator("none")],
    expected_failed_checks=without_recalibration,
)
def test_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def linked_labels(n: int = 1500, seed: int = 0):
    """Label 1 is on where label 0 is, but its own probability is noise; label 2 is independent."""
    rng = np.random.default_rng(seed)
    first, third = rng.random((2, n)) < 0.4
    truth = np.stack([first, first, third], axis=1).astype(np.uint8)
    p = np.clip(truth * 0.6 + rng.normal(0.2, 0.15, truth.shape), 0, 1)
    p[:, 1] = rng.random(n)
    return truth, p


@pytest.mark.parametrize("kind", ["ridge", "lasso"])
def test_a_label_is_read_from_the_one_that_goes_with_it(kind):
    truth, p = linked_labels()
    model = LabelRecalibrator(kind).fit(p[:1000], truth[:1000])
    q = model.predict(p[1000:])
    assert q.shape == (500, 3)
    assert q.min() >= 0
    assert q.max() <= 1
    assert np.corrcoef(p[1000:, 1], truth[1000:, 1])[0, 1] < 0.1
    assert np.corrcoef(q[:, 1], truth[1000:, 1])[0, 1] > 0.9
    assert np.abs(model.standard_coef_[1]).argmax() == 0
    assert np.abs(model.standard_coef_[2]).argmax() == 2


def test_ridge_is_the_closed_form_at_the_chosen_strength():
    truth, p = linked_labels()
    model = LabelRecalibrator("ridge").fit(p, truth)
    standard = StandardScaler().fit_transform(p)
    for label in range(3):
        wanted = Ridge(model.strength_[label]).fit(standard, truth[:, label])
        np.testing.assert_allclose(model.standard_coef_[label], wanted.coef_, rtol=1e-6)
        np.testing.assert_allclose(
            model.predict(p)[:, label], wanted.predict(standard).clip(0, 1), atol=1e-9
        )


def test_lasso_is_scikit_learns_at_the_chosen_strength():
    truth, p = linked_labels()
    model = LabelRecalibrator("lasso").fit(p, truth)
    standard = StandardScaler().fit_transform(p)
    for label in range(3):
        strength = model.strength_[label]
        plain = Lasso(strength, tol=1e-10).fit(standard, truth[:, label])
        np.testing.assert_allclose(model.standard_coef_[label], plain.coef_, atol=1e-5)


@pytest.mark.parametrize("chips", [40, 300])
def test_lassos_strength_is_the_one_that_cross_validation_of_scikit_learn_chooses(chips):
    rng = np.random.default_rng(3)
    truth = (rng.random((chips, 17)) < rng.uniform(0.05, 0.9, 17)).astype(np.uint8)
    p = np.clip(0.5 * truth + 0.2 * truth[:, ::-1] + rng.normal(0.1, 0.3, truth.shape), 0, 1)
    model = LabelRecalibrator("lasso", seed=5).fit(p, truth)
    standard, how = StandardScaler().fit_transform(p), ridge.lasso_for(*p.shape)
    folds = KFold(5, shuffle=True, random_state=5)
    for label in range(17):
        y = truth[:, label].astype(float)
        strengths = np.abs(standard.T @ (y - y.mean())).max() / chips * how.fractions
        wanted = LassoCV(alphas=strengths, cv=folds, tol=how.tolerance, max_iter=50_000)
        wanted.fit(standard, y)
        assert model.strength_[label] == pytest.approx(wanted.alpha_)
        assert model.edge_[label] == (wanted.alpha_ == strengths[-1])
        np.testing.assert_allclose(model.standard_coef_[label], wanted.coef_, atol=1e-6)


def test_lasso_converges_where_inputs_outnumber_chips():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for chips in (6, 12, 20):
            truth = (rng.random((chips, 17)) < 0.3).astype(np.uint8)
            shared = 0.05 * rng.normal(size=(chips, 1))  # an untrained network: all nearly alike
            p = 0.5 + 0.01 * truth + 0.03 * rng.normal(size=truth.shape) + shared
            assert np.isfinite(LabelRecalibrator("lasso").fit(p, truth).predict(p)).all()


def test_lasso_drops_what_says_nothing_and_converges_silently():
    rng = np.random.default_rng(1)
    truth = (rng.random((800, 17)) < rng.uniform(0.002, 0.9, 17)).astype(np.uint8)
    truth[:, 3], truth[:, 5] = 0, 1  # absent, and on every chip
    p = np.clip(0.7 * truth + rng.normal(0.15, 0.2, truth.shape), 0, 1)
    p[:, 7] = 0.25  # an output that never moves
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("lasso", "ridge"):
            model = LabelRecalibrator(kind).fit(p, truth)
            q = model.predict(p)
            np.testing.assert_allclose(q[:, 3], 0, atol=1e-12)
            np.testing.assert_allclose(q[:, 5], 1, atol=1e-12)
            assert np.isfinite(q).all()
            assert (model.coef_[:, 7] == 0).all()
            if kind == "lasso":
                assert (model.coef_ == 0).mean() > 0.3


def test_strength_is_high_where_the_inputs_say_nothing():
    rng = np.random.default_rng(2)
    truth = (rng.random((600, 4)) < 0.5).astype(np.uint8)
    useful = np.clip(truth + rng.normal(0, 0.1, truth.shape), 0, 1)
    noise = rng.random(truth.shape)
    for kind in ("ridge", "lasso"):
        strong = LabelRecalibrator(kind).fit(noise, truth).strength_
        weak = LabelRecalibrator(kind).fit(useful, truth).strength_
        assert strong.min() > weak.max()


def test_a_strength_at_the_edge_of_those_tried_is_told(monkeypatch):
    """Labels that are a straight line in the inputs want no penalty at all."""
    rng = np.random.default_rng(3)
    p = rng.random((400, 3))
    exact = p @ np.array([[1.0, 0.2, 0.0], [0.5, 1.0, 0.3], [0.0, 0.0, 1.0]]).T
    noise = (rng.random((400, 3)) < 0.5).astype(float)
    assert LabelRecalibrator("ridge").fit(p, exact).edge_.all()
    assert not LabelRecalibrator("lasso").fit(p, noise).edge_.any()  # no weight at all: no edge
    truth, useful = linked_labels()
    for kind in ("lasso", "ridge"):
        assert not LabelRecalibrator(kind).fit(useful, truth).edge_.any()
    fewer = LASSO._replace(fractions=LASSO.fractions[:11])  # down to a tenth
    monkeypatch.setattr(ridge, "LASSO", fewer)
    assert LabelRecalibrator("lasso").fit(p, exact).edge_.all()


def test_the_order_of_a_sum_does_not_tell_chips_apart():
    """The same weights and inputs in another order: other last bits, the same probabilities."""
    truth, p = linked_labels()
    model = LabelRecalibrator("ridge").fit(p, truth)
    turned = LabelRecalibrator("ridge").fit(p, truth)
    turned.coef_ = turned.coef_[:, ::-1]
    sums = [m.coef_ @ x.T for m, x in ((model, p), (turned, p[:, ::-1]))]
    assert not np.array_equal(*sums)
    assert np.array_equal(model.predict(p), turned.predict(p[:, ::-1]))


def test_none_changes_nothing():
    truth, p = linked_labels(50)
    np.testing.assert_array_equal(LabelRecalibrator("none").fit(p, truth).predict(p), p)
    with pytest.raises(ValueError, match="2 inputs cannot stand for 3"):
        LabelRecalibrator("none").fit(p[:, :2], truth)


def test_unknown_kind_is_named():
    truth, p = linked_labels(50)
    with pytest.raises(ValueError, match="kind: one of ridge, lasso, none"):
        LabelRecalibrator("elastic").fit(p, truth)
