"""Notebook 16's second part: chosen on some pictures, reported on others, from what is shipped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paperlib import f2
from paperlib.chips import split_many
from paperlib.evaluation import selection, tables
from paperlib.evaluation.candidates import Candidate
from paperlib.pipeline import elsewhere
from paperlib.published import claims
from paperlib.studies import fine_tuned, fine_tuned_scores
from paperlib.utils.errors import PaperError

TAGS = ("pavement", "water", "field", "bare-soil", "haze", "clear")


def planted(seeds=(0, 1), count=900):
    """Made-up predictions: the dehazed set's networks see the ground better and the haze worse."""
    names = np.array([f"n{i}" for i in range(count)])
    split = split_many(names)
    names, split = names[split != "train"], split[split != "train"]
    rng = np.random.default_rng(0)
    truth = (rng.random((len(names), 6)) < 0.4).astype(np.uint8)
    truth[:, 5] = 1 - truth[:, 4]
    made = {}
    for seed in seeds:
        for config in fine_tuned.configs():
            noise = np.full(6, 0.25 if config.variant == "dehazed" else 0.5)
            noise[4:] = 0.6 if config.variant == "dehazed" else 0.2
            p = 1 / (1 + np.exp(-8 * (truth - 0.5 + noise * rng.normal(size=truth.shape))))
            made[Candidate(config.variant, config.loss), seed] = p.astype(np.float16)
    note = {"train": 10, "stop": 2, "runs": {"a": {"epochs": 3, "seconds": 60.0}}}
    return fine_tuned.Shipped(names, split, truth, TAGS, made, note)


@pytest.fixture(scope="module")
def found():
    return planted()


@pytest.fixture(scope="module")
def made(found):
    return fine_tuned_scores.outcomes(found)


def test_the_runs_are_the_papers_six_candidates_of_each_seed_and_two_more():
    configs = fine_tuned.configs()
    assert len({config.slug for config in configs}) == len(configs) == 8 * len(fine_tuned.SEEDS)
    first = [(config.variant, config.loss) for config in configs[:8]]
    assert first[:6] == [(v, x) for v in ("original", "dehazed") for x in ("log", "f2", "hard")]
    assert {config.frozen_to for config in configs} == {"block4"}


def test_test_pictures_are_reported_where_there_are_any(found, made):
    assert list(made[0]["original"]) == ["paper", "nested", "test"]
    here = found.split == "validation"
    p = {key: one[here] for key, one in found.made.items()}
    some = replace(found, names=found.names[here], split=found.split[here],
                   truth=found.truth[here], made=p)  # fmt: skip
    pools = some.pools(0)
    assert list(tables.protocols(*pools, [fine_tuned_scores.ORIGINAL], {})) == [
        "paper",
        "nested",
    ]
    table = fine_tuned_scores.by_protocol(fine_tuned_scores.scores(made, found.tags))
    assert list(table["system"]) == list(fine_tuned_scores.SYSTEMS)
    one = made[0]["dehazed"]["paper"].score + made[1]["dehazed"]["paper"].score
    assert table.set_index("system").loc["dehazed", "paper"] == pytest.approx(one / 2)


def test_test_pictures_choose_nothing(found):
    """With the test pictures' labels turned round, every one gets the labels that it got."""
    at = found.split == "test"
    truth = found.truth.copy()
    truth[at] = 1 - truth[at]
    pools, others = found.pools(0), found.pools(0)
    turned = replace(others[1], truth=truth[at])
    six = fine_tuned_scores.SYSTEMS["choice per label"][0]
    one = tables.protocols(*pools, six, {"recalibration": "ridge"})["test"]
    other = tables.protocols(pools[0], turned, six, {"recalibration": "ridge"})["test"]
    np.testing.assert_array_equal(one.prediction, other.prediction)
    assert other.score < one.score


