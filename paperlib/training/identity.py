"""What a run was made by: its code and backend, and whether those of now do the same.

A run is of other code where a file that training reaches has another digest than its run.json has,
and its `probe` gives other numbers by the code of now.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ..utils import backend, code, files, paths, system
from ..utils.errors import PaperError
from . import probe
from .config import Config
from .runs import Run, load

UNKNOWN = "made before the code of a run was recorded"
UNCOMPARED = "not compared"
LATER = "current since their probe, which was taken after training"


def made_by() -> dict[str, dict[str, str]]:
    """What run.json says of code and backend."""
    return {"code": probe.code_now(), "environment": backend.settings()}


def other_code(run: Run, *, measure: bool = True) -> str:
    """Why a run is of other code than that of now: which file, which number; `""` if it is not.

    measure  take the probe, which imports Keras, where it was not taken yet; without, the answer
             then ends with `UNCOMPARED`
    """
    return _other(run.config, run.metadata, measure)


def standings(runs_folder: Path) -> dict[str, list[str]]:
    """Why runs are of other code, or may be -> their paths in a folder of runs; no probe is taken.

    Runs that are current stand under `""`; those whose probe was taken later under `LATER`.
    """
    found: dict[str, list[str]] = {}
    for place in sorted(runs_folder.rglob("run.json")):
        config = Config.from_dict(files.read_json(place.with_name("config.json")))
        facts = files.read_json(place)
        why = _other(config, facts, False)
        if not why and "taken" in facts["probe"]:
            why = LATER
        found.setdefault(why, []).append(place.parent.relative_to(runs_folder).as_posix())
    return found


def _other(config: Config, facts: dict[str, Any], measure: bool) -> str:
    then = facts.get("code")
    if then is None:
        return UNKNOWN
    if (had := facts["environment"]) != (has := backend.settings()):
        name = next(k for k in {**has, **had} if had.get(k) != has.get(k))
        return f"{name} {had.get(name)} before, {has.get(name)} now"
    changed = code.differing(then, now := probe.code_now())
    if not changed or facts.get("agrees_with") == code.total(now):
        return ""
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    asked = (config, len(facts["chips"]["tags"]), facts["probe"]["steps"])
    numbers = probe.numbers(*asked) if measure else probe.known(*asked, _threads(facts))
    if numbers is None:
        return f"{changed[0]}{more} changed, {UNCOMPARED}"
    found = probe.difference(facts["probe"]["numbers"], numbers, config.precision)
    return f"{changed[0]}{more}: {found}" if found else ""


def _threads(facts: dict[str, Any]) -> str:
    """How many threads a run's probe was taken with: one, or all; the run's own, but where its
    record says otherwise (a run of all threads once took a probe that others had left)."""
    own = "all" if "taken" in facts["probe"] else facts["threads"]
    return facts["probe"].get("threads", own)


def record(folder: Path) -> str:
    """Compare a run with the code of now; what was found.

    Where the code of now agrees with the run's probe, that is recorded, so that a fresh clone
    knows. Of a probe that was taken after training (`LATER`) that says nothing of the training.
    """
    run = load(folder)
    if why := other_code(run):
        return why
    if code.differing(run.metadata["code"], now := probe.code_now()):
        files.write_json(folder / "run.json", run.metadata | {"agrees_with": code.total(now)})
    return "current"


def record_all(runs_folder: Path) -> Iterator[tuple[Path, str]]:
    """`record` of every run in a folder of runs: yield its folder and what was done.

    In processes with as many threads as the run's probe was taken with: in half precision the sums
    of several threads differ from those of one by more than a probe's tolerance. Those of one
    thread run side by side.
    """
    alike: dict[tuple[str, Config], list[Path]] = defaultdict(list)  # their probe is the same
    for place in sorted(runs_folder.rglob("run.json"), key=lambda path: (len(path.parts), path)):
        config = Config.from_dict(files.read_json(place.with_name("config.json")))
        facts = files.read_json(place)
        alike[_threads(facts), probe.same_graph(config)].append(place.parent)
    start = multiprocessing.get_context("spawn")  # a process that computes already cannot be told
    for threads, processes in (("one", system.cores()), ("all", 1)):
        groups = [folders for (had, _), folders in alike.items() if had == threads]
        with ProcessPoolExecutor(processes, start, _begin, [threads]) as pool:
            for folders, done in zip(groups, pool.map(_record_each, groups), strict=True):
                yield from zip(folders, done, strict=True)


def _begin(threads: str) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if threads == "one":
        from . import determinism  # Keras takes seconds to import

        determinism.one_thread()


def _record_each(folders: list[Path]) -> list[str]:
    done = []
    for folder in folders:
        try:
            done.append(record(folder))
        except PaperError as error:
            done.append(str(error))
    return done


def set_aside(run: Run) -> Path:
    """Move a run's folder out of the way of one that is trained anew; where it is now."""
    stamp = code.total(run.metadata.get("code", {}))[:8]
    target = paths.cache_folder() / "runs-of-other-code" / f"{run.folder.name}-{stamp}"
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(run.folder, target)
    return target
