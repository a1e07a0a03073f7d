"""A run is current while its code does the same: probes, not text, and never another's networks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from training_stand_ins import CONFIG, chips

from paperlib.profiles import profile
from paperlib.project import Project
from paperlib.training import identity, probe, runs, train
from paperlib.training.config import Config
from paperlib.utils import code, files, paths
from paperlib.utils.errors import PaperError

HERE = Path(__file__).parent
SHORT = replace(CONFIG, epochs=2)


pytestmark = pytest.mark.usefixtures("cache_of_the_module")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train.train(SHORT, chips(), tmp_path_factory.mktemp("runs"), progress=False)


def test_a_run_says_what_it_was_made_by(run):
    assert "paperlib/losses.py" in run.metadata["code"]
    assert run.metadata["environment"]["backend"] == "tensorflow"
    assert set(run.metadata["probe"]["numbers"]) >= {"loss", "val_loss", "probability"}
    assert identity.other_code(run) == ""


_IN_A_COPY = """
import json, sys
from training_stand_ins import chips
from paperlib.training import identity, runs
import paperlib
assert paperlib.__file__.startswith(sys.argv[1])
print(json.dumps(identity.other_code(runs.load(sys.argv[2]))))
"""


def judged(tmp_path, run, module: str, before: str, after: str) -> str:
    """What a copy of the library with one edit says of the run."""
    copy = shutil.copytree(
        code.PACKAGE, tmp_path / "paperlib", ignore=shutil.ignore_patterns("__pycache__")
    )
    text = (copy / module).read_text(encoding="utf-8")
    assert before in text
    (copy / module).write_text(text.replace(before, after, 1), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_COPY, str(tmp_path), str(run.folder)],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{HERE}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "before", "after", "says"),
    [
        # seen failing: "current", by the old networks
        ("losses.py", "-(y_true * ops.log(p)", "-(50.0 * y_true * ops.log(p)", "loss"),
        ("networks/build.py", "negative_slope=0.1", "negative_slope=0.5", "loss"),
        ("losses.py", "_TINY = 1e-7", "_LEAST = 1e-7\n_TINY = _LEAST", ""),  # only moved
        ("losses.py", "import keras\n", "import keras\n\n# a remark\n", ""),
    ],
)
def test_behaviour_decides_not_text(tmp_path, run, module, before, after, says):
    found = judged(tmp_path, run, module, before, after)
    assert bool(says) == bool(found)
    if says:
        assert found.startswith(f"paperlib/{module}: ")
        assert " before, " in found


def test_a_run_without_a_record_is_not_taken_for_current(tmp_path, run):
    copy = shutil.copytree(run.folder, tmp_path / run.folder.name)
    facts = files.read_json(copy / "run.json")
    files.write_json(copy / "run.json", {k: facts[k] for k in facts if k != "code"})
    assert identity.other_code(runs.load(copy)) == identity.UNKNOWN


def test_agreement_is_recorded_for_the_code_of_now_alone(tmp_path, run, monkeypatch):
    """Seen failing: a fresh clone, which has no probes cached, called every such run uncompared."""
    copy = shutil.copytree(run.folder, tmp_path / run.folder.name)
    facts = files.read_json(copy / "run.json")
    facts["code"]["paperlib/f2.py"] = "0" * 12  # a function moved
    files.write_json(copy / "run.json", facts)
    assert identity.record(copy) == "current"
    monkeypatch.setattr(probe, "known", lambda *asked: None)  # as in a fresh clone
    assert list(identity.standings(tmp_path)) == [""]
    changed = {**probe.code_now(), "paperlib/losses.py": "0" * 12}
    monkeypatch.setattr(probe, "code_now", lambda: changed)
    (why,) = identity.standings(tmp_path)
    assert why.endswith(identity.UNCOMPARED)


def test_all_runs_of_a_folder_are_compared_by_one_command(tmp_path, run):
    changes = {"moved": 1.0, "another loss": 2.0, "in one thread": 1.0, "its probe in one": 1.0}
    for name, change in changes.items():
        facts = files.read_json(shutil.copytree(run.folder, tmp_path / name) / "run.json")
        facts["code"]["paperlib/losses.py"] = "0" * 12
        facts["probe"]["numbers"]["loss"][0] *= change
        facts["threads"] = "one" if name == "in one thread" else "all"
        facts["probe"] |= {"threads": "one"} if name == "its probe in one" else {}
        files.write_json(tmp_path / name / "run.json", facts)
    assert identity._threads(facts) == "one"
    done = {folder.name: what for folder, what in identity.record_all(tmp_path)}
    assert done["moved"] == done["in one thread"] == done["its probe in one"] == "current"
    assert done["another loss"].startswith("paperlib/losses.py: loss ")


def test_another_switch_is_another_run(tmp_path, run, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert identity.other_code(run) == "oneDNN 1 before, 0 now"


def test_a_run_of_another_backend_is_not_taken(run, monkeypatch):
    assert runs.find(SHORT, run.folder.parent, chips()) is not None
    monkeypatch.setattr(runs.backend, "name", lambda: "jax")
    assert runs.find(SHORT, run.folder.parent, chips()) is None


def test_a_checkpoint_of_other_code_is_not_continued(tmp_path, run, monkeypatch):
    """Seen failing: two checkouts with one cache took each other's networks."""
    changed = {**probe.code_now(), "paperlib/losses.py": "0" * 12}
    monkeypatch.setattr(probe, "code_now", lambda: changed)
    other = train.train(SHORT, chips(), tmp_path, progress=False)
    assert other.weights_file != run.weights_file
    assert other.weights_file.is_file()
    assert run.weights_file.is_file()


