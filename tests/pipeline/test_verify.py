"""`paper verify` and `paper diff` on planted outputs: every change is found, at the right place."""

from __future__ import annotations

import io
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image
from test_runner import go, plant
from typer.testing import CliRunner

from paperlib import cli
from paperlib.pipeline import (
    code,
    compare,
    diff,
    manifest,
    notebooks,
    rerun,
    shipped,
    tolerances,
    verify,
)
from paperlib.utils import files
from paperlib.utils.errors import PaperError

TABLE = "label,f2,low,high\nwater,0.523456,0.5,0.55\nroad,0.7,0.6,0.8\n"


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAPER_CACHE", raising=False)
    monkeypatch.setattr(code, "reached", lambda notebook: {})
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "a test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")


def commit(root: Path) -> None:
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)


def draw(path: Path, colour: tuple[int, int, int]) -> None:
    """A white picture with a thin line, as a figure has them."""
    pixels = np.full((300, 400, 3), 255, np.uint8)
    pixels[150:152, 50:350] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A checkout whose two notebooks have made a figure, tables and arrays, and its commit."""
    plant(tmp_path, "01_first", figures=["fig01.png", "fig01.svg"], results=["table.csv"])
    plant(tmp_path, "02_second", figures=["fig02.png"], results=["facts.json", "arrays.npz"])
    figures, results = tmp_path / "figures/tiny", tmp_path / "results/tiny"
    draw(figures / "fig01.png", (0, 114, 178))
    draw(figures / "fig02.png", (0, 114, 178))
    (figures / "fig01.svg").write_text("<svg id='a'/>")
    files.write_text(results / "table.csv", TABLE)
    files.write_json(results / "facts.json", {"a": {"b": 1.5}, "c": ["x"]})
    files.write_arrays(results / "arrays.npz", p=np.linspace(0, 1, 9))
    (tmp_path / ".gitignore").write_text(".cache/\n")
    commit(tmp_path)
    return tmp_path


def found(root: Path) -> dict[str, tuple[str, str]]:
    return {Path(r.path).name: (r.verdict, r.note) for r in verify.verify(root, "tiny").rows}


# ---- verify --------------------------------------------------------------------------------------


@pytest.mark.parametrize("against", ["commit", "expected"])
def test_each_verdict_is_said_with_where_and_how_much(planted, against):
    if against == "expected":
        verify.write_expected(planted, "tiny")
        assert (planted / "results/expected/tiny.json").stat().st_size < 20_000
    results, figures = planted / "results/tiny", planted / "figures/tiny"
    assert {v for v, _ in found(planted).values()} == {compare.IDENTICAL}
    assert verify.verify(planted, "tiny").line.startswith("6 outputs: 6 identical")

    files.write_text(results / "table.csv", TABLE.replace("0.523456", "0.523457"))
    verdict, note = found(planted)["table.csv"]
    assert verdict == compare.EQUAL
    assert note == "f2 by up to 1e-06 (water)"

    files.write_text(results / "table.csv", TABLE.replace("0.523456", "0.53"))
    verdict, note = found(planted)["table.csv"]
    assert (verdict, note) == (compare.DIFFERS, "1 cell differs; f2 by up to 0.0065 (water)")

    draw(figures / "fig01.png", (213, 94, 0))  # a thin line in another colour
    files.write_json(results / "facts.json", {"a": {"b": 1.5}, "c": ["y"]})
    files.write_arrays(results / "arrays.npz", p=np.linspace(0, 2, 9))
    (figures / "fig01.svg").write_text("<svg id='b'/>")
    (figures / "fig02.png").unlink()
    now = found(planted)
    assert now["fig01.png"][0] == now["fig01.svg"][0] == compare.DIFFERS
    assert "judged by its PNG" in now["fig01.svg"][1]
    assert now["facts.json"] == (compare.DIFFERS, '1 cell differs; value of c.0: "x" → "y"')
    assert now["arrays.npz"][0] == compare.DIFFERS
    assert "largest by up to 1 (p)" in now["arrays.npz"][1]
    assert now["fig02.png"][0] == compare.MISSING
    assert verify.verify(planted, "tiny").line.startswith("6 outputs: 5 differ, 1 missing")


def test_another_file_with_the_same_picture_is_equal(planted):
    figures = planted / "figures/tiny"
    Image.open(figures / "fig01.png").save(figures / "fig01.png", compress_level=0)
    (figures / "fig01.svg").write_text("<svg id='b'/>")
    now = found(planted)
    assert now["fig01.png"] == (compare.EQUAL, "other bytes, the same pixels")
    assert now["fig01.svg"][0] == compare.EQUAL


def test_another_matplotlib_is_named_where_a_figure_differs(planted, monkeypatch):
    verify.write_expected(planted, "tiny")
    draw(planted / "figures/tiny/fig01.png", (213, 94, 0))
    assert "Matplotlib" not in found(planted)["fig01.png"][1]
    monkeypatch.setattr(verify, "version", lambda name: "9.9")
    assert "drawn by Matplotlib 9.9, shipped from 3." in found(planted)["fig01.png"][1]


# Planted in the second drawing: what it does to the figure, and what verify must say of it.
CHANGES = {
    "letters": (lambda ax: None, compare.EQUAL, "the same data, colours and words"),
    "a colour": (lambda ax: ax.lines[0].set_color("#D55E00"), compare.DIFFERS, "colour of panel 1"),
    "a value": (lambda ax: ax.lines[0].set_ydata([0, 0.51, 1]), compare.DIFFERS, "y by up to 0.01"),
    "a word": (lambda ax: ax.set_xlabel("recalls"), compare.DIFFERS, "recall → recalls"),
    "a name": (lambda ax: ax.legend_.texts[0].set_text("our"), compare.DIFFERS, "ours → our"),
    "beside": (
        lambda ax: ax.set_facecolor("#888888"), compare.DIFFERS, "apart by at most",
    ),
}  # fmt: skip


@pytest.mark.parametrize("against", ["commit", "expected"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_figure_of_another_matplotlib_is_judged_by_what_it_draws(
    tmp_path, monkeypatch, change, against
):
    """Another font stands for the other version, whose letters are others."""
    from matplotlib.figure import Figure

    from paperlib import plots

    plant(tmp_path, "01_first", figures=["fig01"])
    results = tmp_path / "results/tiny"
    files.write_json(results / "manifest.json", {"schema": manifest.SCHEMA, "notebooks": {},
                     "run": {"notebooks": {}}, "versions": {"matplotlib": "3.0"}})  # fmt: skip

    def save(font: str, plan) -> None:
        figure = Figure(figsize=(4, 3), layout="constrained")
        ax = figure.add_subplot()
        ax.plot([0, 1, 2], [0, 0.5, 1], "o-", color="#0072B2", label="ours")
        ax.set(xlabel="recall", title="A figure")
        ax.legend()
        plan(ax)
        for text in figure.findobj(Text):
            text.set_fontfamily(font)
        plots.save(figure, tmp_path / "figures/tiny/fig01")

    def verdicts() -> dict[str, tuple[str, str]]:
        return {k.rpartition(".")[2]: v for k, v in found(tmp_path).items()}

    save("DejaVu Sans", lambda ax: None)
    commit(tmp_path)
    if against == "expected":
        monkeypatch.setattr(verify, "version", lambda name: "3.0")
        verify.write_expected(tmp_path, "tiny")
    plan, verdict, words = CHANGES[change]
    save("DejaVu Serif", plan)
    monkeypatch.setattr(verify, "version", lambda name: "3.0")
    assert verdicts()["png"][0] == compare.DIFFERS, "the same version draws the same letters"
    monkeypatch.setattr(verify, "version", lambda name: "3.1")
    now = verdicts()
    assert now["png"][0] == now["svg"][0] == now["pdf"][0] == verdict
    assert words in now["png"][1]
    assert "drawn by Matplotlib 3.1, shipped from 3.0" in now["png"][1]


def test_what_was_not_shipped_or_not_made_here_is_said(planted):
    plant(planted, "03_third", results=["new.csv"])
    files.write_text(planted / "results/tiny/new.csv", TABLE)
    agreement = verify.verify(planted, "tiny")
    assert agreement.rows[-1].verdict == compare.NEW
    assert agreement.agrees
    assert agreement.line.endswith("1 not shipped; 7 of them shipped, not made here")


def test_nothing_shipped_is_an_error_not_an_agreement(tmp_path):
    plant(tmp_path, "01_first", results=["table.csv"])
    files.write_text(tmp_path / "results/tiny/table.csv", TABLE)
    with pytest.raises(PaperError, match="nothing was shipped of profile tiny"):
        verify.verify(tmp_path, "tiny")


def test_a_table_whose_rows_moved_is_compared_row_by_row():
    old = [{"label": "a", "seed": "0", "f2": "1"}, {"label": "a", "seed": "1", "f2": "2"}]
    new = [old[1], {**old[0], "f2": "1.5"}]
    cells = compare.tables(old, new).cells
    assert [(c.row, c.column, c.old, c.new) for c in cells] == [("a · 0", "f2", "1", "1.5")]
    gone = compare.tables(old, old[:1])
    assert (gone.verdict, gone.note) == (compare.DIFFERS, "1 row gone")
    assert [(c.row, c.old, c.new) for c in gone.cells] == [("a · 1", "2", None)]


def test_the_command_ends_with_one_line_an_exit_code_a_page_and_a_certificate(planted, monkeypatch):
    monkeypatch.chdir(planted)
    done = CliRunner().invoke(cli.app, ["verify", "--profile", "tiny"])
    assert done.exit_code == 0
    assert done.output.splitlines()[-1].startswith("6 outputs: 6 identical")
    files.write_text(planted / "results/tiny/table.csv", TABLE.replace("0.7", "0.71"))
    done = CliRunner().invoke(cli.app, ["verify", "--profile", "tiny"])
    assert done.exit_code == 1
    certificate = json.loads((planted / "results/certificate.json").read_text())
    assert certificate["version"] == "https://codecheck.org.uk/spec/config/1.0/"
    assert len(certificate["manifest"]) == 6
    table = next(e for e in certificate["manifest"] if e["file"] == "results/tiny/table.csv")
    assert "differs (1 cell differs; f2 by up to 0.01 (road))" in table["comment"]
    assert {"lock", "commits", "machines", "finished"} <= set(certificate["made"])
    page = (planted / "results/verify.html").read_text()
    assert "0.71" in page
    for tolerance in tolerances.TOLERANCES:
        assert tolerance.name in page
    assert not re.search(r'(src|href)="https?:', page)


# ---- diff ----------------------------------------------------------------------------------------

FUNCTION = "def colour():\n    return (0, 114, 178)\n\ndef score():\n    return 0.5\n"
CELLS = [
    "import numpy as np, pandas as pd\nfrom PIL import Image\nimport helper\n"
    "from paperlib.project import Project\npaper = Project(profile, data)\n"
    "paper.figures.mkdir(parents=True, exist_ok=True)",
    "pixels = np.full((30, 40, 3), 255, np.uint8)\npixels[15] = helper.colour()\n"
    "Image.fromarray(pixels).save(paper.figures / 'fig02.png')",
    "paper.save_table(pd.DataFrame({'label': ['water'], 'f2': [helper.score()]}), 'table')",
]


@pytest.mark.slow
def test_a_change_in_one_function_is_found_by_verify_and_shown_by_diff_at_its_figure(tmp_path):
    plant(
        tmp_path, "01_other", "from paperlib.project import Project",
        "Project(profile, data).save_json(1, 'one')", results=["one.json"],
    )  # fmt: skip
    plant(tmp_path, "02_changed", *CELLS, figures=["fig02.png"], results=["table.csv"])
    helper = tmp_path / "notebooks/helper.py"
    helper.write_text(FUNCTION)
    ignored = "__pycache__/\n.cache/\nresults/tiny/\nfigures/tiny/\n"
    (tmp_path / ".gitignore").write_text(ignored)
    commit(tmp_path)
    runner, _ = go(tmp_path)
    rerun.remember(runner, runner.report)
    verify.write_expected(tmp_path, "tiny")
    assert verify.verify(tmp_path, "tiny").line == "3 outputs: 3 identical"
    assert not diff.diff(tmp_path, "tiny").pictures

    helper.write_text(FUNCTION.replace("(0, 114, 178)", "(213, 94, 0)"))
    runner, _ = go(tmp_path, force=True)
    rerun.remember(runner, runner.report)  # with changes not committed: the commit's stay
    agreement = verify.verify(tmp_path, "tiny")
    assert [r.path for r in agreement.rows if r.bad] == ["figures/tiny/fig02.png"]
    changes = diff.diff(tmp_path, "tiny")
    assert [(p.name, p.notebook.name) for p in changes.pictures] == [("fig02", "02_changed")]
    assert not changes.tables
    assert changes.alike == 2
    assert changes.pictures[0].old != changes.pictures[0].new

    helper.write_text(FUNCTION.replace("0.5", "0.625"))
    go(tmp_path, force=True)
    changes = diff.diff(tmp_path, "tiny")
    assert not changes.pictures
    (table,) = changes.tables
    (cell,) = [part["cell"] for row in table.rows for part in row["cells"]]
    assert (cell.row, cell.column, cell.old, cell.new) == ("water", "f2", "0.5", "0.625")
    assert not changes.stale
    path = tmp_path / "notebooks/02_changed.ipynb"  # what moved is of before this edit
    path.write_text(path.read_text().replace("'water'", "'road'"))
    changes = diff.diff(tmp_path, "tiny")
    assert changes.stale == {"02_changed": "notebook changed"}
    assert changes.line.endswith("; 02_changed is not current, run it: notebook changed")
    commit(tmp_path)  # a newer commit that was never run: compared with the last one that was
    assert "the last run before" in diff.diff(tmp_path, "tiny").against


def test_the_old_side_comes_from_git_whatever_lies_in_the_working_tree(planted):
    files.write_text(planted / "results/tiny/table.csv", TABLE.replace("0.523456", "0.6"))
    (planted / "figures/tiny/fig02.png").unlink()
    changes = diff.diff(planted, "tiny")
    assert [(p.name, bool(p.old), bool(p.new)) for p in changes.pictures] == [
        ("fig02", True, False)
    ]
    page = diff.write(planted, changes).read_text()
    assert "0.523456" in page
    assert ">0.6" in page
    assert not re.search(r'(src|href)="https?:', page)
    with pytest.raises(PaperError, match="no commit 'never'"):
        diff.diff(planted, "tiny", "never")


def test_a_notebook_that_was_not_run_at_the_commit_is_said_not_shown_as_new(planted):
    plant(planted, "03_third", results=["new.csv"])
    files.write_text(planted / "results/tiny/new.csv", TABLE)
    changes = diff.diff(planted, "tiny")
    assert not changes.tables
    assert changes.line.endswith("not known then: 03_third")


def test_intervals_stand_beside_their_value(planted):
    files.write_text(
        planted / "results/tiny/table.csv", TABLE.replace("0.7,0.6,0.8", "0.3,0.2,0.4")
    )
    (table,) = diff.diff(planted, "tiny").tables
    (part,) = table.rows[0]["cells"]
    assert (part["cell"].column, part["low"].new, part["high"].new) == ("f2", "0.2", "0.4")


def test_verdicts_that_flip_are_shown(root):
    """Of the shipped planet32: every label made better by dehazing turns its claims round."""
    path = "results/planet32/dehazing_differences.csv"
    old = shipped.committed(root, "HEAD", [path])
    table = pd.read_csv(io.BytesIO(old.read(path)))
    table.loc[:, [c for c in table if c != "label"]] = 0.3
    better = table.to_csv(index=False).encode()
    new = shipped.Side("now", old.digests, {path: better}.get)
    declared = notebooks.read_all(root / "notebooks")
    flipped = {v.text: (v.old, v.new) for v in diff._verdicts(root, "planet32", declared, old, new)}
    assert ("inconclusive", "reproduced") in flipped.values()
    assert all(before != now for before, now in flipped.values())


def test_only_the_newest_commits_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "KEPT", 2)
    target = tmp_path / "results/tiny/one.json"
    for number in range(4):
        files.write_json(target, number)
        shipped.keep(
            tmp_path, "tiny", f"{number:040d}", {"results/tiny/one.json": files.sha256(target)}
        )
    store = tmp_path / ".cache/outputs/tiny"
    assert sorted(path.name for path in store.iterdir()) == [
        f"{2:040d}.json", f"{3:040d}.json", "files",
    ]  # fmt: skip
    assert len(list((store / "files").iterdir())) == 2
    assert shipped.kept(tmp_path, "tiny", "0" * 40) is None


def test_two_runs_that_end_at_once_keep_the_copies_of_both(tmp_path, monkeypatch):
    import threading

    targets = [tmp_path / "results/tiny/one.json", tmp_path / "results/tiny/two.json"]
    outputs = []
    for number, target in enumerate(targets):
        files.write_json(target, number)
        outputs.append({f"results/tiny/{target.name}": files.sha256(target)})
    write = files.write_json

    def other():
        shipped.keep(tmp_path, "tiny", "2" * 40, outputs[1])

    second = threading.Thread(target=other, daemon=True)

    def write_late(path, value):  # the second run ends after the copies, before their record
        if path.name == f"{1:040d}.json":
            second.start()
            second.join(0.5)
        write(path, value)

    monkeypatch.setattr(files, "write_json", write_late)
    shipped.keep(tmp_path, "tiny", f"{1:040d}", outputs[0])
    second.join(60)
    for commit_, made, target in zip([f"{1:040d}", "2" * 40], outputs, targets, strict=True):
        side = shipped.kept(tmp_path, "tiny", commit_)
        assert [side.read(path) for path in made] == [target.read_bytes()]
    assert manifest.read(tmp_path / "results/tiny")["notebooks"] == {}


@pytest.mark.slow
def test_watching_runs_again_when_the_notebook_is_saved_and_marks_the_page(tmp_path, monkeypatch):
    import threading
    import time

    from paperlib.pipeline.runner import Runner

    cells = ["from paperlib.project import Project", "Project(profile, data).save_json(1, 'one')"]
    plant(tmp_path, "01_first", *cells, results=["one.json"])
    (tmp_path / ".gitignore").write_text(".cache/\n")
    files.write_json(tmp_path / "results/tiny/one.json", 0)
    commit(tmp_path)
    monkeypatch.setattr(rerun, "PAUSE", 0.05)
    page, stamp = tmp_path / diff.PAGE, tmp_path / diff.STAMP
    worker = threading.Thread(
        target=rerun.watch, args=(lambda: Runner("tiny", root=tmp_path), ["01"]),
        kwargs={"turns": 2}, daemon=True,
    )  # fmt: skip
    worker.start()
    end = time.monotonic() + 120
    while not stamp.is_file() and time.monotonic() < end:
        time.sleep(0.1)
    first = stamp.read_text()
    time.sleep(0.5)
    plant(tmp_path, "01_first", cells[0], cells[1].replace("(1,", "(2,"), results=["one.json"])
    worker.join(120)
    assert not worker.is_alive()
    assert files.read_json(tmp_path / "results/tiny/one.json") == 2
    assert stamp.read_text() != first
    number = re.search(r'"(\d+)"', stamp.read_text())[1]
    assert f'data-stamp="{number}"' in page.read_text()


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_a_commit_is_clean_where_all_of_its_notebooks_were(tmp_path, order):
    """Seen failing: the last one decided."""
    entry = {"commit": "abc", "hardware": {}, "finished": "", "seconds": 1}
    entries = {str(n): {**entry, "clean": clean} for n, clean in enumerate(order)}
    found = verify.run(tmp_path, {"run": {"notebooks": entries}})
    assert found["commits"] == [{"commit": "abc", "clean": False}]


def test_watching_and_what_it_does_not_do_are_not_mixed():
    for option in ("--force", "--style=ieee-double"):
        found = CliRunner().invoke(cli.app, ["run", "01", "--watch", option])
        assert isinstance(found.exception, PaperError)
        assert "leave out --force and --style" in str(found.exception)


def test_what_is_no_number_is_not_within_a_tolerance():
    """Seen failing: infinity lay within 1e-5 of it, one NaN hid an array, and no text was read."""

    def npz(array):
        buffer = io.BytesIO()
        np.savez(buffer, values=array)
        return compare.rows("x.npz", buffer.getvalue())

    one, other = ([{"label": "water", "f2": value}] for value in ("0.925", "inf"))
    assert compare.tables(one, other).verdict == compare.DIFFERS
    values = np.random.default_rng(0).random((100, 17))
    values[0, 0] = np.nan
    assert compare.tables(npz(values), npz(values + 1e-9)).verdict != compare.DIFFERS
    assert compare.tables(npz(values), npz(values / 100)).verdict == compare.DIFFERS
    more = values.copy()
    more[1, 1] = np.nan
    assert compare.tables(npz(values), npz(more)).verdict == compare.DIFFERS
    texts = np.array(["a", "b"]), np.array(["c", "d"])
    assert compare.tables(*map(npz, texts)).verdict == compare.DIFFERS
