"""A notebook in Chinese: the same code, every text cell, the same formulas, its own words."""

from __future__ import annotations

import ast
import json
import re
import shutil
import string

import nbformat
import pytest

from paperlib.pipeline import notebooks, translation
from paperlib.teaching import exercises, words
from paperlib.teaching.exercises import dark_channel as book
from paperlib.utils.errors import PaperError

NAME = "02_dark_channel.ipynb"


@pytest.fixture
def folder(root, tmp_path):
    """The notebook and its translation, as they are committed."""
    place = tmp_path / "notebooks"
    (place / "zh").mkdir(parents=True)
    shutil.copy2(root / "notebooks" / NAME, place)
    shutil.copy2(root / "notebooks/zh/02_dark_channel.md", place / "zh")
    return place


@pytest.fixture
def chinese():
    words.use("zh")
    yield
    words.use("en")


def formulas(text):
    """The displayed formulas, without the words that stand in them."""
    found = re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)
    return [re.sub(r"\\text\{.*?\}", "", part) for part in found]


def test_the_code_is_the_same_and_the_text_is_chinese(folder):
    english = nbformat.read(folder / NAME, as_version=4)
    node = translation.translated(folder / NAME, "zh")
    nbformat.validate(node)
    for one, other in zip(english.cells, node.cells, strict=True):
        assert (one.id, one.cell_type) == (other.id, other.cell_type)
        if one.cell_type == "markdown":
            assert re.search("[一-鿿]", other.source), one.id
        elif "parameters" in one.metadata.get("tags", []):
            assert one.source.replace('language = "en"', 'language = "zh"') == other.source
        else:
            assert one.source == other.source


def test_formulas_headings_and_code_names_are_those_of_the_english_text(folder):
    english = {cell.id: cell.source for cell in nbformat.read(folder / NAME, as_version=4).cells}
    for name, text in translation.text(folder / "zh/02_dark_channel.md").items():
        assert formulas(text) == formulas(english[name]), name
        assert re.findall("^#+ ", english[name], re.M) == re.findall("^#+ ", text, re.M), name
        code = set(re.findall(r"`[^`]+`", text)) - {'`page.explore(language="en")`'}
        assert code <= set(re.findall(r"`[^`]+`", english[name])), name


def test_a_line_that_ends_within_a_chinese_sentence_leaves_no_space(tmp_path):
    path = tmp_path / "02.md"
    path.write_text(
        "<!-- a -->\n第一行\n第二行 $t$\n第三行。\n\n> 引文\n> 继续\n\n- 一\n- 二\n",
        encoding="utf-8",
    )
    assert translation.text(path)["a"] == ("第一行第二行 $t$\n第三行。\n\n> 引文继续\n\n- 一\n- 二")


def test_another_formula_would_be_found():
    assert formulas("$$ a = \\text{x} $$ b $$c$$") == [" a =  ", "c"]
    assert formulas("$$ I - J $$") != formulas("$$ I + J $$")


def test_a_cell_without_its_translation_is_named(folder):
    path = folder / "zh/02_dark_channel.md"
    path.write_text(path.read_text(encoding="utf-8").replace("<!-- 02-13 -->\n", ""))
    with pytest.raises(PaperError, match="02-13"):
        translation.translated(folder / NAME, "zh")


def test_a_language_that_is_not_there_is_refused(folder):
    with pytest.raises(PaperError, match="'fr'") as caught:
        translation.translated(folder / NAME, "fr")
    assert "en, zh" in str(caught.value)


def test_what_is_executed(folder, tmp_path):
    beside = tmp_path / "copy.ipynb"
    assert translation.source(folder / NAME, {}, beside) == folder / NAME
    assert not beside.exists()
    assert translation.source(folder / NAME, {"language": "zh"}, beside) == beside
    assert "暗通道" in beside.read_text(encoding="utf-8")


def test_working_copies_are_made_once(folder, tmp_path):
    copies = tmp_path / "mine"
    copies.mkdir()
    translation.main(folder, copies)
    (copy,) = copies.iterdir()
    assert copy.name == "02_dark_channel.zh.ipynb"
    copy.write_text("my answer")
    translation.main(folder, copies)
    assert copy.read_text() == "my answer"


def sentences(root):
    """All that notebook 02 and its exercises can say."""
    for exercise in book.BOOK.exercises.values():
        yield from (exercise.done, exercise.reason, *exercise.flaws.values())
    yield from book._SAND_WRONG.values()
    sources = [path.read_text() for path in (root / "paperlib/teaching/exercises").glob("*.py")]
    node = notebooks.read(root / "notebooks" / NAME).node
    sources += [cell.source for cell in node.cells if cell.cell_type == "code"]
    for source in sources:
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "say":
                yield from (n.value for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant)
                            and isinstance(n.value, str))  # fmt: skip
            if isinstance(call, ast.Assign) and getattr(call.targets[0], "id", "") == "text":
                yield from ([call.value.value] if isinstance(call.value, ast.Constant) else [])


def places(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def test_every_sentence_has_its_chinese_with_the_same_places(root):
    told = words.chinese()
    said = {sentence for sentence in sentences(root) if sentence}
    assert len(said) > 140
    assert sorted(said - told.keys()) == []
    for sentence in said:
        if "{" in sentence:
            assert places(sentence) == places(told[sentence]), sentence


def test_the_catalogue_has_no_sentence_twice(root):
    pairs = json.loads(
        (root / "paperlib/teaching/chinese.json").read_text(), object_pairs_hook=lambda p: p
    )
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))


def test_a_wrong_answer_is_told_in_chinese(chinese, monkeypatch):
    monkeypatch.setattr(book.BOOK, "tries", {})
    monkeypatch.setattr(book.BOOK, "solved", set())
    verdict = exercises.check_haze(lambda scene, t, light: scene * t[..., None])
    assert verdict.message == "缺少雾散射进相机的光"
    assert verdict.progress == "已完成 0/6"
    assert "✘ 还不对" in verdict._repr_html_()
    off = exercises.check_haze(lambda scene, t, light: scene + 0.123 * t[..., None] ** 3)
    assert off.message.startswith("最大相差 ")
    assert "exercises.solution('haze')" in off.message
    assert not re.search("[a-z]{4,} [a-z]{3,}", off.message)
    error = exercises.check_haze(lambda scene, t, light: scene * t)
    assert "请写 t[..., None]" in error.message


def test_an_unknown_language_is_refused():
    with pytest.raises(PaperError, match="'fr'"):
        words.use("fr")
    assert words.say("right") == "right"
