"""The load script's own pieces: what it notes, keeps, and pins; what it measures is run by hand."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
from conftest import SITE
from real_site import PINNED

from paperlib import predictor
from paperlib.utils import files


@pytest.fixture
def load(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = SITE.parent / "tests/benchmarks/demo_load.py"
    spec = importlib.util.spec_from_file_location("demo_load", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_part_is_kept_beside_the_others_with_day_machine_and_release(load, tmp_path, capsys):
    path = tmp_path / "speed.json"
    load.line("a page", "9 ms", "10 ms", True)
    load.line("a chip", "11 ms", "10 ms", False)
    assert "MISSED" in capsys.readouterr().out.splitlines()[1]
    load.write("gallery", load.rows, path)
    load.write("start", load.rows[:1], path)
    load.write("gallery", load.rows[1:], path)
    kept = files.read_json(path)["parts"]
    assert list(kept) == ["gallery", "start"]  # sorted, as every file here
    assert [row["what"] for row in kept["gallery"]["rows"]] == ["a chip"]
    assert kept["gallery"]["rows"][0]["met"] is False
    assert kept["start"]["card"] == files.sha256(predictor.RELEASED / "planet32/card.json")
    assert kept["start"]["hardware"]["cores"] >= 1
    assert len(kept["start"]["date"]) == len("2026-01-02")


@pytest.mark.parametrize("missed", [False, True])
def test_a_missed_target_is_the_exit_code(load, monkeypatch, missed):
    load.PARTS["gallery"] = lambda given: load.line("a page", "1 s", "2 s", not missed)
    monkeypatch.setattr(sys, "argv", ["demo_load.py", "gallery"])
    assert load.main() == missed


def test_numbers_of_another_predictor_are_not_kept(load, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["demo_load.py", "--write", "--predictor", "planted.load"])
    with pytest.raises(SystemExit):
        load.main()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_a_pinned_server_and_its_children_stay_on_one_core(load):
    core = load.one_core()
    child = "import os; print(os.sched_getaffinity(0))"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    command = [sys.executable, "-c", PINNED, str(core), "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == str({core})
