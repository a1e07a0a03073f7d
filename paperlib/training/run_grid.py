"""Grids of runs: the paper's candidates, the spread between seeds, one network per label.

A grid is a list of configurations. Each run is kept and resumable on its own, so a grid that was
killed continues, a grid on two machines can be put together by copying folders, and two grids share
the runs they have in common.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm  # as text, also in a notebook: `paper run` reads its last line

from ..labels import LABELS
from ..profiles import Profile
from ..project import Project
from ..studies import accuracy_against_size, design_rules
from ..utils import files
from ..utils.errors import PaperError
from . import processes
from .config import Config
from .runs import Run, find, load, same_chips

LOSSES = ("log", "f2", "hard")
PAIR = ("original", "dehazed")
SEEDS = (0, 1, 2)
_PATIENCE = "20s"  # for a scheduler to answer
#: Of the shipped full-width runs (torchvision's VGG-16); `weights="imagenet"` is Keras's own.
WEIGHTS = "vgg16_imagenet_torchvision_notop.h5@acf0d53f"


@dataclass(frozen=True)
class Grid:
    """A named list of configurations.

    meant_for  one line;  configs  profile, changes -> runs
    folder     of `runs/` that they are kept in: `""` for candidates of the paper's system
    """

    meant_for: str
    configs: Callable[..., list[Config]]
    folder: str = ""


def _narrow(profile: Profile, **changes: Any) -> Config:
    """One network of a grid: as wide as the profile says for grids, so that all are comparable."""
    return Config.of(profile, **{"width": profile.narrow, **changes})


def _main(profile: Profile, **changes: Any) -> list[Config]:
    return [
        _narrow(profile, **{"variant": variant, "loss": loss, **changes})
        for variant in PAIR
        for loss in LOSSES
    ]


def _seeds(profile: Profile, **changes: Any) -> list[Config]:
    return [c for seed in SEEDS for c in _main(profile, **{"seed": seed, **changes})]


def _each_label(profile: Profile, **changes: Any) -> list[Config]:
    return [
        _narrow(profile, **{"variant": variant, "outputs": tag, **changes})
        for variant in PAIR
        for tag in LABELS
    ]


def _labels(profile: Profile, **changes: Any) -> list[Config]:
    """As wide as those of the grid `main`; the profile says the epochs, which are fewer."""
    given = {"epochs": profile.label_epochs, "batch": profile.label_batch}
    return _each_label(profile, **given | changes)


def _labels_joint(profile: Profile, **changes: Any) -> list[Config]:
    """One network for all labels, else trained as those of the grid `labels`, epochs and all."""
    wide = _labels(profile, **changes)
    return list(dict.fromkeys(replace(config, outputs="all") for config in wide))


def _paper(profile: Profile, **changes: Any) -> list[Config]:
    return [c for loss in LOSSES for c in _each_label(profile, **{"loss": loss, **changes})]


#: Full width from ImageNet's weights, as the paper fine-tunes it.
_FULL = {"width": 1.0, "weights": WEIGHTS, "rate": 1e-4, "epochs": 4}
_FULL["precision"] = "mixed_bfloat16"  # twice as fast where the processor has it


def _full(profile: Profile, **changes: Any) -> list[Config]:
    return _main(profile, **_FULL | changes)


def _labels_full(profile: Profile, **changes: Any) -> list[Config]:
    """The paper's own design at the paper's own width: 34 networks, for a machine with a GPU."""
    return _each_label(profile, **_FULL | changes)


def _released(profile: Profile, **changes: Any) -> list[Config]:
    """A teacher of full width, then what is released: half the channels are what fits in 10 MB."""
    both = {"weights": WEIGHTS, "batch_norm": "all", "schedule": "one-cycle"}
    both |= {"precision": "mixed_bfloat16"}
    large = {"width": 1.0, "rate": 5e-4, "epochs": 10}
    teacher = Config.of(profile, **both | large | changes)
    small = {"width": 0.5, "rate": 1e-3, "epochs": 16}
    small |= {"teacher": teacher.slug, "teaching": 0.7, "teacher_views": 8}
    return [teacher, Config.of(profile, **both | small | changes)]


def _readings(profile: Profile, **changes: Any) -> list[Config]:
    losses = ("f2-chip", "hard-chip", "hard-label")
    return [
        *(_narrow(profile, **{"variant": "dehazed-hazy", "loss": a, **changes}) for a in LOSSES),
        *(_narrow(profile, **{"loss": loss, **changes}) for loss in losses),
    ]


def _transforms(profile: Profile, **changes: Any) -> list[Config]:
    return [
        _narrow(profile, **{"augment": name, **changes}) for name in ("none", "symmetries", "paper")
    ]


#: Every grid, by the name that `paper train --grid` takes.
GRIDS: dict[str, Grid] = {
    "main": Grid("2 variants × 3 losses, one network for all labels", _main),
    "seeds": Grid("the same with 3 seeds: how much of a difference is chance", _seeds),
    "labels": Grid("2 variants × 17 labels, a small network for each label, log loss", _labels),
    "labels-joint": Grid(
        "2 variants, one network for all labels, trained as briefly as those of `labels`",
        _labels_joint,
    ),
    "labels-full": Grid(
        "2 variants × 17 labels, VGG-16 at full width from ImageNet's weights: for a GPU",
        _labels_full,
    ),
    "paper": Grid("2 variants × 17 labels × 3 losses, as the paper says", _paper),
    "full": Grid("2 variants × 3 losses, VGG-16 at full width from ImageNet's weights", _full),
    "released": Grid(
        "the released model, which is the last: half the width; first its teacher",
        _released,
        "released",
    ),
    "readings": Grid("only hazy chips dehazed; the other sums in the losses", _readings),
    "transforms": Grid("the random transforms: none, symmetries, all of the paper's", _transforms),
    "backbones": Grid(
        "the networks after VGG at several widths, and taught small ones: notebook 12",
        accuracy_against_size.configs,
        accuracy_against_size.FOLDER,
    ),
    "rules": Grid(
        "the article's design rules, each followed and not, 3 seeds: notebook 13",
        design_rules.configs,
        design_rules.FOLDER,
    ),
}


def configs(name: str, profile: Profile, **changes: Any) -> list[Config]:
    """The configurations of a grid; `changes` hold for all of them.

    Raises `PaperError` for a name that is not in `GRIDS`.
    """
    if name not in GRIDS:
        raise PaperError(f"no grid is called {name!r}", f"choose one of {', '.join(GRIDS)}")
    made = GRIDS[name].configs(profile, **changes)
    return list(dict.fromkeys(made))  # a change can make two of them equal


def finished(project: Project, wanted: Iterable[Config], folder: str = "") -> list[Run]:
    """The finished runs of a grid, in its order; `PaperError` where one is missing.

    Runs on the project's own chips, where they are on this machine; else the ones shipped.
    """
    found = [(config, _kept(project, config, folder)) for config in wanted]
    if missing := [config.slug for config, run in found if run is None]:
        raise PaperError(
            f"{len(missing)} of {len(found)} runs are missing, the first is {missing[0]}",
            "train them with paper train --grid",
        )
    return [run for _, run in found if run is not None]


def _kept(project: Project, config: Config, folder: str) -> Run | None:
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

    folder     of `project.runs` that the runs are kept in
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

    missing = [c for c in queue if _kept(project, c, folder) is None]
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
                _keep(project.runs / folder, config.slug, future.result())
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
    from ..utils.paths import cache_folder

    key = profile, data
    if key not in _WORKER:
        _WORKER[key] = Project(profile, data, root=cache_folder() / "grid")
    return _WORKER[key]


def _keep(runs_folder: Path, slug: str, result: dict[str, Any]) -> Run:
    """Write a worker's run to this disk, beside one of the same configuration on other chips."""
    from ..utils.paths import cache_folder

    folder = runs_folder / slug
    chips = json.loads(result["files"]["run.json"])["chips"]
    if (folder / "run.json").is_file() and not same_chips(load(folder).facts["chips"], chips):
        folder = folder.with_name(f"{slug}-{chips['fingerprint'][:8]}")
    cache = cache_folder() / "runs" / result["cache"]
    last = "run.json"  # says that the others are whole
    ordered = sorted(result["files"].items(), key=lambda item: item[0] == last)
    for place, contents in ((cache, result["weights"].items()), (folder, ordered)):
        for name, data in contents:
            with files.replacing(place / name) as partial:
                partial.write_bytes(data)
    return load(folder)


def record(project: Project, name: str, kept: list[Run]) -> Path:
    """Write `<results>/grid_<name>.json`: the grid's runs, and how long each took where known."""
    path = project.results / f"grid_{name}.json"
    before = {}
    if path.is_file():
        before = {row["run"]: row for row in files.read_json(path)["runs"]}
    rows = []
    for one in kept:
        timing, known = one.timing, before.get(one.folder.name, {})
        epochs = timing["seconds"] if timing else None
        rows.append(
            {
                "run": one.folder.name,
                "config": one.config.to_dict(),
                "epochs": len(one.history),
                "best_epoch": one.facts["best_epoch"],
                "val_f2_at_0.2": round(one.val_f2, 5),
                "backend": one.facts["backend"],
                "hardware": one.facts["hardware"],
                "seconds": round(sum(epochs), 1) if epochs else known.get("seconds"),
                "epoch_seconds": [round(s, 1) for s in epochs]
                if epochs
                else known.get("epoch_seconds"),
            }
        )
    files.write_json(path, {"grid": name, "written": time.strftime("%Y-%m-%d"), "runs": rows})
    return path
