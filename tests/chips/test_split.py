"""The split by the hash of each chip's name."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperlib.chips import SPLITS, Chips, bucket, split_many, split_of
from paperlib.labels import LABELS


def test_bucket_is_the_hash_of_the_name():
    digest = hashlib.sha256(b"train_0").digest()
    assert bucket("train_0") == int.from_bytes(digest, "big") % 100
    # computed once with `printf train_24448 | sha256sum` and bc
    assert bucket("train_24448") == 78


def test_limits_of_the_parts(monkeypatch):
    for value, part in ((0, "test"), (19, "test"), (20, "validation"), (35, "validation"),
                        (36, "train"), (99, "train")):  # fmt: skip
        monkeypatch.setattr("paperlib.chips.split.bucket", lambda name, value=value: value)
        assert split_of("any") == part


def test_whole_set_is_split_as_the_data_readme_says():
    parts = split_many(f"train_{i}" for i in range(40_479))
    sizes = dict(zip(*np.unique(parts, return_counts=True), strict=True))
    assert sizes == {"train": 25_891, "validation": 6_460, "test": 8_128}
    # train to validation is the paper's 8:2
    assert pytest.approx(0.8, abs=0.001) == 25_891 / (25_891 + 6_460)


@given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.randoms())
def test_a_chip_stays_where_it_is_when_others_come_and_go(names, random):
    alone = {name: split_of(name) for name in names}
    shuffled = random.sample(names, len(names))[: len(names) // 2]
    assert [alone[name] for name in shuffled] == split_many(shuffled).tolist()


def test_parts_of_chips_are_disjoint_and_complete():
    names = np.array([f"train_{i}" for i in range(200)])
    chips = Chips(
        names=names,
        images=np.zeros((200, 4, 4, 3), np.uint8),
        labels=np.zeros((200, len(LABELS)), np.uint8),
        source="zeros",
    )
    parts = [chips.part(split).names for split in SPLITS]
    assert sorted(np.concatenate(parts)) == sorted(names)
    assert sum(map(len, parts)) == 200
    with pytest.raises(ValueError, match="train, validation, test"):
        chips.part("dev")


def test_no_test_chips_is_an_empty_part():
    names = [n for n in (f"train_{i}" for i in range(60)) if split_of(n) != "test"]
    chips = Chips(
        names=np.array(names),
        images=np.zeros((len(names), 2, 2, 3), np.uint8),
        labels=np.zeros((len(names), 17), np.uint8),
        source="zeros",
    )
    assert len(chips.part("test")) == 0
    assert len(split_many([])) == 0
