"""The digest of code: each module of the training and dehazing path, edited in a copy."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from paperlib.utils import code

STARTS = {
    "runs": ["paperlib.training.train"],
    "dehazed chips": ["paperlib.dehaze"],
    "drawn scenes": ["paperlib.chips.scenes"],
}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return shutil.copytree(
        code.PACKAGE,
        tmp_path_factory.mktemp("copy") / "paperlib",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def stale(library: Path) -> dict[str, list[str]]:
    """What has another digest in the copy than in the checkout -> because of which files."""
    code._read.cache_clear()
    found = {
        name: code.differing(code.reached(start), code.reached(start, package=library))
        for name, start in STARTS.items()
    }
    return {name: files for name, files in found.items() if files}


def test_comments_docstrings_and_line_breaks_change_nothing(library):
    """All modules at once: a remark, another docstring, Windows' line ends."""
    before = {path: path.read_bytes() for path in library.rglob("*.py")}
    for path, data in before.items():
        text = data.decode("utf-8")
        text = re.sub(r'^"""', '"""Otherwise. ', text, count=1) + "\n\n# a remark\n"
        path.write_bytes(text.replace("\n", "\r\n").encode())
    assert stale(library) == {}
    for path, data in before.items():
        path.write_bytes(data)


def test_a_real_change_of_each_module_shows_where_it_is_reached_and_nowhere_else(library):
    on_the_path = {
        name: {path.removeprefix("paperlib/") for path in code.reached(start)}
        for name, start in STARTS.items()
    }
    chosen = ["training/loop.py", "training/schedules.py", "dehaze/_kernels_dark.py", "losses.py"]
    chosen += ["networks/augment.py", "chips/scenes/sky.py", "chips/variants.py", "cli/networks.py"]
    for name in chosen:
        path = library / name
        before = path.read_bytes()
        path.write_bytes(before + b"\n_CHANGED = 1\n")
        wanted = {what for what, files in on_the_path.items() if name in files}
        assert stale(library) == {what: [f"paperlib/{name}"] for what in wanted}, name
        path.write_bytes(before)
    assert "losses.py" in on_the_path["runs"] - on_the_path["dehazed chips"]
    assert "dehaze/fast.py" in on_the_path["dehazed chips"] & on_the_path["runs"]
    assert not {"cli/networks.py", "pipeline/report.py"} & on_the_path["runs"]


def test_a_real_change_of_every_module_counts_for_what_reaches_it(library):
    """All modules at once; the files that are named are those on each path, and no other."""
    on_the_path = {
        name: [path for path in code.reached(start) if path.endswith(".py")]
        for name, start in STARTS.items()
    }
    before = {path: path.read_bytes() for path in library.rglob("*.py")}
    for path, data in before.items():
        path.write_bytes(data + b"\n_CHANGED = 1\n")
    assert stale(library) == on_the_path
    for path, data in before.items():
        path.write_bytes(data)
    assert stale(library) == {}
