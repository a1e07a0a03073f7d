"""Numbers in the notebooks' prose come from computed values: a typed one is looked for here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

PATHS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
# What reads like a result: three decimals or more, or a percentage with a decimal.
RESULT = re.compile(r"(?<![\w.,/-])\d*\.\d{3,}(?!\w|\.\d|-\d)|(?<![\w.])\d+\.\d+ ?%")
# Not results: formulas, code, addresses (an identifier has digits of its own).
ELSEWHERE = re.compile(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|```.*?```|\]\([^)]*\)|https?://\S+", re.S)


def typed_in_markdown(source: str) -> list[str]:
    """Numbers of a markdown cell that read like results. The printed 0.925 is no result of ours."""
    return RESULT.findall(ELSEWHERE.sub(" ", source))


def typed_in_code(source: str) -> list[str]:
    """Numbers typed into the text of `Markdown(...)`, beside the computed ones."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "Markdown":
            continue
        inside = {id(part) for f in ast.walk(node) if isinstance(f, ast.FormattedValue)
                  for part in ast.walk(f)}  # fmt: skip
        for text in ast.walk(node):
            plain = isinstance(text, ast.Constant) and isinstance(text.value, str)
            if plain and id(text) not in inside:
                found += RESULT.findall(ELSEWHERE.sub(" ", text.value))
    return found


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_result_is_typed_into_a_notebook(path):
    node = nbformat.read(path, as_version=4)
    for number, cell in enumerate(node.cells, start=1):
        look = typed_in_markdown if cell.cell_type == "markdown" else typed_in_code
        typed = [t for t in look(cell.source) if t not in ALLOWED.get(path.stem, ())]
        assert not typed, f"cell {number}: {typed} is typed; compute it in a cell"


# Settings of a demonstration that its own cell assigns, repeated in the words beside them.
ALLOWED = {"02_dark_channel": ("0.600",)}


def test_a_typed_number_is_found():
    assert typed_in_markdown("The network reaches 0.8912 on the chips.") == ["0.8912"]
    assert typed_in_markdown("That is 44.9 % fewer.") == ["44.9 %"]
    assert typed_in_code('Markdown(f"It reaches {x:.4f}, above 0.8878.")') == ["0.8878"]
    assert typed_in_code('Markdown("a" if good else f"only 0.123 of {n}")') == ["0.123"]


def test_settings_formulas_code_and_computed_numbers_are_no_results():
    for text in (
        "With ω = 0.95 and 90 % of pixels below 25.",
        "$$ 1 - 27/49 = 0.449 $$ and `threshold=0.125` and [this](https://doi.org/10.1109/5.771)",
        "On 40,479 chips in section 3.1.2.",
    ):
        assert typed_in_markdown(text) == []
    assert typed_in_code('Markdown(f"{score:.4f} of {0.12345}")\nx = 0.12345') == []
