"""Generated scenes: the same everywhere, equation 3 with the true t and A, real label sets."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from paperlib import dehaze
from paperlib.chips import scenes
from paperlib.labels import COMMON, LABELS, PUBLISHED_CHIPS, PUBLISHED_COUNTS, RARE, WEATHER, encode
from paperlib.utils import code


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_CACHE", str(tmp_path))
    return tmp_path


def digest(drawn: scenes.Scene) -> str:
    parts = (drawn.image, drawn.clear, drawn.transmission, drawn.light)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def test_another_process_draws_the_same_scenes_in_any_order():
    code = (
        "import sys; sys.path.insert(0, 'tests/chips')\n"
        "from test_scenes import digest\n"
        "from paperlib.chips import scenes\n"
        "for i in (11, 3, 7): print(i, digest(scenes.scene(i, seed=5)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    other = dict(line.split() for line in run.stdout.splitlines())
    assert other == {str(i): digest(scenes.scene(i, seed=5)) for i in (3, 7, 11)}


def test_seed_and_index_each_change_the_scene():
    assert len({digest(scenes.scene(i, seed=s)) for i in range(4) for s in range(4)}) == 16


@pytest.mark.parametrize("weather", [*WEATHER, None])
def test_the_picture_is_equation_3_of_the_clear_scene(weather):
    for index in range(8):
        s = scenes.scene(index, tags=["primary", "road"] + ([weather] if weather else []))
        again = dehaze.add_haze(s.clear, s.transmission, s.light)
        off = np.abs(again.astype(int) - s.image)
        assert off.max() <= 1
        assert (off > 0).mean() < 1e-3  # float32 against float64 at exact halves
        assert s.transmission.dtype == np.float32
        assert 0 < s.transmission.min() <= s.transmission.max() <= 1
        assert ((s.light > 1 / 255) & (s.light < 1)).all()


def test_transmission_varies_gently():
    for index in range(20):
        t = scenes.scene(index, tags=["haze", "primary"]).transmission
        assert np.abs(np.diff(t, axis=0)).max() < 0.02
        assert np.abs(np.diff(t, axis=1)).max() < 0.02


def test_haze_is_thicker_than_a_clear_day_and_cloud_is_not_haze():
    def level(tag):
        drawn = [scenes.scene(i, tags=[tag, "primary"]) for i in range(30)]
        return np.array([s.transmission.mean() for s in drawn])

    hazy, clear = level("haze"), level("clear")
    assert hazy.max() < 0.85
    assert clear.min() > 0.5
    assert np.median(hazy) + 0.25 < np.median(clear)
    # a cloud stays in the haze-free scene
    bright = [
        (scenes.scene(i, tags=["partly_cloudy", "primary"]).clear.min(2) > 150).mean()
        for i in range(20)
    ]
    assert np.median(bright) > 0.01
    assert (
        max(
            (scenes.scene(i, tags=["clear", "primary"]).clear.min(2) > 150).mean()
            for i in range(20)
        )
        < 0.01
    )


def test_haze_hides_what_lies_below():
    """Local contrast in the picture is that of the clear scene times t, so shapes fade."""

    def contrast(image):
        return np.abs(np.diff(image.astype(float), axis=0)).mean()

    for index in range(10):
        s = scenes.scene(index, tags=["haze", "primary", "water"])
        assert contrast(s.image) < contrast(s.clear) * s.transmission.max() + 0.3


@pytest.mark.parametrize("size", [1, 17, 32, 256, 300])
def test_any_size(size):
    s = scenes.scene(2, size=size)
    assert s.image.shape == s.clear.shape == (size, size, 3)
    assert s.transmission.shape == (size, size)
    whole = scenes.scene(2)
    assert np.abs(s.image.mean((0, 1)) - whole.image.mean((0, 1))).max() < 2


def test_label_sets_are_those_of_the_real_chips():
    sets, counts = scenes.label_sets()
    assert counts.sum() == 32_351
    assert len(set(sets)) == len(sets)
    table = np.stack([encode(tags) for tags in sets])
    assert (table[:, :4].sum(1) <= 1).all()
    marginals = table.T @ counts
    whole = np.array([PUBLISHED_COUNTS[tag] for tag in LABELS])
    expected = whole * (counts.sum() / PUBLISHED_CHIPS)
    assert (np.abs(marginals - expected) < 4 * np.sqrt(expected * 0.2) + 5).all()


def test_tags_are_drawn_as_often_as_they_occur_and_together_as_they_occur():
    sets, counts = scenes.label_sets()
    table = np.stack([encode(tags) for tags in sets]).astype(float)
    real = (table * counts[:, None]).T @ table / counts.sum()
    n = 12_000
    drawn = np.stack([encode(scenes.tags_of(i, seed=3)) for i in range(n)]).astype(float)
    error = np.abs(drawn.T @ drawn / n - real)
    assert (error < 4.5 * np.sqrt(real * (1 - real) / n) + 2 / n).all()
    assert 5 < drawn[:6000, LABELS.index("blow_down")].sum() < 30  # rare stays rare


def test_tags_as_given_are_drawn_in_the_order_of_the_labels():
    assert scenes.scene(0, tags=["water", "clear", "water"]).tags == ("clear", "water")
    assert scenes.scene(4).tags == scenes.tags_of(4)
    assert scenes.scene(0, tags=[]).tags == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": 0, "tags": ["lake"]}, "lake is not among the 17 labels"),
        ({"index": 0, "tags": ["clear", "haze"]}, "one weather at most"),
        ({"index": -1}, "index: 0 or more"),
        ({"index": 0, "size": 0}, "size: at least 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        scenes.scene(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"count": 0}, "count"), ({"count": 1, "variant": "x"}, "variant")]
)
def test_wrong_arguments_of_read_are_named(arguments, message, cache):
    with pytest.raises(ValueError, match=message):
        scenes.read(**arguments)


def features(image: np.ndarray) -> np.ndarray:
    """Colour quantiles and edge strengths of a 64-pixel chip: no network, only statistics."""
    small = scenes.resize(image, 64).astype(float)
    opponent = np.stack(
        [small.mean(2), small[..., 0] - small[..., 1], small[..., 1] - small[..., 2]], 2
    )
    quantiles = np.quantile(opponent, [0.01, 0.1, 0.5, 0.9, 0.99], axis=(0, 1)).ravel()
    edges = [np.abs(np.diff(opponent, axis=a)).mean((0, 1)) for a in (0, 1)]
    peaks = [np.quantile(np.abs(np.diff(opponent, axis=a)), 0.99, axis=(0, 1)) for a in (0, 1)]
    return np.concatenate([quantiles, *edges, *peaks, opponent.std((0, 1))])


@pytest.fixture(scope="module")
def plain_forest() -> np.ndarray:
    drawn = [scenes.scene(i, tags=["clear", "primary"]) for i in range(40)]
    return np.stack([features(s.image) for s in drawn])


@pytest.mark.parametrize("tag", [*COMMON[1:], *RARE])
def test_every_label_leaves_evidence_that_mere_statistics_see(tag, plain_forest):
    drawn = [scenes.scene(i, tags=["clear", "primary", tag]) for i in range(50, 90)]
    x = np.concatenate([plain_forest, [features(s.image) for s in drawn]])
    y = np.repeat([0, 1], 40)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=500))
    score = cross_val_predict(model, x, y, cv=5, method="decision_function")
    assert roc_auc_score(y, score) > 0.85


def test_read_draws_once_and_keeps(cache, monkeypatch):
    chips = scenes.read(12, size=32, progress=False)
    assert chips.names[:2].tolist() == ["scene_000000", "scene_000001"]
    assert chips.images.shape == (12, 32, 32, 3)
    expected = np.stack([scenes.scene(i, size=32).image for i in range(12)])
    np.testing.assert_array_equal(chips.images, expected)
    np.testing.assert_array_equal(chips.labels[5], encode(scenes.tags_of(5)))
    monkeypatch.setattr(scenes, "_picture", None)  # a second drawing would fail
    again = scenes.read(12, size=32, progress=False)
    assert again.fingerprint == chips.fingerprint


def test_variants_show_the_same_scenes(cache):
    read = {v: scenes.read(6, variant=v, progress=False) for v in scenes.VARIANTS}
    assert len({chips.fingerprint for chips in read.values()}) == 3
    for chips in read.values():
        np.testing.assert_array_equal(chips.labels, read["original"].labels)
    s = scenes.scene(4)
    np.testing.assert_array_equal(read["clear"].images[4], scenes.resize(s.clear, 32))
    np.testing.assert_array_equal(
        read["dehazed"].images[4], scenes.resize(dehaze.dehaze(s.image), 32)
    )


def test_a_killed_read_continues_and_workers_do_not_matter(cache, monkeypatch):
    monkeypatch.setattr(scenes, "_BLOCK", 5)
    picture, drawn = scenes._picture, []

    def counted(index, *rest):
        drawn.append(index)
        if index == 12 and len(drawn) < 20:
            raise KeyboardInterrupt
        return picture(index, *rest)

    monkeypatch.setattr(scenes, "_picture", counted)
    with pytest.raises(KeyboardInterrupt):
        scenes.read(14, workers=1, progress=False)
    assert not list(cache.glob("**/*-14.npy"))
    drawn.extend([-1] * 20)
    before = len(drawn)
    chips = scenes.read(14, workers=3, progress=False)
    assert sorted(drawn[before:]) == [10, 11, 12, 13]
    expected = np.stack([scenes.scene(i, size=32).image for i in range(14)])
    np.testing.assert_array_equal(chips.images, expected)
    assert [path.name[-6:] for path in cache.glob("**/*.npy")] == ["14.npy"]  # no block is left


def test_scenes_are_drawn_on_the_cores_this_process_may_use(cache, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0}, raising=False)
    threads, pool = [], scenes.ThreadPoolExecutor
    monkeypatch.setattr(scenes, "ThreadPoolExecutor", lambda n: threads.append(n) or pool(n))
    scenes.read(2, progress=False)
    assert threads == [1]


def test_a_changed_drawing_is_not_taken_from_the_cache(cache, monkeypatch):
    first = scenes.read(2, progress=False)
    monkeypatch.setattr(scenes, "_fingerprint", lambda variant: "another drawing")
    monkeypatch.setattr(scenes, "_picture", lambda *_: np.zeros((32, 32, 3), np.uint8))
    second = scenes.read(2, progress=False)
    assert first.fingerprint != second.fingerprint


def test_a_changed_dehazing_makes_dehazed_scenes_anew(monkeypatch):
    """A kernel or equation too, not only the module with the public functions."""
    read, changed = Path.read_bytes, "equations.py"
    more = b"\nCHANGED = 1\n"
    before = {v: scenes._fingerprint.__wrapped__(v) for v in scenes.VARIANTS}
    monkeypatch.setattr(Path, "read_bytes", lambda self: read(self) + more * (self.name == changed))
    code.forget()
    after = {v: scenes._fingerprint.__wrapped__(v) for v in scenes.VARIANTS}
    code.forget()  # for the tests that follow
    assert [v for v in scenes.VARIANTS if before[v] != after[v]] == ["dehazed"]


def test_examples_show_each_label_in_its_own_scenes():
    shown = scenes.examples(1)
    assert tuple(shown) == LABELS
    assert all(tag in s.tags for tag, row in shown.items() for s in row)
    assert len({digest(s) for row in shown.values() for s in row}) == 17
