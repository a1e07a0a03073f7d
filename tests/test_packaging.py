"""The package's outside: dependencies said once, a lock that holds, an environment for everyone."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import paperlib
from paperlib.pipeline import manifest

LOCKED_EXTRAS = ("fast", "notebooks", "cluster", "demo", "dev")  # notebooks brings train


@pytest.fixture(scope="module")
def project(root) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def lock(root) -> str:
    return (root / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def locked(lock) -> dict[str, list[Requirement]]:
    """Name -> its locked requirements (one for each marker)."""
    found: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^(\S+==.*?)\s*\\?$", lock, flags=re.M):
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def declared(project: dict) -> list[Requirement]:
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"]]
    lines += [line for e in ("train", *LOCKED_EXTRAS) for line in extras[e]]
    assert "paperlib[train]" in extras["notebooks"]
    return [Requirement(line) for line in lines if line != "paperlib[train]"]


# ---- dependencies --------------------------------------------------------------------------------


def test_the_lock_holds_every_declared_dependency_within_its_bound(project, locked):
    for requirement in declared(project):
        pins = locked.get(canonicalize_name(requirement.name), [])
        assert pins, f"{requirement.name} is not in requirements.lock: make lock"
        for pin in pins:
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert requirement.specifier.contains(exact.version, prereleases=True), str(pin)


def test_every_locked_package_has_hashes_and_no_index_is_named(lock, locked):
    entries = re.split(r"^(?=\S+==)", lock, flags=re.M)[1:]
    assert len(entries) == sum(map(len, locked.values())) > 100
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry.split(" ")[0]
    assert "://" not in lock
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host", lock)
    assert not re.search(r"(^|\s)/\w+/", lock)


def test_every_declared_bound_is_a_lower_bound_with_its_dependency_named_once(project):
    names = [canonicalize_name(r.name) for r in declared(project)]
    assert len(names) == len(set(names))
    for requirement in declared(project):
        assert any(s.operator == ">=" for s in requirement.specifier), str(requirement)


def test_what_is_installed_is_within_the_bounds(project):
    for requirement in declared(project):
        version = importlib.metadata.version(requirement.name)
        assert requirement.specifier.contains(version, prereleases=True), requirement.name


def test_what_changes_results_makes_them_stale_and_what_does_not_does_not(project):
    base = {canonicalize_name(Requirement(r).name) for r in project["dependencies"]}
    assert base - set(manifest.COMPUTED_WITH) == {"typer", "rich", "tqdm", "platformdirs", "psutil"}
    assert set(manifest.versions()) == {*manifest.COMPUTED_WITH, "python", "keras backend"}


def test_the_conda_way_repeats_nothing(root, project):
    environment = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge"]
    *conda, pip = environment["dependencies"]
    assert [re.split("[=<>]", line)[0] for line in conda] == ["python", "pip"]
    python = conda[0].removeprefix("python=")
    assert SpecifierSet(project["requires-python"]).contains(f"{python}.0")
    (line,) = pip["pip"]
    match = re.fullmatch(r"-e \.\[([a-z,]+)\]", line)
    assert match is not None
    assert tuple(match[1].split(",")) == LOCKED_EXTRAS
    assert set(LOCKED_EXTRAS) <= set(project["optional-dependencies"])


def test_one_version_everywhere(root, project):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == paperlib.__version__ == citation["version"]
    assert Version(paperlib.__version__)


def test_ci_runs_the_readmes_test_command_then_the_linter(root):
    text = (root / ".ci/run").read_text(encoding="utf-8")
    assert "make test" in (root / "README.md").read_text(encoding="utf-8")
    commands = [line for line in text.splitlines() if line.startswith("make")]
    assert commands == ["make test", "make lint"]
    assert os.access(root / ".ci/run", os.X_OK)
    assert os.access(root / ".ci/environment", os.X_OK)


# ---- what is in it -------------------------------------------------------------------------------


def test_the_wheel_holds_the_library_and_its_data_only(root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 12e6
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"paperlib", f"paperlib-{paperlib.__version__}.dist-info"}
    for path in (root / "paperlib").rglob("*"):
        inside = path.relative_to(root).as_posix()
        if path.is_file() and "__pycache__" not in inside and ".partial" not in inside:
            assert inside in names


def test_nothing_tracked_is_large_or_names_this_machine(root):
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    home = str(Path.home())
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = root / name
        if not path.is_file():
            continue  # deleted, not yet committed
        assert path.stat().st_size < 10e6, name
        assert path.suffix.lower() not in {".tar", ".ipynb_checkpoints"}, name
        assert path.name not in {"train_v2.csv", "LandUse_Multilabeled.txt"}, name
        if path.suffix in {".json", ".ipynb", ".csv", ".md", ".toml", ".yml", ".py", ".lock"}:
            text = path.read_text(encoding="utf-8")
            assert f"{root}/" not in text, name
            assert len(home) < 3 or f"{home}/" not in text, name


# ---- the way in ----------------------------------------------------------------------------------

# Stands for a Python: makes a .venv whose pip and uv write down how they were called.
FAKE = """#!/usr/bin/env bash
case "$1" in
  -V) echo "Python {version}" ;;
  -c) exit {fits} ;;
  -m)
    {venv}
    mkdir -p "$3/bin"
    printf '#!/usr/bin/env bash\\nexec python3 "$@"\\n' > "$3/bin/python"
    cat > "$3/bin/pip" <<'END'