def test_leaks_are_caught(found):
    train = next(f"x{i}" for i in range(99) if split_many([f"x{i}"])[0] == "train")
    names = found.names.copy()
    names[0] = train
    with pytest.raises(PaperError, match="another part than their name says"):
        replace(found, names=names).pools(0)
    split = found.split.copy()
    split[:] = np.where(split == "test", "validation", "test")
    with pytest.raises(PaperError, match="another part than their name says"):
        replace(found, split=split).pools(0)
    with pytest.raises(PaperError, match="trained on"):
        replace(found, names=names, split=split_many(names)).pools(0)
    shuffled = {key: np.roll(p, 1, axis=0) for key, p in found.made.items()}
    with pytest.raises(PaperError, match="shuffled"):
        replace(found, made=shuffled).pools(0)


def test_gains_are_paired_differences_of_each_set_of_labels(found, made):
    table = fine_tuned_scores.gains(made, found.tags)
    mine = table[(table["system"] == "dehazed, choice of loss") & (table["protocol"] == "nested")]
    assert list(mine["seed"]) == [0, 0, 1, 1]
    one = made[1]["original, choice of loss"]["nested"]
    other = made[1]["dehazed, choice of loss"]["nested"]
    ground = f2.f2_score(one.truth[:, :4], other.prediction[:, :4]) - f2.f2_score(
        one.truth[:, :4], one.prediction[:, :4]
    )
    row = mine[(mine["seed"] == 1) & (mine["labels"] == "ground")].iloc[0]
    assert row["difference"] == pytest.approx(ground)
    assert 0 < row["low"] < ground < row["high"]  # as it was planted


def test_the_sentence_asks_the_interval_and_every_seed():
    rows = [
        {"system": system, "baseline": baseline, "seed": seed, "protocol": "nested",
         "labels": labels, "difference": value, "low": value - 0.01, "high": value + 0.01}
        for (system, baseline) in fine_tuned_scores.GAINS
        for labels in ("all", "ground")
        for seed, value in enumerate(
            (-0.02, -0.001) if labels == "all" else (0.02, -0.001 if "ridge" in system else 0.001)
        )
    ]  # fmt: skip
    said = fine_tuned_scores.sentence(pd.DataFrame(rows))
    assert (
        said.count("**lowers** the F2 of all labels (-0.0200, -0.0300 to -0.0100; seed 1: -0.0010)")
        == 3
    )
    assert said.count("**raises** the F2 of the ground's labels alone") == 2
    assert "ridge after it **does not clearly change** the F2 of the ground's" in said


def test_every_row_that_a_verdict_reads_is_made_and_judged_by_the_claims_own_rule(found, made):
    gained = fine_tuned_scores.gains(made, found.tags)
    table = fine_tuned_scores.claims(found, gained, fine_tuned_scores.by_label(found))
    rows = {(row.claim, row.item) for row in table.itertuples()}
    known = {claim["id"]: claim for claim in claims()}
    for name, here in elsewhere.facts()["claims"].items():
        assert len(here.get("items", known[name]["rule"])) == len(known[name]["rule"])
        for items in here.get("items", []):
            assert {(name, item) for item in items} <= rows
    table = table.set_index(["claim", "item"])
    lowered = table.loc[("dehazing-lowers-haze-and-clear", "haze")]
    assert lowered["high"] < 0  # as it was planted
    assert lowered["seed 1"] < 0
    assert table.loc[("dehazing-clears-road-water-farmland", "water"), "low"] > 0
    assert table.loc[("choice-repairs", "overall, choice minus dehazed"), "low"] > 0
    assert table.loc[("choice-believes-haze", "choice-believes-haze"), "value"] > 0
    assert table.notna().all().all()


