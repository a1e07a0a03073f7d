"""The teaching notebooks' exercises: every flaw named; model answers right, but for 02's."""

from __future__ import annotations

import numpy as np
import pytest

from paperlib import f2
from paperlib.networks import augment
from paperlib.teaching import exercises, primitives
from paperlib.teaching.exercises import BOOKS

ALL = [
    pytest.param(book, name, id=f"{book.name} {name}")
    for book in BOOKS
    for name in book.exercises
    if name != "sand"  # whose answer is a number
]
OTHERS = [one for one in ALL if one.values[0].name != "02"]  # test_exercises has its answers


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for book in BOOKS:
        monkeypatch.setattr(book, "solved", set())
        monkeypatch.setattr(book, "tries", {})


def test_exercise_names_are_unique_and_each_teaching_notebook_has_one():
    names = [name for book in BOOKS for name in book.exercises]
    assert len(names) == len(set(names))
    assert {book.name for book in BOOKS} == {"01", "02", "03", "04", "07", "10", "11", "13"}
    with pytest.raises(KeyError, match="there are"):
        exercises.solution("nothing")


@pytest.mark.parametrize(("book", "name"), OTHERS)
def test_the_model_answer_is_right(book, name):
    space: dict = {"np": np}
    exec(book.exercises[name].solution, space)
    (made,) = set(space) - {"np", "__builtins__"}
    verdict = book.check(name, space[made])
    assert verdict.ok is True, verdict
    assert verdict.progress == f"1 of {len(book.exercises)} done"


@pytest.mark.parametrize(("book", "name"), ALL)
def test_every_flaw_is_rejected_and_named(book, name):
    exercise = book.exercises[name]
    assert len(exercise.flaws) >= 4
    for flaw, says in exercise.flaws.items():
        verdict = exercise.check(
            lambda *case, flaw=flaw: np.copy(exercise.way(frozenset([flaw]), *case))
        )
        assert verdict.ok is False, flaw
        assert verdict.message == says, (flaw, verdict.message)


def test_the_right_ways_are_those_of_the_package():
    rng = np.random.default_rng(0)
    image, kernel = rng.random((9, 8)), rng.normal(size=(3, 3))
    expected = primitives.convolution(
        image[None, ..., None].astype("float32"), kernel[..., None, None].astype("float32"),
        padding="valid",
    )  # fmt: skip
    got = BOOKS[0].exercises["convolution"].way(frozenset(), image, kernel)
    np.testing.assert_allclose(got, np.asarray(expected)[0, ..., 0], atol=1e-5)
    truth, given = (rng.random((30, 5)) < 0.4).astype(np.uint8), rng.random((30, 5)) < 0.4
    assert exercises.check_mean_f2(lambda t, g: f2.f2_score(t, g)).ok is True
    way = BOOKS[3].exercises["mean over chips"].way
    assert way(frozenset(), truth, given) == pytest.approx(f2.f2_score(truth, given))
    assert exercises.check_views(lambda i: augment.symmetries(i[None])[:, 0]).ok is True
    from sklearn.linear_model import Ridge

    ridge = lambda x, y, a: Ridge(alpha=a, fit_intercept=False).fit(x, y).coef_  # noqa: E731
    assert exercises.check_ridge(ridge).ok is True


PLATEAU = exercises.later.plateau


def emptied(kernels, strides):
    """Right, but the lists are empty afterwards."""
    side = 1
    while kernels:
        side = (side - 1) * strides.pop() + kernels.pop()
    return side


def on_a_grid(truth, probability, step):
    given = probability > np.arange(-step, 1, step)[:, None]
    hits = (given & (truth == 1)).sum(1)
    return (5 * hits / (given.sum(1) + 4 * truth.sum())).max()


@pytest.mark.parametrize(
    "answer",
    [
        (exercises.check_dark_channel, lambda image, patch: np.zeros(image.shape[:2])),
        (exercises.check_plateau, lambda losses, rate, factor: np.zeros(len(losses))),
        (exercises.check_best_f2, lambda truth, probability: 1.0),
    ],
)
def test_a_constant_is_not_called_rounded(answer):
    check, constant = answer
    verdict = check(constant)
    assert verdict.ok is False
    assert "rounded" not in verdict.message


@pytest.mark.parametrize(
    ("check", "answer", "says"),
    [
        (exercises.check_output_size, lambda n, k, s, p: (n - k + 2 * p) / s + 1, "round down"),
        (exercises.check_output_size, lambda n, k, s, p: (n - k) // s + 1, "padding is left out"),
        (exercises.check_parameters, lambda k, c, d: k * k * c * d, "biases are missing"),
        (
            exercises.check_parameters,
            lambda k, c, d: (k * k * c + 1) * d + 1,
            "One output channel first",
        ),
        (exercises.check_receptive_field, lambda k, s: sum(k), "Go through the layers"),
        (exercises.check_counts, lambda t, p, c: (p > c).sum(), "shape"),
        (exercises.check_f2, lambda tp, fp, fn: 5 * tp / (5 * tp + 4 * fn + fp), "nothing there"),
        (exercises.check_f2, lambda tp, fp, fn: 3 * tp / max(3 * tp + 2 * fn + fp, 1), "β²"),
        (exercises.check_ridge, lambda x, y, s: np.linalg.lstsq(x, y)[0], "least squares"),
        (exercises.check_views, lambda i: [np.rot90(i, k) for k in range(4)], "four turns"),
        (exercises.check_separable, lambda k, c, d: k * k * c * d, "ordinary"),
        (exercises.check_features, lambda a, b: b.mean((1, 2)), "mean is not|deviation"),
        (exercises.check_plateau, lambda losses, r, f: [r] * (len(losses) - 1), "shape"),
        (
            exercises.check_plateau,
            lambda losses, r, f: np.maximum(np.asarray(PLATEAU(losses, r, f)), r / 50),
            "typed|not better",
        ),
        (exercises.check_receptive_field, lambda k, s: (k.clear(), s.clear(), 1)[-1], "its input"),
        (exercises.check_receptive_field, lambda k, s: emptied(k, s), "its input"),
        *(
            (
                exercises.check_best_f2,
                lambda t, p, step=step: on_a_grid(t, p, step),
                "a grid misses",
            )
            for step in (0.02, 0.01, 0.001, 0.0005)
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::FutureWarning")
def test_what_a_student_would_write(check, answer, says):
    verdict = check(answer)
    assert verdict.ok is False
    assert any(part in verdict.message for part in says.split("|")), verdict.message
