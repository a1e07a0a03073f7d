"""A CSV of the labels of many image files."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..utils import files
from ..utils.errors import PaperError
from .model import Predictor


def write_csv(
    path: str | Path,
    model: Predictor,
    images: dict[str, Path],
    *,
    views: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> list[str]:
    """Label the images of `find_images` into a CSV; returns one line for each unreadable one.

    Columns: `image_name`, `tags` (separated by spaces), then a probability for each tag.
    """
    import csv

    from tqdm.auto import tqdm

    failed = []
    found = model.predict_files(images.values(), views=views, workers=workers)
    with results(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_name", "tags", *model.tags])
        rows = tqdm(
            zip(images, found, strict=True), total=len(images), unit="chip", disable=not progress
        )
        for name, result in rows:
            if result.probability is None:
                failed.append(result.error)
                continue
            numbers = [f"{p:.4f}" for p in result.probability]
            writer.writerow([name, " ".join(result.labels), *numbers])
    return failed


def check_results(path: str | Path) -> None:
    """`PaperError` where a file of results cannot be written, before anything is computed."""
    with results(path, keep=False):
        pass


@contextmanager
def results(path: str | Path, *, keep: bool = True) -> Iterator[IO[str]]:
    """A text file that appears under its name when the block ends well.

    A device, pipe or link is written to as it is. Where the file cannot be put in place at the end,
    the error names where its lines are.

    keep  False: only try whether it could be written
    """
    path = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    name = files.shown(path)
    if os.path.isdir(path):  # without an error for a name too long
        raise PaperError(f"{name}: is a folder", "name a CSV file, as labels.csv")
    if os.path.exists(path) and not os.path.isfile(path):
        if not keep:
            yield io.StringIO()
            return
        with open(path, "w", newline="", encoding="utf-8") as file:
            yield file
        return
    partial = path.with_name(f"{path.stem[:100]}.{uuid.uuid4().hex[:8]}.partial{path.suffix[:50]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.exists()  # a name too long is only found here
        file = open(partial, "w", newline="", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PaperError(f"{name}: cannot be written ({why})", "give another --out") from None
    done = False
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        done = True
    finally:
        if not (done and keep):
            partial.unlink(missing_ok=True)
    if not keep:
        return
    try:
        os.replace(partial, path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PaperError(
            f"{name}: cannot be written ({why})", f"the results are in {files.shown(partial)}"
        ) from None
