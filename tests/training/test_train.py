"""Training runs: kept, resumed to the bit after any kill, told apart by their chips."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import fbeta_score
from training_stand_ins import CONFIG, TAGS, chips

from paperlib.networks import augment
from paperlib.profiles import PROFILES, profile
from paperlib.training import checkpoint, loop, probe, runs, train
from paperlib.training.config import Config
from paperlib.utils import files
from paperlib.utils.errors import PaperError

HERE = Path(__file__).parent


pytestmark = pytest.mark.usefixtures("cache_of_the_module")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """One run from beginning to end; its folder's bytes are what every other way must give."""
    run = train.train(CONFIG, chips(), tmp_path_factory.mktemp("runs"), progress=False)
    shutil.move(run.weights_file.parent, run.weights_file.parent.with_name("undisturbed"))
    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def forget_cache():
    shutil.rmtree(os.environ["PAPER_CACHE"] + "/runs", ignore_errors=True)


def test_a_run_learns_and_says_what_it_did(undisturbed):
    assert list(undisturbed.history["epoch"]) == [0, 1, 2, 3]
    assert undisturbed.history["loss"].iloc[-1] < 0.8 * undisturbed.history["loss"].iloc[0]
    assert undisturbed.metadata["best_epoch"] == undisturbed.history["val_loss"].idxmin()
    made = chips()
    rest = made.split != "train"
    assert np.array_equal(undisturbed.names, made.names[rest])
    assert np.array_equal(undisturbed.truth, made.labels[rest])
    assert undisturbed.probability.dtype == np.float32
    part = undisturbed.part("validation")
    assert set(part.split) == {"validation"}
    assert len(part.truth) == (made.split == "validation").sum()
    assert undisturbed.tags == TAGS


def test_a_run_folder_is_the_same_on_every_machine(undisturbed):
    """No time, no path: two runs of one seed give equal bytes."""
    text = "".join(p.read_text() for p in undisturbed.folder.glob("*.json"))
    assert str(undisturbed.folder.parent) not in text
    assert "seconds" not in text
    assert sorted(contents(undisturbed.folder)) == [
        "config.json",
        "history.csv",
        "predictions.npz",
        "run.json",
    ]


def test_predictions_of_which_two_chips_changed_places_are_no_run(undisturbed, tmp_path):
    """Of names, truth or probability: by the digest in run.json."""
    with np.load(undisturbed.folder / "predictions.npz") as stored:
        arrays = dict(stored)
    rows = np.arange(len(arrays["names"]))
    other = next(i for i in rows if (arrays["truth"][i] != arrays["truth"][0]).any())
    rows[[0, other]] = other, 0
    for what in ("names", "truth", "probability"):
        folder = tmp_path / what
        shutil.copytree(undisturbed.folder, folder)
        files.write_arrays(folder / "predictions.npz", **{**arrays, what: arrays[what][rows]})
        with pytest.raises(PaperError, match="rows were moved or changed"):
            runs.load(folder)
    facts = files.read_json(undisturbed.folder / "run.json")
    files.write_json(folder / "run.json", {k: facts[k] for k in facts if k != "predictions"})
    with pytest.raises(PaperError, match="is no finished run"):
        runs.load(folder)


@pytest.mark.slow
def test_kill_9_at_two_moments_changes_nothing(undisturbed, tmp_path):
    """In the middle of an epoch; then between an epoch's weights and its checkpoint."""
    forget_cache()
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    for epoch, step in ((2, "batch"), (0, "before-checkpoint")):
        script = [sys.executable, "training_stand_ins.py", str(tmp_path), str(epoch), step]
        done = subprocess.run(script, cwd=HERE, env=environment, check=False)
        assert done.returncode == -signal.SIGKILL
        assert not list(tmp_path.rglob("run.json"))
    stored = checkpoint.read(next(Path(os.environ["PAPER_CACHE"]).rglob("checkpoint.npz")))
    assert len(stored[0]["history"]) == 2  # the second process began where the first one stood
    run = train.train(CONFIG, chips(), tmp_path, progress=False)
    assert contents(run.folder) == contents(undisturbed.folder)


