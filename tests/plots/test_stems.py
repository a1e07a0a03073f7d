"""One stem in three rooms: a notebook, what computes for it and what draws for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = {path.stem[3:]: path for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
#: Notebook 14 shows the site, which predicts with the released network; nothing is computed for it.
WITHOUT_COMPUTING = {"showcase"}
#: Not of one notebook: common pieces, the paper's own flow charts (notebooks 03, 05 and 14), and
#: the contact sheet that `paper scenes` draws.
WITHOUT_NOTEBOOK = {"shared", "paper_flows", "scenes"}


def modules(room: str) -> set[str]:
    return {path.stem for path in (ROOT / "paperlib" / room).glob("[!_]*.py")}


def test_every_module_that_draws_has_the_stem_of_a_numbered_notebook():
    assert modules("plots") - WITHOUT_NOTEBOOK - set(NOTEBOOKS) == set()


def test_every_notebook_has_one_computing_module_of_its_stem():
    teaching, studies = modules("teaching"), modules("studies")
    assert set(NOTEBOOKS) - teaching - studies == WITHOUT_COMPUTING
    assert teaching & studies & set(NOTEBOOKS) == set()


@pytest.mark.parametrize("stem", sorted(NOTEBOOKS))
def test_a_notebook_that_saves_a_figure_draws_with_the_module_of_its_stem(stem):
    cells = json.loads(NOTEBOOKS[stem].read_text(encoding="utf-8"))["cells"]
    code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    if "save_figure(" in code:
        imported = f"from paperlib.plots import {stem}", f"from paperlib.plots.{stem} import"
        assert any(line in code for line in imported)
