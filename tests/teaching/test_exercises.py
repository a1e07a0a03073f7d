"""The exercises of notebook 02, answered rightly and wrongly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from paperlib.teaching import exercises


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


def light(image, dark, fraction):
    count = int(np.ceil(fraction * dark.size))
    candidates = image[dark >= np.sort(dark.ravel())[-count]]
    brightness = candidates.sum(1)
    return candidates[brightness > brightness.max() - 1e-9].mean(0)


def transmission(image, light, patch, omega):
    return 1 - omega * dark_channel(image / light, patch)


def recover(image, t, light, t0):
    return np.clip((image - light) / np.maximum(t, t0)[:, :, None] + light, 0, 1)


CHECKS = {
    "haze": (exercises.check_haze, haze),
    "dark channel": (exercises.check_dark_channel, dark_channel),
    "light": (exercises.check_light, light),
    "transmission": (exercises.check_transmission, transmission),
    "recover": (exercises.check_recover, recover),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_right_answer_is_right(name):
    check, answer = CHECKS[name]
    verdict = check(answer)
    assert verdict.ok is True, verdict
    assert repr(verdict).startswith("right")


WRONG = [
    (exercises.check_haze, lambda s, t, a: s * t[..., None], "A·(1 − t), is missing"),
    (exercises.check_haze, lambda s, t, a: s * t[..., None] + a, "unweighted"),
    (exercises.check_haze, lambda s, t, a: haze(s, 1 - t, a), "changed places"),
    (exercises.check_haze, lambda s, t, a: haze(s, t, a)[..., 0], "shape is (24, 32)"),
    (exercises.check_haze, lambda s, t, a: s * t + a * (1 - t), "ValueError"),
    (exercises.check_haze, lambda s, t, a: haze(s, t, a) + 0.01, "off by up to 0.01"),
    (exercises.check_haze, lambda s, t, a: "haze", "an array is wanted"),
    (exercises.check_dark_channel, lambda i, p: i.min(2), "the window is missing"),
    (exercises.check_dark_channel, lambda i, p: window(i.min(2), 2 * p + 1), "radius"),
    (exercises.check_dark_channel, lambda i, p: window(i.mean(2), p), "mean over the channels"),
    (exercises.check_dark_channel, lambda i, p: window(i, p), "the least of the three"),
    (
        exercises.check_dark_channel,
        lambda i, p: np.lib.stride_tricks.sliding_window_view(np.pad(i.min(2), p // 2), (p, p)).min(
            (2, 3)
        ),
        "filled with zeros",
    ),
    (
        exercises.check_dark_channel,
        lambda i, p: np.where(
            np.pad(np.ones((20, 28), bool), 2), dark_channel(i, p), i.min(2) + 0.1
        ),
        "wrong at the border",
    ),
    (exercises.check_light, lambda i, d, f: i.reshape(-1, 3)[i.sum(2).argmax()], "white roof"),
    (exercises.check_light, lambda i, d, f: i[d >= np.quantile(d, 1 - f)].mean(0), "mean of all"),
    (
        exercises.check_light,
        lambda i, d, f: i.reshape(-1, 3)[
            np.where(d.ravel() >= np.sort(d.ravel())[-16], i.sum(2).ravel(), 0).argmax()
        ],
        "mean of both",
    ),
    (exercises.check_transmission, lambda i, a, p, w: transmission(i, a, p, 1), "ω is missing"),
    (exercises.check_transmission, lambda i, a, p, w: transmission(i, 1, p, w), "not divided by A"),
    (exercises.check_transmission, lambda i, a, p, w: 1 - transmission(i, a, p, w), "1 − t, not t"),
    (
        exercises.check_transmission,
        lambda i, a, p, w: w * (1 - dark_channel(i / a, p)),
        "whole difference",
    ),
    (
        exercises.check_transmission,
        lambda i, a, p, w: transmission(i, a, 1, w),
        "window is missing",
    ),
    (exercises.check_recover, lambda i, t, a, t0: recover(i, t, a, 0), "t0 is missing"),
    (
        exercises.check_recover,
        lambda i, t, a, t0: (i - a) / np.maximum(t, t0)[..., None] + a,
        "clip it",
    ),
    (
        exercises.check_recover,
        lambda i, t, a, t0: np.clip((i - a) / np.maximum(t, t0)[..., None], 0, 1),
        "not added back",
    ),
    (
        exercises.check_recover,
        lambda i, t, a, t0: np.clip((i - a) / np.minimum(t, t0)[..., None] + a, 0, 1),
        "min(t, t0)",
    ),
    (exercises.check_recover, lambda i, t, a, t0: i / 0 * np.nan, "NaN"),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("check", "answer", "says"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(check, answer, says):
    verdict = check(answer)
    assert verdict.ok is False
    assert says in verdict.message


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("nothing", [None, ...])
def test_no_answer_yet_is_neither(name, nothing):
    verdict = CHECKS[name][0](lambda *_: nothing)
    assert verdict.ok is None
    assert "Open" in verdict._repr_html_()


def test_an_answer_that_spoils_its_input_is_told_so():
    def in_place(scene, t, light):
        scene *= t[:, :, None]
        scene += light * (1 - t[:, :, None])
        return scene

    assert "changes its input" in exercises.check_haze(in_place).message


@pytest.mark.parametrize(
    ("answer", "ok", "says"),
    [
        (1 - 0.95 * (0.7 * 0.75 + 0.3), True, "a third"),
        (0.22, True, "bright ground"),
        (0.7, False, "true t"),
        (0.715, False, "J = 0"),
        (0.175, False, "ω = 1"),
        (0.316, False, "divided by A"),
        (0.373, False, "divided by A"),
        (0.784, False, "one minus"),
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
    assert "&lt;b&gt;" in exercises.Verdict(False, "<b>")._repr_html_()
