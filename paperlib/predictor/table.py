"""A CSV of the labels of many image files."""

from __future__ import annotations

from pathlib import Path

from ..utils import files
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
    with files.replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
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
