"""The glossary: each word in order, in the notebook it names, and all labels."""

from __future__ import annotations

import re

import nbformat
import pytest

from paperlib.labels import LABELS


@pytest.fixture(scope="module")
def text(root) -> str:
    return (root / "notebooks/glossary.md").read_text(encoding="utf-8")


def entries(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^\*\*([^*]+)\*\* \((\d\d)\)\.", text, flags=re.M)


def test_words_are_in_order_and_explained_once(text):
    words = [word.lower() for word, _ in entries(text)]
    assert len(words) > 30
    assert words == sorted(words)
    assert len(set(words)) == len(words)
    for word in (
        "convolution",
        "pooling",
        "padding",
        "activation",
        "dropout",
        "bootstrap",
        "nested",
    ):
        assert word in words


def test_every_word_is_used_in_its_notebook(root, text):
    for word, number in entries(text):
        (path,) = (root / "notebooks").glob(f"{number}_*.ipynb")
        prose = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells).lower()
        wanted = [part.strip().lower() for part in word.split(",")]
        stems = [part if len(part) < 8 else part[:-3] for part in wanted]  # augment, activat…
        assert any(stem in prose for stem in stems), (word, number)


def test_every_label_is_explained(text):
    table = text[text.index("## The 17 labels") :]
    told = re.findall(r"^\| (\w+) \| .{10,} \|$", table, flags=re.M)
    assert sorted(told) == sorted([*LABELS, "label"])