def test_numbers_within_the_tolerance_are_equal():
    numbers = {"loss": [0.5, 0.4], "val_f2": [0.3, 0.3]}
    assert probe.difference(numbers, {"loss": [0.5005, 0.4], "val_f2": [0.33, 0.3]}) == ""
    assert probe.difference(numbers, {"loss": [0.5, 0.41], "val_f2": [0.3, 0.3]}) == (
        "loss 0.4 before, 0.41 now"
    )


def test_a_diverged_training_is_an_error_and_not_saved(tmp_path):
    """Seen failing: saved as finished, every prediction NaN."""
    wild = replace(SHORT, rate=1e30, schedule="plateau")
    with pytest.raises(PaperError, match=r"diverged in epoch 1: .*use a lower rate than 1e\+30"):
        train.train(wild, chips(), tmp_path, progress=False)
    assert not list(tmp_path.rglob("run.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"copies": 2, "split_by": "copy"},
        {"variant": "dehazed-hazy", "outputs": "striped"},
        {"teacher": "a-run", "teaching": 0.3},
        {"schedule": "one-cycle", "loss": "hard"},
    ],
)
def test_every_kind_of_run_has_a_probe(change):
    config = replace(SHORT, **change)
    numbers = probe.numbers(config, 3, 4)
    assert len(numbers["loss"]) == 2
    assert probe.difference(numbers, probe._take(config, 3, 4)) == ""
    # Seen failing: runs of one thread and of all had one place for the probes that they differ by.
    assert numbers in [probe.known(config, 3, 4, threads) for threads in ("one", "all")]
    assert None in [probe.known(config, 3, 4, threads) for threads in ("one", "all")]


# ---- what is done about it -----------------------------------------------------------------------

TINY = {"network": "vgg11", "epochs": 1, "batch_norm": "head"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_WORKERS", "0")
    return Project("tiny", root=tmp_path)


def spoil(folder: Path) -> None:
    """Make a run's record that of a library with another loss."""
    facts = files.read_json(folder / "run.json")
    facts["code"]["paperlib/losses.py"] = "0" * 12
    facts["probe"]["numbers"]["loss"][0] *= 2
    files.write_json(folder / "run.json", facts)


@pytest.mark.slow
def test_on_generated_scenes_a_run_of_other_code_is_set_aside_and_trained_anew(project, capsys):
    """Seen failing: the old networks, byte for byte, and "current"."""
    config = Config.of(project.profile, **TINY)
    made = project.run(config)
    assert project.find(config) is not None
    moved = files.read_json(made.folder / "run.json")
    moved["code"]["paperlib/f2.py"] = "0" * 12  # a function moved: the numbers are the same
    files.write_json(made.folder / "run.json", moved)
    assert project.find(config) is not None
    spoil(made.folder)
    assert identity.standings(project.runs).keys() != {""}
    assert project.find(config) is None
    again = project.run(config)
    said = capsys.readouterr().err
    assert f"{config.slug} is of other code (paperlib/f2.py (and 1 more): loss " in said
    assert identity.other_code(again) == ""
    assert (again.probability == made.probability).all()
    aside = list(paths.cache_folder().glob("runs-of-other-code/*/run.json"))
    assert [place.parent.name.startswith(config.slug) for place in aside] == [True]


def test_where_training_takes_hours_it_goes_on_and_says_so(project, run, monkeypatch, tmp_path):
    shutil.copytree(run.folder, project.runs / run.folder.name)
    spoil(project.runs / run.folder.name)
    trace = tmp_path / "trace.jsonl"
    monkeypatch.setenv("PAPER_TRACE", str(trace))
    project.profile = profile("planet32")
    assert project.find(SHORT) is not None
    noted = json.loads(trace.read_text().splitlines()[-1])
    assert noted["saved"] is True
    assert noted["other_code"].startswith("paperlib/losses.py")
