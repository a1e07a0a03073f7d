"""Notebook 16: scored anew from the shipped predictions, judged by a rule that stands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from paperlib import f2
from paperlib.chips import Chips
from paperlib.chips.added_haze import Condition
from paperlib.evaluation.calibration import macro_average_precision
from paperlib.studies import full_resolution as study
from paperlib.utils.errors import PaperError


@pytest.fixture(scope="module")
def shipped():
    return study.read()


def test_the_shipped_predictions_are_whole_and_of_validation_pictures(shipped):
    from paperlib.chips import split_many

    assert set(split_many(shipped.names)) == {"validation"}
    assert shipped.truth.shape == (len(shipped.names), 17)
    for probability in shipped.made.values():
        assert probability.shape == shipped.truth.shape
        assert ((probability >= 0) & (probability <= 1)).all()
    for state in ("hazy", "dehazed", "dehazed-truth"):
        assert (Condition(state, study.SMALLER_AT), "same") in shipped.made
    assert (Condition("clear"), "same") in shipped.made


def few(shipped, *wanted):
    """The shipped predictions of a few conditions alone."""
    made = {key: shipped.made[key] for key in wanted}
    return study.Shipped(shipped.names, shipped.truth, shipped.tags, made, shipped.note)


def test_scores_and_gains_are_those_of_the_predictions(shipped):
    hazy, dehazed = (Condition(state, 0.4) for state in ("hazy", "dehazed"))
    found = few(shipped, (hazy, "clear"), (dehazed, "clear"))
    table = study.scores(found, replicates=200).set_index("state")
    one, other = found.outcome(hazy, "clear"), found.outcome(dehazed, "clear")
    assert table.loc["hazy", "f2"] == f2.f2_score(shipped.truth, one.prediction)
    gain = f2.f2_score(shipped.truth, other.prediction) - table.loc["hazy", "f2"]
    assert table.loc["dehazed", "gain"] == pytest.approx(gain)
    assert table.loc["dehazed", "gain_low"] < gain < table.loc["dehazed", "gain_high"]
    assert np.isnan(table.loc["hazy", "gain"])
    ap = macro_average_precision(shipped.truth, found.made[dehazed, "clear"].astype(float))
    assert table.loc["dehazed", "ap"] == pytest.approx(ap)


def test_draws_of_the_average_precision_have_its_value_where_each_picture_is_drawn_once(
    monkeypatch,
):
    rng = np.random.default_rng(0)
    truth = (rng.random((50, 4)) < 0.3).astype(np.uint8)
    probability = rng.random((50, 4))
    monkeypatch.setattr(f2, "drawn_counts", lambda n, r, s: [np.ones((1, n), np.uint16)])
    (value,) = study._precision_draws(truth, probability, 1)
    assert value == pytest.approx(macro_average_precision(truth, probability))
    doubled = [np.full((1, 50), 2, np.uint16)]
    monkeypatch.setattr(f2, "drawn_counts", lambda n, r, s: doubled)
    (twice,) = study._precision_draws(truth, probability, 1)
    assert twice >= value - 1e-12  # equal pictures stand on ranks one after the other


def test_draws_of_the_average_precision_are_those_of_scikit_learn_with_weights():
    rng = np.random.default_rng(0)
    truth = (rng.random((60, 3)) < 0.3).astype(np.uint8)
    truth[:, 2] = 0  # a label that no picture has is left out
    probability = rng.random((60, 3))
    probability[:, 1] = probability[:, 1].round(1)  # equal ones stand on one rank
    times = np.concatenate(list(f2.drawn_counts(60, 20, 0)))
    expected = [
        np.mean(
            [average_precision_score(truth[:, i], probability[:, i], sample_weight=drawn)
             for i in range(2)]
        )
        for drawn in times
    ]  # fmt: skip
    assert study._precision_draws(truth, probability, 20) == pytest.approx(expected)


def rows(*gains, trained="same", state="dehazed"):
    """A table of `scores` with a row for each draw: gain, low, high."""
    return pd.DataFrame(
        [
            {"state": state, "strength": 0.4, "size": 224, "draw": draw, "trained": trained,
             "gain": gain, "gain_low": low, "gain_high": high}
            for draw, (gain, low, high) in enumerate(gains)
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ([(0.03, 0.01, 0.05), (0.02, -0.01, 0.05)], "dehazing **helps**"),
        ([(-0.03, -0.05, -0.01), (-0.02, -0.04, 0.0)], "dehazing **costs**"),
        ([(0.03, -0.01, 0.05), (0.02, 0.01, 0.05)], "**undecided**"),
        ([(0.03, 0.01, 0.05), (-0.02, -0.05, 0.01)], "**undecided**"),
    ],
)
def test_the_rule_asks_the_interval_and_the_second_draw(gains, word):
    (line,) = study.answers(rows(*gains))
    assert word in line
    assert line.startswith("Trained on the same kind of picture: ")
    assert f"{gains[1][0]:+.4f}" in line


def test_what_was_shipped_before_stays_and_is_never_written_over_by_less(tmp_path, monkeypatch):
    names = np.array([f"p{n}" for n in range(40)])
    images = np.zeros((40, 8, 8, 3), np.uint8)
    clear = Chips(names, images, np.zeros((40, 2), np.uint8), "planted", ("a", "b"))
    held = int((clear.split == "validation").sum())
    monkeypatch.setattr(study.ucmerced, "read", lambda data, side: clear)
    made = [study.Prediction(Condition("clear"), "same", np.zeros((held, 2), np.float16))]
    monkeypatch.setattr(study, "predictions", lambda clear, only_saved: iter(made))
    path = study.ship("data", tmp_path)
    made[:] = [study.Prediction(Condition("hazy", 0.4), "same", np.ones((held, 2), np.float16))]
    study.ship("data", tmp_path)
    found = study.read(path.parent)
    assert [c.state for c, _ in found.made] == ["clear", "hazy"]
    assert found.made[Condition("hazy", 0.4), "same"].max() == 1
    monkeypatch.setattr(study.code, "stamp", lambda *modules: "of other code")
    with pytest.raises(PaperError, match="of other pictures or code, and holds more"):
        study.ship("data", tmp_path)


def test_without_predictions_it_says_so(tmp_path):
    with pytest.raises(PaperError, match=r"full_resolution\.npz is not there"):
        study.read(tmp_path)


def test_the_sentence_says_at_which_haze_dehazing_helps_for_each_training():
    columns = ("trained", "strength", "gain", "gain_low", "gain_high")
    made = [("same", 0.4, 0.01, -0.01, 0.03), ("same", 0.8, -0.03, -0.05, -0.01),
            ("clear", 0.4, 0.04, 0.02, 0.06), ("clear", 0.2, 0.1, 0.05, 0.2)]  # fmt: skip
    table = pd.DataFrame([dict(zip(columns, row, strict=True)) for row in made])
    table = table.assign(state="dehazed", size=224, draw=0)
    aside = table.assign(size=128, gain_low=1.0)  # other sizes and draws say nothing
    said = study.sentence(pd.concat([table, aside, table.assign(draw=1, gain_low=1.0)]))
    assert said.endswith("trained on clear pictures it helps at 0.4 and 0.2.")
    assert "the same kind of picture it costs at 0.8, is undecided at 0.4" in said
