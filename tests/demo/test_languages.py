"""The whole site in Chinese: no string of a page or a view is left out, no placeholder is lost."""

from __future__ import annotations

import gettext
import re

import pytest
from conftest import SITE
from showcase.services import model_card

from paperlib import predictor
from paperlib.utils import files

APP = SITE / "showcase"
MO = APP / "locale/zh_Hans/LC_MESSAGES/django.mo"
IN_TEMPLATE = re.compile(r"""\{%\s*translate\s+(?:"([^"]+)"|'([^']+)')""")
IN_CODE = re.compile(r"""\b_l?\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)""")
PLACEHOLDER = re.compile(r"%\(\w+\)[sdg]|\{\w+\}")


@pytest.fixture(scope="module")
def chinese() -> dict:
    with MO.open("rb") as file:
        return gettext.GNUTranslations(file)._catalog


def strings() -> list[str]:
    found = set()
    for path in (APP / "templates").rglob("*.html"):
        found |= {a or b for a, b in IN_TEMPLATE.findall(path.read_text("utf-8"))}
    for path in APP.rglob("*.py"):
        for parts in IN_CODE.findall(path.read_text("utf-8")):
            found.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', parts)))
    return sorted(found)


def test_every_string_has_its_chinese(chinese):
    wanted = strings()
    assert len(wanted) > 150
    assert [text for text in wanted if not chinese.get(text)] == []


def test_placeholders_survive(chinese):
    for key, text in chinese.items():
        if key and isinstance(key, str):  # of a plural only the singular is kept as its key
            assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(key)), key


def test_source_and_compiled_catalogue_agree(chinese):
    source = MO.with_suffix(".po").read_text("utf-8")
    for text in chinese.values():
        if "\n" not in text:
            assert text.replace('"', '\\"') in source
    assert source.count("\nmsgid ") - 1 == len(chinese) - 1  # the first of each is the header
    assert 'msgstr ""\n\n' not in source


def test_the_released_models_card_has_its_chinese(chinese):
    card = files.read_json(predictor.RELEASED / "planet32/card.json")
    shown = {key: value for key, value in card.items() if key not in model_card.ELSEWHERE}
    wanted = set(card["limits"]) | {key.replace("_", " ") for key in shown}
    for value in shown.values():
        parts = value if isinstance(value, dict) else {}
        wanted |= {key.replace("_", " ") for key in parts}
        wanted |= {v for v in (*parts.values(), value) if isinstance(v, str) and len(v) > 12}
    wanted -= {card["run"]}
    assert [text for text in sorted(wanted) if not chinese.get(text)] == []


@pytest.mark.parametrize(
    "path", ["/", "/gallery/", "/model/", "/api/", "/api/v1/docs", "/login/", "/nowhere"]
)
def test_pages_speak_the_language_asked_for(client, db, path):
    page = client.get(path, headers={"accept-language": "zh-CN,zh;q=0.9"}).content.decode()
    assert '<html lang="zh-hans">' in page
    main = re.sub(r"<[^>]+>", " ", page.split("<main")[1].split("</main>")[0])
    assert len(re.findall(r"[\u4e00-\u9fff]", main)) > 8
    english = client.get(path, headers={"accept-language": "en"}).content.decode()
    assert '<html lang="en">' in english
    visible = re.sub(r"<[^>]+>", " ", english.replace("简体中文", ""))
    assert not re.findall(r"[\u4e00-\u9fff]", visible)
