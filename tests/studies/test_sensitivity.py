"""What the paper leaves open, read otherwise: on answers whose scores are known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_selection import FakeRun, network, world

from paperlib.profiles import profile
from paperlib.studies import grids, sensitivity, train
from paperlib.utils.errors import PaperError

PLANET = profile("planet32")
NAMES, TRUTH, _ = world(200)


def project(strength, kept=lambda config: True) -> SimpleNamespace:
    """A project whose network of a configuration sees the truth as well as `strength` says."""

    def find(config):
        if not kept(config):
            return None
        noise = 17 * config.seed + len(config.variant) + len(config.loss)
        p = network(TRUTH, strength(config), noise).astype(np.float32)
        return FakeRun(NAMES, TRUTH, p, config)

    return SimpleNamespace(profile=PLANET, find=find)


def test_every_reading_has_a_twin_that_differs_in_one_thing():
    for name, count in (("readings", 6), ("transforms", 3)):
        found = sensitivity.readings(PLANET, name)
        assert len(found) == count
        plain = set(grids.configs("main", PLANET))
        for one in found:
            assert one.plain in plain
            different = [k for k, v in one.config.to_dict().items() if v != one.plain.to_dict()[k]]
            assert len(different) == 1
            assert one.says != one.baseline


def test_readings_are_no_candidates():
    candidates_ = {c for name in train.GRIDS for c in grids.configs(name, PLANET)}
    read = [
        r.config for name in ("readings", "transforms") for r in sensitivity.readings(PLANET, name)
    ]
    assert not candidates_ & set(read)


def test_a_reading_that_sees_more_is_better_and_one_that_sees_less_worse():
    def strength(config) -> float:
        return {"dehazed-hazy": 5.0, "original": 2.5}.get(config.variant, 2.5) * (
            0.3 if config.loss == "hard-label" else 1.0
        )

    paper = project(strength, kept=lambda c: c.seed == 0)
    table = sensitivity.table(paper, "readings")
    assert tuple(table) == sensitivity.COLUMNS
    hazy = table[table["variant"] == "dehazed-hazy"]
    assert hazy["loss"].tolist() == ["log", "f2", "hard"]
    assert (hazy["low"] > 0).all()
    worse = table[table["loss"] == "hard-label"].iloc[0]
    assert worse["high"] < 0
    assert worse["difference"] == pytest.approx(worse["f2"] - worse["f2_plain"])
    assert (table["seeds"] == 1).all()
    assert table["seed_range"].isna().all()
    lines = sensitivity.lines(paper, "readings", table)
    assert [line.rpartition(": ")[2] for line in lines[:3]] == ["better"] * 3
    assert lines[5].endswith(": worse")


def test_a_difference_that_another_seed_makes_as_well_is_told_as_such():
    """The plain network's other seed is a great deal better: nothing is left of the reading's."""
    paper = project(lambda c: 6.0 if c.seed == 1 or c.variant == "dehazed-hazy" else 2.5,
                    kept=lambda c: c.seed < 2)  # fmt: skip
    table = sensitivity.table(paper, "readings")
    row = table.iloc[0]
    assert row["seeds"] == 2
    assert row["low"] > 0
    assert row["seed_range"] >= row["difference"] - 0.05
    lifted = table.assign(seed_range=row["difference"] + 0.01)
    assert "no more than between seeds" in sensitivity.lines(paper, "readings", lifted)[0]
    lifted = table.assign(seed_range=row["difference"] / 2)
    assert sensitivity.lines(paper, "readings", lifted)[0].endswith(": better")


def test_what_is_not_kept_is_left_out_and_told():
    paper = project(lambda c: 3.0, kept=lambda c: "chip" not in c.loss)
    table = sensitivity.table(paper, "readings")
    assert len(table) == 4
    last = sensitivity.lines(paper, "readings", table)[-1]
    assert "2 of these networks" in last
    assert "`paper train --grid readings --profile planet32 --data DIR`" in last
    none = project(lambda c: 3.0, kept=lambda c: c.augment == "none")
    empty = sensitivity.table(none, "transforms")
    assert empty.empty
    assert tuple(empty) == sensitivity.COLUMNS
    assert len(sensitivity.lines(none, "transforms", empty)) == 1


def test_predictions_of_other_chips_are_refused():
    paper = project(lambda c: 3.0)

    def find(config):
        run = project(lambda c: 3.0).find(config)
        fewer = slice(1, None) if config.variant == "dehazed-hazy" else slice(None)
        return replace(
            run,
            names=run.names[fewer],
            truth=run.truth[fewer],
            probability=run.probability[fewer],
        )

    paper.find = find
    with pytest.raises(PaperError, match="predicts other chips"):
        sensitivity.table(paper, "readings")
