"""What a notebook depends on: the modules its imports reach, by their syntax trees."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from paperlib.pipeline import code, notebooks
from paperlib.utils.errors import PaperError


@pytest.fixture
def library(tmp_path) -> Path:
    """A copy of the library, to be edited."""
    return shutil.copytree(
        code.PACKAGE, tmp_path / "paperlib", ignore=shutil.ignore_patterns("__pycache__")
    )


@pytest.fixture(scope="module")
def numbered(root):
    return {n.name: n for n in notebooks.read_all(root / "notebooks")}


def changed(numbered, library: Path) -> set[str]:
    """Notebooks that depend on another code in `library` than in the checkout."""
    return {name for name, n in numbered.items() if code.reached(n) != code.reached(n, library)}


def edit(library: Path, module: str, before: str, after: str) -> None:
    path = library / module
    text = path.read_text(encoding="utf-8")
    assert before in text, f"{module} no longer has {before!r}"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_a_comment_a_docstring_and_line_ends_change_nothing(numbered, library):
    for path in (library / "f2.py", library / "dehaze" / "equations.py"):
        text = path.read_text(encoding="utf-8")
        text = text.replace('"""', '"""Said otherwise. ', 1) + "\n\n# a remark\n"
        path.write_bytes(text.replace("\n", "\r\n").encode())
    assert changed(numbered, library) == set()


@pytest.mark.parametrize(
    ("module", "before", "after", "notebook"),
    [
        ("plots/results.py", "panel(6.8, 6.6)", "panel(7, 6.6)", "08_results"),
        ("plots/design_rules.py", "lw=0.8", "lw=0.9", "13_design_rules"),
        ("teaching/dark_channel.py", "0.80, 0.83", "0.81, 0.83", "02_dark_channel"),
        ("studies/table1.py", "NEAR = 0.9", "NEAR = 0.8", "09_table1"),
    ],
)
def test_an_edit_makes_stale_what_imports_it_and_nothing_else(
    numbered, library, module, before, after, notebook
):
    edit(library, module, before, after)
    assert changed(numbered, library) == {notebook}


def test_what_all_stand_on_makes_all_stale_that_reach_it(numbered, library):
    edit(library, "f2.py", "BETA_SQUARED = 4", "BETA_SQUARED = 1")
    stale = changed(numbered, library)
    assert {"04_f2_score", "05_train", "08_results", "15_small_claims"} <= stale
    assert not any("f2.py" in path for path in code.reached(numbered["14_showcase"])) or (
        "14_showcase" in stale
    )


def test_front_ends_are_no_part_of_any_result(numbered):
    for notebook in numbered.values():
        files = code.reached(notebook)
        front = {
            f"paperlib/{name}"
            for name in ("cli/notebooks.py", "pipeline/report.py", "pipeline/readme.py")
        }
        assert not front & files.keys()
        assert "paperlib/pipeline/execute.py" in files


def test_data_beside_a_module_belong_to_it(numbered, library):
    edit(library, "plots/paper.mplstyle", "\n", "\nlines.linewidth: 3\n")
    assert "04_f2_score" in changed(numbered, library)
    assert "paperlib/chips/scenes/label_sets.csv" in code.reached(numbered["02_dark_channel"])


def test_what_only_ipython_reads_is_read(tmp_path):
    for cell in ("files = !ls", "len?", "if True:\n    %timeit -n1 pass", "%%time\nimport json"):
        compile(code._as_python(cell), "cell", "exec")
    assert code._as_python("x = 1  # %") == "x = 1  # %"


def test_a_half_typed_module_is_one_line(library):
    (library / "f2.py").write_text("def half(:\n")
    code.code.forget()
    with pytest.raises(PaperError, match=r"f2\.py, line 1: .* — mend it"):
        code.code.reached(["paperlib.f2"], package=library)
