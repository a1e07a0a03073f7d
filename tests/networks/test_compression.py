"""Smaller without training: 8-bit error bounds, dead channels, sizes by hand; distillation."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from training_stand_ins import CONFIG, chips

from paperlib import losses
from paperlib.networks import augment, build, compression
from paperlib.studies import compressed
from paperlib.training import config, distillation, train
from paperlib.utils.errors import PaperError

pytestmark = pytest.mark.usefixtures("cache_of_the_module")


def images(count=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


def network(name="vgg11", **options):
    return build.build(name, size=32, width=0.125, outputs=3, batch_norm="all", **options)


def test_eight_bits_by_hand():
    weights = np.array([[2.54, -0.1], [-1.0, 0.0]], np.float32)
    numbers, scale = compression.int8(weights)
    assert scale.ravel().tolist() == pytest.approx([0.02, 0.1 / 127])
    assert numbers.tolist() == [[127, -127], [-50, 0]]
    numbers, scale = compression.int8(weights, axis=0)
    assert scale.ravel().tolist() == pytest.approx([0.02, 1 / 127])
    assert compression.int8(np.zeros((2, 2)))[1].tolist() == [[1, 1]]


def test_of_several_teachers_the_one_on_these_chips_is_taken_else_one_with_weights(
    tmp_path, monkeypatch
):
    def run(name, same, weights):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").touch()
        weights_file = SimpleNamespace(is_file=lambda: weights)
        return SimpleNamespace(metadata={"chips": same}, weights_file=weights_file, name=name)

    there = [run("t", False, False), run("t-1", False, True), run("t-2", True, True)]
    monkeypatch.setattr(distillation, "load", lambda f: {r.name: r for r in there}[f.name])
    monkeypatch.setattr(distillation, "same_chips", lambda kept, now: kept)
    assert distillation.find_teacher("t", tmp_path / "students", chips()).name == "t-2"
    (tmp_path / "t-2" / "run.json").unlink()
    assert distillation.find_teacher("t", tmp_path / "students", chips()).name == "t-1"
    assert distillation.find_teacher("t", tmp_path).name == "t-1"
    with pytest.raises(PaperError, match="train it first"):
        distillation.find_teacher("u", tmp_path)


@given(
    arrays.arrays(
        np.float32, (3, 3, 2, 5), elements=st.floats(-9, 9, width=32, allow_subnormal=False)
    )
)
def test_no_weight_moves_by_more_than_half_a_step_of_its_own_channel(weights):
    numbers, scale = compression.int8(weights)
    assert numbers.dtype == np.int8
    step = np.abs(weights).max((0, 1, 2)) / 127
    error = np.abs(numbers * scale - weights).max((0, 1, 2))
    assert (error <= step / 2 * (1 + 1e-5) + 1e-12).all()


@pytest.mark.parametrize("name", ["vgg11", "mobilenet"])
def test_few_bits_give_nearly_the_same_answers_and_the_bytes_are_counted(name):
    model = network(name)
    whole = np.asarray(model(images()))
    small = compression.eight_bits(model)
    assert np.abs(np.asarray(small.model(images())) - whole).max() < 0.05
    kernels = [w for layer in small.model.layers if compression._has_kernel(layer)
               for w in layer.get_weights()[:1]]  # fmt: skip
    others = small.model.count_params() - sum(k.size for k in kernels)
    # a scale for each output channel: the last axis, of a depthwise kernel (h, w, C, 1) the third
    scales = sum(k.shape[-1] if k.shape[-1] > 1 else k.shape[2] for k in kernels)
    assert small.bytes == sum(k.size for k in kernels) + 4 * scales + 4 * others
    half = compression.half_precision(model)
    assert half.bytes == 2 * half.model.count_params()
    assert np.abs(np.asarray(half.model(images())) - whole).max() < 5e-3
    assert half.multiply_adds == small.multiply_adds == compression.folded(model).multiply_adds


def test_pruning_dead_channels_keeps_the_function():
    model = network(seed=3)
    rng = np.random.default_rng(0)
    for layer in model.layers:  # a quarter of each convolution's channels never says anything
        if isinstance(layer, keras.layers.Conv2D):
            (kernel,) = layer.get_weights()
            dead = rng.permutation(kernel.shape[-1])[: kernel.shape[-1] // 4]
            kernel[..., dead] = 0
            layer.set_weights([kernel])
    expected = np.asarray(model(images()))
    small = compression.prune(model, 0.75)
    assert np.abs(np.asarray(small.model(images())) - expected).max() < 1e-5
    channels = [x.filters for x in small.model.layers if isinstance(x, keras.layers.Conv2D)]
    assert channels == [6, 12, 24, 24, 48, 48, 48, 48]
    less = compression.prune(model, 0.5)  # now living ones go, too
    assert np.abs(np.asarray(less.model(images())) - expected).max() > 1e-4
    assert less.multiply_adds < small.multiply_adds < compression.folded(model).multiply_adds
    assert less.bytes == 4 * less.model.count_params()


def test_pruning_reads_the_right_places_of_a_flattened_map():
    """At 64 pixels the head flattens 2×2 places, each with the channels that stay."""
    model = build.build("vgg11", size=64, width=0.125, outputs=3, batch_norm="head", seed=1)
    last = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)][-1]
    kernel, bias = last.get_weights()
    kernel[..., ::2] = 0
    last.set_weights([kernel, bias])
    seen = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    whole = compression.prune(model, 1.0)
    assert np.abs(np.asarray(whole.model(seen)) - np.asarray(model(seen))).max() < 1e-5
    half = compression.prune(model, 0.5)
    last = [x for x in half.model.layers if isinstance(x, keras.layers.Conv2D)][-1]
    assert (np.abs(last.get_weights()[0]).sum((0, 1, 2)) > 0).all()


def test_a_network_that_branches_is_not_pruned():
    for name in ("vgg16-skips", "mobilenet_v2"):
        with pytest.raises(ValueError, match="branches"):
            compression.prune(network(name), 0.5)
    with pytest.raises(ValueError, match="keep"):
        compression.prune(network(), 0)


# ---- distillation --------------------------------------------------------------------------------


def test_the_mixed_target_by_hand():
    labels, teacher = np.array([[1.0, 0.0]]), np.array([[0.6, 0.2]])
    assert distillation.mixed_targets(labels, teacher, 0.5).tolist() == [pytest.approx([0.8, 0.1])]
    assert np.array_equal(distillation.mixed_targets(labels, teacher, 0.0), labels)
    for fraction, other in ((1.5, teacher), (0.5, teacher[:, :1])):
        with pytest.raises(ValueError, match=r"fraction|teacher"):
            distillation.mixed_targets(labels, other, fraction)


def test_the_log_loss_of_the_mixed_target_is_the_mixture_of_the_losses():
    labels, teacher = np.array([[1.0, 0.0]]), np.array([[0.6, 0.2]])
    p = np.array([[0.7, 0.4]], np.float32)

    def by_hand(target):
        return float(-(target * np.log(p) + (1 - target) * np.log(1 - p)).mean())

    expected = 0.3 * by_hand(teacher) + 0.7 * by_hand(labels)
    mixed = distillation.mixed_targets(labels, teacher, 0.3)
    assert float(losses.LogLoss()(mixed, p)) == pytest.approx(expected, abs=1e-6)


def test_a_student_learns_from_its_teacher_and_is_told_apart(tmp_path, monkeypatch):
    some = chips()
    short = {**CONFIG.to_dict(), "epochs": 1, "dropout": 0.0}
    teacher = train.train(
        config.Config.from_dict({**short, "epochs": 3}), some, tmp_path, progress=False
    )
    alone = config.Config.from_dict(short)
    given = {"teacher": teacher.config.slug, "teaching": 1.0}
    taught = config.Config.from_dict({**short, **given})
    assert alone.slug != taught.slug
    runs = {
        c.teacher: train.train(c, some, tmp_path / "inside", progress=False)
        for c in (alone, taught)
    }
    losses_ = {t: run.history["loss"].iloc[0] for t, run in runs.items()}
    soft = distillation.soft_labels(teacher.config.slug, some, tmp_path)
    held = some.split == "validation"
    assert np.allclose(soft[held], teacher.part("validation").probability, atol=2e-3)
    assert losses_[""] != losses_[teacher.config.slug]  # another target
    # Over all symmetries a turned chip is answered as the chip itself.
    turned = replace(some, images=np.ascontiguousarray(np.rot90(some.images, axes=(1, 2))))
    two = some, turned
    one, all_of_them = (
        [distillation.soft_labels(teacher.config.slug, c, tmp_path, views=v) for c in two]
        for v in (1, 8)
    )
    assert np.array_equal(one[0], soft)
    monkeypatch.setattr(distillation.code, "stamp", lambda *modules: "the code of tomorrow")
    monkeypatch.setattr(augment, "predict", lambda model, images, views: np.zeros(soft.shape))
    assert not distillation.soft_labels(teacher.config.slug, some, tmp_path).any()
    monkeypatch.undo()
    assert not np.allclose(one[0], one[1], atol=2e-3)
    assert np.allclose(all_of_them[0], all_of_them[1], atol=2e-3)
    with pytest.raises(PaperError, match="no-such-teacher is not in"):
        distillation.soft_labels("no-such-teacher", some, tmp_path)
    with pytest.raises(ValueError, match="teacher"):
        config.Config.from_dict({**short, "teacher": "x", "loss": "f2"})
    with pytest.raises(ValueError, match="teacher_views"):
        config.Config.from_dict({**short, "teacher": "x", "teacher_views": 9})


def test_what_is_shipped_is_read_where_the_weights_are_not(tmp_path, monkeypatch):
    some = chips()
    run = train.train(
        config.Config.from_dict({**CONFIG.to_dict(), "epochs": 1}),
        some,
        tmp_path / "runs",
        progress=False,
    )

    class Place:
        results, has_chips = tmp_path, True

        def chips(self, variant):
            return some

    made = compressed.predictions(Place(), run)
    assert len(made) == len(compression.WAYS)
    _, _, same = made["as trained"]
    assert np.abs(same - run.part("validation").probability).max() < 2e-3
    file = tmp_path / "compressed.npz"
    before = file.read_bytes()
    Place.has_chips = False
    again = compressed.predictions(Place(), run)
    assert file.read_bytes() == before
    assert {how: a[:2] for how, a in again.items()} == {how: a[:2] for how, a in made.items()}
    table = compressed.table(again, run)
    assert table["how"].tolist() == list(made)
    assert table["difference"].iloc[0] == 0
    assert compressed.predictions(Place(), None) == {}
    assert file.read_bytes() == before  # what is shipped cannot be made again without the weights
    file.unlink()
    assert compressed.predictions(Place(), None) == {}
    with np.load(file) as stored:
        assert json.loads(str(stored["note"]))["ways"] == {}
