"""Ready-made weights: found by name and digest, so that a configuration means the same anywhere."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from ..utils import files, paths
from ..utils.errors import PaperError

#: Files this process was given by path.
GIVEN: dict[str, Path] = {}


def weights_file(weights: str | Path) -> Path:
    """The file that `weights` names.

    weights  a path, or `NAME@SHA`: a file's name and the first eight or more digits of its sha256,
             looked for in the folder `PAPER_WEIGHTS`, beside the file `PAPER_IMAGENET`, in the
             cache's `weights/` and in `shared/weights` beside the checkout. A configuration keeps
             the second form, so that it means the same on every machine.

    Raises `PaperError` where there is no such file or its digest is another.
    """
    text = str(weights)
    name, _, digest = text.rpartition("@")
    if not name:
        path = Path(text)
        if not path.is_file():
            raise PaperError(f"weights: {path} is not there", "give a Keras notop .h5 file")
        return path
    folders = [paths.cache_folder() / "weights"]
    if given := os.environ.get("PAPER_IMAGENET"):
        folders.insert(0, Path(given).parent)
    if given := os.environ.get("PAPER_WEIGHTS"):
        folders.insert(0, Path(given))
    if root := paths.checkout():
        folders.append(root.parent / "shared" / "weights")
    for folder in folders:
        path = folder / name
        if path.is_file():
            if not _sha256(path).startswith(digest):
                raise PaperError(f"weights: {path} has another sha256 than {digest}…", "replace it")
            return path
    cure = f"put it in {folders[0]} or name its folder in PAPER_WEIGHTS"
    if "torchvision" in name:
        cure = "get it by paper data fetch --set vgg16"
    raise PaperError(f"weights: the file {name} (sha256 {digest}…) is not there", cure)


def weights_name(weights: str | Path) -> str:
    """`weights` as a configuration keeps it: a path becomes `NAME@SHA`."""
    text = str(weights)
    if text in ("", "imagenet") or "@" in text:
        return text
    path = weights_file(text).resolve()
    digest = _sha256(path)[:12]
    GIVEN[f"{path.name}@{digest}"] = path
    return f"{path.name}@{digest}"


def load(maker, weights: str | Path, **options):
    """A network of `keras.applications` without its top, with these weights in it.

    maker    `keras.applications.VGG16`, say; options go to it
    weights  `"imagenet"` (Keras downloads them once) or what `weights_file` takes

    Raises `PaperError` for weights that cannot be had or do not fit.
    """
    if str(weights) == "imagenet":
        source: str | Path = "imagenet"
    else:
        source = GIVEN.get(str(weights)) or weights_file(weights)
    try:
        return maker(include_top=False, weights=str(source), **options)
    except PaperError:
        raise
    except Exception as error:
        cure = (
            "Keras downloads it once; without a network name a file in PAPER_IMAGENET"
            if source == "imagenet"
            else "give a notop .h5 in the layout of keras.applications"
        )
        raise PaperError(
            f"weights: {source} cannot be loaded ({_first_line(error)})", cure
        ) from error


@lru_cache
def _sha256(path: Path) -> str:
    return files.sha256(path)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
