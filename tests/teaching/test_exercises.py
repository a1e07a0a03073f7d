"""The exercises of notebook 02, answered rightly and wrongly: every usual mistake must be named."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from paperlib.teaching import exercises
from paperlib.teaching.exercises import dark_channel as book
from paperlib.teaching.exercises.checking import Verdict


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No try or success of another test counts."""
    monkeypatch.setattr(book.BOOK, "solved", set())
    monkeypatch.setattr(book.BOOK, "tries", {})


def window(plane, side):
    return cv2.erode(np.ascontiguousarray(plane), np.ones((side, side), np.uint8))


# what a student would write, without paperlib.dehaze ------------------------------------------


def haze(scene, t, light):
    return scene * t[:, :, None] + light * (1 - t[:, :, None])


def dark_channel(image, patch):
    height, width = image.shape[:2]
    half, least = patch // 2, image.min(axis=2)
    dark = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            rows, columns = (
                slice(max(0, y - half), y + half + 1),
                slice(max(0, x - half), x + half + 1),
            )
            dark[y, x] = least[rows, columns].min()
    return dark


def padded(mode, **how):
    def answer(image, patch):
        wide = np.pad(image.min(2), patch // 2, mode=mode, **how)
        return np.lib.stride_tricks.sliding_window_view(wide, (patch, patch)).min((2, 3))

    return answer


def slices(first, last):
    """The window from y + first(patch) to y + last(patch), not included, clipped at 0."""

    def answer(image, patch):
        least = image.min(2)
        dark = np.empty(least.shape)
        for y in range(least.shape[0]):
            for x in range(least.shape[1]):
                a, b = first(patch), last(patch)
                dark[y, x] = least[max(0, y + a) : y + b, max(0, x + a) : x + b].min()
        return dark

    return answer


def light(image, dark, fraction):
    count = int(np.ceil(fraction * dark.size))
    candidates = image[dark >= np.sort(dark.ravel())[-count]]
    brightness = candidates.sum(1)
    return candidates[brightness > brightness.max() - 1e-9].mean(0)


def light_with(count=None, brightness=lambda c: c.sum(1), inside=None):
    """The student's light, with another number of candidates, brightness or choice of them."""

    def answer(image, dark, fraction):
        n = int(np.ceil(fraction * dark.size)) if count is None else count(fraction, dark.size)
        threshold = np.sort(dark.ravel())[-n]
        chosen = dark >= threshold if inside is None else inside(dark, threshold, n)
        candidates = image[chosen]
        bright = brightness(candidates)
        return candidates[bright > bright.max() - 1e-9].mean(0)

    return answer


def light_sorted(image, dark, fraction):
    n = int(np.ceil(fraction * dark.size))
    candidates = image.reshape(-1, 3)[np.argsort(dark.ravel())[-n:]]
    return candidates[candidates.sum(1).argmax()]


def transmission(image, light, patch, omega):
    return 1 - omega * dark_channel(image / light, patch)


def recover(image, t, light, t0):
    return np.clip((image - light) / np.maximum(t, t0)[:, :, None] + light, 0, 1)


def loop_recover(image, t, light, t0):
    found = np.empty(image.shape)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            for c in range(3):
                value = (image[y, x, c] - light[c]) / max(t[y, x], t0) + light[c]
                found[y, x, c] = min(1, max(0, value))
    return found


def in_place_cascade(image, patch):
    least, half = image.min(2), patch // 2
    for y in range(least.shape[0]):
        for x in range(least.shape[1]):
            part = least[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
            least[y, x] = part.min()
    return least


def float32(answer):
    def rounded(*arguments):
        small = [np.float32(a) if isinstance(a, np.ndarray) else a for a in arguments]
        return np.float32(answer(*small))

    return rounded


RIGHT = {
    exercises.check_haze: [
        haze, float32(haze), lambda s, t, a: haze(s, t, a).tolist(),
        lambda s, t, a: a + (s - a) * t[..., None],
        lambda s, t, a: np.stack([s[..., c] * t + a[c] * (1 - t) for c in range(3)], 2),
    ],
    exercises.check_dark_channel: [
        dark_channel, float32(dark_channel), padded("edge"), padded("reflect"),
        padded("symmetric"), padded("constant", constant_values=np.inf),
        padded("constant", constant_values=1), lambda i, p: window(i, p).min(2),
        lambda i, p: window(i.min(2), p),
    ],
    exercises.check_light: [
        light, lambda i, d, f: light(i, np.float32(d), f), lambda i, d, f: light(i, d, f).tolist(),
        lambda i, d, f: light(i, d.copy(), f),
    ],
    exercises.check_transmission: [
        transmission, float32(transmission),
        lambda i, a, p, w: 1 - w * window((i / a).min(2), p),
    ],
    exercises.check_recover: [recover, float32(recover), loop_recover],
}  # fmt: skip


@pytest.mark.parametrize("check", RIGHT, ids=lambda check: check.__name__)
def test_every_right_answer_is_right(check):
    for number, answer in enumerate(RIGHT[check]):
        verdict = check(answer)
        assert verdict.ok is True, (number, verdict)
        assert repr(verdict).startswith("right")


# ---- the mutation test: exercise -> (wrong answer, what must be said of it) ----------------------

H, D, L = exercises.check_haze, exercises.check_dark_channel, exercises.check_light
T, R = exercises.check_transmission, exercises.check_recover
WRONG = [
    (H, lambda s, t, a: s * t[..., None], "scatters towards the camera is missing"),
    (H, lambda s, t, a: s * t[..., None] + a, "unweighted"),
    (H, lambda s, t, a: haze(s, 1 - t, a), "changed places"),
    (H, lambda s, t, a: haze(s, t, a.mean()), "each colour has its own"),
    (H, lambda s, t, a: haze(s, t, a[0]), "red of A"),
    (H, lambda s, t, a: s * t[..., None] - a * (1 - t[..., None]), "not subtracted"),
    (H, lambda s, t, a: s + a * (1 - t[..., None]), "lose a part"),
    (H, lambda s, t, a: a * (1 - t[..., None]) + 0 * s, "ground's own light is missing"),
    (H, lambda s, t, a: s * t[..., None] * a * (1 - t[..., None]), "not multiplied"),
    (H, lambda s, t, a: haze(s, t, a) * 255, "0…255"),
    (H, lambda s, t, a: (haze(s, t, a) * 255).astype(np.uint8), "0…255"),
    (H, lambda s, t, a: np.rint(haze(s, t, a) * 255) / 255, "grey levels"),
    (H, lambda s, t, a: haze(s, t, a)[..., ::-1], "blue, green, red"),
    (H, lambda s, t, a: haze(s, t, a).swapaxes(0, 1), "rows and columns"),
    (H, lambda s, t, a: haze(s, t, a)[..., 0], "shape is (24, 32)"),
    (H, lambda s, t, a: s * t + a * (1 - t), "t[..., None]"),
    (H, lambda s, t, a: haze(s, t, a) + 0.01, "off by up to 0.01"),
    (H, lambda s, t, a: "haze", "numbers are wanted"),
    (H, lambda s, t: s, "3 arguments"),
    (H, 5, "without brackets"),
    (H, lambda s, t, a: exit(), "exit() ends"),
    (D, lambda i, p: i.min(2), "the window is missing"),
    (D, lambda i, p: window(i.min(2), 2 * p + 1), "radius"),
    (D, lambda i, p: window(i.min(2), p + 2), "too far"),
    (D, lambda i, p: window(i.min(2), p - 2), "too little"),
    (D, lambda i, p: window(i.mean(2), p), "mean over the channels"),
    (D, lambda i, p: window(i[..., 0], p), "red channel"),
    (D, lambda i, p: window(i, p), "the least of the three"),
    (D, lambda i, p: window(i.max(2), p), "largest colour"),
    (D, lambda i, p: -window(-i.min(2), p), "maximum over the window"),
    (D, lambda i, p: -window(-i.max(2), p), "largest colour"),
    (D, lambda i, p: window(i.min(2), 15), "15 is typed in"),
    (D, lambda i, p: window(i.min(2), 3), "3 is typed in"),
    (D, lambda i, p: window(i.min(2), 5), "5 is typed in"),
    (D, padded("constant"), "filled with zeros"),
    (D, slices(lambda p: -(p // 2), lambda p: p // 2), "leaves b out"),
    (D, slices(lambda p: 0, lambda p: p), "instead of lying around"),
    (D, slices(lambda p: -(p // 2) + 1, lambda p: p // 2 + 1), "one pixel late"),
    (D, in_place_cascade, "later windows still read"),
    (D, lambda i, p: cv2.erode(i.min(2), np.ones((1, p), np.uint8)), "only one row"),
    (D, lambda i, p: cv2.erode(i.min(2), np.ones((p, 1), np.uint8)), "only one column"),
    (D, lambda i, p: cv2.blur(i.min(2), (p, p), borderType=cv2.BORDER_REFLECT), "wrong|mean|off"),
    (
        D,
        lambda i, p: np.lib.stride_tricks.sliding_window_view(i.min(2), (p, p)).min((2, 3)),
        "border is cut off",
    ),
    (
        D,
        lambda i, p: np.array(
            [
                [
                    i[y - p // 2 : y + p // 2 + 1, x - p // 2 : x + p // 2 + 1].min()
                    for x in range(i.shape[1])
                ]
                for y in range(i.shape[0])
            ]
        ),
        "max(0, …)",
    ),
    (D, lambda i, p: dark_channel(i, p) * 255, "0…255"),
    (L, lambda i, d, f: i.reshape(-1, 3)[i.sum(2).argmax()], "white roof"),
    (L, lambda i, d, f: i[d >= np.sort(d.ravel())[-int(np.ceil(f * d.size))]].mean(0), "all cand"),
    (L, light_with(count=lambda f, n: int(f * n)), "rounded down"),
    (L, light_with(count=lambda f, n: round(f * n)), "rounded to nearest"),
    (L, light_with(count=lambda f, n: int(np.ceil(f * n)) + 1), "one candidate too many"),
    (L, light_with(count=lambda f, n: int(np.ceil(0.01 * n))), "0.01 is typed in"),
    (L, light_with(inside=lambda d, t, n: d > t), "≥"),
    (L, light_with(inside=lambda d, t, n: d >= np.median(d)), "median"),
    (L, light_with(inside=lambda d, t, n: d == d.max()), "largest dark channel of all"),
    (L, lambda i, d, f: i.reshape(-1, 3)[d.argmax()], "largest dark channel"),
    (L, light_with(brightness=lambda c: c.max(1)), "largest channel"),
    (L, light_with(brightness=lambda c: c @ [0.299, 0.587, 0.114]), "luma"),
    (L, light_sorted, "cut off"),
    (
        L,
        lambda i, d, f: i[d >= np.quantile(d, 1 - f)][
            i[d >= np.quantile(d, 1 - f)].sum(1).argmax()
        ],
        "quantile",
    ),
    (
        L,
        lambda i, d, f: (lambda c: c[c.sum(1).argmax()])(
            i[d >= np.sort(d.ravel())[-int(np.ceil(f * d.size))]]
        ),
        "equally bright",
    ),
    (
        L,
        lambda i, d, f: i[d >= np.sort(d.ravel())[-int(np.ceil(f * d.size))]].max(0),
        "each channel by itself",
    ),
    (L, lambda i, d, f: light(i, d, f).mean(), "three numbers"),
    (L, lambda i, d, f: light(i, d, f)[::-1], "blue, green, red"),
    (L, lambda i, d, f: light(i, d, f) * 255, "0…255"),
    (L, lambda i, d, f: i[d.argmax()], "IndexError"),
    (T, lambda i, a, p, w: transmission(i, a, p, 1), "ω is missing"),
    (T, lambda i, a, p, w: transmission(i, a, p, 0.95), "0.95 is typed in"),
    (T, lambda i, a, p, w: transmission(i, 1, p, w), "not divided by A"),
    (T, lambda i, a, p, w: 1 - w * dark_channel(i, p) / a.max(), "after the minimum"),
    (T, lambda i, a, p, w: 1 - w * dark_channel(i, p) / a.mean(), "one number for all"),
    (T, lambda i, a, p, w: transmission(i, a.mean(), p, w), "one number for all"),
    (T, lambda i, a, p, w: 1 - transmission(i, a, p, w), "the haze that is taken away"),
    (T, lambda i, a, p, w: w * (1 - dark_channel(i / a, p)), "whole difference"),
    (T, lambda i, a, p, w: transmission(i, a, 1, w), "window is missing"),
    (T, lambda i, a, p, w: transmission(i, a, 15, w), "15 is typed in"),
    (T, lambda i, a, p, w: np.clip(transmission(i, a, p, w), 0, 1), "clipped to 0…1"),
    (T, lambda i, a, p, w: np.maximum(transmission(i, a, p, w), 0.1), "equation 9"),
    (T, lambda i, a, p, w: np.abs(transmission(i, a, p, w)), "sign is taken away"),
    (T, lambda i, a, p, w: 1 - w * window((i / a).max(2), p), "largest of the three"),
    (T, lambda i, a, p, w: 1 + w * dark_channel(i / a, p), "not added"),
    (T, lambda i, a, p, w: transmission(i, 1, p, 1), "ω is missing; and the picture is not"),
    (T, lambda i, a, p, w: 1 - w * my_open(i / a, p), "still open"),
    (R, lambda i, t, a, t0: recover(i, t, a, 0), "t0 is missing"),
    (R, lambda i, t, a, t0: recover(i, t, a, 0.1), "0.1 is typed in"),
    (R, lambda i, t, a, t0: (i - a) / np.maximum(t, t0)[..., None] + a, "clip it"),
    (R, lambda i, t, a, t0: np.minimum((i - a) / np.maximum(t, t0)[..., None] + a, 1), "below 0"),
    (R, lambda i, t, a, t0: np.maximum((i - a) / np.maximum(t, t0)[..., None] + a, 0), "above 1"),
    (
        R,
        lambda i, t, a, t0: np.clip((i - a) / np.maximum(t, t0)[..., None], 0, 1),
        "not added back",
    ),
    (
        R,
        lambda i, t, a, t0: (i - a) / np.maximum(t, t0)[..., None],
        "added back after the division",
    ),
    (R, lambda i, t, a, t0: recover(i, np.minimum(t, t0), a, 0), "min(t, t0)"),
    (
        R,
        lambda i, t, a, t0: np.clip(i / np.maximum(t, t0)[..., None] - a + a, 0, 1),
        "after the division",
    ),
    (
        R,
        lambda i, t, a, t0: np.clip(i - a / np.maximum(t, t0)[..., None] + a, 0, 1),
        "only A is divided",
    ),
    (R, lambda i, t, a, t0: recover(i, t + t0, a, 0), "a floor"),
    (R, lambda i, t, a, t0: recover(i, 0 * t, a, t0), "only a floor"),
    (
        R,
        lambda i, t, a, t0: np.clip(np.abs((i - a) / np.maximum(t, t0)[..., None] + a), 0, 1),
        "turned over",
    ),
    (R, lambda i, t, a, t0: recover(i, t, a.mean(), t0), "each channel has its own"),
    (
        R,
        lambda i, t, a, t0: np.clip((i - a) * np.maximum(t, t0)[..., None] + a, 0, 1),
        "divide by it",
    ),
    (
        R,
        lambda i, t, a, t0: np.clip((a - i) / np.maximum(t, t0)[..., None] + a, 0, 1),
        "changed places",
    ),
    (R, lambda i, t, a, t0: recover(i, 1 - t, a, t0), "1 − t divides"),
    (R, lambda i, t, a, t0: (i - a) / max(t, t0) + a, "np.maximum"),
    (R, lambda i, t, a, t0: i / 0 * np.nan, "NaN"),
]


def my_open(image, patch): ...


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("check", "answer", "says"),
    WRONG,
    ids=[f"{check.__name__[6:]}: {says}" for check, _, says in WRONG],
)
def test_a_wrong_answer_is_told_what_is_wrong(check, answer, says):
    verdict = check(answer)
    assert verdict.ok is False
    assert any(part in verdict.message for part in says.split("|")), verdict.message


@pytest.mark.parametrize("check", RIGHT, ids=lambda check: check.__name__)
def test_every_exercise_has_many_mistakes_in_its_mutation_test(check):
    assert sum(wrong[0] is check for wrong in WRONG) >= 8


@pytest.mark.parametrize("count", [*range(1, 40), 60, 150, 299, 300])
def test_no_other_number_of_candidates_is_right(count):
    wanted = {int(np.ceil(f * d.size)) for _, d, f in book.ATMOSPHERIC_LIGHT.cases()}
    assert count in wanted or exercises.check_light(light_with(lambda f, n: count)).ok is False


@pytest.mark.parametrize("check", RIGHT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("nothing", [None, ...])
def test_no_answer_yet_is_neither(check, nothing):
    names = check(RIGHT[check][0]) and {H: 3, D: 2, L: 3, T: 4, R: 4}[check]
    answers = {2: lambda a, b: nothing, 3: lambda a, b, c: nothing, 4: lambda a, b, c, d: nothing}
    verdict = check(answers[names])
    assert verdict.ok is None
    assert "Open" in verdict._repr_html_()
    assert check(nothing).ok is None


def test_an_answer_that_spoils_its_input_is_told_so():
    def in_place(scene, t, light):
        scene *= t[:, :, None]
        scene += light * (1 - t[:, :, None])
        return scene

    assert "changes its input" in exercises.check_haze(in_place).message


def test_the_line_of_an_error_is_one_of_the_students():
    source = "def mine(image, patch):\n    x = 1\n    return image[3:3].min()\n"
    space: dict = {}
    exec(compile(source, "<cell>", "exec"), space)
    message = exercises.check_dark_channel(space["mine"]).message
    assert "in line 3 of your cell" in message


@pytest.mark.parametrize(
    ("answer", "ok", "says"),
    [
        (1 - 0.95 * (0.7 * 0.75 + 0.3), True, "a third"),
        (0.22, True, "bright ground"),
        ("0,216", True, "bright ground"),
        ("21.6 %", True, "bright ground"),
        ("0.216%", False, "not"),
        (np.array([[0.21625]]), True, "bright ground"),
        (np.array([0.2, 0.2]), False, "a number"),
        (0.7, False, "true t"),
        (0.715, False, "J = 0"),
        (0.175, False, "ω = 1"),
        (0.316, False, "divided by A"),
        (0.373, False, "divided by A"),
        (0.784, False, "one minus"),
        (0.66, False, "I of the sand"),
        (0.825, False, "I/A"),
        (0.75, False, "J/A"),
        (0.2875, False, "with J"),
        (21.6, False, "per cent"),
        (0.5, False, "not"),
        ("0.2 or so", False, "a number"),
        (None, None, "put a number"),
        (..., None, "put a number"),
    ],
)
def test_sand(answer, ok, says):
    verdict = exercises.check_bright_ground(answer)
    assert verdict.ok is ok
    assert says in verdict.message


def test_a_message_is_text_in_html():
    assert "&lt;b&gt;" in Verdict(False, "<b>")._repr_html_()


# ---- progress and help ---------------------------------------------------------------------------


def test_what_is_done_is_counted():
    assert exercises.check_haze(haze).progress == "1 of 6 done"
    assert exercises.check_haze(haze).progress == "1 of 6 done"
    assert exercises.check_recover(haze).progress == "1 of 6 done"
    assert "2 of 6 done" in exercises.check_bright_ground(0.216)._repr_html_()


def test_a_model_answer_is_shown_after_two_tries_and_is_right():
    checks = dict(
        zip(("haze", "dark channel", "light", "transmission", "recover"), RIGHT, strict=True)
    )
    space: dict = {"np": np}
    for name, check in checks.items():
        arity = {H: 3, D: 2, L: 3, T: 4, R: 4}[check]
        wrong = {2: lambda a, b: a, 3: lambda a, b, c: a, 4: lambda a, b, c, d: a}[arity]
        assert "Try twice" in exercises.solution(name)
        assert "exercises.solution" not in check(wrong).message
        assert f"exercises.solution('{name}')" in check(wrong).message
        before = set(space)
        exec(exercises.solution(name), space)
        (made,) = set(space) - before - {"__builtins__"}
        assert check(space[made]).ok is True, name


def test_no_hint_gives_the_formula_away():
    for name, exercise in book.BOOK.exercises.items():
        for text in (exercise.reason, *exercise.flaws.values()):
            assert "=" not in text.replace("t = 1", ""), (name, text)


def test_a_wrong_picture_is_shown_beside_the_wanted_one():
    shown = exercises.check_haze(lambda s, t, a: s * t[..., None])._repr_html_()
    assert shown.count("data:image/png") == 3
    assert 'alt="difference"' in shown
    assert exercises.check_light(lambda i, d, f: i[0, 0]).picture == ""


@pytest.mark.parametrize("ok", [True, False, None])
def test_a_verdict_can_be_read_on_white(ok):
    import re

    colour = re.search(r"color:#(\w{6})", Verdict(ok, "x")._repr_html_())[1]
    channels = np.array([int(colour[k : k + 2], 16) / 255 for k in (0, 2, 4)])
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5
