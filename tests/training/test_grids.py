"""Grids: the right runs, each kept, the same on a cluster."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace

import pytest

from paperlib.labels import LABELS
from paperlib.profiles import profile
from paperlib.project import Project
from paperlib.studies import grids, run_grid
from paperlib.utils import files
from paperlib.utils.errors import PaperError

SMALL = {"network": "vgg11", "width": 0.0625, "epochs": 1, "batch_norm": "head"}


pytestmark = pytest.mark.usefixtures("cache_of_the_module")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("main", 6),
        ("seeds", 18),
        ("labels", 34),
        ("labels-joint", 2),
        ("labels-full", 34),
        ("paper", 102),
        ("readings", 6),
        ("transforms", 4),
        ("full", 6),
    ],
)
def test_grids_hold_the_runs_they_name(name, count):
    made = grids.configs(name, profile("planet32"))
    assert len(made) == count
    assert len({config.slug for config in made}) == count


def test_grids_cover_what_the_paper_varies():
    made = grids.configs("paper", profile("sample"))
    assert Counter(c.outputs for c in made) == dict.fromkeys(LABELS, 6)
    assert Counter((c.variant, c.loss) for c in made) == {
        (v, a): 17 for v in ("original", "dehazed") for a in ("log", "f2", "hard")
    }
    shared = {c.slug for c in grids.configs("main", profile("sample"))}
    assert shared < {c.slug for c in grids.configs("seeds", profile("sample"))}


@pytest.mark.parametrize("name", ["planet32", "sample"])
@pytest.mark.parametrize(("each", "joint"), [("labels", "labels-joint"), ("labels-full", "full")])
def test_networks_of_one_label_have_a_twin_for_all_labels(name, each, joint):
    """Else a difference between them would be one of epochs, batch or width as well."""
    twins = set(grids.configs(joint, profile(name)))
    assert {replace(c, outputs="all") for c in grids.configs(each, profile(name))} <= twins


def test_each_reading_and_transform_has_its_plain_twin_in_the_main_grid():
    plain = set(grids.configs("main", profile("planet32")))
    for config in grids.configs("readings", profile("planet32")):
        variant = "dehazed" if config.variant == "dehazed-hazy" else config.variant
        loss = config.loss.partition("-")[0]
        assert replace(config, variant=variant, loss=loss) in plain
    drawn = grids.configs("transforms", profile("planet32"))
    assert {replace(c, augment="symmetries") for c in drawn} <= plain


def test_the_command_names_every_grid():
    import inspect

    from paperlib.cli.networks import train

    told = inspect.signature(train).parameters["grid"].default.help
    assert set(grids.GRIDS) == {word.strip(".").split(" ")[0] for word in told.split(", ")}


def test_changes_hold_for_all_runs_and_unknown_names_are_refused():
    made = grids.configs("main", profile("sample"), epochs=3, seed=7)
    assert {(c.epochs, c.seed) for c in made} == {(3, 7)}
    assert len(grids.configs("main", profile("sample"), loss="log")) == 2  # now equal ones once
    with pytest.raises(PaperError, match=r"no grid.*main"):
        grids.configs("mian", profile("sample"))
    with pytest.raises(PaperError, match="unknown key"):
        grids.configs("main", profile("sample"), epoch=3)


@pytest.mark.slow
def test_a_grid_is_kept_here_and_the_same_on_a_cluster(tmp_path, monkeypatch):
    from distributed import LocalCluster

    from paperlib.utils import paths

    monkeypatch.setenv("PAPER_WORKERS", "0")  # workers have tests of their own, and take seconds
    here = Project("tiny", root=tmp_path / "here")
    alike = {"variant": "original", "loss": "log", **SMALL}
    wanted = [c for seed in (0, 1) for c in grids.configs("main", here.profile, seed=seed, **alike)]
    with pytest.raises(PaperError, match="2 of 2 runs are missing"):
        run_grid.finished(here, wanted)
    kept = run_grid.run(here, wanted, progress=False)
    assert [run.config for run in kept] == wanted
    before = {p: p.stat().st_mtime_ns for p in here.runs.rglob("*") if p.is_file()}
    run_grid.run(here, wanted, progress=False)
    assert before == {p: p.stat().st_mtime_ns for p in here.runs.rglob("*") if p.is_file()}

    rows = files.read_json(run_grid.record(here, "main", kept))["runs"]
    assert [row["run"] for row in rows] == [run.folder.name for run in kept]
    assert all(row["seconds"] > 0 for row in rows)

    monkeypatch.setenv("PAPER_CACHE", str(tmp_path / "elsewhere"))
    assert paths.cache_folder() == tmp_path / "elsewhere"
    there = Project("tiny", root=tmp_path / "there")
    foreign = there.runs / kept[0].folder.name  # of the same configuration, on other chips
    shutil.copytree(kept[0].folder, foreign)
    facts = files.read_json(foreign / "run.json")
    facts["chips"] |= {"fingerprint": "0" * 64, "labels": "0" * 64}
    files.write_json(foreign / "run.json", facts)
    planted = (foreign / "run.json").read_bytes()
    with pytest.raises(PaperError, match="2 of 2 runs are missing"):
        run_grid.finished(there, wanted)
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        far = run_grid.run(there, wanted, scheduler=cluster.scheduler_address, progress=False)
    for a, b in zip(kept, far, strict=True):
        for path in a.folder.iterdir():
            assert path.read_bytes() == (b.folder / path.name).read_bytes()
        assert b.model().count_params() == a.metadata["parameters"]
    assert far[0].folder.name == f"{foreign.name}-{kept[0].metadata['chips']['fingerprint'][:8]}"
    assert (foreign / "run.json").read_bytes() == planted


def test_no_scheduler_is_one_clear_line(tmp_path, monkeypatch):
    project = Project("tiny", root=tmp_path)
    wanted = grids.configs("main", project.profile, **SMALL)[:1]
    monkeypatch.setattr(run_grid, "_PATIENCE", "1s")
    with pytest.raises(PaperError, match="no Dask scheduler answers"):
        run_grid.run(project, wanted, scheduler="tcp://127.0.0.1:1", progress=False)
