"""The dark channel prior's equations: hand-computed cases, known answers, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from paperlib import dehaze as d
from paperlib.dehaze.arguments import SCALE

DTYPES = (np.uint8, np.uint16, np.float32, np.float64)


def as_dtype(image, dtype):
    scale = SCALE[np.dtype(dtype)]
    return (np.rint(image * scale) if scale > 1 else image).astype(dtype)


def test_dark_channel_is_the_minimum_over_window_and_channels():
    image = np.full((5, 6, 3), 200, np.uint8)
    image[2, 3] = 90, 50, 70
    dark = d.dark_channel(image, 3)
    expected = np.full((5, 6), 200, np.uint8)
    expected[1:4, 2:5] = 50
    np.testing.assert_array_equal(dark, expected)
    assert dark.dtype == np.uint8


def test_an_even_window_reaches_one_pixel_further_up_and_left():
    image = np.full((1, 7), 9, np.uint8)
    image[0, 3] = 1
    np.testing.assert_array_equal(d.dark_channel(image, 4), [[9, 9, 1, 1, 1, 1, 9]])


def test_light_is_the_mean_of_the_brightest_among_all_ties():
    dark = np.array([[9, 9, 9, 1, 1]])
    image = np.zeros((1, 5, 3), np.uint8)
    image[0] = [[90, 10, 20], [20, 90, 10], [0, 0, 30], [250, 250, 250], [1, 1, 1]]
    # a fraction of one pixel; three tie for it, two of them are brightest: their mean
    light = d.atmospheric_light(image, dark, 0.2)
    np.testing.assert_allclose(light, np.array([55, 50, 15]) / 255)
    # four of five pixels: the white one, dark channel or not, is a candidate now
    np.testing.assert_allclose(d.atmospheric_light(image, dark, 0.7), 250 / 255)


def test_light_does_not_depend_on_the_order_of_the_pixels():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 16, (20, 20, 3), dtype=np.uint8) * 16
    dark = d.dark_channel(image, 1)
    order = rng.permutation(400)
    mixed = image.reshape(400, 1, 3)[order], dark.reshape(400, 1)[order]
    np.testing.assert_array_equal(d.atmospheric_light(image, dark), d.atmospheric_light(*mixed))


def test_light_of_black_is_not_zero():
    black = np.zeros((4, 4, 3), np.float64)
    np.testing.assert_array_equal(d.atmospheric_light(black, np.zeros((4, 4))), [1 / 255] * 3)


def test_transmission_of_equation_8():
    image = np.full((3, 3, 3), 0.5)
    image[1, 1] = 0.2, 0.9, 0.9
    t = d.transmission(image, np.array([0.8, 1.0, 1.0]), patch=1, omega=0.9)
    expected = np.full((3, 3), 1 - 0.9 * 0.5)
    expected[1, 1] = 1 - 0.9 * 0.25
    np.testing.assert_allclose(t, expected)
    np.testing.assert_allclose(d.transmission(image, 0.8, patch=3, omega=0.9), 1 - 0.9 * 0.25)


def test_guided_filter_against_its_definition_written_out():
    rng = np.random.default_rng(1)
    guide, source, radius, eps = rng.random((9, 7)), rng.random((9, 7)), 2, 0.01

    def box(plane):
        result = np.empty_like(plane)
        for y, x in np.ndindex(plane.shape):
            result[y, x] = plane[
                max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1
            ].mean()
        return result

    slope = (box(guide * source) - box(guide) * box(source)) / (
        box(guide**2) - box(guide) ** 2 + eps
    )
    expected = box(slope) * guide + box(box(source) - slope * box(guide))
    np.testing.assert_allclose(d.guided_filter(guide, source, radius, eps), expected, rtol=1e-12)


def test_recover_undoes_add_haze():
    rng = np.random.default_rng(2)
    scene, t = rng.random((8, 9, 3)), rng.uniform(0.2, 1, (8, 9))
    light = np.array([0.9, 0.85, 0.8])
    np.testing.assert_allclose(d.recover(d.add_haze(scene, t, light), t, light), scene, atol=1e-12)


def test_recover_divides_by_no_less_than_t0():
    image = np.full((1, 1, 3), 0.5)
    clear = d.recover(image, 0.01, np.array([0.6, 0.6, 0.6]), t0=0.5)
    np.testing.assert_allclose(clear, (0.5 - 0.6) / 0.5 + 0.6)


def test_add_haze_carries_alpha_and_rounds_to_nearest():
    scene = np.array([[[100, 0, 255, 7]]], np.uint8)
    hazy = d.add_haze(scene, 0.5, np.array([1.0, 1.0, 0.5]))
    np.testing.assert_array_equal(hazy, [[[178, 128, 191, 7]]])  # 177.5, 127.5, 191.25
    assert hazy.dtype == np.uint8


def test_known_haze_of_constant_depth_is_found_again():
    rng = np.random.default_rng(3)
    scene = rng.random((128, 128, 3)) * 0.8
    scene[rng.random((128, 128)) < 0.2] = 0  # shadows: the prior holds exactly
    scene[:8, :8] = 0.95  # thick haze, or sky, that shows the light
    t, light = 0.6, np.array([0.95, 0.93, 0.9])
    t_map = np.full((128, 128), t)
    t_map[:8, :8] = 0
    hazy = d.add_haze(scene, t_map, light)
    found = d.atmospheric_light(hazy, d.dark_channel(hazy, 5), 0.001)
    np.testing.assert_allclose(found, light, atol=1e-9)
    error = d.transmission(hazy, found, 15, omega=1.0)[30:, 30:] - t
    assert np.abs(error).mean() < 0.02


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9), (8, 1, 1), (30, 41, 3), (12, 13, 4)])
@pytest.mark.parametrize("function", [d.dehaze, d.dehaze_reference])
def test_images_without_contrast_come_back_unchanged(function, dtype, shape):
    for level in (0.0, 1.0, 0.37, 0.002):
        image = as_dtype(np.full(shape, level), dtype)
        if len(shape) == 3 and shape[2] == 4:
            image[..., 3] = SCALE[np.dtype(dtype)]
        result = function(image)
        assert result.dtype == image.dtype
        np.testing.assert_array_equal(result, image)
    if shape[-1] == 3:
        colour = as_dtype(np.broadcast_to(np.array([0.0, 0.4, 0.001]), shape), dtype)
        np.testing.assert_array_equal(function(colour), colour)


@pytest.mark.parametrize("dtype", DTYPES)
def test_grey_is_colour_with_equal_channels(dtype):
    rng = np.random.default_rng(4)
    grey = as_dtype(rng.random((40, 50)), dtype)
    colour = d.dehaze(np.repeat(grey[..., None], 3, axis=2), patch=5, radius=6)
    tolerance = {"uint8": 0, "uint16": 1}.get(grey.dtype.name, 1e-6)
    for image in (grey, grey[..., None]):
        result = d.dehaze(image, patch=5, radius=6)
        assert result.shape == image.shape
        np.testing.assert_allclose(
            result.reshape(40, 50).astype(float), colour[..., 0].astype(float), atol=tolerance
        )


@pytest.mark.parametrize("function", [d.dehaze, d.dehaze_reference])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_data_takes_no_part_and_comes_back(function, dtype):
    rng = np.random.default_rng(5)
    image = as_dtype(rng.uniform(0.2, 0.9, (40, 44, 3)), dtype)
    mask = rng.random((40, 44)) < 0.7
    mask[:, :15] = False
    results = []
    for fill in (0.0, 0.55, 1.0, np.nan):
        if np.isnan(fill) and np.dtype(dtype).kind == "u":
            continue
        filled = image.copy()
        filled[~mask] = as_dtype(np.array(fill), dtype)
        result = function(filled, mask=mask, patch=5, radius=6)
        np.testing.assert_array_equal(result[~mask], filled[~mask])
        results.append(result[mask])
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
    # the masked columns are as good as not there
    cut = function(image[:, 15:], mask=mask[:, 15:], patch=5, radius=6)
    np.testing.assert_allclose(cut[mask[:, 15:]].astype(float), results[0].astype(float), atol=1e-9)


def test_alpha_zero_is_no_data_and_alpha_is_carried_through():
    rng = np.random.default_rng(6)
    image = rng.integers(0, 256, (30, 31, 4), dtype=np.uint8)
    image[:, :10, 3] = 0
    image[:, 10:, 3] = rng.integers(1, 256, (30, 21))
    result = d.dehaze(image, patch=3, radius=4)
    np.testing.assert_array_equal(result[..., 3], image[..., 3])
    np.testing.assert_array_equal(result[:, :10], image[:, :10])
    expected = d.dehaze(np.ascontiguousarray(image[:, 10:, :3]), patch=3, radius=4)
    np.testing.assert_array_equal(result[:, 10:, :3], expected)


def test_nothing_valid_comes_back():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    np.testing.assert_array_equal(d.dehaze(image, mask=np.zeros((4, 4), bool)), image)


GOOD = np.full((4, 5, 3), 0.5)
REFUSED = [
    ({"image": np.zeros((4, 5, 2))}, "image: a shape"),
    ({"image": np.zeros(4)}, "image: a shape"),
    ({"image": np.zeros((0, 5, 3))}, "no pixels"),
    ({"image": np.zeros((4, 5, 3), int)}, "int64"),
    ({"image": np.zeros((4, 5, 3), bool)}, "bool"),
    ({"image": "picture.png"}, "image"),
    ({"image": GOOD * np.nan}, "NaN"),
    ({"image": np.where(np.arange(3) == 1, np.inf, GOOD)}, "infinite"),
    ({"image": GOOD * 255}, "divide by"),
    ({"image": GOOD - 0.7}, "0…1"),
    ({"patch": 0}, "patch"),
    ({"patch": 2.5}, "patch"),
    ({"patch": True}, "patch"),
    ({"radius": -1}, "radius"),
    ({"omega": 1.1}, "omega"),
    ({"omega": float("nan")}, "omega"),
    ({"t0": 0}, "t0"),
    ({"t0": 2}, "t0"),
    ({"fraction": 0}, "fraction"),
    ({"fraction": 1.5}, "fraction"),
    ({"eps": 0}, "eps"),
    ({"eps": "small"}, "eps"),
    ({"mask": np.ones((5, 4), bool)}, "mask"),
    ({"mask": np.ones((4, 5))}, "mask"),
    ({"workers": 0}, "workers"),
]


@pytest.mark.parametrize(("arguments", "text"), REFUSED)
def test_bad_arguments_are_named(arguments, text):
    arguments = {"image": GOOD, **arguments}
    with pytest.raises(ValueError, match=text):
        d.dehaze(arguments.pop("image"), **arguments)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: d.dark_channel(np.zeros((4, 5, 4))), "image"),
        (lambda: d.dark_channel(GOOD, 0), "patch"),
        (lambda: d.atmospheric_light(GOOD, np.zeros((5, 4))), "dark"),
        (lambda: d.atmospheric_light(GOOD, GOOD[..., 0], mask=np.zeros((4, 5), bool)), "mask"),
        (lambda: d.transmission(GOOD, [0.5, 0.5]), "light"),
        (lambda: d.transmission(GOOD, 200), "light"),
        (lambda: d.transmission(GOOD, 0), "light"),
        (lambda: d.guided_filter(GOOD, GOOD[..., 0]), "guide"),
        (lambda: d.guided_filter(GOOD[..., 0], GOOD[:2, :, 0]), "source"),
        (lambda: d.guided_filter(GOOD[..., 0], GOOD[..., 0] * np.nan), "source"),
        (lambda: d.guided_filter(GOOD[..., 0], GOOD[..., 0], eps=-1), "eps"),
        (lambda: d.recover(GOOD, np.zeros((5, 4)), 0.5), "transmission"),
        (lambda: d.recover(GOOD, 0.5, 0.5, t0=0), "t0"),
        (lambda: d.add_haze(GOOD, 1.5, 0.5), "transmission"),
        (lambda: d.add_haze(GOOD * 3, 0.5, 0.5), "scene"),
        (lambda: d.dehaze_batch(GOOD[..., 0]), "images"),
        (lambda: d.dehaze_batch([GOOD, GOOD[:2]]), "one shape"),
        (lambda: d.dehaze_batch(np.stack([GOOD, GOOD * np.nan])), r"images\[1\]"),
    ],
)
def test_bad_arguments_of_the_steps_are_named(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize("omega", [0.0, 0.95])
def test_transmission_is_zero_where_a_window_holds_no_data(omega):
    mask = np.zeros((40, 40), bool)
    mask[:3] = True
    image = np.random.default_rng(0).random((40, 40, 3))
    found = d.transmission(image, (1, 1, 1), 5, omega, mask=mask)
    assert (found[5:] == 0).all()
    assert (found[:5] > 0).all()
