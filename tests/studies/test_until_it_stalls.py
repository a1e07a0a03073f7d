"""Networks trained until their loss stalls: against the short budget, across seeds, as shipped."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import fbeta_score

from paperlib.evaluation import across_seeds
from paperlib.plots import accuracy_against_size
from paperlib.profiles import profile
from paperlib.project import Project
from paperlib.studies import accuracy_against_size as sizes
from paperlib.studies import grids, until_it_stalls
from paperlib.studies.until_it_stalls import compared, in_words
from paperlib.training.config import Config


def longer(**scores):
    """A table as `sizes.table` makes it, of three networks with these scores."""
    return pd.DataFrame(
        {
            "title": ["a", "b", "c"],
            "network": ["vgg16", "vgg16", "mobilenet"],
            "width": [0.25, 0.5, 0.5],
            "epochs": [9, 12, 30],
            "f2": [scores[t] for t in "abc"],
            "low": [0.79, 0.84, 0.82],
            "high": [0.81, 0.86, 0.84],
            "multiply_adds": [1, 3, 2],
        }
    )


def test_two_budgets_are_compared_network_by_network():
    brief, stalled = longer(a=0.80, b=0.85, c=0.83), longer(a=0.90, b=0.89, c=0.95)
    found = compared(brief, stalled.iloc[::-1])
    assert found["title"].tolist() == ["c", "a", "b"]
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["rank_brief"].tolist() == [2, 3, 1]
    assert found["f2_brief"].tolist() == [0.83, 0.80, 0.85]
    words = in_words(found, stalled.iloc[[0, 2]])
    for said in ("Of 3 networks every one gains, 0.040 to 0.120", "short budget: b (0.850)",
                 "**c** with 0.950 [0.820, 0.840]", "correlate with -0.50", "0 networks move",
                 "now: a, c."):  # fmt: skip
        assert said in words, words
    assert "limit" not in words
    cut_off = compared(brief, stalled.assign(epochs=[9, 60, 30]))
    assert "Not stopped before the limit of 60 epochs: b." in in_words(cut_off, stalled)
    fewer = compared(brief, stalled[:2])  # a network that has not been trained so long
    assert fewer["title"].tolist() == ["a", "b"]
    assert "Too few" in in_words(fewer, stalled)
    worse = in_words(compared(stalled, brief), brief)
    assert "Of 3 networks 0 gain." in worse


def test_the_budgets_figure_has_a_panel_each_over_the_same_costs():
    tables = {"short": longer(a=0.80, b=0.85, c=0.83), "long": longer(a=0.90, b=0.89, c=0.95)}
    on = {t: sizes.frontier(rows["multiply_adds"], rows["f2"]) for t, rows in tables.items()}
    again = {"long": pd.DataFrame({"network": ["mobilenet"], "width": [0.5],
                                   "lowest": [0.94], "highest": [0.96]})}  # fmt: skip
    drawn = accuracy_against_size.budgets(
        tables, "multiply_adds", "work", on, again, names=sizes.TITLES
    )
    assert [ax.get_title("left") for ax in drawn.axes] == ["short", "long"]
    assert len({ax.get_xlim() for ax in drawn.axes}) == 1
    short, long = (ax.get_ylim() for ax in drawn.axes)
    assert short[1] < 0.95 <= long[1]  # each its own: the networks of a panel fill it
    between, steps = drawn.axes[1].lines[:2]
    assert between.get_xydata().tolist() == [[2, 0.94], [2, 0.96]]
    assert steps.get_xydata()[:2].tolist() == [[1, 0.90], [2, 0.95]]
    empty = {t: rows[:0] for t, rows in tables.items()}
    none = accuracy_against_size.budgets(empty, "multiply_adds", "work", {}, {}, names={})
    assert "no network is trained yet" in none.texts[0].get_text()


def test_longer_training_stops_by_the_validation_loss_and_is_the_same_for_all():
    made = until_it_stalls.configs(profile("planet32"))
    brief = grids.configs("backbones", profile("planet32"))
    assert {(c.network, c.width) for c in made} == {
        (c.network, c.width) for c in brief if not c.teacher and not c.seed
    }
    assert {(c.train_chips, c.schedule, c.watch, c.weights) for c in made} == {
        (0, "plateau", "val_loss", "")
    }
    assert len({(c.epochs, c.batch, c.rate, c.plateau, c.patience) for c in made}) == 1
    assert not {c.slug for c in made} & {c.slug for c in brief}


def test_the_best_width_of_each_network_has_three_seeds():
    grid = grids.configs("plateau", profile("planet32"))
    assert len(set(grid)) == len(grid)
    for network, width in until_it_stalls.BEST_WIDTHS.items():
        of = [c for c in grid if c.network == network]
        assert [c.seed for c in of if c.width == width] == [0, 1, 2]
        assert {c.seed for c in of if c.width != width} == {0}


class Stand:
    """A run that is nothing but its configuration."""

    def __init__(self, network: str, seed: int):
        self.config = Config(network=network, width=0.5, seed=seed)


def test_networks_are_compared_across_their_seeds(monkeypatch):
    rng = np.random.default_rng(0)
    chips = rng.uniform(0.5, 1, 4000)
    level = {"vgg11": 0.00, "vgg16": 0.03, "mobilenet": 0.029, "resnet50": 0.5}
    planted = {
        (network, seed): chips + lift + luck
        for network, lift in level.items()
        for seed, luck in enumerate((-0.002, 0.0, 0.002))
    }
    monkeypatch.setattr(
        until_it_stalls,
        "chip_scores",
        lambda runs: np.stack([planted[r.config.network, r.config.seed] for r in runs]),
    )
    runs = [Stand(n, s) for s in (0, 1, 2) for n in ("vgg11", "vgg16", "mobilenet")]
    found = until_it_stalls.across([*runs, Stand("resnet50", 0)])  # of one seed: left out
    assert found["network"].tolist() == ["vgg16", "mobilenet", "vgg11"]
    assert (found["seeds"] == 3).all()
    mean = chips.mean()
    np.testing.assert_allclose(found["f2"], mean + np.array([0.03, 0.029, 0]))
    np.testing.assert_allclose(found["lowest"], found["f2"] - 0.002)
    np.testing.assert_allclose(found["highest"], found["f2"] + 0.002)
    np.testing.assert_allclose(found["difference"], [0, -0.001, -0.03], atol=1e-12)
    sides = [np.stack([planted[n, s] for s in (0, 1, 2)]) for n in ("vgg11", "vgg16")]
    wanted = across_seeds.difference(*sides)
    assert found.loc[2, ["low", "high"]].tolist() == pytest.approx([wanted.low, wanted.high])
    words = until_it_stalls.across_in_words(found)
    assert "the best is **VGG-16 × 0.5**" in words
    assert "Behind it: VGG-11 × 0.5 (-0.0300 [" in words
    assert "Not told apart: MobileNet v1 × 0.5 (-0.0010 [" in words
    alone = until_it_stalls.across_in_words(found[:1])
    assert alone.startswith("So far only VGG-16 × 0.5 is trained with several seeds: 0.7")
    assert "No network" in until_it_stalls.across_in_words(found[:0])


def of_two(best: str, other: str, difference: float, half: float) -> pd.DataFrame:
    """The table of seeds of two networks, the better one first."""
    rows = [(sizes.TITLES.get(n, n), n, 0.25, 3, 0.9, 0.89, 0.91) for n in (best, other)]
    gaps = [(0.0, math.nan, math.nan), (difference, difference - half, difference + half)]
    return pd.DataFrame([a + b for a, b in zip(rows, gaps, strict=True)],
                        columns=list(until_it_stalls.SEED_COLUMNS))  # fmt: skip


@pytest.mark.parametrize(
    ("best", "other", "difference", "half", "said"),
    [
        ("vgg16", "vgg11", -0.02, 0.01, "**-0.0200** [-0.0300, -0.0100]. So the rule **hurts**"),
        ("vgg16", "vgg11", -0.01, 0.02, "**-0.0100** [-0.0300, +0.0100]. So the rule **holds**"),
        ("vgg11", "vgg16", -0.01, 0.02, "**+0.0100** [-0.0100, +0.0300]. So the rule **holds**"),
        ("vgg11", "vgg16", -0.02, 0.01, "**+0.0200** [+0.0100, +0.0300]. So the rule **helps**"),
        ("resnet50", "vgg11", -0.02, 0.01, "not both trained"),
    ],
)
def test_simplicity_is_judged_by_the_smaller_minus_the_larger(best, other, difference, half, said):
    assert said in until_it_stalls.simplicity_in_words(of_two(best, other, difference, half))


def test_simplicity_is_not_judged_by_differences_to_a_third_network():
    seeds = pd.concat([of_two("resnet50", "vgg11", -0.02, 0.01), of_two("vgg16", "x", 0, 0)[:1]])
    assert "Another" in until_it_stalls.simplicity_in_words(seeds.reset_index(drop=True))
    assert "not both" in until_it_stalls.simplicity_in_words(seeds[:0])


def test_another_profile_reads_the_shipped_tables_or_finds_none(root, tmp_path):
    here, real = Project("tiny", root=tmp_path), Project("planet32", root=root)
    stalled, seeds = until_it_stalls.tables(here, real)
    pd.testing.assert_frame_equal(stalled, pd.read_csv(real.results / "size_plateau.csv"))
    assert list(seeds) == list(until_it_stalls.SEED_COLUMNS)
    nothing = until_it_stalls.tables(here, Project("planet32", root=tmp_path))
    assert [len(table) for table in nothing] == [0, 0]
    assert list(nothing[0]) == list(sizes.COLUMNS)
    for brief in (longer(a=0.8, b=0.85, c=0.83), nothing[0]):
        found = compared(brief, nothing[0])
        assert len(found) == 0
        assert "Too few" in in_words(found, nothing[0])
    one = {"a": longer(a=0.8, b=0.85, c=0.83)}
    drawn = accuracy_against_size.budgets(
        one, "multiply_adds", "work", {"a": [True] * 3}, {"a": nothing[1]}, names=sizes.TITLES
    )
    assert drawn.axes[0].lines[0].get_xydata()[0].tolist() == [1, 0.8]  # the frontier: no bar


@pytest.fixture(scope="module")
def real(root):
    return Project("planet32", root=root)


def test_the_widths_with_several_seeds_are_the_best_of_the_shipped_table(real):
    table = pd.read_csv(real.results / "size_plateau.csv")
    assert len(table) == len(until_it_stalls.configs(real.profile))
    best = table.loc[table.groupby("network")["f2"].idxmax()].set_index("network")["width"]
    assert best.to_dict() == until_it_stalls.BEST_WIDTHS


def test_the_shipped_comparison_of_seeds_follows_from_the_shipped_predictions(real):
    table = pd.read_csv(real.results / "size_seeds.csv")
    runs = sizes.saved(real, until_it_stalls.grid(real.profile), until_it_stalls.FOLDER)
    for row in table.itertuples():
        of = [r for r in runs if (r.config.network, r.config.width) == (row.network, row.width)]
        scores = []
        for run in of:
            nested = sizes.nested(run)
            given = {"beta": 2, "average": "samples", "zero_division": 0}
            scores.append(fbeta_score(run.truth, nested.prediction, **given))
        assert len(of) == row.seeds
        assert (row.f2, row.lowest, row.highest) == pytest.approx(
            (np.mean(scores), min(scores), max(scores)), abs=2e-6
        )
    assert table["f2"].is_monotonic_decreasing
    several = [r for r in runs if r.config.seed]
    assert len({(r.config.network, r.config.width) for r in several}) == len(table)
