"""The runner on planted notebooks: what it refuses, what it keeps, what it does not do twice."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from rich.console import Console

from paperlib.pipeline import code, manifest, side_by_side
from paperlib.pipeline.execute import NotebookFailed
from paperlib.pipeline.parameters import literals
from paperlib.pipeline.runner import Runner
from paperlib.pipeline.screen import Screen, listing
from paperlib.pipeline.session import Report, Session
from paperlib.utils import files
from paperlib.utils.errors import PaperError

# The command, with a library that nobody edits while the tests run.
PAPER = [
    sys.executable,
    "-c",
    "from paperlib import cli; from paperlib.pipeline import code;"
    "code.reached = lambda notebook: {}; cli.main()",
]
OPEN = "from paperlib.project import Project\npaper = Project(profile, data)"
TABLE = "import pandas as pd\npaper.save_table(pd.DataFrame({'x': [1, 2]}), 'table')"


def plant(root: Path, name: str, *cells: str, parameters: str = "", **paper: object) -> Path:
    """Write a notebook into `root`/notebooks; a cell that starts with # is prose."""
    (root / "notebooks").mkdir(exist_ok=True)
    (root / "pyproject.toml").touch()
    declared = {"title": name, "section": "1", "figures": [], "results": [], "minutes": 5, **paper}
    node = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "paper": declared,
        }
    )
    first = nbformat.v4.new_code_cell(f"profile = 'tiny'\ndata = ''\n{parameters}")
    first.metadata["tags"] = ["parameters"]
    node.cells = [nbformat.v4.new_markdown_cell(f"# {name}"), first]
    node.cells += [nbformat.v4.new_code_cell(textwrap.dedent(cell).strip()) for cell in cells]
    for number, cell in enumerate(node.cells):
        cell.id = f"cell-{number}"
    path = root / "notebooks" / f"{name}.ipynb"
    nbformat.write(node, path)
    return path


class Log(Screen):
    """Keeps the lines instead of printing them."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        super().__init__(Console(file=self.stream, width=400, highlight=False))

    @property
    def printed(self) -> str:
        return self.stream.getvalue()


def go(root: Path, *wanted: str, **options: object) -> tuple[Runner, str]:
    profile, data = str(options.pop("profile", "tiny")), options.pop("data", "")
    runner, log = Runner(profile, data, root=root), Log()  # type: ignore[arg-type]
    runner.report = runner.run(wanted, screen=log, **options)  # type: ignore[arg-type, attr-defined]
    return runner, log.printed


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache of the user's, and a library that nobody edits while the tests run."""
    monkeypatch.delenv("PAPER_CACHE", raising=False)
    monkeypatch.setattr(code, "reached", lambda notebook: {})


# ---- what it does --------------------------------------------------------------------------------


def test_it_runs_in_order_keeps_copies_and_takes_the_second_run_from_the_cache(tmp_path):
    plant(
        tmp_path,
        "02_second",
        OPEN,
        "print((paper.results / 'table.csv').read_text())",
        "paper.save_json(2, 'two')",
        results=["two.json"],
        needs=["table.csv"],
    )
    plant(tmp_path, "01_first", OPEN, TABLE, results=["table.csv"])
    runner, text = go(tmp_path)
    assert runner.report.ran == ["01_first", "02_second"]
    results = tmp_path / "results/tiny"
    executed = nbformat.read(results / "notebooks/02_second.ipynb", 4)
    assert executed.cells[-2].outputs[0].text == "x\n1\n2\n\n"
    assert "<html" in (results / "notebooks/02_second.html").read_text()
    made = files.read_json(results / "manifest.json")
    entry = made["notebooks"]["01_first"]
    assert entry["outputs"] == {"results/tiny/table.csv": files.sha256(results / "table.csv")}
    assert made["run"]["notebooks"]["01_first"]["peak_mb"] > 20
    assert made["versions"]["python"]
    assert made["run"]["notebooks"]["01_first"]["hardware"]["cores"] >= 1

    runner, text = go(tmp_path)
    assert runner.report.cached == ["01_first", "02_second"]
    assert not runner.report.ran
    assert text.count("nothing changed: taken from the cache") == 2


