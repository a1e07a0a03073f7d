"""What each part of the recipe brings, on answers whose scores are known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_families import BASE, EACH, JOINT, NARROW
from test_selection import FakeConfig, FakeRun

from paperlib.chips import split
from paperlib.evaluation import families
from paperlib.evaluation.candidates import Candidate, Pool
from paperlib.evaluation.selection import protocol_nested
from paperlib.labels import LABELS
from paperlib.studies import ablation, accuracy_against_size


@pytest.fixture
def family():
    """Three candidates: one right everywhere, one that finds nothing of half the chips, dehazed."""
    rng = np.random.default_rng(0)
    truth = (rng.random((200, len(LABELS))) < 0.3).astype(np.uint8)
    truth[:, 0] = 1
    right = np.where(truth, 0.9, 0.1).astype(np.float32)
    half = right.copy()
    half[::2] = 0.1
    names = np.array([f"chip_{i}" for i in range(2000)])
    names = names[split.split_many(names) == "validation"][:200]  # others are refused
    pool = Pool(
        truth=truth,
        names=names,
        probability={
            Candidate("original", "log"): half,
            Candidate("dehazed", "log"): right,
            Candidate("original", "f2"): half,
        },
        tags=LABELS,
    )
    return SimpleNamespace(pool=lambda: pool, title="three made-up candidates")


def test_a_part_is_held_against_the_plain_candidate(family):
    parts = ablation._parts(family)
    assert list(parts) == ["dehazing", "F2 loss"]
    pool = family.pool()
    plain = protocol_nested(pool.truth, pool.probability[Candidate("original", "log")], pool.names)
    assert parts["dehazing"]["value"] == pytest.approx(1 - plain.score, abs=5e-5)
    assert parts["dehazing"]["low"] > 0.1
    assert parts["F2 loss"] == {"value": 0.0, "low": 0.0, "high": 0.0, "on": family.title}


def test_parts_are_measured_on_the_labels_that_the_chips_have(family):
    """UC Merced's are other ones, and not as many need be."""
    pool = family.pool()
    three = {name: p[:, :3] for name, p in pool.probability.items()}
    pool = replace(pool, truth=pool.truth[:, :3], tags=("sea", "sand", "ship"), probability=three)
    other = SimpleNamespace(pool=lambda: pool, title=family.title)
    assert ablation._parts(other)["dehazing"]["value"] > 0.1
    assert ablation._plain(other).prediction.shape == (200, 3)


def test_without_the_plain_candidate_nothing_is_said(family):
    del family.pool().probability[ablation.PLAIN]
    assert ablation._parts(family) == {}


def test_a_model_per_label_is_held_against_one_as_briefly_trained():
    """Four epochs against twelve would be a difference of training: the twin's is taken."""
    found = families.sort([BASE, *NARROW, *EACH, *JOINT])
    made = ablation._per_label(found)["one model per label"]
    own, other = (
        protocol_nested(pool.truth, next(iter(pool.probability.values())), pool.names)
        for pool in (found[2].pool(), found[3].pool())
    )
    assert made == ablation.gain(own, other, "VGG-16 × 0.125, 4 epochs, one per label")
    without = ablation._per_label(families.sort([BASE, *NARROW, *EACH]))["one model per label"]
    assert without["on"].endswith("VGG-16 × 0.125, 12 epochs, differs in epochs as well")
    assert ablation._per_label(families.sort([BASE, *EACH])) == {}  # nothing like it for all labels


def test_teaching_is_measured_over_all_seeds_and_not_on_one(family, monkeypatch):
    """One lucky pair of three gains 0.4, the others nothing: no difference is shown."""
    pool = family.pool()
    right, half = (
        pool.probability[Candidate("dehazed", "log")],
        pool.probability[Candidate("original", "log")],
    )

    def run(probability):
        return FakeRun(pool.names, pool.truth, probability, FakeConfig(width=0.5))

    kept = {"a0": run(half), "t0": run(right)} | {k: run(half) for k in ("a1", "t1", "a2", "t2")}
    sides = (["a0", "a1", "a2"], ["t0", "t1", "t2"])
    monkeypatch.setattr(accuracy_against_size, "students", lambda profile: sides)
    paper = SimpleNamespace(profile=None, find=lambda name, folder: kept.get(name))
    (found,) = ablation._taught(paper).values()
    single = 1 - protocol_nested(pool.truth, half, pool.names).score
    assert found["value"] == pytest.approx(single / 3, abs=5e-4)
    assert found["low"] < 0 < found["high"]
    assert (found["seeds"], found["on"]) == (3, "VGG-16 × 0.5")

    del kept["t1"], kept["a2"]  # one pair is left: nothing is said of one
    assert ablation._taught(paper) == {}
