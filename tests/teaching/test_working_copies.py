"""`make lab` opens copies: answers stay, and the tracked notebooks stay clean."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from paperlib.pipeline import notebooks


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_copies_are_made_once_and_keep_their_answers(root, tmp_path):
    shutil.copy2(root / "Makefile", tmp_path)
    (tmp_path / "notebooks/zh").mkdir(parents=True)
    for name in ("02_dark_channel.ipynb", "zh/02_dark_channel.md"):
        shutil.copy2(root / "notebooks" / name, tmp_path / "notebooks" / name)
    called = tmp_path / ".venv/bin/jupyter"
    called.parent.mkdir(parents=True)
    called.write_text('#!/bin/sh\necho "$@" > called\n')
    called.chmod(0o755)
    python = tmp_path / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    ready = tmp_path / ".venv/ready"  # newer than all it depends on: nothing is installed
    for name in ("requirements.lock", "pyproject.toml", ".ci/environment"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    ready.touch()
    subprocess.run(["make", "lab"], cwd=tmp_path, check=True, capture_output=True)
    copy = tmp_path / "notebooks/mine/02_dark_channel.ipynb"
    assert copy.read_bytes() == (root / "notebooks/02_dark_channel.ipynb").read_bytes()
    chinese = tmp_path / "notebooks/mine/02_dark_channel.zh.ipynb"
    assert "暗通道" in chinese.read_text(encoding="utf-8")
    assert "--notebook-dir=notebooks/mine" in (tmp_path / "called").read_text()
    copy.write_text("my answer")
    subprocess.run(["make", "lab"], cwd=tmp_path, check=True, capture_output=True)
    assert copy.read_text() == "my answer"


def test_copies_are_neither_tracked_nor_run(root, tmp_path):
    assert "/notebooks/mine/" in (root / ".gitignore").read_text(encoding="utf-8")
    shutil.copytree(root / "notebooks", tmp_path / "notebooks")
    (tmp_path / "notebooks/mine").mkdir(exist_ok=True)
    shutil.copy2(root / "notebooks/02_dark_channel.ipynb", tmp_path / "notebooks/mine")
    names = [one.name for one in notebooks.read_all(tmp_path / "notebooks")]
    assert names == sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))
