"""The pages of executed notebooks: read from disk, without any network."""

from __future__ import annotations

import re

import nbformat
import pytest

from paperlib.pipeline import html_page as page
from paperlib.utils import system

v4 = nbformat.v4


def shown(*cells: nbformat.NotebookNode) -> str:
    return page.to_html(v4.new_notebook(cells=list(cells)), "a title")


def code(source: str, html: str = "", tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    data = {"text/html": html} if html else {}
    outputs = [v4.new_output("display_data", data)] if html else []
    return v4.new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


def test_formulas_are_mathml_and_no_script_comes_from_outside():
    text = shown(v4.new_markdown_cell(r"Here $t_0 < 1$, and $$\frac{a}{b} \tag{3}$$ costs \$5."))
    assert text.count("<math") == 2
    assert "<mfrac>" in text
    assert "(3)" in re.sub(r"<[^>]*>", "", text)
    assert "\\frac" not in text
    assert not re.search(r'(src|href)="https?:|mathjax|requirejs|@import', text)


def test_limits_stand_under_their_operator_where_a_formula_has_its_own_line():
    assert "<munder><mo>min</mo>" in page.mathml(r"\min_{y} J(y)", block=True)
    assert "<msub><mo>min</mo>" in page.mathml(r"\min_{y} J(y)")


def test_parameters_stand_once_with_the_values_that_were_set():
    text = re.sub(
        r"<[^>]*>", "",
        shown(
            code("profile = 'sample'  # which\nepochs = 2", tags=("parameters",)),
            code("# Parameters\nprofile = \"planet32\"\n", tags=("injected-parameters",)),
        ),
    )  # fmt: skip
    assert "profile = &#39;planet32&#39;  # which" in text.replace("'", "&#39;")
    assert "epochs = 2" in text
    assert "sample" not in text
    assert "# Parameters" not in text


def test_code_of_sentences_is_folded_and_no_other():
    sentence, drawing = 'Markdown(f"{1 + 1} chips.")', "show(figure)"
    assert page.only_sentences(sentence)
    assert page.only_sentences("lines = [1]\nMarkdown(str(lines))")
    for other in (drawing, "x = 1", "paper.save_table(t, 'a')\nMarkdown('b')", "1 +"):
        assert not page.only_sentences(other)
    text = shown(code(sentence), code(drawing))
    assert text.count("<details") == 1
    assert text.index("<details") < text.index("chips.") < text.index("</details>")


def test_tables_lose_their_running_number_and_gain_separators():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"network": ["a", "b"], "bytes": [154164, 12], "year": [2017, 2018]})
    text = shown(code("frame", frame.to_html()))
    assert "154,164" in text
    assert "2017" in text
    assert "<th>0</th>" not in text
    assert text.count("<th>") == 3
    named = shown(code("frame", frame.set_index("network").to_html()))
    assert "<th>a</th>" in named


@pytest.mark.browser
@pytest.mark.skipif(system.browser() is None, reason="no Chromium on this machine")
def test_letters_of_figures_are_as_high_as_the_text(tmp_path):
    """A figure saved for 160 pixels an inch is shown at 1.4 of the half of that."""
    import base64
    import io

    from PIL import Image

    packed = io.BytesIO()
    Image.new("RGB", (1000, 100)).save(packed, "PNG")
    output = v4.new_output(
        "display_data",
        {"image/png": base64.b64encode(packed.getvalue()).decode()},
        metadata={"image/png": {"width": 500, "height": 50}},
    )
    (tmp_path / "a.html").write_text(shown(v4.new_code_cell("x", outputs=[output])))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=system.browser(), args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1280, "height": 800})
        view.goto((tmp_path / "a.html").as_uri())
        box = view.locator(".jp-RenderedImage img").bounding_box()
        browser.close()
    assert (box["width"], box["height"]) == (700, 70)
