"""The small environment for students: notebooks 02 and 04 run with nothing else installed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Runs a notebook's cells while every package that is not allowed cannot be imported.
RUN = """
import json, sys

path, profile, allowed = sys.argv[1], sys.argv[2], set(json.loads(sys.argv[3]))
blocked = set(json.loads(sys.argv[4])) - allowed


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(f"{name} is not in binder/environment.yml")


sys.meta_path.insert(0, Blocked())
import matplotlib

matplotlib.use("Agg")
space = {"__name__": "__main__"}
for cell in json.load(open(path))["cells"]:
    if cell["cell_type"] == "code":
        source = "".join(cell["source"])
        if cell["metadata"].get("tags") == ["parameters"]:
            source = source.replace('"sample"', repr(profile))
        exec(compile(source, cell["id"], "exec"), space)
import paperlib.teaching.exercises
assert "tensorflow" not in sys.modules
"""


@pytest.fixture(scope="module")
def wanted(root) -> list[str]:
    text = (root / "binder/environment.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["dependencies"][-1]["pip"]


def closure(names: list[str]) -> set[str]:
    """The distributions that are installed with these, by what they require."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = canonicalize_name(todo.pop())
        if name in found:
            continue
        found.add(name)
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.append(requirement.name)
    return found


def test_it_lists_declared_packages_only_and_no_bound_a_second_time(root, wanted):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {})
    lines = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    assert set(wanted) <= declared
    assert "tensorflow" not in closure(wanted)


def test_its_scripts_can_be_run(root):
    for name in ("postBuild", "start"):
        assert os.access(root / "binder" / name, os.X_OK), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("notebook", "profile"), [("02_dark_channel", "tiny"), ("04_f2_score", "planet32")]
)
def test_the_notebook_runs_with_nothing_else(root, tmp_path, wanted, notebook, profile):
    allowed = closure([*wanted, "paperlib"][:-1])
    top = importlib.metadata.packages_distributions()
    usable = [m for m, names in top.items() if allowed & {canonicalize_name(n) for n in names}]
    shutil.copytree(root / "notebooks", tmp_path / "notebooks")
    shutil.copy2(root / "pyproject.toml", tmp_path)
    if profile == "planet32":
        shutil.copytree(root / "results/planet32", tmp_path / "results/planet32")
    path = f"notebooks/{notebook}.ipynb"
    command = [sys.executable, "-c", RUN, path, profile, json.dumps(usable), json.dumps([*top])]
    blocked_not = {"paperlib", "__editable___paperlib_0_1_0_finder"}
    command[-1] = json.dumps([m for m in top if m not in blocked_not])
    environment = os.environ | {
        "PYTHONPATH": str(root),
        "KERAS_BACKEND": "jax",
        "MPLBACKEND": "Agg",
        "PAPER_CACHE": str(tmp_path / "cache"),
    }
    environment.pop("JPY_SESSION_NAME", None)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
