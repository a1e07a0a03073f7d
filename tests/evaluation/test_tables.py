"""Tables of the results notebooks, against cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from test_families import Design
from test_selection import FakeRun, chip_names, network, world

from paperlib import f2, published
from paperlib.chips import Chips
from paperlib.evaluation import calibration, candidates, families, tables
from paperlib.evaluation.candidates import Candidate
from paperlib.labels import LABELS
from paperlib.studies import dehazing, results, ridge, train
from paperlib.teaching import f2_score
from paperlib.utils.errors import PaperError

L = len(LABELS)


def pool(n: int = 500) -> candidates.Pool:
    names, truth, p = world(n)
    return candidates.Pool(
        names,
        truth,
        {Candidate("original", "log"): p, Candidate("dehazed", "log"): p[:, ::-1]},
        LABELS,
    )


def test_published_numbers_are_those_of_the_paper():
    column = published.published_f2()
    assert column.shape == (L,)
    assert column[LABELS.index("slash_burn")] == 0.35618
    assert (column > 0.92).sum() == 11
    said = published.published()["claim"]
    assert len({claim["id"] for claim in said}) == len(said)
    assert all({"id", "place", "text", "quantity"} <= claim.keys() for claim in said)


def test_systems_are_built_up_step_by_step():
    several = pool()
    outcomes = tables.evaluate(several)
    assert list(outcomes) == [
        "one network, threshold 0.2",
        "one network",
        "one network, ridge",
        "choice per label",
        "choice per label, ridge",
    ]
    base = several.probability[Candidate("original", "log")]
    first = outcomes["one network, threshold 0.2"]["nested"]
    assert first.score == f2.f2_score(several.truth, base > 0.2)
    # The second candidate has its columns in the wrong order, so the first is chosen (but for the
    # label in the middle, where both are the same).
    assert (outcomes["choice per label"]["paper"].choice[0] == 0).mean() > 0.8
    table = tables.overall(outcomes)
    assert len(table) == 10
    # The same probabilities: thresholds and the protocol change nothing of how chips are ranked.
    ranked = table.set_index(["system", "protocol"])["macro_ap"]
    for system in ("one network", "one network, threshold 0.2"):
        assert ranked[system, "paper"] == ranked[system, "nested"]
    kinds = tables.recalibrations(several, kinds=("none", "ridge"))
    assert kinds["ridge"]["nested"].score == outcomes["choice per label, ridge"]["nested"].score


def test_fewer_test_chips_than_folds_are_ranked_together():
    """Seen failing: a data folder with three test chips ended notebook 08 in a ValueError."""
    validation, names = pool(300), chip_names(3, "test")
    _, truth, p = world(300)
    test = candidates.Pool(names, truth[:3], {Candidate("original", "log"): p[:3]}, LABELS)
    alone = Candidate("original", "log")
    outcomes = {"nested": validation.nested(alone), "test": validation.test(test, alone)}
    table = tables.overall({"one network": outcomes}).set_index("protocol")
    assert table.loc["test", "chips"] == 3
    expected = calibration.macro_average_precision(truth[:3], outcomes["test"].probability)
    assert table.loc["test", "macro_ap"] == pytest.approx(expected)


def test_fewer_validation_chips_than_folds_are_one_line():
    names, truth, p = world(4)
    with pytest.raises(PaperError, match="4 validation chips: fewer than the 5 folds"):
        candidates.gather([FakeRun(names, truth, p.astype(np.float32))])


def test_table1_leaves_out_what_no_chip_carries():
    one = pool(200)
    one.truth[:, 4] = 0
    one = one.only(Candidate("original", "log"))
    system = tables.recalibrations(one, kinds=("none",))["none"]
    own = tables.recalibrations(one, kinds=("none",), thresholds="labels")["none"]
    table = results.table1(system, own)
    assert table["label"].tolist() == list(LABELS)
    for column, outcome in (("own_nested", own["nested"]), ("system_nested", system["nested"])):
        assert np.isnan(table.loc[4, [column, f"{column}_low"]].astype(float)).all()
        found = f2.f2_score(one.truth, outcome.prediction, "labels")
        assert table.loc[0, column] == found[0]
    known = table.drop(index=4)
    for name in ("own_nested", "own_paper", "system_nested", "system_paper", "recall"):
        assert (known[f"{name}_low"] <= known[name] + 1e-9).all()
        assert (known[name] <= known[f"{name}_high"] + 1e-9).all()


def test_a_rare_label_is_worth_something_at_its_own_threshold():
    """For the mean over chips a rare label had better never be given; its own F2 says otherwise."""
    rng = np.random.default_rng(4)
    names, truth, p = world(800)
    truth[:, 16] = np.arange(800) % 20 == 0
    p[:, 16] = np.clip(0.2 + 0.015 * truth[:, 16] + rng.normal(0, 0.03, 800), 0.001, 0.5)
    rare = candidates.Pool(names, truth, {Candidate("original", "log"): p}, LABELS)
    system = tables.recalibrations(rare, kinds=("none",))["none"]
    own = tables.recalibrations(rare, kinds=("none",), thresholds="labels")["none"]
    row = results.table1(system, own).iloc[16]
    assert row["system_paper"] == 0
    assert row["own_nested"] > 0.1
    assert row["own_paper"] >= row["own_nested"]  # chosen on the chips that it reports
    never = results.thresholds(system).iloc[16]
    assert np.isnan(never["all"])
    assert results.thresholds(own).iloc[16, 1:].notna().all()
    # What the mean over chips loses by it: the reason for two kinds of threshold.
    assert system["paper"].score > own["paper"].score


def test_average_precision_ranks_chips_within_their_fold():
    from sklearn.metrics import average_precision_score

    _, truth, p = world(400)
    truth[:, 3] = 0
    there = truth.any(0)
    p = p.round(2)  # with ties
    pooled = average_precision_score(truth[:, there], p[:, there], average="macro")
    assert calibration.macro_average_precision(truth, p) == pytest.approx(pooled)
    fold = np.arange(400) % 4
    folds = [
        [
            average_precision_score(truth[fold == k, i], p[fold == k, i])
            if truth[fold == k, i].any()
            else 0
            for i in np.flatnonzero(there)
        ]
        for k in range(4)
    ]
    weight = np.stack([truth[fold == k][:, there].sum(0) for k in range(4)])
    wanted = np.average(folds, axis=0, weights=weight).mean()
    assert calibration.macro_average_precision(truth, p, fold) == pytest.approx(wanted)
    # Each fold on another scale ranks its own chips as before; pooled, the scores are nonsense.
    moved = p / (1.0 + fold[:, None])
    assert calibration.macro_average_precision(truth, moved, fold) == pytest.approx(wanted)
    assert calibration.macro_average_precision(truth, moved) < pooled - 0.02


def test_reliability_of_calibrated_and_of_overconfident_probabilities():
    rng = np.random.default_rng(0)
    p = rng.random((4000, 5))
    truth = (rng.random(p.shape) < p).astype(np.uint8)
    curve = calibration.reliability(truth, p)
    assert curve["count"].sum() == p.size
    assert ((curve["low"] <= 0) & (curve["high"] >= 0)).sum() >= 8
    assert np.allclose(curve["difference"], curve["frequency"] - curve["probability"])
    assert calibration.error_interval(truth, p).value < 0.02
    assert calibration.error_interval(truth, np.clip(p * 2 - 0.5, 0, 1)).value > 0.1
    edge = calibration.reliability(np.ones((3, 1), int), np.ones((3, 1)))
    assert edge.loc[0, ["frequency", "difference"]].tolist() == [1, 0]
    assert edge[["low", "high"]].isna().all().all()  # three chips are too few to draw from


def test_the_interval_of_the_calibration_error_leaves_out_what_chance_adds():
    """Calibrated to the last digit, drawn chips still err; percentiles would be above the truth."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.2, 0.8, (300, 3))
    truth = (rng.random(p.shape) < p).astype(np.uint8)
    found = calibration.error_interval(truth, p)
    curve = calibration.reliability(truth, p)
    distance = (curve["probability"] - curve["frequency"]).abs()
    assert found.value == pytest.approx(np.average(distance, weights=curve["count"]))
    assert found.low < 0.01  # the truth is 0; a percentile interval starts above 0.02
    wrong = calibration.error_interval(truth, np.clip(p + 0.15, 0, 1))
    assert wrong.low > 0.05
    assert wrong.low <= wrong.value <= wrong.high