def test_what_makes_a_notebook_run_again(tmp_path):
    plant(tmp_path, "01_first", OPEN, TABLE, results=["table.csv"])
    plant(
        tmp_path,
        "02_second",
        OPEN,
        "paper.save_json(2, 'two')",
        results=["two.json"],
        needs=["01_first"],
    )
    go(tmp_path)

    def reasons() -> list[str]:
        runner = Runner("tiny", root=tmp_path)
        return [runner.state(n, {}).reason for n in runner.notebooks]

    assert reasons() == ["", ""]
    table = tmp_path / "results/tiny/table.csv"
    whole = table.read_bytes()
    table.write_text("x\n9\n")
    assert reasons() == ["results/tiny/table.csv was changed", "needs changed"]
    table.unlink()
    assert reasons() == ["results/tiny/table.csv is missing", "needs changed"]
    table.write_bytes(whole)
    assert reasons() == ["", ""]
    page = tmp_path / "results/tiny/notebooks/02_second.html"
    page.unlink()
    assert reasons() == ["", "made elsewhere, not run in this checkout"]
    plant(tmp_path, "01_first", OPEN, TABLE, results=["table.csv"], minutes=2)
    assert reasons() == ["", "made elsewhere, not run in this checkout"]  # a limit changes nothing
    plant(tmp_path, "01_first", OPEN, TABLE, "1 + 1", results=["table.csv"])
    assert reasons()[0] == "notebook changed"
    runner, _ = go(tmp_path)
    # The table came out with the same bytes, so only its own reason makes 02 run.
    assert runner.report.ran == ["01_first", "02_second"]
    (tmp_path / "requirements.lock").write_text("numpy==0\n")
    assert reasons() == ["lock changed", "lock changed"]


def test_two_runs_in_two_folders_differ_in_nothing_but_the_run_key(tmp_path):
    cells = (
        OPEN,
        """
        import sys, time, matplotlib.pyplot as plt
        print("here", paper.root, object())
        print("progress", time.time(), file=sys.stderr)
        sys.stdout.flush(); time.sleep(0.05); print("more")
        figure, axes = plt.subplots(); axes.plot([0, 1]); paper.save_figure(figure, "fig01_line")
        """,
        "figure",
        "object()",
        "import pandas as pd; pd.DataFrame({'x': [1]}).style.hide()",
        "import ipywidgets; ipywidgets.IntSlider()",
    )
    trees = []
    for name in ("one", "another place"):
        root = tmp_path / name
        root.mkdir()
        plant(root, "01_line", *cells, figures=["fig01_line"])
        go(root)
        tree = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for top in ("figures", "results")
            for path in sorted((root / top).rglob("*"))
            if path.is_file()
        }
        made = json.loads(tree.pop("results/tiny/manifest.json"))
        assert made.pop("run")["notebooks"]["01_line"]["seconds"] > 0
        trees.append((tree, made))
    assert len(trees[0][0]) == 6
    assert trees[0] == trees[1]


def test_a_needed_notebook_comes_first(tmp_path):
    plant(tmp_path, "01_first", OPEN, TABLE, results=["table.csv"])
    plant(tmp_path, "02_other", "1 / 0")
    plant(
        tmp_path,
        "03_third",
        OPEN,
        "paper.save_json(3, 'three')",
        results=["three.json"],
        needs=["table.csv"],
    )
    runner, text = go(tmp_path, "3")
    assert runner.report.ran == ["01_first", "03_third"]
    assert "01_first comes first: 03_third needs it" in text


def test_parameters_reach_the_notebook_and_count(tmp_path):
    cells = (OPEN, "paper.save_json({'epochs': epochs}, 'n')")
    plant(tmp_path, "01_first", *cells, parameters="epochs = 2", results=["n.json"])
    go(tmp_path)
    runner, _ = go(tmp_path, parameters=literals(["epochs=7"]))
    assert runner.report.ran == ["01_first"]
    assert files.read_json(tmp_path / "results/tiny/n.json") == {"epochs": 7}
    assert runner.manifest["notebooks"]["01_first"]["parameters"] == {"epochs": 7}
    assert Runner("tiny", root=tmp_path).state(runner.notebooks[0]).reason == ""


