"""The 17 tags, and the facts about the whole labelled set that DESIGN section 4 names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperlib import labels
from paperlib.chips.label_file import read_table


def test_order_is_that_of_table_1():
    assert labels.LABELS == (
        "cloudy",
        "partly_cloudy",
        "haze",
        "clear",
        "primary",
        "water",
        "habitation",
        "agriculture",
        "road",
        "cultivation",
        "bare_ground",
        "slash_burn",
        "selective_logging",
        "blooming",
        "conventional_mine",
        "artisinal_mine",
        "blow_down",
    )
    assert labels.COUNT == 17


def test_groups_partition_the_labels():
    assert labels.WEATHER + labels.COMMON + labels.RARE == labels.LABELS
    assert (len(labels.WEATHER), len(labels.COMMON), len(labels.RARE)) == (4, 7, 6)


def test_every_label_has_its_own_two_names():
    for names in (labels.ENGLISH, labels.CHINESE):
        assert set(names) == set(labels.LABELS)
        assert len(set(names.values())) == 17


def test_the_chinese_names_are_the_papers():
    """Each stands in a row of table 1, which the digest of the sources holds with its number."""
    import quotations

    from paperlib.published import published

    for tag, printed in published()["table1"]["f2"].items():
        digits = f"{printed:.5f}"
        row = f"{labels.CHINESE[tag]} {digits[:5]} {digits[5:]}"
        assert not quotations.missing(row, "paper", "4.3"), tag


def test_published_counts():
    assert labels.PUBLISHED_CHIPS == 40_479
    assert sum(labels.PUBLISHED_COUNTS.values()) == 116_205
    assert labels.PUBLISHED_COUNTS["cultivation"] == 4_477  # 4,547 with repeats
    assert labels.PUBLISHED_COUNTS["blow_down"] == 98  # 101 with repeats
    # one chip, train_24448, has no weather tag, and none has two
    assert sum(labels.PUBLISHED_COUNTS[tag] for tag in labels.WEATHER) == 40_479 - 1


def test_encode_by_hand():
    row = labels.encode(["primary", "clear", "primary"])  # a repeat counts once
    assert row.dtype == np.uint8
    assert row.tolist() == [0, 0, 0, 1, 1] + [0] * 12
    with pytest.raises(KeyError, match="cumulus"):
        labels.encode(["cumulus"])


def test_encode_many():
    assert labels.encode_many([]).shape == (0, 17)
    rows = labels.encode_many([["haze"], [], ["blow_down"]])
    assert rows.sum(axis=1).tolist() == [1, 0, 1]
    assert rows[2, 16] == 1


@given(st.sets(st.sampled_from(labels.LABELS)))
def test_decode_undoes_encode(tags):
    decoded = labels.decode(labels.encode(tags))
    assert set(decoded) == tags
    assert decoded == sorted(decoded, key=labels.INDEX.__getitem__)


def test_decode_refuses_another_shape():
    with pytest.raises(ValueError, match=r"\(17,\)"):
        labels.decode(np.zeros((1, 17)))


@pytest.mark.data
def test_the_real_label_file(shared):
    """32,351 of the 40,479 rows: what is said of the whole set, as far as it shows here."""
    table = read_table(shared / "data" / "planet32" / "train_v2.csv")
    assert len(table.rows) == 32_351
    assert table.bad == []
    assert table.without_weather == ["train_24448"]
    repeated = table.repeated
    assert len(repeated) == 54 <= 73
    assert {tag for tags in repeated.values() for tag in tags} == {"cultivation", "blow_down"}
    counts = table.counts()
    for tag, published in labels.PUBLISHED_COUNTS.items():
        expected, spread = published * 0.8, 4 * np.sqrt(published * 0.8 * 0.2)
        assert abs(counts[tag] - expected) < spread, tag  # a random four fifths of them


@pytest.mark.data
def test_best_constant_prediction(shared):
    """One answer for all chips scores 0.6890 on the whole set; four fifths of it come close."""
    table = read_table(shared / "data" / "planet32" / "train_v2.csv")
    truth = labels.encode_many(list(table.rows.values()))
    order = np.argsort(-truth.sum(axis=0))
    scores = [
        np.mean(5 * truth[:, order[:k]].sum(axis=1) / (4 * truth.sum(axis=1) + k))
        for k in range(1, 18)
    ]
    assert max(scores) == pytest.approx(0.6890, abs=0.002)
