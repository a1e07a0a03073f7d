"""Notebook 17: what a protocol prints that validates on copies of chips it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from paperlib import f2
from paperlib.plots import leak as draw
from paperlib.profiles import PROFILES
from paperlib.studies import grids, leak
from paperlib.training.copies import HELD_BACK, UNSEEN, UNSEEN_COPY
from paperlib.utils.errors import PaperError

CHIPS, L = 300, 5


@dataclass
class Stand:
    """What `leak` reads of a run."""

    config: SimpleNamespace
    names: np.ndarray
    split: np.ndarray
    truth: np.ndarray
    probability: np.ndarray

    def part(self, split: str) -> Stand:
        keep = self.split == split
        arrays = {k: getattr(self, k)[keep] for k in ("names", "split", "truth", "probability")}
        return replace(self, **arrays)


def run(split_by: str, seed: int, remembers: float) -> Stand:
    """A network that knows `remembers` more of the labels of chips that it was trained on."""
    rng = np.random.default_rng([seed, split_by == "chip"])
    truth = (np.random.default_rng(9).random((2 * CHIPS, L)) < 0.4).astype(np.uint8)
    if split_by == "copy":
        held = np.sort(rng.permutation(4 * CHIPS)[: 4 * CHIPS // 5])
        chip, copy = held % CHIPS, held // CHIPS
    else:
        chips = rng.permutation(CHIPS)[: CHIPS // 5]
        chip, copy = np.tile(chips, 4), np.repeat(np.arange(4), len(chips))
    names = [f"t{c}~{k}" for c, k in zip(chip, copy, strict=True)]
    unseen = np.arange(CHIPS, 2 * CHIPS)
    names += [f"t{c}~0" for c in unseen] + [f"t{c}" for c in unseen]
    rows = np.concatenate([chip, unseen, unseen])
    parts = [HELD_BACK] * len(chip) + [UNSEEN_COPY] * CHIPS + [UNSEEN] * CHIPS
    skill = np.full(len(rows), 0.5)
    if split_by == "copy":
        skill[: len(chip)] += remembers
    noise = rng.normal(0, 0.6, (len(rows), L))
    probability = np.clip(skill[:, None] * (truth[rows] - 0.5) + 0.5 + 0.3 * noise, 0, 1)
    config = SimpleNamespace(seed=seed, split_by=split_by, copies=4)
    return Stand(config, np.array(names), np.array(parts), truth[rows], probability)


def arms(remembers: float, seeds: int = 3) -> dict[str, list[Stand]]:
    return {arm: [run(arm, s, remembers) for s in range(seeds)] for arm in leak.ARMS}


def worth(found: leak.Leak):
    table = found.differences.set_index("comparison")
    return table.loc["what the order is worth: the first minus the second"]


def test_a_network_that_remembers_its_chips_prints_more_and_is_found_out():
    found = leak.measure(arms(0.8))
    row = worth(found)
    assert row["low"] > 0
    assert row["low"] < row["value"] < row["high"]
    assert {"seed 0", "seed 1", "seed 2"} <= set(row.index)
    table = found.differences.set_index("comparison")["value"]
    first, second = table.iloc[0], table.iloc[1]
    assert row["value"] == pytest.approx(first - second)


def test_without_memory_the_order_is_worth_nothing():
    row = worth(leak.measure(arms(0.0)))
    assert row["low"] < 0 < row["high"]


def test_what_is_printed_is_the_f2_at_thresholds_chosen_on_the_same_copies():
    one = run("copy", 0, 0.3)
    mine = one.part(HELD_BACK)
    limit = f2.best_thresholds(mine.truth, mine.probability)
    score = leak.scored(one, HELD_BACK)
    assert score.f2 == pytest.approx(f2.f2_score(mine.truth, mine.probability > limit))
    assert score.images.sum() == len(mine.names)
    assert (score.sums.sum() / score.images.sum()) == pytest.approx(score.f2)


def test_how_many_validated_copies_show_a_chip_that_was_trained_on():
    table = leak.measure(arms(0.1, seeds=1)).scores
    own = table[table["on"] == leak.PARTS[HELD_BACK]].set_index("arm")["trained_on"]
    assert own[leak.ARMS["chip"]] == 0
    assert own[leak.ARMS["copy"]] == pytest.approx(1 - 0.2**3, abs=0.02)


def test_an_interval_grows_with_the_distance_between_the_seeds():
    rng = np.random.default_rng(0)
    drawn = rng.normal(0, 0.001, (3, 500))
    near = leak.interval(np.array([0.010, 0.011, 0.009]), drawn + 0.01)
    far = leak.interval(np.array([0.00, 0.02, 0.01]), drawn + 0.01)
    alone = leak.interval(np.array([0.01]), drawn[:1] + 0.01)
    assert alone[1] - alone[0] == pytest.approx(2 * 1.96 * 0.001, rel=0.1)
    assert far[1] - far[0] > 3 * (near[1] - near[0])


def test_the_figure_shows_both_orders_and_every_comparison():
    found = leak.all_of({"all chips, 6 epochs": arms(0.2), "few": arms(0.8)})
    trained = np.stack([np.eye(4, 12, dtype=bool), np.tile(np.arange(12) < 9, (4, 1))])
    figure = draw.leak(found.scores, found.differences, trained)
    words = [t.get_text() for ax in figure.axes for t in ax.get_yticklabels()]
    assert sum("printed minus unseen" in word for word in words) == 4
    assert sum("what the order is worth" in word for word in words) == 2
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes]
    assert list(leak.ARMS.values()) == titles[:2]


def test_a_budget_whose_runs_are_not_all_saved_is_left_out(monkeypatch):
    configs = grids.configs("leak", PROFILES["planet32"])
    _, second = dict.fromkeys(leak.budget(c) for c in configs)
    saved = {c: SimpleNamespace(config=c) for c in configs if leak.budget(c) == second}
    paper = SimpleNamespace(profile=PROFILES["planet32"], find=lambda c, folder: saved.get(c))
    monkeypatch.setattr(leak.run_grid, "finished", lambda p, mine, folder: [saved[c] for c in mine])
    found = leak.runs(paper)
    assert list(found) == [second]
    assert [len(runs) for runs in found[second].values()] == [3, 3]
    saved.popitem()
    with pytest.raises(PaperError, match="paper train --grid leak"):
        leak.runs(paper)


def test_on_real_chips_the_grid_has_three_seeds_of_both_ways():
    real, scenes = (grids.configs("leak", PROFILES[name]) for name in ("planet32", "sample"))
    assert sorted((leak.budget(c), c.split_by, c.seed) for c in real) == [
        (name, arm, seed)
        for name in ("2,048 chips, 24 epochs", "all chips, 6 epochs")
        for arm in ("chip", "copy")
        for seed in (0, 1, 2)
    ]
    assert all(c.copies >= 4 for c in real)
    assert len(scenes) == 2