def test_the_kernel_is_this_python_without_the_users_settings(tmp_path, monkeypatch):
    spec = tmp_path / "jupyter/kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("MPLBACKEND", "svg")
    plant(
        tmp_path,
        "01_first",
        OPEN,
        "import os, sys; paper.save_json([sys.executable, os.getcwd(), "
        "os.environ['MPLBACKEND'], os.environ['PYTHONHASHSEED']], 'n')",
        results=["n.json"],
    )
    go(tmp_path)
    python, cwd, backend, seed = files.read_json(tmp_path / "results/tiny/n.json")
    assert Path(python).samefile(sys.executable)
    assert Path(cwd).samefile(tmp_path / "notebooks")
    assert "inline" in backend
    assert seed == "0"


def test_a_figure_that_not_every_machine_can_make_may_be_made_or_not(tmp_path):
    draw = "(paper.figures / 'page.png').parent.mkdir(parents=True, exist_ok=True)\n"
    draw += "epochs and (paper.figures / 'page.png').write_bytes(b'drawn')"
    plant(tmp_path, "01_first", OPEN, draw, parameters="epochs = 0", if_possible=["page.png"])
    go(tmp_path)
    assert not (tmp_path / "figures/tiny/page.png").exists()
    runner, _ = go(tmp_path, parameters={"epochs": 1})
    assert (tmp_path / "figures/tiny/page.png").exists()
    assert (
        runner.manifest["notebooks"]["01_first"]["outputs"]
        .keys()
        .isdisjoint({"figures/tiny/page.png"})
    )


def test_what_other_programs_leave_is_not_the_notebooks(tmp_path):
    """File managers and editors write where they like; sources may be edited meanwhile."""
    names = "'.DS_Store', '.~lock.table.csv#', 'Thumbs.db', '../module.py', '../.git/index.lock'"
    plant(tmp_path, "01_first", OPEN, f"for name in ({names}): open(name, 'w').close()")
    (tmp_path / ".git").mkdir()
    assert go(tmp_path)[0].report.ran == ["01_first"]


# ---- what it refuses -----------------------------------------------------------------------------


OTHERS = "(paper.root / 'results/planet32/table1_f2.csv').write_text('another table')"


@pytest.mark.parametrize(
    ("cells", "paper", "says"),
    [
        ((OPEN, "x = 1", "1 / 0"), {}, r"In \[5\]: ZeroDivisionError: division by zero"),
        ((OPEN,), {"results": ["table.csv"]}, "did not make results/tiny/table.csv"),
        ((OPEN, TABLE), {}, "wrote results/tiny/table.csv, which it does not declare"),
        (
            (OPEN, "(paper.root / 'results/planet32').mkdir(parents=True)", OTHERS),
            {},
            "wrote results/planet32/table1_f2.csv, which it does not declare",
        ),
        ((OPEN, "open('x.png', 'w').close()"), {}, "wrote notebooks/x.png, which it does not"),
        (
            ("import sys; sys.exit()", "print('never reached')"),
            {},
            r"stopped at cell 4 without an error \(sys.exit\?\)",
        ),
        (("import time; time.sleep(60)",), {"minutes": 0.06}, "after its limit of 0.06 minutes"),
        (("import os, signal; os.kill(os.getpid(), signal.SIGKILL)",), {}, "its kernel died"),
    ],
    ids=["error", "missing", "undeclared", "elsewhere", "beside", "exit", "limit", "killed"],
)
def test_a_notebook_that_does_not_end_well(tmp_path, cells, paper, says):
    plant(tmp_path, "01_first", *cells, **paper)
    plant(tmp_path, "02_second", OPEN)
    log = Log()
    with pytest.raises(PaperError, match=says):
        Runner("tiny", root=tmp_path).run(screen=log)
    assert (tmp_path / "results/tiny/failed/01_first.ipynb").is_file()
    assert "02_second" not in log.printed
    assert not (tmp_path / "results/tiny/notebooks").exists()
    made = manifest.read(tmp_path / "results/tiny")
    assert "01_first" not in made["notebooks"]
    assert made["run"]["notebooks"]["01_first"]["status"] == "failed"
    runner = Runner("tiny", root=tmp_path)
    assert runner.state(runner.notebooks[0]).reason == "failed the last time"


