"""An executed notebook as a page: formulas are drawn, and nothing is asked of a network."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from paperlib.pipeline.html_page import mathml, to_html

PATHS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
CODE = re.compile(r"<(pre|code|style|script)\b.*?</\1>", re.S)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_formula_of_a_notebook_is_mathml_and_no_dollar_is_left(path):
    node = nbformat.read(path, as_version=4)
    prose = "\n".join(cell.source for cell in node.cells if cell.cell_type == "markdown")
    page = to_html(node, path.stem)
    shown = CODE.sub("", page)
    assert page.count("<math") >= prose.count("$$") // 2
    assert not re.search(r"\$[^$\n<]*\\\w+[^$\n]*\$", shown)
    assert "\\frac" not in shown
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=\"https?:", page)


def test_formulas_of_outputs_are_mathml_too():
    cell = nbformat.v4.new_code_cell("x")
    cell.outputs = [
        nbformat.v4.new_output("display_data", data={"text/markdown": "With $t_0 = 0.1$ it is so."})
    ]
    page = to_html(nbformat.v4.new_notebook(cells=[cell]), "x")
    assert "<msub><mi>t</mi><mn>0</mn></msub>" in page
    assert "$t_0" not in page


def test_a_tag_stands_beside_its_equation():
    page = mathml(r"a = \frac{b}{c} \tag{3}", block=True)
    assert "<mfrac>" in page
    assert page.endswith("<span>(3)</span></div>")
    assert "tag" not in page
    assert 'display="block"' in page
