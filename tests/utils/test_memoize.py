"""`once`: equal questions are answered once, other ones never with the same answer."""

from __future__ import annotations

import numpy as np
import pytest
from test_selection import world

from paperlib.evaluation import selection
from paperlib.utils import memoize as module
from paperlib.utils.memoize import once


@pytest.fixture(autouse=True)
def empty():
    module._kept.clear()


def test_equal_arguments_are_computed_once_and_others_anew():
    asked = []

    @once
    def total(values, pool=None, *, kind="a"):
        asked.append(kind)
        return values.sum()

    values = np.arange(6.0)
    total(values, {"x": values})
    assert total(values.copy(), {"x": values.copy()}) == 15
    assert len(asked) == 1
    others = [
        (values.astype(np.float32), {"x": values}),
        (values.reshape(2, 3), {"x": values}),
        (values, {"y": values}),
        (values, {"x": values, "y": values}),
        (values[::-1], {"x": values}),
    ]
    for number, arguments in enumerate(others, 2):
        total(*arguments)
        assert len(asked) == number
    total(values, {"x": values}, kind="b")
    values[0] = 9.0  # the same array, with another number in it
    assert total(values, {"x": values}) == 24
    assert len(asked) == 8


def test_the_oldest_answers_are_let_go(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 3)
    asked = []

    @once
    def same(x):
        asked.append(x)
        return x

    for x in (1, 2, 3, 1, 4, 1, 2):
        assert same(x) == x
    assert asked == [1, 2, 3, 4, 2]


def test_outcomes_are_kept_and_nobody_can_change_them():
    names, truth, p = world(300)
    one = selection.protocol_nested(truth, p, names)
    assert selection.protocol_nested(truth.copy(), {"network": p}, names.copy()).score == one.score
    assert selection.protocol_nested(truth, p, names) is one
    assert selection.protocol_nested(truth, p, names, thresholds="labels") is not one
    assert selection.protocol_paper(truth, p, names) is not one
    for array in (one.prediction, one.probability, one.truth, one.names, one.fold):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    before = one.truth.copy()
    truth[:] = 0  # the caller's own array stays the caller's
    assert (one.truth == before).all()