def test_the_failed_copy_is_named_and_goes_when_the_notebook_is_mended(tmp_path):
    plant(tmp_path, "01_first", OPEN, "def f():\n    raise ValueError('no rain')\nf()")
    log = Log()
    with pytest.raises(PaperError) as caught:
        Runner("tiny", root=tmp_path).run(screen=log)
    assert "read results/tiny/failed/01_first.ipynb" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "raise ValueError('no rain')" in log.printed
    kept = nbformat.read(tmp_path / "results/tiny/failed/01_first.ipynb", 4)
    assert any("no rain" in str(cell.get("outputs")) for cell in kept.cells)
    plant(tmp_path, "01_first", OPEN)
    go(tmp_path)
    assert not (tmp_path / "results/tiny/failed/01_first.ipynb").exists()


def test_an_output_left_from_before_is_stale(tmp_path):
    plant(tmp_path, "01_first", OPEN, results=["table.csv"])
    (tmp_path / "results/tiny").mkdir(parents=True)
    (tmp_path / "results/tiny/table.csv").write_text("x\n1\n")
    with pytest.raises(PaperError, match=r"did not make again results/tiny/table.csv"):
        go(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"parameters": "epochs = 1 + 1"}, "parameter 'epochs' is not a literal"),
        ({"parameters": "import os"}, "line 3 of the parameters cell is no assignment"),
        ({"parameters": "data = 'x'"}, "parameter 'data' is assigned twice"),
        ({"minutes": 0}, "metadata paper.minutes is 0"),
        ({"figurs": []}, "unknown metadata paper.figurs"),
        ({"results": ["../table.csv"]}, "names '../table.csv'"),
        ({"needs": ["07_later"]}, "needs '07_later', which no earlier notebook is or makes"),
        ({"chips": "maybe"}, "metadata paper.chips is 'maybe'"),
    ],
)
def test_a_notebook_that_declares_badly(tmp_path, change, says):
    plant(tmp_path, "01_first", OPEN, **change)
    with pytest.raises(PaperError, match=says) as caught:
        Runner("tiny", root=tmp_path)
    assert "01_first.ipynb" in str(caught.value)


def test_parameters_cells_kernels_tags_and_names_are_held(tmp_path):
    path = plant(tmp_path, "01_first", OPEN)
    good = path.read_text()

    def refused(match: str) -> None:
        with pytest.raises(PaperError, match=match):
            Runner("tiny", root=tmp_path)
        path.write_text(good)

    path.write_text(good.replace('"parameters"', '"settings"'))
    refused("0 cells are tagged parameters")
    path.write_text(good.replace("data = ''", "path = ''"))
    refused("does not set 'data'")
    path.write_text(good.replace('"name": "python3"', '"name": "ir"'))
    refused("the kernel is not python3")
    node = nbformat.reads(good, 4)
    node.cells[-1].metadata["tags"] = ["raises-exception"]
    nbformat.write(node, path)
    refused("tagged 'raises-exception'")
    path.write_text("{")
    refused("not a notebook")
    plant(tmp_path, "01_again", OPEN)
    refused("01_again and 01_first have the same number")
    (tmp_path / "notebooks/01_again.ipynb").rename(tmp_path / "notebooks/again.ipynb")
    refused("not called NN_name.ipynb")


def test_two_makers_of_one_output(tmp_path):
    plant(tmp_path, "01_first", results=["table.csv"])
    plant(tmp_path, "02_second", results=["table.csv"])
    with pytest.raises(PaperError, match=r"'table\.csv' is declared by 01_first too"):
        Runner("tiny", root=tmp_path)


def test_requests_that_cannot_be_met(tmp_path):
    plant(tmp_path, "01_first", OPEN, parameters="epochs = 2")
    for options, says in (
        ({"parameters": {"epoch": 3}}, "unknown parameter 'epoch'"),
        ({"parameters": {"epochs": "many"}}, "parameter 'epochs' is 'many'"),
        ({"profile": "large"}, "no profile is called 'large'"),
    ):
        with pytest.raises(PaperError, match=says):
            go(tmp_path, **options)
    with pytest.raises(PaperError, match="no notebook '09'"):
        go(tmp_path, "09")
    with pytest.raises(PaperError, match="does not exist"):
        go(tmp_path, profile="planet32", data=tmp_path / "nowhere")
    for pair in ("epochs", "1x=2", "data=/tmp"):
        with pytest.raises(PaperError, match="--set"):
            literals([pair])


# ---- real chips that are not there ---------------------------------------------------------------


