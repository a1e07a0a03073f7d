"""Train the runs of a grid, on this machine or on a Dask cluster, and record how long each took."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm  # as text, also in a notebook: `paper run` reads its last line

from ..project import Project
from ..training import processes
from ..training.config import Config
from ..training.runs import Run, cache_of, find, load, same_chips
from ..utils import files
from ..utils.errors import PaperError
from ..utils.paths import cache_folder

_PATIENCE = "20s"  # for a scheduler to answer


def finished(project: Project, wanted: Iterable[Config], folder: str = "") -> list[Run]:
    """The finished runs of a grid, in its order; `PaperError` where one is missing.

    Runs on the project's own chips, where they are on this machine; else the ones shipped.
    """
    found = [(config, _saved(project, config, folder)) for config in wanted]
    if missing := [config.slug for config, run in found if run is None]:
        raise PaperError(
            f"{len(missing)} of {len(found)} runs are missing, the first is {missing[0]}",
            "train them with paper train --grid",
        )
    return [run for _, run in found if run is not None]


def _saved(project: Project, config: Config, folder: str) -> Run | None:
    """The run of a configuration on the project's chips; only a cluster may have them elsewhere."""
    if project.data is not None and not project.data.exists():
        return find(config, project.runs / folder)
    return project.find(config, folder)


def run(
    project: Project,
    wanted: list[Config],
    *,
    folder: str = "",
    scheduler: str = "",
    progress: bool = True,
) -> list[Run]:
    """Train what is missing of a grid, on this machine or on a Dask cluster.

    folder     of `project.runs` that the runs are saved in
    scheduler  address of a Dask scheduler; its workers need this package, and the chips where
               `project.data` says; each trains one network at a time. Networks that have a teacher
               are trained on this machine, where its weights are.

    Raises `PaperError` at the end for runs that failed on the cluster; the others are kept.
    """
    order = {variant: i for i, variant in enumerate(dict.fromkeys(c.variant for c in wanted))}
    queue = sorted(wanted, key=lambda c: order[c.variant])  # one variant's chips in memory at once
    if scheduler:
        alone = [config for config in queue if not config.teacher]
        _on_cluster(project, alone, folder, scheduler, progress)
        queue = [config for config in queue if config.teacher]  # their teacher's weights are here
    if project.has_chips and (queue or not scheduler):
        processes.train(project, queue, folder, progress=progress)
    return finished(project, wanted, folder)


def _on_cluster(
    project: Project, queue: list[Config], folder: str, scheduler: str, progress: bool
) -> None:
    from distributed import Client, as_completed

    missing = [c for c in queue if _saved(project, c, folder) is None]
    if not missing:
        return
    try:
        client = Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise PaperError(
            f"no Dask scheduler answers at {scheduler} ({error})",
            "start one with dask scheduler, and workers with dask worker ADDRESS --nthreads 1",
        ) from error
    data = str(project.data or "")
    failed = []
    with client, tqdm(total=len(missing), unit="run", disable=not progress) as bar:
        futures = {
            client.submit(
                _remote, config.to_dict(), project.profile.name, data, pure=False, retries=2
            ): config
            for config in missing
        }
        for future in as_completed(futures):
            config = futures[future]
            if future.status == "finished":
                _save(project.runs / folder, config.slug, future.result())
            else:
                failed.append(f"{config.slug}: {future.exception()}")
            bar.update(1)
    if failed:
        raise PaperError(f"{len(failed)} runs failed, the first is {failed[0]}", "run it again")


def _remote(config: dict, profile: str, data: str) -> dict[str, dict[str, bytes] | str]:
    """One run on a worker -> its files, which the machine that asked writes to its own disk."""
    from distributed.lock import Lock
    from distributed.worker import get_worker

    with Lock(f"paperlib-{get_worker().address}"):  # one network at a time, however many threads
        project = _worker_project(profile, data)
        wanted = Config.from_dict(config)
        processes.train(project, [wanted], progress=False)
        made = project.run(wanted)
    weights = made.weights_file
    return {
        "files": {p.name: p.read_bytes() for p in sorted(made.folder.iterdir())},
        "cache": weights.parent.name,
        "weights": {weights.name: weights.read_bytes()} if weights.is_file() else {},
    }


_WORKER: dict[tuple[str, str], Project] = {}


def _worker_project(profile: str, data: str) -> Project:
    """The worker's own project, whose chips stay in memory between runs."""
    key = profile, data
    if key not in _WORKER:
        _WORKER[key] = Project(profile, data, root=cache_folder() / "grid")
    return _WORKER[key]


def _save(runs_folder: Path, slug: str, result: dict[str, Any]) -> Run:
    """Write a worker's run to this disk, beside one of the same configuration on other chips."""
    folder = runs_folder / slug
    chips = json.loads(result["files"]["run.json"])["chips"]
    if (folder / "run.json").is_file() and not same_chips(load(folder).metadata["chips"], chips):
        folder = folder.with_name(f"{slug}-{chips['fingerprint'][:8]}")
    cache = cache_of(result["cache"])
    last = "run.json"  # says that the others are whole
    ordered = sorted(result["files"].items(), key=lambda item: item[0] == last)
    for place, contents in ((cache, result["weights"].items()), (folder, ordered)):
        for name, data in contents:
            with files.replacing(place / name) as partial:
                partial.write_bytes(data)
    return load(folder)


def record(project: Project, name: str, runs: list[Run]) -> Path:
    """Write `<results>/grid_<name>.json`: the grid's runs, and how long each took where known."""
    path = project.results / f"grid_{name}.json"
    before = {}
    if path.is_file():
        before = {row["run"]: row for row in files.read_json(path)["runs"]}
    rows = []
    for one in runs:
        timing, known = one.timing, before.get(one.folder.name, {})
        epochs = timing["seconds"] if timing else None
        rows.append(
            {
                "run": one.folder.name,
                "config": one.config.to_dict(),
                "epochs": len(one.history),
                "best_epoch": one.metadata["best_epoch"],
                "val_f2_at_0.2": round(one.val_f2, 5),
                "backend": one.metadata["backend"],
                "hardware": one.metadata["hardware"],
                "seconds": round(sum(epochs), 1) if epochs else known.get("seconds"),
                "epoch_seconds": [round(s, 1) for s in epochs]
                if epochs
                else known.get("epoch_seconds"),
            }
        )
    files.write_json(path, {"grid": name, "written": time.strftime("%Y-%m-%d"), "runs": rows})
    return path