def test_verdicts_follow_from_the_rows(monkeypatch):
    """A planted table, and the claims' own margins: 0.001 overall is no difference."""

    class Tables:
        profile = type("profile", (), {"name": "planet32", "source": "planet"})
        full = False

        def maker(self, output):
            return type("notebook", (), {"name": "16_full_resolution"})

        def cell(self, output):
            return "full-15"

        def table(self, output):
            assert output == "fine_tuned_claims.csv"
            claim = "ridge-beats-none"
            return pd.DataFrame([{"claim": claim, "item": claim, **self.row}])

    tables, (claim,) = Tables(), [c for c in claims() if c["id"] == "ridge-beats-none"]
    for low, high, seed, verdict in (
        (0.01, 0.03, 0.01, "reproduced"),
        (0.01, 0.03, -0.01, "inconclusive"),
        (-0.03, -0.01, -0.01, "contradicted"),
        (-0.01, 0.01, 0.01, "inconclusive"),
        (0.0002, 0.0009, 0.01, "inconclusive"),
    ):
        tables.row = {"value": (low + high) / 2, "low": low, "high": high, "seed 1": seed}
        assert elsewhere.judge(claim, tables).verdict == verdict
    (cloud,) = [c for c in claims() if c["id"] == "dehazing-lowers-cloud-and-haze"]
    assert elsewhere.judge(cloud, tables).verdict == "cannot be tested here"


# ---- what is shipped -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    return fine_tuned.read()


def test_the_shipped_predictions_are_whole_and_of_pictures_that_trained_nothing(shipped):
    from paperlib.chips import partly_hazy

    assert shipped.split.tolist() == split_many(shipped.names).tolist()
    assert set(shipped.split) <= {"validation", "test"}
    assert shipped.tags[-2:] == partly_hazy.WEATHER
    assert shipped.seeds
    for probability in shipped.made.values():
        assert probability.shape == shipped.truth.shape == (len(shipped.names), 19)
        assert ((probability >= 0) & (probability <= 1)).all()
    hazy = [partly_hazy.transmission_of(name) < 1 for name in shipped.names.tolist()]
    np.testing.assert_array_equal(shipped.truth[:, -2], hazy)
    np.testing.assert_array_equal(shipped.truth[:, -1], np.logical_not(hazy))
    assert len(shipped.note["runs"]) == len(shipped.made)
    shipped.pools(shipped.seeds[0])  # with its checks


def test_the_table_follows_from_the_shipped_predictions(shipped, root):
    """Ridge minus none of the whole system, by the functions that judge the Planet chips."""
    table = pd.read_csv(root / "results" / "planet32" / "fine_tuned_claims.csv")
    row = table.set_index("claim").loc["ridge-beats-none"]
    six = fine_tuned_scores.SYSTEMS["choice per label"][0]
    here = shipped.split == "validation"
    names, truth = shipped.names[here], shipped.truth[here]
    made = {c: shipped.made[c, 0][here].astype(np.float32) for c in six}
    none, ridge = (
        selection.protocol_nested(truth, made, names, recalibration=kind, labels=shipped.tags)
        for kind in ("none", "ridge")
    )
    change = f2.chip_f2(truth, ridge.prediction) - f2.chip_f2(truth, none.prediction)
    assert row["value"] == pytest.approx(change.mean(), abs=1e-6)
    assert row["low"] < change.mean() < row["high"]


def test_fewer_runs_never_take_the_place_of_more(tmp_path, monkeypatch):
    from paperlib.chips import Chips

    names = np.array([f"p{n}" for n in range(40)])
    clear = Chips(names, np.zeros((40, 8, 8, 3), np.uint8), np.zeros((40, 2), np.uint8), "planted",
                  ("a", "b"))  # fmt: skip
    held = int((clear.split != "train").sum())
    monkeypatch.setattr(fine_tuned.ucmerced, "read", lambda data, side: clear)
    runs = [(c, np.zeros((held, 4), np.float16), {"epochs": 1}) for c in fine_tuned.configs()[:2]]
    monkeypatch.setattr(fine_tuned, "predictions", lambda clear, only_saved: iter(runs))
    path = fine_tuned.ship("data", tmp_path)
    assert len(fine_tuned.read(path.parent).made) == 2
    del runs[1:]
    with pytest.raises(PaperError, match="holds more runs"):
        fine_tuned.ship("data", tmp_path)
    runs.clear()
    assert fine_tuned.ship("data", tmp_path) is None


def test_without_predictions_it_says_so(tmp_path):
    with pytest.raises(PaperError, match=r"fine_tuned\.npz is not there"):
        fine_tuned.read(tmp_path)