def test_without_chips_it_says_what_was_shipped_and_what_it_skips(tmp_path):
    plant(tmp_path, "01_look", OPEN, "paper.chips()", chips="needed", results=["seen.csv"])
    plant(tmp_path, "02_shown", OPEN, TABLE, results=["table.csv"])
    runner, text = go(tmp_path, profile="planet32")
    assert runner.report.ran == ["02_shown"]
    assert list(runner.report.skipped) == ["01_look"]
    assert "planet32 without --data: figures and tables are made again from the predictions" in text
    assert "01_look: skipped: it needs the chips (--data DIR)" in text
    assert "results/planet32/seen.csv was not shipped" in text
    assert "02_shown: made from shipped predictions" in text
    entry = runner.manifest["notebooks"]["02_shown"]
    assert entry["status"] == "done from shipped predictions"


def test_a_run_that_was_looked_for_in_vain_counts_only_in_its_own_folder(tmp_path):
    for number, run in (("01", "wanted"), ("02", "rules/wanted")):
        note = f"paper._note(run={run!r}, saved=False)"
        plant(tmp_path, f"{number}_looks", OPEN, note)
    runner, _ = go(tmp_path)
    assert runner.report.ran == ["01_looks", "02_looks"]

    def add(name: str) -> list[str]:
        files.write_json(tmp_path / "results/tiny/runs" / name / "run.json", {})
        return go(tmp_path)[0].report.ran

    assert add("rules/other") == ["02_looks"]
    assert add("backbones/other") == []
    assert add("other") == ["01_looks"]


def test_data_counts_by_content_wherever_it_lies(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "train_v2.csv").write_text("image_name,tags\n")
        (folder / "train-jpg").mkdir()
        (folder / "train-jpg/train_0.jpg").write_bytes(b"x")
    cache = tmp_path / "cache"
    first = manifest.data_identity(one, cache)
    assert set(first) == {"train_v2.csv", "train-jpg"}
    assert manifest.data_identity(other, cache) == first
    (other / "train-jpg/train_0.jpg").write_bytes(b"y")
    assert manifest.data_identity(other, cache)["train-jpg"] != first["train-jpg"]


# ---- side by side --------------------------------------------------------------------------------

MEET = """
import time
(paper.root / "{mine}").touch()
deadline = time.monotonic() + 240
while not (paper.root / "{other}").exists():
    assert time.monotonic() < deadline, "alone"
    time.sleep(0.05)
"""


def plant_four(root: Path) -> None:
    """Two that only end if they run at the same time, one that needs both, one that needs none."""
    for name, mine, other in (("01_one", "a.tmp", "b.tmp"), ("02_two", "b.tmp", "a.tmp")):
        met = MEET.format(mine=mine, other=other)
        save = f"paper.save_json('{name}', '{name}')"
        plant(root, name, OPEN, met, save, results=[f"{name}.json"])
    both = """
    found = [(paper.results / f"{name}.json").read_text() for name in ("01_one", "02_two")]
    paper.save_json(found, "three")
    """
    plant(root, "03_three", OPEN, both, results=["three.json"], needs=["01_one", "02_two.json"])
    plant(root, "04_four", OPEN, TABLE, results=["table.csv"])