#!/usr/bin/env bash
if [ "$1 $2" = "config get" ]; then
  case "$3" in
    global.index-url) echo "https://mirror.test/simple" ;;
    global.find-links) printf '\\n/one\\n/two\\n' ;;
    *) exit 1 ;;
  esac
  exit 0
fi
echo "pip $*" >> calls
exit {pip}
END
    cat > "$3/bin/uv" <<'END'
#!/usr/bin/env bash
echo "uv $2 $UV_DEFAULT_INDEX $UV_FIND_LINKS $SSL_CERT_FILE" >> calls
exit {uv}
END
    chmod +x "$3"/bin/* ;;
esac
"""


@pytest.fixture
def way_in(root, tmp_path):
    """Call .ci/environment in a folder of its own with a Python that only pretends."""
    (tmp_path / ".ci").mkdir()
    shutil.copy2(root / ".ci/environment", tmp_path / ".ci/environment")
    (tmp_path / "requirements.lock").write_text("uv==1 \\\n    --hash=sha256:0\nzict==3\n")

    def call(version="3.11.7", fits=0, venv="", pip=0, uv=0, *, named=True, **environment):
        fake = tmp_path / "fake-python"
        fake.write_text(
            FAKE.replace("{version}", version).replace("{fits}", str(fits))
            .replace("{venv}", venv).replace("{pip}", str(pip)).replace("{uv}", str(uv))
        )  # fmt: skip
        fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "SSL_"))}
        done = subprocess.run(
            [str(tmp_path / ".ci/environment"), *([str(fake)] if named else [])],
            capture_output=True, text=True, env={**clean, **environment},
        )  # fmt: skip
        calls = tmp_path / "calls"
        return done, calls.read_text().splitlines() if calls.is_file() else []

    if shutil.which("bash") is None:
        pytest.skip("no bash")
    return call


def test_a_python_too_old_gets_one_line(way_in, tmp_path):
    done, calls = way_in(version="3.9.2", fits=1)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is Python 3.9.2: Python 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert not calls
    assert not (tmp_path / ".venv").exists()


def test_a_python_without_venv_gets_the_cure(way_in, tmp_path):
    done, _ = way_in(venv="echo no ensurepip >&2; exit 1")
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
    assert not (tmp_path / ".venv/ready").exists()


def test_pips_settings_reach_uv(way_in, tmp_path):
    done, calls = way_in(PIP_CERT="/c.pem")
    assert done.returncode == 0, done.stderr
    assert re.search(r"-r \.venvs/\S+/uv\.lock$", calls[0])
    assert (tmp_path / ".venv/uv.lock").read_text() == "uv==1 \\\n    --hash=sha256:0\n"
    assert calls[1:] == [f"uv {what} https://mirror.test/simple /one,/two /c.pem"
                         for what in ("sync", "install")]  # fmt: skip
    assert (tmp_path / ".venv/ready").exists()


def test_the_users_own_settings_for_uv_stay(way_in):
    _, calls = way_in(UV_DEFAULT_INDEX="https://other.test/simple")
    assert calls[1].startswith("uv sync https://other.test/simple ")


def test_pip_does_it_where_uv_cannot(way_in, tmp_path):
    done, calls = way_in(uv=1)
    assert done.returncode == 0, done.stderr
    assert "pip tries now" in done.stderr
    assert "pip install --quiet --require-hashes -r requirements.lock" in calls
    assert (tmp_path / ".venv/ready").exists()


def test_no_way_to_install_is_said_and_not_taken_for_ready(way_in, tmp_path):
    done, _ = way_in(uv=1, pip=1)
    assert done.returncode == 1
    assert "the packages could not be installed" in done.stderr
    assert not (tmp_path / ".venv/ready").exists()
    assert not list((tmp_path / ".venvs").iterdir())


@pytest.mark.parametrize("link", [False, True])
def test_the_environment_that_works_stays_until_a_new_one_is_complete(way_in, tmp_path, link):
    """Seen failing: removed first, so that without a network nothing was left."""
    works = tmp_path / (".venvs/first" if link else ".venv")
    works.mkdir(parents=True)
    (works / "ready").write_text("the one that works")
    if link:
        (tmp_path / ".venv").symlink_to(".venvs/first")
    done, _ = way_in(uv=1, pip=1)
    assert done.returncode == 1
    assert "the environment of before is as it was" in done.stderr
    assert (tmp_path / ".venv/ready").read_text() == "the one that works"
    done, _ = way_in()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".venv").is_symlink()
    assert (tmp_path / ".venv/ready").read_text() == ""
    assert len(list((tmp_path / ".venvs").iterdir())) == 1
