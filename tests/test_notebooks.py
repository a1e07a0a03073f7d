"""Every notebook: as committed, and executed from the first cell to the last."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import nbformat
import pytest
from rich.console import Console

from paperlib.pipeline import code, manifest, notebooks
from paperlib.pipeline.runner import Runner
from paperlib.pipeline.screen import Screen

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))


def faults_as_committed(path: Path) -> list[str]:
    """What a committed notebook may not have: outputs, counts, and the marks tools leave.

    These do not stop a run (a reader may have tried things in JupyterLab), but must not be
    committed; `nbstripout` takes them away.
    """
    node = nbformat.read(path, as_version=4)
    faults = []
    allowed = {"kernelspec", "language_info", "paper"}
    if extra := set(node.metadata) - allowed:
        faults.append(f"metadata {', '.join(sorted(extra))}")
    if version := node.metadata.get("language_info", {}).get("version"):
        faults.append(f"language_info names Python {version}: it changes from machine to machine")
    for number, cell in enumerate(node.cells, start=1):
        where = f"cell {number}"
        if cell.cell_type == "code" and cell.outputs:
            faults.append(f"{where} has outputs")
        if cell.cell_type == "code" and cell.execution_count is not None:
            faults.append(f"{where} has an execution count")
        if extra := set(cell.metadata) - {"tags"}:
            faults.append(f"{where} has metadata {', '.join(sorted(extra))}")
        if not cell.source.strip():
            faults.append(f"{where} is empty")
    return faults


def test_there_are_notebooks_and_they_agree_with_each_other():
    assert notebooks.read_all(FOLDER)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_bare(path):
    assert faults_as_committed(path) == [], "nbstripout takes these away"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_explains_and_calls(path):
    """Prose first, and no functions or classes: what a test would want stands in paperlib."""
    node = nbformat.read(path, as_version=4)
    assert node.cells[0].cell_type == "markdown"
    assert node.cells[0].source.startswith("# ")
    prose = [cell for cell in node.cells if cell.cell_type == "markdown"]
    assert len(prose) >= 3
    for cell in node.cells:
        if cell.cell_type == "code":
            for line in cell.source.splitlines():
                assert not line.startswith(("class ", "async def ")), line


def test_the_faults_are_found(tmp_path):
    node = nbformat.read(PATHS[0], as_version=4)
    code = next(cell for cell in node.cells if cell.cell_type == "code")
    code.outputs = [nbformat.v4.new_output("stream", text="x")]
    code.execution_count = 3
    code.metadata["collapsed"] = True
    node.metadata["widgets"] = {}
    node.cells.append(nbformat.v4.new_code_cell(" "))
    path = tmp_path / "01_first.ipynb"
    nbformat.write(node, path)
    faults = " / ".join(faults_as_committed(path))
    for fault in ("widgets", "has outputs", "execution count", "collapsed", "is empty"):
        assert fault in faults


@pytest.mark.slow
def test_all_notebooks_run_on_the_tiny_profile(root, tmp_path, monkeypatch):
    """What `paper run --profile tiny` does in a checkout with nothing made yet, and then again."""
    monkeypatch.delenv("PAPER_CACHE", raising=False)
    # A dozen networks of a second each, for which no process of their own is worth its start.
    monkeypatch.setenv("PAPER_WORKERS", "0")
    # once: somebody may be at work on the library meanwhile
    reached, known = code.reached, {}

    def once(notebook):
        if notebook.name not in known:
            known[notebook.name] = reached(notebook)
        return known[notebook.name]

    monkeypatch.setattr(code, "reached", once)
    # Limits are for machines with nothing else to do; tests share theirs with each other.
    monkeypatch.setattr(notebooks.Notebook, "limit", lambda self, profile: 1800.0)
    shutil.copytree(root / "notebooks", tmp_path / "notebooks")
    state = shutil.ignore_patterns("var", "staticfiles", "__pycache__")
    shutil.copytree(root / "demo_site", tmp_path / "demo_site", ignore=state)  # for notebook 14
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy2(root / name, tmp_path / name)
    stream = io.StringIO()
    screen = Screen(Console(file=stream, width=200, highlight=False))
    names = [path.stem for path in PATHS]
    report = Runner("tiny", root=tmp_path).run(screen=screen)
    assert report.ran == names, stream.getvalue()
    made = manifest.read(tmp_path / "results/tiny")
    assert list(made["notebooks"]) == names
    for entry in made["notebooks"].values():
        assert entry["status"] == "done"
        for path in (*entry["outputs"], *entry["executed"]):
            assert (tmp_path / path).stat().st_size > 0
    # Nothing was changed, so nothing is run: also what a second `make paper` does.
    again = Runner("tiny", root=tmp_path).run(screen=screen)
    assert again.cached == names
