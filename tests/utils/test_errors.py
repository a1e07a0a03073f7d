"""A full disk and a read-only checkout are one line, and nothing half-written is left."""

from __future__ import annotations

import errno
import os

import pytest

from paperlib import cli
from paperlib.utils import files
from paperlib.utils.errors import of_the_system


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_the_system_refuses_in_one_line(number, monkeypatch, capsys):
    """Seen failing: tracebacks."""

    def refuse():
        raise OSError(number, os.strerror(number), "results/tiny/manifest.json")

    monkeypatch.setattr(cli, "app", refuse)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"paper: results/tiny/manifest.json: {os.strerror(number)} — ")


def test_any_other_error_of_the_system_keeps_its_traceback(monkeypatch):
    assert of_the_system(FileNotFoundError(errno.ENOENT, "no such file", "x")) is None

    def fail():
        raise FileNotFoundError(errno.ENOENT, "no such file", "x")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(FileNotFoundError):
        cli.main()


def test_a_disk_that_fills_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    place = tmp_path / "table.csv"
    files.write_text(place, "old")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(place, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]
    assert place.read_text() == "old"
