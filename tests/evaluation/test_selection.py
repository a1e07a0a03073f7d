"""Choice, integration and the two protocols; planted faults that the checks must catch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from paperlib import f2
from paperlib.chips import Chips, leakage, split_many
from paperlib.evaluation import candidates, selection
from paperlib.evaluation.candidates import Candidate
from paperlib.labels import LABELS
from paperlib.utils.errors import PaperError

L = len(LABELS)


PROTOCOLS = {"nested": selection.protocol_nested, "paper": selection.protocol_paper}


def chip_names(n: int, part: str = "validation") -> np.ndarray:
    names = np.array([f"train_{i}" for i in range(n * 12)])
    return names[split_many(names) == part][:n]


def network(truth: np.ndarray, skill: float, seed: int) -> np.ndarray:
    """Calibrated probabilities of a network that sees the truth through noise."""
    rng = np.random.default_rng(seed)
    rate = truth.mean(0).clip(0.01, 0.99)
    evidence = skill * (truth - 0.5) * skill + skill * rng.normal(size=truth.shape)
    return 1 / (1 + np.exp(-(np.log(rate / (1 - rate)) + evidence)))


def world(n: int = 1000, seed: int = 0):
    rng = np.random.default_rng(seed)
    rate = np.geomspace(0.9, 0.02, L)
    truth = (rng.random((n, L)) < rate).astype(np.uint8)
    return chip_names(n), truth, network(truth, 2.0, seed + 1)


@dataclass(frozen=True)
class FakeConfig:
    variant: str = "original"
    loss: str = "log"
    outputs: str = "all"
    network: str = "vgg16"
    size: int = 32
    width: float = 0.25
    weights: str = ""
    augment: str = "symmetries"
    seed: int = 0

    @property
    def slug(self) -> str:
        return f"{self.variant}-{self.loss}-{self.outputs}-s{self.seed}"


@dataclass(frozen=True)
class FakeRun:
    """What `candidates` reads of a run."""

    names: np.ndarray
    truth: np.ndarray
    probability: np.ndarray
    config: FakeConfig = field(default_factory=FakeConfig)
    tags: tuple[str, ...] = LABELS

    @property
    def split(self) -> np.ndarray:
        return split_many(self.names)

    def part(self, split: str) -> FakeRun:
        keep = self.split == split
        return replace(
            self,
            names=self.names[keep],
            truth=self.truth[keep],
            probability=self.probability[keep],
        )


# --- choice, integration, protocols ---------------------------------------------------------------


def test_choice_takes_the_better_network_for_each_label():
    names, truth, _ = world(2000)
    good, poor = network(truth, 2.5, 1), network(truth, 0.7, 2)
    first, second = good.copy(), good.copy()
    first[:, ::2], second[:, 1::2] = poor[:, ::2], poor[:, 1::2]
    chosen = selection.choose(truth, {"a": first, "b": second})
    common = truth.mean(0) > 0.05  # rarer labels may go either way by chance
    wanted = np.arange(L) % 2 == 0
    np.testing.assert_array_equal(chosen[common], wanted[common])

    system = selection.System(thresholds=0.5).fit(names, truth, {"a": first, "b": second})
    integrated, labels = system.predict(names, {"a": first, "b": second}, in_sample=True)
    np.testing.assert_array_equal(integrated[:, common], good[:, common])
    np.testing.assert_array_equal(labels, integrated > 0.5)


def test_a_candidate_without_a_label_is_not_chosen_for_it():
    _, truth, p = world(300)
    partial = p.copy()
    partial[:, 3:] = np.nan
    chosen = selection.choose(truth, {"per label": partial, "joint": p})
    np.testing.assert_array_equal(chosen, [0, 0, 0] + [1] * 14)
    with pytest.raises(PaperError, match="no network predicts label 3"):
        selection.choose(truth, {"per label": partial})


@pytest.mark.parametrize("kind", ["none", "ridge"])
def test_both_protocols_report_every_chip_once(kind):
    names, truth, p = world()
    paper = selection.protocol_paper(truth, p, names, recalibration=kind)
    nested = selection.protocol_nested(truth, p, names, recalibration=kind)
    for outcome, rows in ((paper, 1), (nested, 5)):
        assert outcome.score == f2.f2_score(truth, outcome.prediction) == outcome.interval.value
        assert outcome.interval.low < outcome.score < outcome.interval.high
        assert outcome.thresholds.shape == outcome.choice.shape == (rows, L)
        assert np.isfinite(outcome.probability).all()
        assert len(set(outcome.fold.tolist())) == rows
        np.testing.assert_array_equal(
            outcome.prediction, outcome.probability > outcome.thresholds[outcome.fold]
        )
        np.testing.assert_allclose(
            outcome.label_f2().value, f2.f2_score(truth, outcome.prediction, "labels")
        )
    assert paper.score > nested.score  # fitted on what it reports
    gain = paper.minus(nested)
    assert gain.value == pytest.approx(paper.score - nested.score)
    assert gain.low < gain.value < gain.high


def test_nested_is_what_fresh_chips_give():
    """Over several worlds nested is unbiased for the same system on chips it never saw."""
    nested, paper, fresh = [], [], []
    for seed in range(8):
        names, truth, p = world(1200, seed)
        few = slice(0, 300)
        nested.append(selection.protocol_nested(truth[few], p[few], names[few]).score)
        paper.append(selection.protocol_paper(truth[few], p[few], names[few]).score)
        system = selection.System().fit(names[few], truth[few], p[few])
        _, labels = system.predict(names[300:], p[300:])
        fresh.append(f2.f2_score(truth[300:], labels))
    error = np.std(np.subtract(nested, fresh)) / np.sqrt(8)
    assert np.mean(paper) - np.mean(fresh) > 2 * error
    assert abs(np.mean(nested) - np.mean(fresh)) < 3 * error


@pytest.mark.parametrize("kind", ["none", "ridge", "lasso"])
def test_the_nested_protocol_invents_nothing(kind):
    """On labels that are pure noise it reports what the best constant prediction would.

    Over several draws of the noise: its mean is not above the constant's by two standard errors,
    and the paper's protocol, held to the same bound, breaks it.
    """
    names, tags = chip_names(250), LABELS[::4]
    shape = (250, len(tags))
    gains = {"nested": [], "paper": []}
    for seed in range(6):
        rng = np.random.default_rng([5, seed])
        truth = (rng.random(shape) < np.geomspace(0.9, 0.05, len(tags))).astype(np.uint8)
        noise = {c: rng.random(shape).astype(np.float32) for c in "abcd"}
        _, constant = f2.best_constant(truth)
        for name, protocol in PROTOCOLS.items():
            found = protocol(truth, noise, names, recalibration=kind, labels=tags)
            gains[name].append(found.score - constant)
    mean = {name: np.mean(of) for name, of in gains.items()}
    error = {name: np.std(of, ddof=1) / len(of) ** 0.5 for name, of in gains.items()}
    assert mean["nested"] <= 2 * error["nested"]
    assert mean["nested"] > -0.03  # nor much worse: it is the constant, found on less
    assert mean["paper"] > 2 * error["paper"]


def test_folds_are_even_and_go_with_the_name():
    names = chip_names(103)
    fold = selection.folds_of(names, 5)
    assert sorted(np.bincount(fold).tolist()) == [20, 20, 21, 21, 21]
    order = np.random.default_rng(0).permutation(103)
    np.testing.assert_array_equal(selection.folds_of(names[order], 5), fold[order])
    with pytest.raises(ValueError, match="folds"):
        selection.folds_of(names[:3], 5)


def test_protocols_do_not_depend_on_the_order_of_chips():
    names, truth, p = world(400)
    order = np.random.default_rng(0).permutation(400)
    one = selection.protocol_nested(truth, p, names, recalibration="ridge")
    two = selection.protocol_nested(truth[order], p[order], names[order], recalibration="ridge")
    np.testing.assert_allclose(two.probability, one.probability[order], atol=1e-9)
    np.testing.assert_array_equal(two.prediction, one.prediction[order])


def test_what_is_kept_of_an_outcome_cannot_be_changed():
    names, truth, p = world(100)
    for array in ("thresholds", "choice", "prediction", "probability", "truth"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(selection.protocol_nested(truth, p, names), array)[:] = 0


def test_the_test_chips_are_reported_with_what_the_validation_chips_chose():
    names, truth, p = world(1500)
    other = chip_names(500, "test")
    outcome = selection.protocol_test(
        (names[:1000], truth[:1000], p[:1000]), (other, truth[1000:], p[1000:])
    )
    paper = selection.protocol_paper(truth[:1000], p[:1000], names[:1000])
    np.testing.assert_array_equal(outcome.thresholds, paper.thresholds)
    assert outcome.protocol == "test"
    assert abs(outcome.score - paper.score) < 0.05


# --- planted faults -------------------------------------------------------------------------------


def test_training_probabilities_used_for_ridge_are_caught():
    names, truth, p = world(400)
    names = names.copy()
    names[7] = chip_names(1, "train")[0]
    for protocol in (selection.protocol_paper, selection.protocol_nested):
        with pytest.raises(PaperError, match="1 chips that the networks were trained on"):
            protocol(truth, p, names, recalibration="ridge")


def test_a_choice_on_test_chips_is_caught():
    """Networks, ridge or thresholds chosen by one test chip among the validation chips."""
    names, truth, p = world(400)
    names = names.copy()
    names[7] = chip_names(1, "test")[0]
    for choosing in (
        lambda: selection.System().fit(names, truth, p),
        lambda: selection.protocol_paper(truth, p, names),
        lambda: selection.protocol_nested(truth, p, names),
        lambda: selection.protocol_test((names, truth, p), (names[7:8], truth[7:8], p[7:8])),
    ):
        with pytest.raises(PaperError, match="given 1 test chips"):
            choosing()


def test_thresholds_tuned_on_the_reported_chips_are_caught():
    names, truth, p = world(400)
    system = selection.System().fit(names[:300], truth[:300], p[:300])
    system.predict(names[300:], p[300:])
    with pytest.raises(PaperError, match="1 chips are on both sides"):
        system.predict(names[299:], p[299:])


def test_a_chip_or_label_counted_twice_is_caught():
    names, truth, p = world(400)
    twice = names.copy()
    twice[3] = twice[4]
    with pytest.raises(PaperError, match="counted twice"):
        selection.protocol_nested(truth, p, twice)
    with pytest.raises(PaperError, match="label 'water' is counted twice"):
        selection.protocol_nested(truth, p, names, labels=(*LABELS[:16], "water"))
    with pytest.raises(PaperError, match="17 columns for 16 labels"):
        selection.protocol_nested(truth, p, names, labels=LABELS[:16])
    counted = truth.copy()
    counted[0, 0] = 2
    with pytest.raises(PaperError, match="counted 2 times"):
        selection.protocol_nested(counted, p, names)
    water = np.full_like(p, np.nan)
    water[:, 5] = p[:, 5]
    config = FakeConfig(outputs="water")
    run = FakeRun(names, truth, water, config)
    with pytest.raises(PaperError, match="'water', it would be counted twice"):
        candidates.gather([run, run])


def test_shuffled_identifiers_are_caught():
    names, truth, p = world(600)
    good = FakeRun(names, truth, p)
    order = np.random.default_rng(1).permutation(600)
    # in another order, but consistently: fine
    pool = candidates.gather(
        [good, FakeRun(names[order], truth[order], p[order], FakeConfig(loss="f2"))]
    )
    np.testing.assert_array_equal(pool.probability[Candidate("original", "f2")], p)
    # names moved against labels
    with pytest.raises(PaperError, match="identifiers are shuffled"):
        candidates.gather([good, FakeRun(names[order], truth, p, FakeConfig(loss="f2"))])
    # names and labels moved against probabilities
    with pytest.raises(PaperError, match="say nothing about its own chips"):
        candidates.gather([FakeRun(names[order], truth[order], p)])
    # against the data
    chips = _chips(names, truth)
    candidates.gather([good], chips=chips)
    with pytest.raises(PaperError, match="not those of the data"):
        candidates.gather([FakeRun(names[order], truth, p)], chips=chips)


@pytest.mark.parametrize(("loss", "share"), [("log", 0.95), ("hard-label", 0.7), ("f2", 0.9)])
def test_identifiers_of_which_many_are_shuffled_are_caught(loss, share):
    names, truth, p = world(3000)
    if loss == "f2":  # as sure of itself as that loss makes a network
        p = (p > 0.2).astype(float)
    config = FakeConfig(loss=loss)
    candidates.gather([FakeRun(names, truth, p, config)])
    moved = p.copy()
    moved[: int(3000 * share)] = np.roll(p[: int(3000 * share)], 1, axis=0)
    with pytest.raises(PaperError, match=r"own chips.*shuffled"):
        candidates.gather([FakeRun(names, truth, moved, config)])


def test_validation_chips_leaking_into_training_are_caught():
    train, held = _chips(chip_names(60, "train")), _chips(chip_names(40), seed=1)
    leakage.check_training(train, held)
    with pytest.raises(PaperError, match="2 chips are on both sides"):
        leakage.check_training(_join(train, held.take(np.arange(2))), held)
    renamed = replace(held.take(np.arange(2)), names=np.array(["copy_a", "copy_b"]))
    with pytest.raises(PaperError, match="2 of 40 reported chips are among the training"):
        leakage.check_training(_join(train, renamed), held)
    cloud = replace(renamed, images=np.full_like(renamed.images, 255))  # equal by chance
    both = replace(held, images=np.full_like(held.images, 255))
    leakage.check_training(_join(train, cloud), both)
    leakage.check_trained_on(train.names)
    with pytest.raises(PaperError, match="training is given 40 held-out chips"):
        leakage.check_trained_on([*train.names, *held.names])
    names, truth, p = world(100)
    moved = SimpleNamespace(
        names=names, split=np.full(100, "test"), truth=truth, probability=p, tags=LABELS
    )
    with pytest.raises(PaperError, match="another part than their name says"):
        candidates.gather([moved])


def test_a_network_that_has_learnt_nothing_is_not_taken_for_shuffled():
    _, truth, _ = world(60)
    rng = np.random.default_rng(0)
    flat = truth.mean(0) + 0.02 * rng.normal(size=truth.shape)
    leakage.check_informative(truth, flat, "flat")
    leakage.check_informative(truth, np.full(truth.shape, 0.5), "constant")


def test_a_network_of_one_rare_label_may_be_wrong_about_its_few_chips():
    truth, p = np.zeros((600, 1), np.uint8), np.full((600, 1), 0.01)
    truth[:20], p[20:40] = 1, 0.9  # sure of twenty chips, none of the twenty that carry it
    leakage.check_informative(truth, p, "rare")
    truth[:, 0], p[:, 0] = np.tile([1, 1, 0, 0], 150), np.tile([0.9, 0.1, 0.9, 0.1], 150)
    with pytest.raises(PaperError, match="say nothing about its own chips"):
        leakage.check_informative(truth, p, "common")


# --- candidates -----------------------------------------------------------------------------------


def test_networks_for_one_label_each_become_one_candidate():
    names, truth, p = world(200)
    runs = [FakeRun(names, truth, p)]
    for label in (0, 5):
        column = np.full_like(p, np.nan)
        column[:, label] = p[:, label]
        runs.append(FakeRun(names, truth, column, FakeConfig(outputs=LABELS[label])))
    pool = candidates.gather(runs)
    joint, each = Candidate("original", "log"), Candidate("original", "log", ("per label",))
    assert list(pool.probability) == [joint, each]
    assert str(each) == "original, log, per label"
    known = ~np.isnan(pool.probability[Candidate("original", "log", ("per label",))]).any(0)
    np.testing.assert_array_equal(np.flatnonzero(known), [0, 5])
    assert list(pool.only(each).probability) == [each]
    assert (pool.of("original"), pool.of(loss="f2"), pool.pairs()) == ([joint, each], [], [])
    with pytest.raises(KeyError):
        pool.only(Candidate("dehazed", "log"))
    with pytest.raises(PaperError, match="no run is saved"):
        candidates.gather([])


def _chips(names: np.ndarray, truth: np.ndarray | None = None, seed: int = 0) -> Chips:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (len(names), 4, 4, 3), dtype=np.uint8)
    labels = np.zeros((len(names), L), np.uint8) if truth is None else truth
    return Chips(names, images, labels, "made up")


def _join(a: Chips, b: Chips) -> Chips:
    return Chips(
        np.concatenate([a.names, b.names]),
        np.concatenate([a.images, b.images]),
        np.concatenate([a.labels, b.labels]),
        "made up",
    )
