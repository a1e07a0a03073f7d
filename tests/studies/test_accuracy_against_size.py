"""Accuracy against size: the frontier by hand, the grid's runs, speed as ratios, shipped tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score

from paperlib.plots import accuracy_against_size
from paperlib.profiles import PROFILES, profile
from paperlib.project import Project
from paperlib.studies import accuracy_against_size as sizes
from paperlib.studies import grids, speed, train, until_it_stalls
from paperlib.training.config import Config
from paperlib.utils import files


def test_the_frontier_by_hand():
    #        cheap  dear, better  dear, worse  like the first  dearest, as good as the second
    cost = [1, 3, 2, 1, 4]
    score = [0.5, 0.8, 0.4, 0.5, 0.8]
    assert sizes.frontier(cost, score).tolist() == [True, True, False, True, False]
    with pytest.raises(ValueError, match="one length"):
        sizes.frontier([1, 2], [1])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_whoever_is_off_the_frontier_is_dominated_by_one_on_it(points):
    on = sizes.frontier([c for c, _ in points], [s for _, s in points])
    assert on.any()
    for (c, s), stands in zip(points, on, strict=True):
        beaten = [
            d <= c and t >= s and (d, t) != (c, s)
            for (d, t), good in zip(points, on, strict=True)
            if good
        ]
        assert any(beaten) != stands


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_grid_gives_every_network_the_same_budget(name):
    made = grids.configs("backbones", profile(name))
    budgets = {(c.train_chips, c.epochs, c.batch, c.rate, c.schedule) for c in made}
    assert len(budgets) == 1
    assert len({c.slug for c in made}) == len(made)
    alone, taught = sizes.students(profile(name))
    assert set(alone) | set(taught) <= set(made)
    for one, other in zip(alone, taught, strict=True):  # nothing but the teacher differs
        assert {**one.to_dict(), "teacher": other.teacher} == other.to_dict()
    assert {c.teacher for c in taught} == {Config.of(profile(name)).slug}


def test_all_backbones_are_in_the_real_grid_and_none_is_a_candidate_of_the_papers():
    from paperlib.networks.backbones import BACKBONES

    made = grids.configs("backbones", profile("planet32"))
    assert set(BACKBONES) | {"vgg16"} <= {c.network for c in made}
    papers = {c for g in train.GRIDS for c in
              grids.configs(g, profile("planet32"))}  # fmt: skip
    assert not papers & set(made)
    assert grids.GRIDS["backbones"].folder


def test_speed_is_told_as_ratios_of_the_same_turns():
    own, reference = [2.0, 4.0, 2.0], [1.0, 2.0, 9.0]  # the third turn was disturbed
    per_second, times = speed.ratios(own, reference)
    assert per_second == speed._CHIPS / 2
    assert times == 0.5
    with pytest.raises(ValueError, match="same turns"):
        speed.ratios([1.0], [1.0, 2.0])


def test_epoch_seconds_are_those_of_the_grids_record(tmp_path):
    def row(network, epochs, teacher="", seed=0):
        config = {"network": network, "width": 0.5, "teacher": teacher, "seed": seed}
        return {"config": config, "epoch_seconds": epochs}

    rows = [row("a", [99, 10, 12]), row("a", [1], seed=1), row("a", [2], teacher="t")]
    rows += [row("b", None)]
    files.write_json(tmp_path / "grid.json", {"runs": rows})
    asked = pd.DataFrame({"network": ["b", "a"], "width": [0.5, 0.5]})
    found = sizes.epoch_seconds(tmp_path / "grid.json", asked)
    assert found[1] == 10
    assert math.isnan(found[0])
    assert all(math.isnan(x) for x in sizes.epoch_seconds(tmp_path / "no.json", asked))


def results(title="VGG-16 × 0.5"):
    return pd.DataFrame(
        {
            "title": [title] * 3,
            "network": ["vgg16", "vgg16", "mobilenet"],
            "width": [0.25, 0.5, 0.5],
            "f2": [0.8, 0.85, 0.83],
            "low": [0.79, 0.84, 0.82],
            "high": [0.81, 0.86, 0.84],
            "parameters": [1000, 4000, 9000],
        }
    )


def test_the_figure_has_a_point_for_each_network_and_also_draws_none():
    table = results()
    on = {("chips", "parameters"): sizes.frontier(table["parameters"], table["f2"])}
    drawn = accuracy_against_size.frontier(
        {"chips": table}, {"parameters": "parameters"}, on, names=sizes.TITLES
    )
    assert {t.get_text() for t in drawn.axes[0].texts} == {"0.25", "0.5"}
    steps = drawn.axes[0].lines[0].get_xydata()
    assert steps[:2].tolist() == [[1000, 0.8], [4000, 0.85]]  # the MobileNet is dominated
    empty = accuracy_against_size.frontier({}, {}, {}, names={})
    assert [t.get_text() for t in empty.texts] == ["nothing has been measured yet"]


@pytest.fixture(scope="module", params=["accuracy", "plateau"])
def shipped(root, request):
    """The saved runs of a grid on real chips; the table that was made of them."""
    real = Project("planet32", root=root)
    path = real.results / f"size_{request.param}.csv"
    if request.param == "accuracy":
        runs = sizes.saved(real, sizes.configs(real.profile))
    else:
        runs = sizes.saved(real, until_it_stalls.grid(real.profile), until_it_stalls.FOLDER)
        for run in runs:  # it stopped because nothing got better, or at the limit
            flat = len(run.history) - 1 - run.history["val_loss"].idxmin()
            if len(run.history) < run.config.epochs:
                assert flat == run.config.patience
            else:
                assert flat < run.config.patience
    if not runs or not path.is_file():
        pytest.skip(f"the grid of size_{request.param}.csv is not shipped yet")
    return runs, pd.read_csv(path)


def test_the_shipped_table_follows_from_the_shipped_predictions(shipped):
    runs, table = shipped
    wanted = [run for run in runs if not run.config.teacher and not run.config.seed]
    assert len(table) == len(wanted)
    for run, row in zip(wanted, table.itertuples(), strict=True):
        nested = sizes.nested(run)
        score = fbeta_score(
            run.truth, nested.prediction, beta=2, average="samples", zero_division=0
        )
        assert (row.network, row.width) == (run.config.network, run.config.width)
        assert row.f2 == pytest.approx(score, abs=2e-6)
        assert row.low < score < row.high
        assert row.parameters == run.metadata["parameters"]
        changed = nested.prediction.copy()
        changed[::50] = 1 - changed[::50]
        other = fbeta_score(run.truth, changed, beta=2, average="samples", zero_division=0)
        assert abs(row.f2 - other) > 1e-3
        assert np.isfinite(row.macro_ap)