def test_a_share_of_none_or_all_has_the_exact_interval():
    """Clopper & Pearson: 0 of 14 is at most 23.16 %, 20 of 20 at least 83.16 % (95 %)."""
    hits, of = np.array([0, 20, 5, 0]), np.array([14, 20, 10, 0])
    drawn = f2.Interval(*(np.array([0, 1, 0.5, np.nan]) for _ in range(3)))
    exact = results._exact_ends(drawn, hits, of)
    np.testing.assert_allclose(exact.low, [0, 0.83157, 0.5, np.nan], atol=1e-4)
    np.testing.assert_allclose(exact.high, [0.23164, 1, 0.5, np.nan], atol=1e-4)


def test_the_interval_of_reliability_knows_that_labels_of_a_chip_go_together():
    rng = np.random.default_rng(1)
    p = np.repeat(rng.random((1000, 1)), 16, axis=1)
    alike = np.repeat((rng.random((1000, 1)) < p[:, :1]).astype(np.uint8), 16, axis=1)
    apart = (rng.random(p.shape) < p).astype(np.uint8)
    wide, narrow = (
        (curve["high"] - curve["low"]).mean()
        for curve in (calibration.reliability(truth, p) for truth in (alike, apart))
    )
    assert 3 < wide / narrow < 5  # sixteen copies of one chip are one chip: √16


