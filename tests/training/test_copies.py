"""Fixed copies of the training chips, split by copy or by chip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from training_stand_ins import CONFIG, chips

from paperlib.chips.split import first_by_hash
from paperlib.training import copies, train

COPIES = replace(CONFIG, copies=4, augment="figure-3", epochs=1)


def made(split_by: str, seed: int = 0) -> copies.Copies:
    return copies.make(chips(), replace(COPIES, split_by=split_by, seed=seed))


def test_both_ways_to_split_have_the_same_copies_and_train_on_as_many():
    by_copy, by_chip = made("copy"), made("chip")
    np.testing.assert_array_equal(by_copy.images, by_chip.images)
    np.testing.assert_array_equal(by_copy.names, by_chip.names)
    counts = [int((one.split == "train").sum()) for one in (by_copy, by_chip)]
    assert counts == pytest.approx([0.8 * 4 * (chips().split == "train").sum()] * 2, abs=4)
    for one, split_by in ((by_copy, "copy"), (by_chip, "chip")):
        config = replace(COPIES, split_by=split_by)
        count = int((chips().split == "train").sum())
        assert (one.split == "train").sum() == copies.training_count(count, config)


def test_copies_of_a_chip_stand_on_one_side_or_on_both():
    for split_by, shared in (("chip", False), ("copy", True)):
        one = made(split_by)
        trained, held = (
            set(one.shows[one.split == part].tolist()) for part in ("train", copies.HELD_BACK)
        )
        assert bool(trained & held) == shared


def test_no_copy_that_is_trained_on_shows_a_chip_that_the_packages_split_holds_out():
    one, whole = made("copy"), chips()
    held_out = set(whole.names[whole.split != "train"].tolist())
    assert not held_out & set(one.shows[one.split == "train"].tolist())
    validation = set(whole.names[whole.split == "validation"].tolist())
    for part in (copies.UNSEEN, copies.UNSEEN_COPY):
        assert set(one.shows[one.split == part].tolist()) == validation
    unseen = one.split == copies.UNSEEN
    np.testing.assert_array_equal(one.images[unseen], whole.part("validation").images)


def test_copies_differ_from_their_chip_and_carry_its_labels():
    one, whole = made("copy"), chips()
    place = {name: i for i, name in enumerate(whole.names.tolist())}
    rows = [place[name] for name in one.shows.tolist()]
    np.testing.assert_array_equal(one.labels, whole.labels[rows])
    copied = one.split != copies.UNSEEN
    same = (one.images == whole.images[rows]).all((1, 2, 3))
    assert not same[copied].any()
    assert (made("copy", seed=1).split != one.split).any()


def test_a_run_on_copies_predicts_three_held_out_parts(tmp_path):
    run = train.train(replace(COPIES, split_by="copy"), chips(), tmp_path, progress=False)
    assert set(run.split.tolist()) == {copies.HELD_BACK, copies.UNSEEN_COPY, copies.UNSEEN}
    assert np.isfinite(run.probability).all()
    assert run.config.slug != replace(COPIES, split_by="chip").slug
    assert replace(CONFIG, copies=0).slug == CONFIG.slug


def test_fewer_chips_are_the_first_by_their_hashes(tmp_path):
    config = replace(COPIES, split_by="chip", train_chips=60)
    one, whole = copies.make(chips(), config), chips().part("train")
    first = whole.names[first_by_hash(whole.names, 60)]
    copied = np.isin(one.split, ["train", copies.HELD_BACK])
    assert set(one.shows[copied].tolist()) == set(first.tolist())
    assert (one.split == "train").sum() == copies.training_count(60, config)
    run = train.train(config, chips(), tmp_path, progress=False)
    assert (run.split == copies.HELD_BACK).sum() == 4 * 60 - copies.training_count(60, config)


def test_copies_take_no_teacher():
    with pytest.raises(ValueError, match="split_by"):
        replace(COPIES, split_by="hash")
    with pytest.raises(ValueError, match="teacher"):
        replace(COPIES, teacher="a", loss="log")
