"""Narrow networks in processes of their own: the same bits for any number, and no orphan."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from paperlib.project import Project
from paperlib.studies import grids
from paperlib.training import processes, runs
from paperlib.training.config import Config
from paperlib.utils.errors import PaperError

SMALL = {"network": "vgg11", "width": 0.0625, "epochs": 1, "batch_norm": "head"}


def wanted(project: Project) -> list[Config]:
    alike = {"variant": "original", "loss": "log", **SMALL}
    return [
        c for seed in (0, 1) for c in grids.configs("main", project.profile, seed=seed, **alike)
    ]


def bits(project: Project, config: Config) -> str:
    run = runs.find(config, project.runs)
    return hashlib.sha256(run.probability.tobytes()).hexdigest()


def test_which_networks_train_in_a_worker(monkeypatch):
    monkeypatch.setattr(processes, "_has_gpu", lambda: False)
    assert processes.narrow(Config(width=0.125, size=32))
    assert not processes.narrow(Config(width=0.25, size=32))
    assert not processes.narrow(Config(width=0.125, size=64))
    monkeypatch.setattr(processes, "_has_gpu", lambda: True)
    assert not processes.narrow(Config(width=0.125, size=32))


def test_a_worker_takes_runs_of_one_graph_after_each_other():
    configs = [
        Config(loss=loss, variant=variant)
        for variant in ("original", "dehazed")
        for loss in ("log", "f2")
    ]
    jobs = processes._Jobs([(c, 1) for c in configs])
    first, second = jobs.take(None)[0], jobs.take(None)[0]
    assert (first.loss, second.loss) == ("log", "f2")
    assert jobs.take(second)[0] == replace(second, variant="dehazed")
    assert jobs.take(first)[0] == replace(first, variant="dehazed")
    assert jobs.take(first) is None


def test_memory_that_the_system_would_give_back_is_counted(monkeypatch):
    """Hardly any is free where files were read; what is available says how much there is."""
    real, pages = os.sysconf, {"SC_AVPHYS_PAGES": 1000}
    monkeypatch.setattr("os.sysconf", lambda name: pages.get(name) or real(name))
    monkeypatch.setattr(processes, "cores", lambda: 4, raising=False)
    memory = SimpleNamespace(available=3.2 * processes._MEMORY)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    assert processes._how_many() == 3
    memory.available = 0
    assert processes._how_many() == 1


@pytest.mark.parametrize("given", ["1.5", "many", "-1"])
def test_a_wrong_number_of_workers_is_refused(given, tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_WORKERS", given)
    project = Project("tiny", root=tmp_path)
    with pytest.raises(PaperError, match=r"PAPER_WORKERS=.*number"):
        processes.train(project, [Config.of(project.profile)], progress=False)


def test_with_no_workers_all_train_here(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_WORKERS", "0")
    monkeypatch.setattr(processes, "_in_workers", None)
    monkeypatch.setattr(processes.trained, "train", lambda config, *a, **k: seen.append(config))
    seen: list[Config] = []
    project = Project("tiny", root=tmp_path)
    configs = wanted(project)
    processes.train(project, configs, progress=False)
    assert seen == configs


@pytest.mark.slow
def test_one_worker_and_two_make_the_same_bits(tmp_path, monkeypatch):
    found = []
    for count in (1, 2):
        monkeypatch.setenv("PAPER_CACHE", str(tmp_path / f"cache{count}"))
        monkeypatch.setenv("PAPER_WORKERS", str(count))
        project = Project("tiny", root=tmp_path / str(count))
        configs = wanted(project)
        processes.train(project, configs, progress=False)
        found.append([bits(project, config) for config in configs])
    assert found[0] == found[1]
    assert len(set(found[0])) == 2

    before = {p: p.stat().st_mtime_ns for p in project.runs.rglob("*")}
    processes.train(project, configs, progress=False)
    assert before == {p: p.stat().st_mtime_ns for p in project.runs.rglob("*")}


@pytest.mark.slow
def test_a_grid_killed_at_random_five_times_and_resumed_is_as_undisturbed(tmp_path, monkeypatch):
    """SIGKILL to who runs the grid or to its worker; `benchmarks/kill_grid.py` does all six runs.

    When: as many epochs after the last kill as is drawn, and some time into the next one. The
    second run takes over the compiled network of the first, so both ways to begin are met.
    """
    epochs, rng = 14, np.random.default_rng(0)
    whom = rng.permutation(["grid", "grid", "grid", "worker", "worker"])
    monkeypatch.setenv("PAPER_WORKERS", "1")
    found = {}
    for name in ("undisturbed", "killed"):
        monkeypatch.setenv("PAPER_CACHE", str(tmp_path / name / "cache"))
        project = Project("tiny", root=tmp_path / name)
        configs = [replace(config, epochs=epochs) for config in wanted(project)]
        for victim in whom if name == "killed" else ():
            # two epochs each on average, and what is trained until the signal comes: of 28
            _kill_after(int(rng.integers(1, 4)), rng.uniform(0, 0.05), victim, project.root, epochs)
            assert not all(runs.find(config, project.runs) for config in configs)
        processes.train(project, configs, progress=False)
        found[name] = {p.parent.name: p.read_bytes() for p in project.runs.rglob("predictions.npz")}
        assert len(found[name]) == 2
    assert found["killed"] == found["undisturbed"]


def _kill_after(count: int, seconds: float, victim: str, root: Path, epochs: int) -> None:
    """Start the grid of `wanted`, and kill it where it has written `count` checkpoints more."""
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path;"
        "from paperlib.training import processes; from paperlib.project import Project;"
        "from test_processes import wanted; p = Project('tiny', root=Path(sys.argv[1]));"
        "runs = [replace(c, epochs=int(sys.argv[2])) for c in wanted(p)];"
        "processes.train(p, runs, progress=False)"
    )

    def written() -> set[tuple[str, int]]:
        places = root.glob("cache/runs/*/checkpoint.npz")
        with suppress(FileNotFoundError):  # renamed over, or removed, just now
            return {(str(p), p.stat().st_mtime_ns) for p in places}
        return set()

    before = seen = written()
    grid = subprocess.Popen(
        [sys.executable, "-c", code, str(root), str(epochs)],
        cwd=Path(__file__).parent,
        stderr=subprocess.DEVNULL,  # that its worker has gone
    )
    try:
        while len(seen - before) < count:
            seen = seen | written()
            assert grid.poll() is None, "it ended before it was killed"
            time.sleep(0.002)
        time.sleep(seconds)
        os.kill(_children(grid.pid)[0] if victim == "worker" else grid.pid, signal.SIGKILL)
        assert grid.wait(120) != 0
    finally:
        grid.kill()
        grid.wait()


def test_a_run_that_cannot_be_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_CACHE", str(tmp_path / "cache"))
    project = Project("tiny", root=tmp_path)
    config = Config.of(project.profile, batch=5000)
    with pytest.raises(PaperError, match=r"fewer training chips than batch=5000.*lower"):
        processes.train(project, [config], progress=False)


def test_a_worker_ends_with_whoever_started_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_CACHE", str(tmp_path / "cache"))
    code = (
        "from paperlib.project import Project; from paperlib.training.config import Config;"
        "from paperlib.training import processes; p = Project('tiny', root=%r);"
        "processes.train(p, [Config.of(p.profile, epochs=500)], progress=False)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code % str(tmp_path)])
    try:
        child = _until(lambda: _children(parent.pid), 60)[0]
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        _until(lambda: not os.path.exists(f"/proc/{child}"), 30)
    finally:
        parent.kill()


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as stream:
        return [int(word) for word in stream.read().split()]


def _until(condition, seconds: float):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")
