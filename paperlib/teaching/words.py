"""The language of what the teaching notebooks say: English, or Chinese where it was asked for.

The English sentence is the key; `chinese.json` beside this file has its Chinese. What has none is
shown in English.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from ..utils.errors import PaperError

LANGUAGES = {"en": "English", "zh": "中文"}
_chosen = "en"


def use(language: str) -> None:
    """Say everything in this language from now on: "en" or "zh"; `PaperError` for another."""
    global _chosen
    if language not in LANGUAGES:
        raise PaperError(f"no language {language!r}", f"there are {', '.join(LANGUAGES)}")
    _chosen = language


def say(sentence: str, **values: object) -> str:
    """A sentence in the language chosen, with the values put into its `{places}`.

    sentence  in English, as `str.format` takes it where there are values; else as it stands
    """
    told = chinese().get(sentence, sentence) if _chosen == "zh" else sentence
    return told.format(**values) if values else told


@cache
def chinese() -> dict[str, str]:
    """English sentence -> Chinese."""
    text = Path(__file__).with_name("chinese.json").read_text(encoding="utf-8")
    return json.loads(text)
