"""`paper run --style`: figures as a journal wants them, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from test_runner import OPEN, TABLE, Log, go, plant

from paperlib.pipeline import code
from paperlib.pipeline.restyle import restyle
from paperlib.utils.errors import PaperError

DRAW = """
from matplotlib.figure import Figure
figure = Figure(figsize=(6, 3), layout="constrained")
axes = figure.add_subplot(); axes.plot([0, 1])
axes.set_xlabel("tiny", fontsize=2)
paper.save_figure(figure, "fig01")
"""


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAPER_CACHE", raising=False)
    monkeypatch.setattr(code, "reached", lambda notebook: {})


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    found = [p for top in ("figures", "results") for p in (root / top).rglob("*") if p.is_file()]
    return {str(p.relative_to(root)): (p.stat().st_mtime_ns, p.read_bytes()) for p in found}


@pytest.mark.slow
def test_figures_are_drawn_beside_the_standard_ones_and_nothing_else_is_written(tmp_path):
    plant(tmp_path, "01_first", OPEN, DRAW, TABLE, figures=["fig01"], results=["table.csv"])
    plant(tmp_path, "02_second", OPEN, TABLE.replace("'table'", "'other'"), results=["other.csv"])
    runner, _ = go(tmp_path)
    before, log = tree(tmp_path), Log()
    faults = restyle(runner, [], "nature-double", screen=log)
    after = tree(tmp_path)
    made = {path: after.pop(path) for path in after.keys() - before.keys()}
    assert after == before
    folder = "figures/tiny/nature-double"
    assert set(made) == {f"{folder}/fig01.pdf", f"{folder}/fig01.png"}
    with Image.open(tmp_path / folder / "fig01.png") as opened:
        assert opened.width == pytest.approx(183 / 25.4 * 300, rel=0.01)
    (fault,) = faults
    assert fault.startswith("fig01: letters of ")
    assert "01_first: 1 figure" in log.printed


def test_a_notebook_that_was_not_run_and_an_unknown_style_are_errors(tmp_path):
    from paperlib.pipeline.runner import Runner

    plant(tmp_path, "01_first", OPEN, DRAW, figures=["fig01"])
    runner = Runner("tiny", root=tmp_path)
    with pytest.raises(PaperError, match="not run yet — run it first, without --style"):
        restyle(runner, [], "nature-double", screen=Log())
    with pytest.raises(PaperError, match="no style 'science'"):
        restyle(runner, [], "science", screen=Log())
