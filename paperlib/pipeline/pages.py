"""Renders the pages of `paper report`, `verify` and `diff`: one file each, no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def render(values: Mapping[str, Any], template: str) -> str:
    """A template of `templates/` filled in; a value that is missing is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("paperlib.pipeline"),
        autoescape=jinja2.select_autoescape(["html", "j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values) + "\n"


def text(name: str) -> str:
    """A style sheet or script of `templates/`, to stand inside a page."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
