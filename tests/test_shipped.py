"""What is shipped for `planet32`: the numbers follow from the predictions, the model from its card.

The tables are compared with scikit-learn on the shipped predictions, not against the code that
wrote them.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, fbeta_score

from paperlib import f2, predictor
from paperlib.chips import split_of
from paperlib.evaluation import families, selection, systems
from paperlib.labels import LABELS
from paperlib.profiles import profile
from paperlib.project import Project
from paperlib.studies import ablation, sensitivity, train
from paperlib.training.config import Config
from paperlib.training.runs import find
from paperlib.utils import files


@pytest.fixture(scope="module")
def results(root):
    return root / "results" / "planet32"


@pytest.fixture(scope="module")
def run(results):
    """The profile's own network, as shipped."""
    found = find(Config.of(profile("planet32")), results / "runs")
    assert found is not None, "the run of the profile's configuration is not shipped"
    return found


def score(truth: np.ndarray, prediction: np.ndarray) -> float:
    return fbeta_score(truth, prediction, beta=2, average="samples", zero_division=0)


def test_the_validation_chips_are_there_each_once_and_no_other(run):
    assert len(run.names) == len(set(run.names.tolist())) == 6460
    assert {split_of(name) for name in run.names.tolist()} == {"validation"}
    assert run.truth.shape == run.probability.shape == (6460, len(LABELS))


def test_every_shipped_run_names_the_digest_of_its_predictions(root):
    """So that moved rows are found."""
    places = sorted(root.glob("results/planet32/runs/**/run.json"))
    unsigned = [str(p.parent) for p in places if "predictions" not in files.read_json(p)]
    assert places
    assert not unsigned


def test_the_overall_f2_follows_from_the_predictions(run, results):
    table = pd.read_csv(results / "overall_f2.csv").set_index(["system", "protocol"])
    fixed = table.loc[("one network, threshold 0.2", "nested"), "f2"]
    assert fixed == pytest.approx(score(run.truth, run.probability > 0.2), abs=1e-6)

    nested = selection.protocol_nested(run.truth, run.probability, run.names)
    row = table.loc[("one network", "nested")]
    assert row["f2"] == pytest.approx(score(run.truth, nested.prediction), abs=1e-6)
    assert row["low"] < row["f2"] < row["high"]
    assert row["f2"] >= 0.88  # what the first trained network had to reach
    # Average precision: chips are ranked within their fold; a fold counts for a label by how many
    # of its chips carry it.
    fold, precise = selection.folds_of(run.names, 5), np.zeros(len(LABELS))
    for k in range(5):
        truth, given = run.truth[fold == k], run.probability[fold == k]
        for label in np.flatnonzero(truth.any(0)):
            found = average_precision_score(truth[:, label], given[:, label])
            precise[label] += found * truth[:, label].sum() / run.truth[:, label].sum()
    assert row["macro_ap"] == pytest.approx(precise.mean(), abs=1e-4)
    # Without recalibration both protocols rank the same probabilities, so by the same number.
    assert table.loc[("one network", "paper"), "macro_ap"] == row["macro_ap"]


@pytest.fixture(scope="module")
def evaluation(root):
    """Every system that the shipped runs make, scored again."""
    runs = train.saved_runs(Project("planet32", root=root))
    return systems.evaluate(families.sort(runs))


def test_every_system_of_the_table_follows_from_the_shipped_runs(evaluation, results):
    """Whatever subset of the grids is shipped: no row too many, none missing, each the same."""
    table = pd.read_csv(results / "overall_f2.csv").set_index(["system", "protocol"])
    wanted = {(s, p): o for s, by in evaluation.outcomes.items() for p, o in by.items()}
    assert set(table.index) == set(wanted)
    for row, outcome in wanted.items():
        found = score(outcome.truth, outcome.prediction)
        assert table.loc[row, "f2"] == pytest.approx(found, abs=1e-6), row


@pytest.mark.parametrize("name", ["readings", "transforms"])
def test_the_other_readings_follow_from_the_shipped_runs(root, results, name):
    """As many rows as runs are shipped, and each the score of its run less that of its twin."""
    project = Project("planet32", root=root)
    table = pd.read_csv(results / f"{name}.csv")
    shipped = [
        r for r in sensitivity.readings(project.profile, name) if find(r.config, project.runs)
    ]
    assert table[["variant", "loss", "augment"]].to_numpy().tolist() == [
        [r.config.variant, r.config.loss, r.config.augment] for r in shipped
    ]
    for row, reading in zip(table.itertuples(), shipped, strict=True):
        for config, given in ((reading.config, row.f2), (reading.plain, row.f2_plain)):
            part = find(config, project.runs).part("validation")
            nested = selection.protocol_nested(part.truth, part.probability, part.names)
            assert given == pytest.approx(score(part.truth, nested.prediction), abs=1e-5)
        assert row.low <= row.difference <= row.high
        assert row.difference == pytest.approx(row.f2 - row.f2_plain, abs=1e-5)


