"""Images, and rows of scenes, labelled by the workers of a Dask cluster.

Each worker loads the released model itself, and reads the images where this process finds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..utils.executors import Pool, pool_of
from .model import FileResult, Predictor
from .release import load
from .scene import Chip, Scene, chips

CHIPS = 256  # of a task: half a second of a worker's time


class Cluster:
    """What `write_csv` asks of a model, by the workers of a cluster: results in the same order."""

    def __init__(self, pool: Pool, model: Predictor) -> None:
        self.pool, self.name = pool, model.name

    def predict_files(
        self, paths: Iterable[Path], *, workers: int | None = None, **how: Any
    ) -> Iterator[FileResult]:
        """As `Predictor.predict_files`; `workers` is the cluster's own affair."""
        paths = [Path(path).resolve() for path in paths]
        parts = [paths[at : at + CHIPS] for at in range(0, len(paths), CHIPS)]
        for found in self._in_order(_files, parts, how):
            yield from found

    def chips(self, scene: Scene, **how: Any) -> Iterator[Chip]:
        """As `scene.chips`."""
        step = math.ceil(CHIPS / len(scene.columns))
        total = len(scene.rows)
        parts = [(scene, range(at, min(at + step, total))) for at in range(0, total, step)]
        for found, empty in self._in_order(_rows, parts, how):
            scene.empty += empty
            yield from found

    def _in_order(self, function: Callable, parts: list, how: dict[str, Any]) -> Iterator[Any]:
        """The results of all parts, each as soon as those before it are there."""
        early: dict[int, Any] = {}
        following = 0
        done = self.pool.map(_part, (function, self.name, how), [*enumerate(parts)], None)
        for (number, _), found in done:
            early[number] = found
            while following in early:
                yield early.pop(following)
                following += 1


@contextmanager
def cluster(scheduler: str, model: Predictor) -> Iterator[Cluster]:
    """The workers of the Dask scheduler at an address.

    Raises
    ------
    PaperError
        Where none answers there, or it has no workers.
    """
    with pool_of(scheduler, 0) as pool:
        yield Cluster(pool, model)


# In the worker ------------------------------------------------------------------------------------


def _part(job: tuple[Callable, str, dict], item: tuple[int, Any], _: None) -> Any:
    function, name, how = job
    return function(_model(name), item[1], how)


def _files(model: Predictor, paths: list[Path], how: dict[str, Any]) -> list[FileResult]:
    return list(model.predict_files(paths, **how, workers=1))


def _rows(
    model: Predictor, part: tuple[Scene, range], how: dict[str, Any]
) -> tuple[list[Chip], int]:
    scene, rows = part
    scene.empty = 0
    found = list(chips(model, scene, **how, rows=rows))
    return found, scene.empty


@lru_cache(maxsize=2)
def _model(name: str) -> Predictor:
    return load(name, threads=1)
