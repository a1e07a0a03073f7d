"""What accuracy costs: every backbone at several widths, on the same chips with the same budget.

    wanted = configs(profile)           # the grid `backbones`
    table(saved(project, wanted))       # nested F2 with its interval beside the counted costs
    frontier(table["multiply_adds"], table["f2"])

The runs lie in a folder of their own under `runs/`, so that the paper's candidates stay apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..evaluation.calibration import macro_average_precision
from ..evaluation.candidates import gather
from ..evaluation.selection import Outcome
from ..training.config import Config, network
from ..training.runs import Run
from ..utils import files
from . import run_grid

if TYPE_CHECKING:
    from ..profiles import Profile
    from ..project import Project

FOLDER = "backbones"
#: Profile -> the networks and widths that are trained; any other profile takes planet32's.
SIZES: dict[str, tuple[tuple[str, float], ...]] = {
    "tiny": (("vgg11", 0.0625), ("vgg16", 0.0625)),
    "sample": (("vgg11", 0.0625), ("vgg16", 0.0625), ("mobilenet", 0.125)),
    "planet32": (
        ("vgg11", 0.0625),
        ("vgg11", 0.125),
        ("vgg11", 0.25),
        ("vgg16", 0.0625),
        ("vgg16", 0.125),
        ("vgg16", 0.25),
        ("resnet50", 0.125),
        ("resnet50", 0.25),
        ("inception_v3", 0.125),
        ("inception_v3", 0.25),
        ("inception_resnet_v2", 0.125),
        ("inception_resnet_v2", 0.25),
        ("mobilenet", 0.25),
        ("mobilenet", 0.5),
        ("mobilenet_v2", 0.35),
        ("mobilenet_v2", 0.5),
    ),
}
#: Profile -> what every network of the comparison has in common.
BUDGET: dict[str, dict[str, Any]] = {
    "tiny": {"train_chips": 48, "epochs": 1, "batch": 16},
    "sample": {"train_chips": 768, "epochs": 2, "batch": 64},
    "planet32": {"train_chips": 8192, "epochs": 4, "batch": 64},
}
STUDENT = ("vgg16", 0.0625)
STUDENT_SEEDS = {"tiny": (0, 1), "sample": (0, 1)}


def _of(table: dict, profile: Profile):
    return table.get(profile.name, table["planet32"])


def configs(profile: Profile, **changes: Any) -> list[Config]:
    """Each network at each width, then the students with and without the profile's own network
    as their teacher; `changes` hold for all."""
    budget = {**_of(BUDGET, profile), "precision": "float32", "weights": "", **changes}
    made = [
        Config.of(profile, **{"network": name, "width": width, **budget})
        for name, width in _of(SIZES, profile)
    ]
    alone, taught = students(profile, **changes)
    return list(dict.fromkeys([*made, *alone, *taught]))


def students(profile: Profile, **changes: Any) -> tuple[list[Config], list[Config]]:
    """The smallest VGG-16 with several seeds: from labels alone, and taught by the profile's
    own network."""
    budget = {**_of(BUDGET, profile), "precision": "float32", "weights": ""}
    seeds = STUDENT_SEEDS.get(profile.name, (0, 1, 2))
    given = {"network": STUDENT[0], "width": STUDENT[1], **budget, **changes}
    alone = [Config.of(profile, **{**given, "seed": seed}) for seed in seeds]
    teacher = Config.of(profile).slug
    taught = [Config.of(profile, **{**given, "seed": s, "teacher": teacher}) for s in seeds]
    return alone, taught


def saved(project: Project, wanted: Sequence[Config], folder: str = FOLDER) -> list[Run]:
    """The runs of a list of configurations: on scenes trained where missing, else what is kept."""
    if project.profile.source == "scenes":
        if any(config.teacher for config in wanted):
            project.run(Config.of(project.profile))
        run_grid.run(project, list(wanted), folder=folder)  # together: several can train at a time
    return [run for config in wanted if (run := project.find(config, folder))]


def nested(run: Run) -> Outcome:
    """The run's validation chips on the nested protocol, checked as a candidate's are."""
    return gather([run]).nested()


def title(config: Config) -> str:
    """ "MobileNet v2 × 0.35"."""
    return f"{TITLES.get(config.network, config.network)} × {config.width:g}"


TITLES = {
    "vgg11": "VGG-11",
    "vgg16": "VGG-16",
    "resnet50": "ResNet-50",
    "inception_v3": "Inception v3",
    "inception_resnet_v2": "Inception-ResNet v2",
    "mobilenet": "MobileNet v1",
    "mobilenet_v2": "MobileNet v2",
}
COLUMNS = ("title", "network", "width", "training_chips", "epochs", "f2", "low", "high",
           "macro_ap", "parameters", "bytes", "multiply_adds")  # fmt: skip


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row per run of the first seed without a teacher: `COLUMNS`, in the order of the runs.

    training_chips  0: all there are;  epochs  that it was trained for
    f2, low, high  mean over chips, nested, 95 % bootstrap interval over chips (one seed)
    parameters, bytes (4 each), multiply_adds  counted from the graph
    """
    from ..networks.complexity import cost  # Keras takes seconds to import

    rows = []
    for run in runs:
        config = run.config
        if config.teacher or config.seed:
            continue
        outcome = nested(run)
        counted = cost(network(config, len(run.tags)))
        rows.append(
            {
                "title": title(config),
                "network": config.network,
                "width": config.width,
                "training_chips": config.train_chips,
                "epochs": len(run.history),
                "f2": outcome.interval.value,
                "low": outcome.interval.low,
                "high": outcome.interval.high,
                "macro_ap": macro_average_precision(outcome.truth, outcome.probability),
                **{key: counted[key] for key in ("parameters", "bytes", "multiply_adds")},
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def with_times(table: pd.DataFrame, clock: Mapping[str, Any], grid_file: Path) -> pd.DataFrame:
    """The rows of `table` whose network was timed, with what the clock said.

    clock      what `speed.measure` wrote;  grid_file  what `paper train --grid backbones` wrote

    Columns more: those of `speed`, `chip_ms` (milliseconds for one chip) and `epoch_seconds` (of
    the fastest training epoch; NaN where they were not recorded).
    """
    known = {(row["network"], row["width"]): row for row in clock["networks"]}
    pairs = [*zip(table["network"], table["width"], strict=True)]
    timed = table[np.array([pair in known for pair in pairs], bool)].copy()
    rows = [known[pair] for pair in pairs if pair in known]
    for column in ("chips_per_second", "times_reference", "memory_mb"):
        timed[column] = np.array([row[column] for row in rows], float)
    timed["chip_ms"] = 1000 / timed["chips_per_second"]
    timed["epoch_seconds"] = epoch_seconds(grid_file, timed)
    return timed


def epoch_seconds(grid_file: Path, networks: pd.DataFrame) -> list[float]:
    """How long each network's fastest training epoch took, as `paper train --grid backbones`
    recorded; NaN where it did not. In the others it was compiled, or the machine had other work.

    networks  with columns `network` and `width`
    """
    known: dict[tuple[str, float], float] = {}
    if grid_file.is_file():
        for row in files.read_json(grid_file)["runs"]:
            config = row["config"]
            if not config["teacher"] and not config["seed"] and row.get("epoch_seconds"):
                known[config["network"], config["width"]] = min(row["epoch_seconds"])
    pairs = zip(networks["network"], networks["width"], strict=True)
    return [known.get(pair, math.nan) for pair in pairs]


def frontier(cost: Sequence[float], score: Sequence[float]) -> np.ndarray:
    """Which of N stand on the Pareto frontier, `(N,)` bool: none costs no more and scores no less,
    and is better in one of the two.

    cost   the less the better;  score  the more the better
    """
    c, s = np.asarray(cost, float), np.asarray(score, float)
    if c.shape != s.shape or c.ndim != 1:
        raise ValueError(f"cost, score: of one length, not {c.shape} and {s.shape}")
    no_worse = (c[None] <= c[:, None]) & (s[None] >= s[:, None])
    better = (c[None] < c[:, None]) | (s[None] > s[:, None])
    return ~(no_worse & better).any(1)