def test_correlation_leaves_out_a_column_that_hardly_moves():
    rng = np.random.default_rng(0)
    truth = (rng.random((500, 3)) < 0.3).astype(float)
    p = np.clip(truth * 0.5 + rng.normal(0, 0.1, truth.shape), 0, 1)
    p[:, 2] = 0.01 + 0.02 * p[:, 1]  # nearly constant, and a copy of another
    assert calibration.correlation(p)[1, 2] > 0.99
    found = calibration.correlation(p, like=truth)
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 2]).all()
    assert found[0, 1] == calibration.correlation(p)[0, 1]


def test_strongest_weights_are_those_off_the_diagonal():
    weights = np.eye(3) * 9
    weights[0, 2], weights[1, 0] = -0.5, 0.3
    found = ridge.strongest_weights(weights, ("a", "b", "c"), 2)
    assert found[["label", "reads", "weight"]].to_numpy().tolist() == [
        ["a", "c", -0.5],
        ["b", "a", 0.3],
    ]


def test_label_counts_stop_on_a_leak():
    def chips(names: np.ndarray, seed: int) -> Chips:
        images = np.random.default_rng(seed).integers(0, 255, (len(names), 4, 4, 3), dtype=np.uint8)
        return Chips(names, images, np.ones((len(names), L), np.uint8), "made up")

    names = np.concatenate([chip_names(30, "train"), chip_names(20)])
    good = chips(names, 0)
    table = train._count(good)
    assert table.iloc[0].tolist() == ["cloudy", 30, 20, 0]
    assert table.iloc[-1].tolist() == ["chips", 30, 20, 0]
    good.images[40:45] = good.images[:5]
    with pytest.raises(PaperError, match="5 of 20 reported chips are among the training"):
        train._count(good)


def test_dehazing_is_measured_on_pairs():
    names, truth, _ = world(600)
    better = truth.copy()

    def run(variant: str, seed: int) -> FakeRun:
        p = network(truth, 2.0, seed)
        if variant == "dehazed":  # sees water (column 5) perfectly, and is otherwise the same
            p[:, 5] = 0.1 + 0.8 * better[:, 5]
        return FakeRun(names, truth, p, Design(variant=variant, seed=seed))

    runs = [run(v, s) for s in (0, 1) for v in ("original", "dehazed")]
    kinds = families.sort(runs)
    effect = dehazing.measure(kinds, kinds[0])
    pair = [candidates.gather([run]) for run in runs[:2]]
    alone = [
        tables.recalibrations(one, kinds=("none",), thresholds="labels")["none"]["nested"]
        for one in pair
    ]
    own = effect.by_label[effect.by_label["system"] == "dehazed"]["f2"]
    assert np.allclose(own, alone[1].label_f2().value)  # each label at its own threshold
    assert effect.overall.loc[1, "f2"] != alone[1].score  # the mean over chips at the system's
    water = effect.differences.set_index("label").loc["water"]
    assert water["low"] > 0
    assert water["seed 1"] > 0
    assert effect.overall["system"].tolist() == ["original", "dehazed", "choice per label"]
    assert effect.seeds.groupby("seed").size().tolist() == [3, 3]
    kinds = families.sort(runs[:1])
    alone = dehazing.measure(kinds, kinds[0])
    assert alone.differences["difference"].isna().all()
    assert alone.gains.empty


def test_order_of_steps_is_nothing_on_a_flat_chip():
    flat = np.full((2, 64, 64, 3), 120, np.uint8)
    noisy = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    assert (dehazing.order_of_steps(flat, 16)["between"] < 1).all()
    assert (dehazing.order_of_steps(noisy, 16)["between"] > 1).all()


def test_log_loss_learns_the_true_probability():
    class Log:
        def __call__(self, y: np.ndarray, p: np.ndarray) -> float:
            p = np.clip(p.astype(float), 1e-9, 1 - 1e-9)
            return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())

    score, truth = f2_score.world(rate=0.2, distance=2.0)
    learnt = f2_score.learn(Log(), score, truth)
    assert learnt.slope == pytest.approx(2.0, abs=0.03)
    assert learnt.offset == pytest.approx(np.log(0.2 / 0.8), abs=0.03)
