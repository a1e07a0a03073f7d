"""Narrow networks train in processes of their own: one thread each, as many as there are cores.

One step of a narrow network is too short to be shared among threads: `tests/benchmarks/workers.py`
prints how many more chips a second processes of one thread train than one process with all of them.
And the numbers do not depend on how many cores there are, since sums over threads round differently
for each count. Wide networks, and all networks where there is a GPU, train in this process, one
after the other.

A worker is `python -m paperlib.training.processes`. It takes jobs as lines of JSON on its standard
input and answers in lines of JSON; it ends when its input does, so it never outlives its parent.
A local Dask cluster takes 2.6 times as long for a grid of short runs, and starts the caller's own
script anew in each worker, as multiprocessing does: a script without a main guard fails there.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import psutil
from tqdm import tqdm  # as text, also in a notebook: `paper run` reads its last line

from ..chips import Chips
from ..chips.of_profile import read_chips
from ..profiles import Profile
from ..utils.errors import PaperError
from ..utils.system import cores
from . import identity
from . import train as trained
from .config import Config
from .runs import find

NARROW = 4.0  # width × size: an eighth of VGG-16's channels at 32 px
_MEMORY = 1.5e9  # bytes that a worker may need
_OFTEN = 0.3  # seconds between two messages of progress


class Place(Protocol):
    """Whose chips are trained on, and where the runs are saved: a `Project`."""

    profile: Profile
    data: Path | None
    runs: Path

    def chips(self, variant: str) -> Chips: ...


def narrow(config: Config) -> bool:
    """Whether a network trains in a worker: `width` × `size` at most `NARROW`, and no GPU here."""
    return config.width * config.size <= NARROW and not _has_gpu()


def _has_gpu() -> bool:
    """By its device file: asking the backend would start it, which takes seconds."""
    return any(Path(p).exists() for p in ("/dev/nvidia0", "/dev/kfd"))


def train(
    place: Place, wanted: Iterable[Config], inside: str = "", *, progress: bool = True
) -> None:
    """Train the configurations of `wanted` that `place` does not have yet, under one bar.

    A run on generated scenes that is of other code is set aside, and trained anew.

    inside    the folder of `place.runs` to save them in
    progress  whether to show the bar: batches of all runs, and how many runs are done

    How many train at a time: as many as there are cores and memory for, or `PAPER_WORKERS` in the
    environment. The saved runs are the same for any number from 1. With 0 all train in this
    process, one after the other: sooner done where each takes a second or two, and the same to the
    bit only if this process has one thread. Raises `PaperError` for the first run that fails;
    those that were not finished continue at the next call.
    """
    missing, done = [], 0
    for config in wanted:
        chips = place.chips(config.variant)
        if run := find(config, place.runs / inside, chips):
            if not (place.profile.source == "scenes" and (why := identity.other_code(run))):
                done += 1
                continue
            aside = identity.set_aside(run)
            tqdm.write(f"{config.slug} is of other code ({why}): now in {aside}", sys.stderr)
        trained.check(config, chips)
        missing.append((config, trained.steps(config, chips)))
    if not missing:
        return
    total = sum(steps for _, steps in missing)
    given = _given()
    aside = [pair for pair in missing if narrow(pair[0]) and given != 0]
    with tqdm(total=total, unit="batch", disable=not progress, mininterval=0.5) as bar:
        count = _Count(bar, done, done + len(missing))
        if aside:
            _in_workers(place, aside, inside, given or _how_many(), count)
        for config, steps in missing:
            if (config, steps) not in aside:
                before = bar.n
                chips = place.chips(config.variant)
                trained.train(config, chips, place.runs / inside, progress=bar)
                count.finished(steps - (bar.n - before))


class _Count:
    """The bar of all runs, and the number of those that are done beside it."""

    def __init__(self, bar: tqdm, done: int, of: int):
        self.bar, self.done, self.of = bar, done, of
        self._show()

    def finished(self, rest: int) -> None:
        """One run more is done; `rest` of its batches were not needed."""
        self.bar.update(rest)
        self.done += 1
        self._show()

    def _show(self) -> None:
        self.bar.set_postfix_str(f"run {min(self.done + 1, self.of)} of {self.of}")


def _given() -> int | None:
    """What `PAPER_WORKERS` says, if it says anything."""
    given = os.environ.get("PAPER_WORKERS", "")
    if given and not given.isdigit():
        raise PaperError(f"PAPER_WORKERS={given}", "write a number from 0")
    return int(given) if given else None


def _how_many() -> int:
    # what is available, the page cache included: Linux gives that back
    return max(1, min(cores(), int(psutil.virtual_memory().available / _MEMORY)))


def _in_workers(
    place: Place, runs: list[tuple[Config, int]], inside: str, most: int, count: _Count
) -> None:
    """Train in several processes; this thread shows what they report."""
    jobs = _Jobs(runs)
    reports: queue.SimpleQueue = queue.SimpleQueue()
    workers = [_Worker(place, inside, jobs, reports) for _ in range(min(most, len(runs)))]
    try:
        left = len(runs)
        while left:
            kind, value = reports.get()
            if kind == "batches":
                count.bar.update(value)
            elif kind == "done":
                count.finished(value)
                left -= 1
            else:
                raise value
    finally:
        for worker in workers:
            worker.stop()


class _Jobs:
    """The runs that nobody has taken, and their batches."""

    def __init__(self, runs: list[tuple[Config, int]]):
        self.runs, self.lock = list(runs), threading.Lock()

    def take(self, last: Config | None) -> tuple[Config, int] | None:
        """The next run, if there is one with the graph of `last`: to compile one takes seconds."""
        with self.lock:
            alike = (i for i, (c, _) in enumerate(self.runs) if last and _graph(c) == _graph(last))
            return self.runs.pop(next(alike, 0)) if self.runs else None


def _graph(config: Config) -> Config:
    outputs = "all" if config.outputs == "all" else "one"
    return replace(config, seed=0, variant="original", outputs=outputs)


class _Worker(threading.Thread):
    """One process, and the thread that hands it one run after the other."""

    def __init__(self, place: Place, inside: str, jobs: _Jobs, reports: Any):
        super().__init__(daemon=True)
        self.place = {
            "profile": asdict(place.profile),
            "data": str(place.data or ""),
            "runs": str(place.runs / inside),
        }
        self.jobs, self.reports = jobs, reports
        environment = {k: v for k, v in os.environ.items() if k != "PAPER_TRACE"}
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "paperlib.training.processes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            start_new_session=True,  # an interrupt is for who started it, which then stops it
            text=True,
        )
        self.start()

    def run(self) -> None:
        config = None
        while job := self.jobs.take(config):
            config, steps = job
            try:
                shown = self._one(config)
            except Exception as error:
                self.reports.put(("failed", error))
                return
            self.reports.put(("done", steps - shown))

    def _one(self, config: Config) -> int:
        """Train one run; how many of its batches were shown."""
        job = self.place | {"config": config.to_dict()}
        shown = 0
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                answer = json.loads(line)
                if "batches" in answer:
                    shown += answer["batches"]
                    self.reports.put(("batches", answer["batches"]))
                elif "problem" in answer:
                    raise PaperError(answer["problem"], answer["cure"])
                else:
                    return shown
        except OSError:
            pass  # it has gone: said below
        self.process.wait()
        self.errors.seek(0)
        told = self.errors.read().decode(errors="replace").strip().splitlines()[-12:]
        raise PaperError(
            f"the process that trained {config.slug} ended ({self.process.returncode}): "
            + (" | ".join(told) or "it said nothing"),
            "run it again: it continues; with PAPER_WORKERS=1 if memory ran out",
        )

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.join()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with suppress(OSError):  # the pipe's other end has gone
                stream.close()


# In the worker ------------------------------------------------------------------------------------


class _Answers:
    """Answers as lines of JSON; also the bar that `train.train` advances."""

    def __init__(self, stream: Any):
        import time

        self.stream, self.clock = stream, time.monotonic
        self.waiting, self.last = 0, 0.0

    def say(self, **what: Any) -> None:
        self.stream.write(json.dumps(what) + "\n")
        self.stream.flush()

    def update(self, batches: int = 1) -> None:
        self.waiting += batches
        if self.clock() - self.last > _OFTEN:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.say(batches=self.waiting)
        self.waiting, self.last = 0, self.clock()

    def set_postfix_str(self, text: str) -> None: ...

    def set_description_str(self, text: str) -> None: ...


def _listen(jobs: queue.SimpleQueue) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(1)  # who started this has gone; a run in the making continues from its last epoch


def main() -> None:
    """The worker's loop."""
    from . import determinism

    answers = _Answers(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # whatever a library prints is no answer
    determinism.one_thread()
    jobs: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    places: dict[str, _Here] = {}
    while True:
        job = jobs.get()
        config = Config.from_dict(job.pop("config"))
        here = places.setdefault(json.dumps(job), _Here(**job))
        try:
            trained.train(config, here.chips(config.variant), here.runs, progress=answers)
        except PaperError as error:
            answers.say(problem=error.problem, cure=error.cure)
            continue
        answers.flush()
        answers.say(done=True)


@dataclass
class _Here:
    """Who sent a job, in the worker: the chips stay in memory between its runs."""

    profile: dict[str, Any]
    data: str
    runs: str
    _chips: dict[str, Chips] = field(default_factory=dict)

    def chips(self, variant: str) -> Chips:
        if variant not in self._chips:
            data = Path(self.data) if self.data else None
            self._chips[variant] = read_chips(Profile(**self.profile), data, variant)
        return self._chips[variant]


if __name__ == "__main__":
    main()