def test_five_interruptions_at_random_change_nothing(undisturbed, tmp_path, monkeypatch):
    forget_cache()
    rng = np.random.default_rng(0)
    write = checkpoint.write
    interruptions = 0
    for _ in range(5):
        left = int(rng.integers(0, 4))

        def writing(path, *arguments):
            nonlocal left
            if left == 0:
                if rng.random() < 0.5:  # after the write, or before it
                    write(path, *arguments)
                raise KeyboardInterrupt
            left -= 1
            write(path, *arguments)

        monkeypatch.setattr(checkpoint, "write", writing)
        try:
            train.train(CONFIG, chips(), tmp_path, progress=False)
        except KeyboardInterrupt:
            interruptions += 1
    monkeypatch.setattr(checkpoint, "write", write)
    assert interruptions >= 3
    run = train.train(CONFIG, chips(), tmp_path, progress=False)
    assert contents(run.folder) == contents(undisturbed.folder)


def test_a_compiled_model_taken_over_changes_nothing(undisturbed, tmp_path):
    forget_cache()
    train.train(replace(CONFIG, seed=9, epochs=4), chips(), tmp_path, progress=False)
    assert loop._KEPT
    run = train.train(CONFIG, chips(), tmp_path, progress=False)
    assert contents(run.folder) == contents(undisturbed.folder)
    other = runs.find(replace(CONFIG, seed=9), tmp_path)
    assert not np.array_equal(other.probability, run.probability)