def test_table_1_follows_from_the_predictions(run, results, evaluation):
    table = pd.read_csv(results / "table1_f2.csv")
    assert tuple(table["label"]) == LABELS
    assert table["chips"].tolist() == run.truth.sum(0).tolist()
    for column, outcome in (
        ("system_nested", evaluation.outcomes[evaluation.whole]["nested"]),
        ("system_paper", evaluation.outcomes[evaluation.whole]["paper"]),
        ("own_nested", evaluation.own["nested"]),
        ("own_paper", evaluation.own["paper"]),
    ):
        found = fbeta_score(
            outcome.truth, outcome.prediction, beta=2, average=None, zero_division=0
        )
        assert np.allclose(table[column], found, atol=1e-5), column


def test_each_label_has_its_own_threshold_in_table_1(evaluation):
    """No other cut would have given a label a higher F2 on the chips that it was chosen on."""
    own = evaluation.own["nested"]
    probability = evaluation.outcomes[evaluation.whole]["nested"].probability
    assert np.array_equal(own.probability, probability)  # only the thresholds differ
    whole = evaluation.own["paper"]
    for label in range(len(LABELS)):
        p, truth = whole.probability[:, label], whole.truth[:, label]
        best = whole.label_f2(replicates=1).value[label]
        for cut in np.quantile(p, np.linspace(0, 1, 60)):
            assert fbeta_score(truth, p > cut, beta=2, zero_division=0) <= best + 1e-12


def test_another_prediction_would_give_another_number(run, results):
    """The check above can fail: one chip in a hundred labelled otherwise is seen."""
    table = pd.read_csv(results / "overall_f2.csv").set_index(["system", "protocol"])
    changed = run.probability > 0.2
    changed[::100] = ~changed[::100]
    fixed = table.loc[("one network, threshold 0.2", "nested"), "f2"]
    assert abs(fixed - score(run.truth, changed)) > 1e-3


def test_the_card_says_what_the_released_model_scored(results):
    card = files.read_json(predictor.RELEASED / "planet32" / "card.json")
    with np.load(results / "released.npz") as stored:
        names, truth, raw = (stored[k] for k in ("names", "truth", "probability"))
    raw = raw.astype(np.float32)
    nested = {
        kind: selection.protocol_nested(truth, raw, names, recalibration=kind)
        for kind in ("none", "ridge")
    }
    scores = card["scores"]
    plain = score(truth, nested["none"].prediction)
    assert scores["f2_without_recalibration"]["value"] == pytest.approx(plain, abs=6e-5)
    # Ridge, and not whichever of the two scores better on the chips it is reported on.
    whole = score(truth, nested["ridge"].prediction)
    assert scores["f2_mean_over_chips"]["value"] == pytest.approx(whole, abs=6e-5)
    assert card["recalibration"]["kind"] == "ridge"
    assert card["recipe"]["ridge recalibration"]
    fixed = selection.protocol_nested(truth, raw, names, recalibration="ridge", thresholds=0.2)
    gained = whole - score(truth, fixed.prediction)
    assert card["brought"]["fitted thresholds"]["value"] == pytest.approx(gained, abs=6e-5)
    size = sum(p.stat().st_size for p in (predictor.RELEASED / "planet32").iterdir())
    assert size < 10 * 2**20


def test_the_second_thresholds_find_what_the_first_never_give(results):
    """Seen failing: slash_burn and blooming were given to 0 and 3 of 6,460 chips."""
    card = files.read_json(predictor.RELEASED / "planet32" / "card.json")
    with np.load(results / "released.npz") as stored:
        names, truth, raw = (stored[k] for k in ("names", "truth", "probability"))
    raw = raw.astype(np.float32)
    how = {"recalibration": "ridge", "thresholds": "labels"}
    nested = selection.protocol_nested(truth, raw, names, **how)
    told, chips = card["scores"]["with_label_thresholds"], card["scores"]["f2_of_each_label"]
    assert told["f2_mean_over_chips"]["value"] == pytest.approx(
        score(truth, nested.prediction), abs=6e-5
    )
    each = f2.f2_score(truth, nested.prediction, "labels")
    for label, value in zip(card["tags"], each, strict=True):
        assert told["f2_of_each_label"][label]["value"] == pytest.approx(value, abs=6e-5)
    for label in ("slash_burn", "blooming", "blow_down", "selective_logging"):
        assert told["f2_of_each_label"][label]["value"] > chips[label]["value"] + 0.05
        assert told["chips_given_each_label"][label] > 30
    assert told["f2_mean_over_chips"]["value"] < card["scores"]["f2_mean_over_chips"]["value"]
    fitted = selection.System(**how, labels=tuple(card["tags"])).fit(names, truth, raw)
    stands = [card["label_thresholds"][tag] for tag in card["tags"]]
    np.testing.assert_allclose(stands, fitted.thresholds_, atol=1e-6)


def test_the_card_says_what_the_shipped_runs_say_of_each_part(root):
    """Recomputed; ridge and views are the released network's own, and stand in its predictions."""
    card = files.read_json(predictor.RELEASED / "planet32" / "card.json")
    made = SimpleNamespace(config=Config.from_dict(card["network"]))
    found = ablation.gains(Project("planet32", root=root), made)
    assert {"dehazing", "one model per label", "taught by a larger network"} <= set(found)
    for part, numbers in found.items():
        assert card["brought"][part] == numbers, part
    own = set(card["brought"]) - set(found)
    assert own == {"ridge recalibration", "fitted thresholds", f"{card['views']} views"}
