"""How fast networks predict on one core, and how much memory that takes.

Times differ from machine to machine and from run to run, so they are no part of a reproducible
result: `measure` is run by hand (`paper speed`), and what it found is shipped as a fact about one
machine, with the ratio to a reference network that was timed in turn with the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from tqdm import tqdm

from ..utils import files
from ..utils.system import hardware

if TYPE_CHECKING:
    from ..project import Project

REFERENCE = ("vgg16", 0.125)
FILE = "speed.json"
_CHIPS, _BATCH, _TIMES = 256, 64, 7


def ratios(own: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Chips per second from the seconds of each turn: the median, and that of the ratio to the
    reference in the same turn.

    own, reference  `(T,)` seconds of T turns, for the same number of chips
    """
    a, b = np.asarray(own, float), np.asarray(reference, float)
    if a.shape != b.shape or not len(a):
        raise ValueError("own, reference: seconds of the same turns")
    return _CHIPS / float(np.median(a)), float(np.median(b / a))


def measure(project: Project, sizes: Iterable[tuple[str, float]]) -> Path:
    """Time each network in a process of its own, on one core; write `<results>/speed.json`.

    sizes  (network, width), on chips of the profile's size

    A row per network: `network`, `width`, `chips_per_second` (median of seven turns),
    `times_reference` (VGG-16 × 0.125, timed in the same turns), `memory_mb` (what the process grew
    by from before the network was built to after its first 256 chips).
    """
    rows = []
    for network, width in tqdm(list(sizes), unit="network"):
        rows.append(_in_process(network, width, project.profile.size))
    path = project.results / FILE
    machine = {key: hardware()[key] for key in ("processor", "system")}
    note = {"machine": machine, "cores": 1, "chips": _CHIPS, "batch": _BATCH, "turns": _TIMES}
    files.write_json(path, {**note, "reference": list(REFERENCE), "networks": rows})
    return path


def _in_process(network: str, width: float, size: int) -> dict[str, Any]:
    one = dict.fromkeys(
        ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
    )
    command = [sys.executable, "-m", __name__, network, str(width), str(size)]
    done = subprocess.run(
        command,
        env={**os.environ, **one, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _main(network: str, width: float, size: int) -> None:
    """In a process of its own: print one row as JSON."""
    from ..networks.build import build  # Keras takes seconds to import
    from ..networks.conversions import fold_batch_norm

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    images = np.random.default_rng(0).integers(0, 256, (_CHIPS, size, size, 3), np.uint8)
    process = psutil.Process()

    def prepared(name: str, share: float):
        whole = build(name, size=size, width=share, batch_norm="all")
        model = fold_batch_norm(whole)
        model.compile(jit_compile=False)
        return model

    def turn(model) -> float:
        start = time.perf_counter()
        for at in range(0, _CHIPS, _BATCH):
            model.predict_on_batch(images[at : at + _BATCH])
        return time.perf_counter() - start

    before = process.memory_info().rss
    model = prepared(network, width)
    turn(model)
    used = process.memory_info().rss - before
    reference = prepared(*REFERENCE)
    turn(reference)
    seconds = [(turn(model), turn(reference)) for _ in range(_TIMES)]
    speed, times = ratios(*zip(*seconds, strict=True))
    row = {
        "network": network,
        "width": width,
        "chips_per_second": round(speed, 1),
        "times_reference": round(times, 3),
        "memory_mb": round(used / 2**20, 1),
    }
    print(json.dumps(row))  # noqa: T201


if __name__ == "__main__":
    _main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
