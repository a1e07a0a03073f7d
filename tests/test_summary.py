"""Tables of the results notebooks, against cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from test_selection import FakeConfig, FakeRun, chip_names, network, world

from paperlib import candidates, claims, dehazing_effect, f2, one_label, summary
from paperlib.chips import Chips
from paperlib.errors import PaperError
from paperlib.labels import LABELS

L = len(LABELS)


def pool(n: int = 500) -> candidates.Pool:
    names, truth, p = world(n)
    return candidates.Pool(names, truth, {"original, log": p, "dehazed, log": p[:, ::-1]}, LABELS)


def test_published_numbers_are_those_of_the_paper():
    column = claims.published_f2()
    assert column.shape == (L,)
    assert column[LABELS.index("slash_burn")] == 0.35618
    assert (column > 0.92).sum() == 11
    said = claims.published()["claim"]
    assert len({claim["id"] for claim in said}) == len(said)
    assert all({"id", "place", "text", "quantity"} <= claim.keys() for claim in said)


def test_systems_are_built_up_step_by_step():
    several = pool()
    outcomes = summary.evaluate(several)
    assert list(outcomes) == [
        "one network, threshold 0.2",
        "one network",
        "one network, ridge",
        "choice per label",
        "choice per label, ridge",
    ]
    base = several.probability["original, log"]
    first = outcomes["one network, threshold 0.2"]["nested"]
    assert first.score == f2.f2_score(several.truth, base > 0.2)
    # The second candidate has its columns in the wrong order, so the first is chosen (but for the
    # label in the middle, where both are the same).
    assert (outcomes["choice per label"]["paper"].choice[0] == 0).mean() > 0.8
    table = summary.overall(outcomes)
    assert len(table) == 10
    change = summary.differences(outcomes)
    row = change[(change["system"] == "one network, ridge") & (change["protocol"] == "nested")]
    wanted = (
        outcomes["one network, ridge"]["nested"].score - outcomes["one network"]["nested"].score
    )
    assert row["difference"].item() == pytest.approx(wanted)
    kinds = summary.recalibrations(several, kinds=("none", "ridge"))
    assert kinds["ridge"]["nested"].score == outcomes["choice per label, ridge"]["nested"].score


def test_table1_leaves_out_what_no_chip_carries():
    one = pool(200)
    one.truth[:, 4] = 0
    outcome = summary.evaluate(one.only("original"))["one network"]
    table = summary.table1(outcome["paper"], outcome["nested"])
    assert table["label"].tolist() == list(LABELS)
    assert np.isnan(table.loc[4, "f2_nested"])
    assert (
        table.loc[0, "f2_nested"]
        == f2.f2_score(one.truth, outcome["nested"].prediction, "labels")[0]
    )


def test_reliability_of_calibrated_and_of_overconfident_probabilities():
    rng = np.random.default_rng(0)
    p = rng.random((4000, 5))
    truth = (rng.random(p.shape) < p).astype(np.uint8)
    curve = summary.reliability(truth, p)
    assert curve["count"].sum() == p.size
    assert (
        (curve["low"] <= curve["probability"]) & (curve["probability"] <= curve["high"])
    ).sum() >= 8
    assert summary.calibration_error(curve) < 0.02
    wrong = summary.reliability(truth, np.clip(p * 2 - 0.5, 0, 1))
    assert summary.calibration_error(wrong) > 0.1
    edge = summary.reliability(np.ones((3, 1), int), np.ones((3, 1)))
    assert edge.loc[0, ["frequency", "high"]].tolist() == [1, 1]


def test_strongest_weights_are_those_off_the_diagonal():
    weights = np.eye(3) * 9
    weights[0, 2], weights[1, 0] = -0.5, 0.3
    found = summary.strongest_weights(weights, ("a", "b", "c"), 2)
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
    table = summary._count(good)
    assert table.iloc[0].tolist() == ["cloudy", 30, 20, 0]
    assert table.iloc[-1].tolist() == ["chips", 30, 20, 0]
    good.images[40:45] = good.images[:5]
    with pytest.raises(PaperError, match="5 of 20 reported chips are among the training"):
        summary._count(good)


def test_dehazing_is_measured_on_pairs():
    names, truth, _ = world(600)
    better = truth.copy()

    def run(variant: str, seed: int) -> FakeRun:
        p = network(truth, 2.0, seed)
        if variant == "dehazed":  # sees water (column 5) perfectly, and is otherwise the same
            p[:, 5] = 0.1 + 0.8 * better[:, 5]
        return FakeRun(names, truth, p, FakeConfig(variant=variant, seed=seed))

    runs = [run(v, s) for s in (0, 1) for v in ("original", "dehazed")]
    effect = dehazing_effect.measure(runs)
    water = effect.differences.set_index("label").loc["water"]
    assert water["low"] > 0
    assert water["seed 1"] > 0
    assert effect.overall["system"].tolist() == ["original", "dehazed", "choice per label"]
    assert len(effect.seeds) == 6
    alone = dehazing_effect.measure(runs[:1])
    assert alone.differences["difference"].isna().all()
    assert alone.gains.empty


def test_order_of_steps_is_nothing_on_a_flat_chip():
    flat = np.full((2, 64, 64, 3), 120, np.uint8)
    noisy = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    assert (dehazing_effect.order_of_steps(flat, 16)["between"] < 1).all()
    assert (dehazing_effect.order_of_steps(noisy, 16)["between"] > 1).all()


def test_log_loss_learns_the_true_probability():
    class Log:
        def __call__(self, y: np.ndarray, p: np.ndarray) -> float:
            p = np.clip(p.astype(float), 1e-9, 1 - 1e-9)
            return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())

    score, truth = one_label.world(rate=0.2, distance=2.0)
    learnt = one_label.learn(Log(), score, truth)
    assert learnt.slope == pytest.approx(2.0, abs=0.03)
    assert learnt.offset == pytest.approx(np.log(0.2 / 0.8), abs=0.03)
