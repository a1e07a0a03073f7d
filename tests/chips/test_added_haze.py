"""Haze of known transmission: it is what it says, and the truth takes it away again."""

from __future__ import annotations

import numpy as np
import pytest

from paperlib.chips import Chips, added_haze
from paperlib.chips.added_haze import Condition, Haze, haze_of, hazy, pictures

NAMES = [f"picture{number}" for number in range(60)]


@pytest.fixture(scope="module")
def clear():
    rng = np.random.default_rng(0)
    coarse = rng.integers(10, 200, (6, 16, 16, 3), np.uint8)
    images = coarse.repeat(16, 1).repeat(16, 2)
    return Chips(np.array(NAMES[:6]), images, np.zeros((6, 2), np.uint8), "planted", ("a", "b"))


@pytest.mark.parametrize("pattern", added_haze.PATTERNS)
@pytest.mark.parametrize("mean", [1.0, 0.8, 0.4, 0.2, 0.05])
def test_the_transmission_has_the_mean_it_says(pattern, mean):
    for seed in range(20):
        t = Haze(pattern, np.ones(3), seed).transmission(mean, 64)
        assert t.shape == (64, 64)
        assert t.mean() == pytest.approx(mean, abs=1e-9)
        assert t.min() >= added_haze.LEAST - 1e-9
        assert t.max() <= 1 + 1e-9


def test_slopes_and_banks_are_none_and_even_haze_is():
    spread = {
        pattern: np.ptp(Haze(pattern, np.ones(3), 1).transmission(0.5, 64))
        for pattern in added_haze.PATTERNS
    }
    assert spread["even"] == 0
    assert 0.5 < spread["slope"] <= 0.6 + 1e-9
    assert spread["bank"] > 0.2


def test_a_name_has_one_haze_and_all_patterns_come():
    first = [haze_of(name) for name in NAMES]
    assert {haze.pattern for haze in first} == set(added_haze.PATTERNS)
    for name, haze in zip(NAMES, first, strict=True):
        again = haze_of(name)
        assert (again.pattern, again.seed) == (haze.pattern, haze.seed)
        assert (again.light == haze.light).all()
        low, high = added_haze.LIGHT
        assert (haze.light >= low - added_haze.TINT).all()
        assert (haze.light <= min(1, high + added_haze.TINT)).all()
    assert [haze_of(name, 1).pattern for name in NAMES] != [haze.pattern for haze in first]


def test_a_hazy_pixel_is_equation_3_by_hand():
    image = np.full((8, 8, 3), (100, 50, 200), np.uint8)
    haze = Haze("even", np.array([0.8, 1.0, 0.9]), 0)
    # 100·0.5 + 204·0.5; 50·0.5 + 255·0.5; 200·0.5 + 229.5·0.5
    assert hazy(image, haze, 0.5)[3, 3].tolist() == [152, 152, 215]


def test_a_transmission_that_cannot_be_is_refused():
    for mean in (0.0, 0.04, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"mean: a transmission from 0\.05 to 1"):
            Haze("even", np.ones(3), 0).transmission(mean, 8)


@pytest.mark.parametrize("strength", [0.8, 0.4])
def test_the_truth_takes_it_away_up_to_rounding(clear, strength):
    back = pictures(clear, Condition("dehazed-truth", strength, 256)).astype(int)
    for i, name in enumerate(clear.names.tolist()):
        t = haze_of(name).transmission(strength, 256)
        off = np.abs(back[i] - clear.images[i].astype(int)).max(-1)
        assert (off <= np.ceil(0.5 / t + 0.5)).all()


def test_each_state_is_another_picture_and_clear_is_the_picture(clear):
    assert (pictures(clear, Condition("clear", 1.0, 256)) == clear.images).all()
    states = [state for state in added_haze.STATES if state != "clear"]
    made = {state: pictures(clear, Condition(state, 0.4, 64)) for state in states}
    assert {picture.shape for picture in made.values()} == {(6, 64, 64, 3)}
    for one in states:
        for other in states:
            assert (one == other) == np.array_equal(made[one], made[other]), (one, other)
    other_draw = pictures(clear, Condition("hazy", 0.4, 64, 1))
    assert not np.array_equal(other_draw, made["hazy"])
    error = {
        state: np.abs(made[state].astype(int) - pictures(clear, Condition("clear", 1.0, 64))).mean()
        for state in states
    }
    assert error["dehazed-truth"] < error["dehazed-light"] < error["hazy"]