def test_a_finished_run_is_never_trained_again(undisturbed, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(loop, "Training", refuse)
    folder = undisturbed.folder.parent
    again = train.train(CONFIG, chips(), folder, progress=False)
    assert np.array_equal(again.probability, undisturbed.probability)
    assert runs.find(CONFIG, folder).config == CONFIG
    assert runs.find(replace(CONFIG, seed=1), folder) is None


def test_a_lost_run_folder_is_made_again_from_the_kept_weights(tmp_path, monkeypatch):
    forget_cache()
    short = replace(CONFIG, epochs=1)
    run = train.train(short, chips(), tmp_path, progress=False)
    kept = contents(run.folder)
    shutil.rmtree(run.folder)
    monkeypatch.setattr(loop.Training, "_epoch", None)  # no epoch may be trained
    assert contents(train.train(short, chips(), tmp_path, progress=False).folder) == kept


def test_other_chips_are_trained_separately(tmp_path):
    forget_cache()
    short = replace(CONFIG, epochs=1)
    first = train.train(short, chips(), tmp_path, progress=False)
    kept = contents(first.folder)
    other = train.train(short, chips(seed=1), tmp_path, progress=False)
    assert other.folder != first.folder
    assert other.folder.name.startswith(short.slug)
    assert contents(first.folder) == kept
    assert not np.array_equal(other.probability, first.probability)
    assert runs.find(short, tmp_path, chips(seed=1)).folder == other.folder
    assert runs.find(short, tmp_path, chips()).folder == first.folder


def test_chips_are_recognised_through_another_decoder_but_not_with_other_labels():
    made = chips()
    rounded = made.images.copy()
    rounded[:, ::7, ::5] += 1
    near = made.with_images(rounded, "")
    assert near.fingerprint != made.fingerprint
    assert runs.same_chips(runs.describe(made), runs.describe(near))
    brighter = made.with_images(np.minimum(made.images, 245) + 10, "")
    assert not runs.same_chips(runs.describe(made), runs.describe(brighter))
    labels = made.labels.copy()
    labels[5, 1] ^= 1
    relabelled = replace(made, labels=labels)
    assert not runs.same_chips(runs.describe(made), runs.describe(relabelled))


def test_validation_and_test_chips_teach_nothing(undisturbed, tmp_path):
    """Other pixels and labels in them: the same weights after one epoch."""
    forget_cache()
    made, weights = chips(), []
    rest = made.split != "train"
    images, labels = made.images.copy(), made.labels.copy()
    images[rest], labels[rest] = 255 - images[rest], 1 - labels[rest]
    for given in (made, replace(made, images=images, labels=labels)):
        run = train.train(replace(CONFIG, epochs=1), given, tmp_path, progress=False)
        weights.append(np.concatenate([w.ravel() for w in run.model().get_weights()]))
    assert np.array_equal(*weights)


def test_every_chip_of_an_epoch_is_shown_once():
    made = chips()
    order = np.random.default_rng([0, 1]).permutation(np.flatnonzero(made.split == "train"))
    seen, labels = loop.epoch_of(made.images, made.labels.astype("float32"), order, 32)
    assert len(seen) == len(labels) == len(order) // 32 * 32
    assert len(np.unique(seen.reshape(len(seen), -1), axis=0)) == len(seen)
    assert np.array_equal(labels[32:64], made.labels[order[32:64]])


def test_one_label_alone(tmp_path):
    config = replace(CONFIG, outputs="red", epochs=1)
    run = train.train(config, chips(), tmp_path, progress=False)
    assert np.isfinite(run.probability[:, 1]).all()
    assert np.isnan(run.probability[:, [0, 2]]).all()
    assert run.truth.shape == run.probability.shape
    assert run.model().output_shape == (None, 1)
    part = run.part("validation")
    own = fbeta_score(part.truth[:, 1], part.probability[:, 1] > 0.2, beta=2, zero_division=0)
    assert run.val_f2 == pytest.approx(own)


def test_weights_give_the_stored_probabilities(tmp_path):
    run = train.train(replace(CONFIG, epochs=1), chips(), tmp_path, progress=False)
    made = chips()
    again = augment.predict(run.model(), made.images[made.split != "train"])
    assert np.allclose(again, run.probability, atol=1e-3)
    run.weights_file.unlink()
    with pytest.raises(PaperError, match="are not here"):
        run.model()


@pytest.fixture
def unprobed(monkeypatch):
    """No probe, which would be given the scripted losses."""
    monkeypatch.setattr(probe, "numbers", lambda *_: {})


def test_plateau_and_early_stop_follow_the_validation_loss(tmp_path, monkeypatch, unprobed):
    """Best after epochs 0, 1, 4; flat twice: ×0.1; flat three times: the end, with the best."""
    scripted = iter([1.0, 0.9, 0.95, 0.95, 0.8, 0.9, 0.9, 0.9, 0.1])
    monkeypatch.setattr(loop.Training, "_mean_loss", lambda *_: next(scripted))
    config = replace(CONFIG, epochs=20, rate=1e-3)
    run = train.train(config, chips(), tmp_path, progress=False)
    assert len(run.history) == 8
    assert run.metadata["best_epoch"] == 4
    assert run.history["rate"].to_numpy() == pytest.approx([1e-3] * 4 + [1e-4] * 3 + [1e-5])


def test_what_is_watched_may_be_the_metric(tmp_path, monkeypatch, unprobed):
    """The loss falls on and on, the metric stalls after epoch 1: it decides rate, end and best."""
    falling = iter(np.linspace(1, 0.1, 20))
    metric = iter([0.5, 0.6, 0.6, 0.55, 0.6, 0.6])
    monkeypatch.setattr(loop.Training, "_mean_loss", lambda *_: next(falling))
    monkeypatch.setattr(loop.Training, "_metric", lambda *_: next(metric))
    config = replace(CONFIG, epochs=20, rate=1e-3, watch="val_f2")
    run = train.train(config, chips(), tmp_path, progress=False)
    assert len(run.history) == 5
    assert run.metadata["best_epoch"] == 1
    assert run.history["rate"].to_numpy() == pytest.approx([1e-3] * 4 + [1e-4])


def test_with_more_patience_the_rate_falls_once_every_plateau(tmp_path, monkeypatch, unprobed):
    scripted = iter([1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    monkeypatch.setattr(loop.Training, "_mean_loss", lambda *_: next(scripted))
    config = replace(CONFIG, epochs=20, rate=1e-3, patience=5)
    run = train.train(config, chips(), tmp_path, progress=False)
    assert run.history["rate"].to_numpy() == pytest.approx([1e-3] * 3 + [1e-4] * 2 + [1e-5])


def test_one_cycle_rises_and_falls(tmp_path):
    config = replace(CONFIG, schedule="one-cycle", epochs=25, rate=1e-2)
    begun = loop.Training(config, chips(), tmp_path, progress=False)
    rates = []
    for epoch in range(25):
        begun.model.optimizer.iterations.assign(epoch * begun.steps)
        rates.append(float(begun.model.optimizer.learning_rate))
    assert rates[0] == pytest.approx(1e-2 / 25)
    assert max(rates) == rates[5] == pytest.approx(1e-2)
    assert (np.diff(rates[:6]) > 0).all()
    assert (np.diff(rates[5:]) < 0).all()
    assert rates[-1] < 1e-4


def test_a_damaged_checkpoint_starts_the_run_anew(tmp_path):
    forget_cache()
    short = replace(CONFIG, epochs=1)
    run = train.train(short, chips(), tmp_path, progress=False)
    kept = contents(run.folder)
    shutil.rmtree(run.folder)
    run.weights_file.with_name("checkpoint.npz").write_bytes(b"PK\x03\x04 half a file")
    assert contents(train.train(short, chips(), tmp_path, progress=False).folder) == kept


def test_configurations_refuse_what_they_do_not_know():
    with pytest.raises(PaperError, match=r"unknown key 'learning_rate'.*rate"):
        Config.from_dict({"learning_rate": 0.1})
    with pytest.raises(PaperError, match="epochs is int"):
        Config.from_dict({"epochs": "4"})
    with pytest.raises(ValueError, match="variant"):
        Config(variant="foggy")
    with pytest.raises(ValueError, match="schedule"):
        Config(schedule="step")
    with pytest.raises(PaperError, match="unknown key 'width2'"):
        Config.parse(["width2=1"])
    with pytest.raises(PaperError, match="no int"):
        Config.parse(["epochs=many"])
    assert Config.parse(["epochs=4", "rate=1e-3", "loss=f2"]) == {
        "epochs": 4,
        "rate": 1e-3,
        "loss": "f2",
    }


@pytest.mark.parametrize("name", PROFILES)
def test_configurations_survive_json_and_slugs_tell_them_apart(name):
    config = Config.of(profile(name))
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    changes = [{"seed": 1}, {"loss": "f2"}, {"variant": "dehazed"}, {"rate": 0.5}, {"dense": 64}]
    slugs = {config.slug, *(replace(config, **change).slug for change in changes)}
    assert len(slugs) == len(changes) + 1
    assert all(set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.") for slug in slugs)


def test_slugs_of_shipped_runs_stay():
    """The names of the folders under results/: changing them would train everything again."""
    assert Config().slug == "vgg16-w1-32px-original-log-all-s0-44136fa3"
    config = Config(width=0.25, loss="f2", variant="dehazed", seed=2)
    assert config.slug == "vgg16-w0.25-32px-dehazed-f2-all-s2-96e942e8"


def test_chips_that_cannot_train_are_refused(tmp_path):
    made = chips()
    count = int((made.split == "train").sum())
    for config, given, says in [
        (replace(CONFIG, size=64), made, "32 px"),
        (replace(CONFIG, outputs="green"), made, "no label 'green'"),
        (replace(CONFIG, batch=512), made, "lower the batch"),
        (replace(CONFIG, batch=count, copies=1), made, "lower the batch"),  # a fifth is held back
        (replace(CONFIG, batch=count, schedule="cyclical", cycle=1), made, "cycle=1"),
        (replace(CONFIG, frozen_to="block9"), made, "frozen_to: of .* one of block1"),
        (CONFIG, made.part("train"), "no validation chip"),
    ]:
        with pytest.raises(PaperError, match=says):
            train.train(config, given, tmp_path, progress=False)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(PaperError, match="no finished run"):
        runs.load(tmp_path)
    files.write_json(tmp_path / "run.json", {})
    with pytest.raises(PaperError, match="no finished run"):
        runs.load(tmp_path)