def test_notebooks_run_side_by_side_and_make_the_same(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for root in (one, two):
        root.mkdir()
        plant_four(root)
    here = os.getcwd()
    runner, _ = go(two, jobs=3)
    assert os.getcwd() == here, "seen failing: it was left where the notebooks are"
    assert runner.report.ran == ["01_one", "02_two", "03_three", "04_four"]
    for name in ("a.tmp", "b.tmp"):  # alone, each finds the other's mark
        (one / name).touch()
    go(one, jobs=1)

    def made(root: Path) -> dict[str, object]:
        names = sorted((root / "results/tiny").rglob("*.*"))
        found = {p.name: p.read_bytes() for p in names if p.name != "manifest.json"}
        return found | files.read_json(root / "results/tiny/manifest.json")["notebooks"]

    assert made(one) == made(two)
    assert go(two, jobs=3)[0].report.cached == ["01_one", "02_two", "03_three", "04_four"]


def test_those_that_train_take_turns_and_no_more_run_than_were_asked_for(tmp_path):
    for number in range(1, 7):
        more = {"trains": True} if number in (2, 3, 5) else {}
        more |= {"needs": ["02_x"]} if number == 4 else {}
        plant(tmp_path, f"0{number}_x", OPEN, **more)
    planted = Runner("tiny", root=tmp_path).notebooks
    assert side_by_side.before(planted) == {
        "01_x": set(), "02_x": set(), "03_x": {"02_x"}, "04_x": {"02_x"}, "05_x": {"03_x"},
        "06_x": set(),
    }  # fmt: skip
    running, begun = set(), []

    def begin(new):
        name = new.notebook.name
        begun.append(name)
        running.add(name)
        assert len(running) <= 2
        assert len(running & {"02_x", "03_x", "05_x"}) <= 1
        assert {other.name for other in new.beside} == running - {name}
        return None if name == "06_x" else lambda: name

    def finish(ended, future):
        running.remove(future.result())

    def begin_and_leave(new):
        work = begin(new)
        if work is None:
            running.discard(new.notebook.name)
        return work

    side_by_side.run(planted, 2, begin_and_leave, finish, lambda: None)
    assert sorted(begun) == [n.name for n in planted]
    assert begun.index("02_x") < begun.index("03_x") < begun.index("05_x")
    assert begun.index("02_x") < begun.index("04_x")
    assert begun[0] == "02_x", "one that trains starts before the others"
    begun.clear()
    side_by_side.run(planted, 1, begin_and_leave, finish, lambda: None)
    assert begun == [n.name for n in planted]


def test_beside_one_that_fails_the_other_is_finished_and_no_further_one_begun(tmp_path):
    plant(tmp_path, "01_one", OPEN, MEET.format(mine="a.tmp", other="b.tmp"), "1 / 0")
    failed = MEET.format(mine="b.tmp", other="results/tiny/failed/01_one.ipynb")
    plant(tmp_path, "02_two", OPEN, failed, "paper.save_json(2, 'two')", results=["two.json"])
    plant(tmp_path, "03_three", OPEN)
    with pytest.raises(NotebookFailed, match=r"01_one failed: .*ZeroDivisionError"):
        go(tmp_path, jobs=2)
    entries = files.read_json(tmp_path / "results/tiny/manifest.json")["notebooks"]
    assert list(entries) == ["02_two"]
    assert not list(tmp_path.glob("results/**/03_three*"))


def test_what_nobody_declares_names_all_that_ran(tmp_path):
    for name, mine, other, more in (
        ("01_one", "a.tmp", "b.tmp", "open('x.png', 'w').close()"),
        ("02_two", "b.tmp", "a.tmp", ""),
    ):
        plant(tmp_path, name, OPEN, f"{more}\n{MEET.format(mine=mine, other=other)}")
    with pytest.raises(NotebookFailed, match=r"it, or 0\d_\w+ beside it, wrote notebooks/x.png"):
        go(tmp_path, jobs=2)


def test_many_files_that_nobody_declares_are_counted(tmp_path):
    plant(tmp_path, "01_one", OPEN, "for i in range(9):\n    open(f'{i}.png', 'w').close()")
    first = r"wrote notebooks/0.png, (notebooks/\d.png, ){3}notebooks/4.png, and 4 more, which it"
    with pytest.raises(NotebookFailed, match=first):
        go(tmp_path)


def test_what_another_one_writes_beside_before_it_renames_is_no_output(tmp_path):
    """Seen failing: 02 ended while 03 wrote fig03.….partial.svg, and was blamed for it."""
    partial = "(paper.figures / 'fig02.0a0a0a0a.partial.svg')"
    begin = f"paper.figures.mkdir(parents=True, exist_ok=True); {partial}.touch()"
    ended = MEET.format(mine="b.tmp", other="results/tiny/notebooks/01_one.ipynb")
    plant(tmp_path, "01_one", OPEN, MEET.format(mine="a.tmp", other="b.tmp"))
    plant(tmp_path, "02_two", OPEN, begin, ended, f"{partial}.unlink()")
    assert go(tmp_path, jobs=2)[0].report.ran == ["01_one", "02_two"]


def test_another_shipped_file_makes_its_readers_stale(tmp_path):
    """Seen failing: new predictions were shipped, and the notebook that draws them was current."""
    files.write_text(tmp_path / "results/shipped.csv", "1")
    plant(tmp_path, "01_first", OPEN, TABLE, results=["table.csv"], reads=["results/shipped.csv"])
    plant(tmp_path, "02_second", OPEN)
    go(tmp_path)
    assert go(tmp_path)[0].report.ran == []
    files.write_text(tmp_path / "results/shipped.csv", "2")
    runner, text = go(tmp_path)
    assert runner.report.ran == ["01_first"]
    assert "running (results/shipped.csv changed)" in text


def test_a_notebook_may_read_what_it_makes_itself_in_another_profile(tmp_path):
    plant(tmp_path, "01_first", OPEN, TABLE, results=["table.csv"],
          reads=["results/tiny/table.csv"])  # fmt: skip
    go(tmp_path)
    go(tmp_path, profile="sample")
    assert go(tmp_path)[0].report.ran == go(tmp_path, profile="sample")[0].report.ran == []
    files.write_text(tmp_path / "results/tiny/table.csv", "x\n3\n")
    assert "running (results/tiny/table.csv changed)" in go(tmp_path, profile="sample")[1]
    assert "running (results/tiny/table.csv was changed)" in go(tmp_path)[1]


def test_a_notebook_that_trains_must_say_so(tmp_path):
    train = """
    (paper.runs / "a").mkdir(parents=True, exist_ok=True)
    (paper.runs / "a/config.json").write_text("{}")
    """
    plant(tmp_path, "01_first", OPEN, train)
    with pytest.raises(NotebookFailed, match='it trained a — write "trains": true'):
        go(tmp_path)
    (tmp_path / "results/tiny/runs/a/config.json").unlink()
    plant(tmp_path, "01_first", OPEN, train, trains=True)
    assert go(tmp_path)[0].report.ran == ["01_first"]


# ---- killed in the middle ------------------------------------------------------------------------


def wait_for_kernel(seen: Path, process: subprocess.Popen) -> psutil.Process:
    """The kernel whose number a notebook wrote into `seen`."""
    deadline = time.monotonic() + 240
    while not seen.exists() or not seen.read_text():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    return psutil.Process(int(seen.read_text()))


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_in_the_middle_it_continues(tmp_path):
    plant(tmp_path, "01_first", OPEN, TABLE, results=["table.csv"])
    plant(
        tmp_path,
        "02_second",
        OPEN,
        """
        import os, time
        from pathlib import Path
        seen = paper.root / "seen"
        if not seen.exists():
            (paper.results / "two.0a0a0a0a.partial.json").write_text("{")
            seen.write_text(str(os.getpid()))
            time.sleep(60)
        paper.save_json(2, "two")
        """,
        results=["two.json"],
    )
    command = [*PAPER, "run", "--profile", "tiny", "--jobs", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    kernel = wait_for_kernel(tmp_path / "seen", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = files.sha256(tmp_path / "results/tiny/table.csv")

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "01_first: nothing changed: taken from the cache" in done.stdout
    assert "1 run, 1 from the cache" in done.stdout
    assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE
    assert files.sha256(tmp_path / "results/tiny/table.csv") == first
    assert files.read_json(tmp_path / "results/tiny/two.json") == 2
    assert not list(tmp_path.rglob("results/**/*.partial*"))


@pytest.mark.skipif(os.name == "nt", reason="SIGINT")
def test_an_interrupt_ends_the_kernels_and_says_how_to_go_on(tmp_path):
    for name in ("01_first", "02_second"):
        seen = f"(paper.root / '{name}.tmp').write_text(str(os.getpid()))"
        plant(tmp_path, name, OPEN, f"import os, time; {seen}; time.sleep(300)", minutes=9)
    process = subprocess.Popen(
        [*PAPER, "run", "--profile", "tiny", "--jobs", "2"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that starts the tests in its background hands them an ignored SIGINT
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    kernels = [
        wait_for_kernel(tmp_path / f"{name}.tmp", process) for name in ("01_first", "02_second")
    ]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("paper: interrupted; the same command continues")
    for kernel in kernels:
        assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE


def test_the_command_line_ends_in_one_line(tmp_path):
    plant(tmp_path, "01_first", OPEN, "1 / 0")
    command = [*PAPER, "run", "--profile", "tiny"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("paper: 01_first failed: In [4]: ZeroDivisionError")
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stdout


# ---- what it shows -------------------------------------------------------------------------------


def test_the_list_says_what_is_there(tmp_path):
    plant(tmp_path, "01_first", OPEN, TABLE, results=["table.csv"], figures=["fig01_x"])
    plant(tmp_path, "02_second", OPEN)
    go(tmp_path, "02")
    runner, stream = Runner("tiny", root=tmp_path), io.StringIO()
    listing([runner.state(n) for n in runner.notebooks], "tiny", Console(file=stream))
    rows = stream.getvalue()
    assert "not run yet" in rows
    assert "current" in rows
    assert "fig01_x" in rows
    assert "table.csv" in rows


def test_in_a_log_progress_is_plain_lines_at_most_once_a_minute(monkeypatch):
    log, clock = Log(), [0.0]
    monkeypatch.setattr("paperlib.pipeline.screen.time.monotonic", lambda: clock[0])
    log.start("05_train", 125.0, "paperlib changed")
    for second in range(130):
        clock[0] = float(second)
        log.cell("05_train", 3, 9)
        log.text("05_train", f"epoch {second}")
    log.done("05_train", "2 min 10 s")
    assert log.printed.splitlines() == [
        "05_train: running (paperlib changed), about 2 min 05 s",
        "05_train: cell 3 of 9, 1 min 00 s",
        "05_train: cell 3 of 9, 2 min 00 s",
        "05_train: 2 min 10 s",
    ]


def test_trained_now_and_taken_from_an_earlier_run_are_different_words(tmp_path):
    """Seen failing: "42 saved networks used, not trained again" right after they were trained."""
    plant(tmp_path, "01_first", OPEN)
    runner = Runner("tiny", root=tmp_path)
    session = Session(runner, {}, False, Log(), None, Report())
    told = [{"run": "a", "saved": False}, {"run": "b", "saved": True}, {"run": "c", "saved": True}]
    assert session._how(told, {"a", "b"}) == (
        "2 networks trained here, now, 1 network taken from an earlier run, not trained again, "
    )
    assert session._how([{"run": "b", "saved": True}], set()) == (
        "1 network trained by an earlier notebook of this run, "
    )
    other = [{"run": "d", "saved": False, "other_code": "losses.py: loss 1 before, 2 now"}]
    assert "1 of them anew: losses.py: loss 1 before, 2 now" in session._how(other, {"d"})


def test_what_was_edited_while_a_notebook_ran_for_the_first_time_is_noticed(tmp_path):
    """Seen failing: what it was made from was looked at when it had ended."""
    note = tmp_path / ".cache" / "note.txt"
    note.parent.mkdir()
    note.write_text("before")
    edit = f"open({str(note)!r}, 'w').write('meanwhile')"
    plant(tmp_path, "01_one", OPEN, TABLE, edit, results=["table.csv"], reads=[".cache/note.txt"])
    runner = Runner("tiny", root=tmp_path)
    runner.run(screen=Log())
    fresh = Runner("tiny", root=tmp_path)
    assert fresh.state(fresh.notebooks[0]).reason == ".cache/note.txt changed"


def test_what_others_are_writing_now_is_not_taken_for_left_behind(tmp_path):
    plant(tmp_path, "01_one", OPEN)
    runner = Runner("tiny", root=tmp_path)
    names = {
        "runs/a/predictions.c268ec26.partial.npz": True,  # a training that saves now
        "labels.partial.csv": True,  # of `paper predict`, which goes on from it
        "table.c268ec26.partial.csv": False,
    }
    for name in names:
        path = runner.project.results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    runner._remove_partial()
    assert {name: (runner.project.results / name).exists() for name in names} == names


def test_a_run_without_bad_chips_is_current_in_the_list(tmp_path):
    plant(tmp_path, "01_one", OPEN, TABLE, results=["table.csv"])
    Runner("tiny", root=tmp_path, skip_bad=True).run(screen=Log())
    listed = Runner("tiny", root=tmp_path)
    assert listed.state(listed.notebooks[0]).reason == ""
    assert listed.state(listed.notebooks[0], {}).reason == "skip_bad changed"


def test_names_that_are_no_utf_8_have_a_digest():
    assert manifest.digest("caf\udce9") == manifest.digest(b"caf\xe9")
