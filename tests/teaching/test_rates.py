"""The three learning rates that notebook 13 draws."""

from __future__ import annotations

import numpy as np
import pytest

from paperlib.plots import design_rules as draw
from paperlib.teaching.exercises import later
from paperlib.training import schedules


def test_one_cycle_goes_up_in_a_fifth_and_down_to_nothing():
    rate = schedules.one_cycle(1e-3, 100)
    values = np.array([float(rate(k)) for k in range(101)])
    assert values[0] == pytest.approx(1e-3 / 25)
    assert values.argmax() == 20
    assert values[20] == pytest.approx(1e-3)
    assert values[100] == pytest.approx(0, abs=1e-9)
    assert (np.diff(values[:21]) > 0).all()
    assert (np.diff(values[20:]) < 0).all()


def test_the_plateau_falls_after_an_epoch_that_is_not_better():
    np.testing.assert_allclose(
        later.plateau(np.array([3.0, 2.0, 2.0, 1.0, 1.5, 0.5]), 1.0, 0.1),
        [1, 1, 1, 0.1, 0.1, 0.01],
    )


def test_the_figure_has_a_panel_for_each_rate_over_epochs():
    figure = draw.schedules({"a": [1, 2, 3, 4], "b": [4, 3, 2, 1]}, 2)
    assert [axis.get_title(loc="left") or axis.get_title() for axis in figure.axes] == ["a", "b"]
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_xdata(), [0, 0.5, 1, 1.5])
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), [4, 3, 2, 1])
