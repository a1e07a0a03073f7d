"""Results held to account: of other code, other data or a changed notebook is a fault."""

from __future__ import annotations

import shutil

import pytest
from typer.testing import CliRunner

from paperlib import cli
from paperlib.pipeline import account, code, manifest, report
from paperlib.pipeline.runner import Runner
from paperlib.training import identity
from paperlib.utils import files, paths


@pytest.fixture
def checkout(root, tmp_path):
    """A checkout whose notebook 04 was run on the profile tiny by the code of now."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(root / "notebooks/04_f2_score.ipynb", tmp_path / "notebooks")
    runner = Runner("tiny", root=tmp_path)
    (notebook,) = runner.notebooks
    entry = {"parameters": {}, "made_from": runner.made_from(notebook, {})}
    write(tmp_path, entry)
    return tmp_path


def write(root, entry) -> None:
    found = {"schema": manifest.SCHEMA, "notebooks": {"04_f2_score": entry}}
    manifest.write(root / "results/tiny", {**found, "run": {"notebooks": {}}})


def entry_of(root) -> dict:
    return manifest.read(root / "results/tiny")["notebooks"]["04_f2_score"]


def test_what_the_code_of_now_made_has_no_fault(checkout):
    assert account.hold(checkout, "tiny") == account.Account((), ())


def test_other_code_and_a_changed_notebook_are_faults_with_the_file(checkout, monkeypatch):
    """Seen failing: exit 0, without a word."""
    now = code.reached
    edited = {"paperlib/f2.py": "0" * 12}
    monkeypatch.setattr(code, "reached", lambda notebook: now(notebook) | edited)
    assert account.hold(checkout, "tiny").faults == (
        "tiny: 04_f2_score was made by other code (paperlib/f2.py)",
    )
    monkeypatch.undo()
    path = checkout / "notebooks/04_f2_score.ipynb"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("f2.f2_score(", "f2.chip_f2(", 1), encoding="utf-8")
    assert account.hold(checkout, "tiny").faults == (
        "tiny: 04_f2_score was made by another version of the notebook",
    )


def test_a_manifest_of_before_code_was_recorded_is_a_fault(checkout):
    entry = entry_of(checkout)
    del entry["made_from"]["code"]
    write(checkout, entry)
    (fault,) = account.hold(checkout, "tiny").faults
    assert "was made by other code" in fault


def test_runs_of_other_code_are_faults_and_unknown_ones_a_note(checkout, root):
    shipped = next((root / "results/planet32/runs").glob("vgg16-*"))
    shutil.copytree(shipped, checkout / "results/tiny/runs" / shipped.name)
    place = checkout / "results/tiny/runs" / shipped.name / "run.json"
    facts = {k: v for k, v in files.read_json(place).items() if k != "code"}
    files.write_json(place, facts)
    assert account.hold(checkout, "tiny").notes == (f"tiny: 1 training run: {identity.UNKNOWN}",)
    files.write_json(place, {**facts, **identity.made_by(), "environment": {"backend": "jax"}})
    (fault,) = account.hold(checkout, "tiny").faults
    assert "backend jax before, tensorflow now" in fault


@pytest.mark.parametrize(("options", "code_"), [([], 0), (["--strict"], 1)])
def test_strict_makes_it_a_failure(checkout, monkeypatch, options, code_):
    written = report.Written(checkout / "report.html", None, "", (), ("tiny: 04 was made by …",))
    monkeypatch.setattr(report, "write", lambda *given, **more: written)
    monkeypatch.setattr(paths, "checkout", lambda: checkout)
    done = CliRunner().invoke(cli.app, ["report", "--no-pdf", *options])
    assert done.exit_code == code_
    assert "was made by" in done.output
