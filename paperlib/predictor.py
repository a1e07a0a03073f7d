"""Chips in, labels out: the released model, at any picture size, without the training code.

    model = predictor.load("planet32")
    found = model.predict(images)          # (N, H, W, 3) uint8, or a list of pictures of any sizes
    found.labels                           # [["clear", "primary"], …]

A release is a folder of three files: `network.json` (Keras' own description), `weights.npz` (half
precision) and `card.json` (tags, thresholds, recalibration as plain numbers, and the model card).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .utils import files
from .utils.errors import PaperError

if TYPE_CHECKING:
    import keras

RELEASED = Path(__file__).resolve().parent / "released"
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
_BATCH = 128  # chips read together
_ROWS = 256  # chips times views in one call of the network


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says about N chips.

    probability  `(N, L)` float32, after recalibration; raw `(N, L)` float32, as the network gave it
    labels       N lists of tags: those whose probability is above the label's threshold
    thresholds   `(L,)`; tags: the L label names
    """

    probability: np.ndarray
    raw: np.ndarray
    labels: list[list[str]]
    thresholds: np.ndarray
    tags: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


class FileResult(NamedTuple):
    """One file's outcome: a probability row `(L,)` and tags, or the reason why there is none."""

    path: Path
    probability: np.ndarray | None
    labels: list[str]
    error: str


class Predictor:
    """A released model; `load` makes one."""

    def __init__(self, network: keras.Model, card: dict[str, Any]):
        self.network, self.card = network, card
        self.tags: tuple[str, ...] = tuple(card["tags"])
        self.size = int(card["size"])
        self.thresholds = np.array([card["thresholds"][tag] for tag in self.tags], np.float64)
        recalibration = card.get("recalibration")
        self._coef = np.array(recalibration["coef"]) if recalibration else None
        self._intercept = np.array(recalibration["intercept"]) if recalibration else None

    def predict(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        *,
        views: int | None = None,
        batch: int = _BATCH,
        progress: bool = False,
    ) -> Prediction:
        """Labels of chips.

        images  `(N, H, W, 3)` uint8 RGB, or a list of `(H, W, 3)` of any sizes (also `(H, W)` grey
                and `(H, W, 4)`, whose fourth channel is left out); each is brought to the
                network's size, antialiased when it shrinks
        views   mean over this many of the eight symmetries; by default what the card says
        batch   chips at once

        Raises `ValueError` for arrays that are no 8-bit pictures, naming which.
        """
        from tqdm.auto import tqdm

        raw = [np.zeros((0, len(self.tags)), np.float32)]
        with tqdm(total=len(images), unit="chip", disable=not progress) as bar:
            for start in range(0, len(images), batch):
                part = images[start : start + batch]
                fitted = [self._fit(image, start + i) for i, image in enumerate(part)]
                raw.append(self._raw(np.stack(fitted), views))
                bar.update(len(part))
        return self._prediction(np.concatenate(raw))

    def predict_files(
        self,
        paths: Iterable[str | Path],
        *,
        views: int | None = None,
        batch: int = _BATCH,
        workers: int | None = None,
    ) -> Iterator[FileResult]:
        """Labels of picture files, in their order; a file that cannot be read yields its reason."""
        queue = iter(Path(path) for path in paths)
        with ThreadPoolExecutor(workers) as pool:
            following = self._read_many(pool, islice(queue, batch))
            while waiting := following:
                following = self._read_many(pool, islice(queue, batch))  # read on while predicting
                read = [(path, future.result()) for path, future in waiting]
                good = [got for _, got in read if isinstance(got, np.ndarray)]
                found = self._prediction(self._raw(np.stack(good), views)) if good else None
                at = 0
                for path, got in read:
                    if found is None or isinstance(got, str):
                        yield FileResult(path, None, [], str(got))
                    else:
                        yield FileResult(path, found.probability[at], found.labels[at], "")
                        at += 1

    def _read_many(self, pool: ThreadPoolExecutor, paths: Iterable[Path]) -> list:
        return [(path, pool.submit(self._read, path)) for path in paths]

    def _read(self, path: Path) -> np.ndarray | str:
        try:
            return self._fit(read_image(path), 0)
        except PaperError as error:
            return error.problem

    def fit(self, image: np.ndarray) -> np.ndarray:
        """`(H, W, 3)` uint8 -> `(S, S, 3)`: what `predict` does with a picture before all else.

        A fitted picture has the same labels as the one it was made from, and is all that needs to
        be kept of it until then.
        """
        return self._fit(image, 0)

    def _fit(self, image: np.ndarray, at: int) -> np.ndarray:
        from .chips.jpeg import fit

        image = np.asarray(image)
        if image.ndim == 2:
            image = np.repeat(image[:, :, None], 3, axis=2)
        if image.ndim != 3 or image.shape[2] not in (3, 4) or 0 in image.shape:
            raise ValueError(f"images[{at}]: expected (H, W, 3), got {image.shape}")
        if image.dtype != np.uint8:
            raise ValueError(f"images[{at}]: expected uint8 in 0…255, got {image.dtype}")
        return fit(np.ascontiguousarray(image[:, :, :3]), self.size)

    def _raw(self, chips: np.ndarray, views: int | None) -> np.ndarray:
        """`(n, S, S, 3)` -> `(n, L)`; as many views in one call as make up `_ROWS` rows.

        Batches have sizes of powers of two: a backend compiles once per size, so there are few.
        """
        from .networks.augment import VIEWS, symmetries

        views = int(self.card.get("views", 1)) if views is None else views
        if not 1 <= views <= VIEWS:
            raise ValueError(f"views: 1 to {VIEWS}, not {views}")
        n = len(chips)
        padded = np.zeros((1 << (n - 1).bit_length(), *chips.shape[1:]), np.uint8)
        padded[:n] = chips
        seen = symmetries(padded, views)
        once = max(_ROWS // len(padded), 1)
        parts = [seen[at : at + once] for at in range(0, views, once)]
        rows = [self.network.predict_on_batch(part.reshape(-1, *chips.shape[1:])) for part in parts]
        rows = np.concatenate([np.asarray(row) for row in rows]).reshape(views, len(padded), -1)
        return np.mean(rows, axis=0, dtype=np.float64)[:n].astype(np.float32)

    def _prediction(self, raw: np.ndarray) -> Prediction:
        probability = raw
        if self._coef is not None:  # as ridge.LabelRecalibrator.predict
            q = raw.astype(np.float64) @ self._coef.T + self._intercept
            probability = np.clip(q, 0.0, 1.0).astype(np.float32)
        on = probability > self.thresholds
        labels = [[t for t, yes in zip(self.tags, row, strict=True) if yes] for row in on]
        return Prediction(probability, raw, labels, self.thresholds, self.tags)


def read_image(path: str | Path) -> np.ndarray:
    """A picture file -> `(H, W, 3)` uint8 RGB.

    JPEG (of one, three or four components), PNG, TIFF, WebP, BMP. Raises `PaperError` for a file
    that is not there, empty, cut, not a picture, or not of 8 bits.
    """
    import io

    from PIL import Image

    from .chips import jpeg
    from .chips.archive import BadChip

    cure = "give an 8-bit JPEG, PNG or TIFF"
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PaperError(f"{path}: cannot be read ({error.strerror})", cure) from None
    try:
        if data[:2] == b"\xff\xd8" or not data:
            height, width, components = jpeg.header(data)
            if max(height, width) > jpeg.LARGEST_SIDE:
                raise BadChip(f"is {width}×{height} pixels, more than {jpeg.LARGEST_SIDE}")
            return jpeg.decode(data, components)
        with Image.open(io.BytesIO(data)) as image:
            if max(image.size) > jpeg.LARGEST_SIDE:
                size = f"{image.size[0]}×{image.size[1]}"
                raise BadChip(f"is {size} pixels, more than {jpeg.LARGEST_SIDE}")
            if image.mode.startswith(("I", "F")):
                raise BadChip(f"has more than 8 bits per channel (mode {image.mode})")
            return np.array(image.convert("RGB"))
    except BadChip as error:
        raise PaperError(f"{path}: {error}", cure) from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PaperError(f"{path}: is no picture that can be read ({error})", cure) from None


def find_images(inputs: Sequence[str | Path]) -> dict[str, Path]:
    """Files and folders -> image name: path, sorted; folders are searched to any depth.

    The name is the file's, without suffix; where two files share it, the path as it was found.
    """
    found: list[Path] = []
    for given in map(Path, inputs):
        if given.is_dir():
            found += sorted(
                p for p in given.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
            )
        elif given.exists():
            found.append(given)
        else:
            raise PaperError(f"{given} is not there", "give picture files, or a folder of them")
    found = list(dict.fromkeys(found))
    if not found:
        raise PaperError(
            f"{', '.join(map(str, inputs))}: no pictures here ({', '.join(SUFFIXES)})",
            "give picture files, or a folder of them",
        )
    claims = Counter(path.stem for path in found)
    return {path.as_posix() if claims[path.stem] > 1 else path.stem: path for path in found}


def write_csv(
    path: str | Path,
    model: Predictor,
    images: dict[str, Path],
    *,
    views: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> list[str]:
    """Label the pictures of `find_images` into a CSV; returns one line per unreadable picture.

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


def names() -> list[str]:
    """The models that come with the package."""
    return sorted(p.parent.name for p in RELEASED.glob("*/card.json"))


def load(name: str | Path = "planet32") -> Predictor:
    """A released model by its name, or any release from its folder.

    Raises `PaperError` where there is none or it is damaged.
    """
    folder = RELEASED / str(name) if str(name) in names() else Path(name)
    if not (folder / "card.json").is_file():
        raise PaperError(
            f"there is no model {str(name)!r}",
            f"give a release's folder, or one of: {', '.join(names()) or 'none comes along'}",
        )
    try:
        card = files.read_json(folder / "card.json")
        for file, digest in card["sha256"].items():
            if files.sha256(folder / file) != digest:
                raise ValueError(f"{file} is damaged")
        with np.load(folder / "weights.npz", allow_pickle=False) as stored:
            weights = [
                stored[f"w{i:03d}"].astype(np.float32) * stored["scale"][i]
                for i in range(len(stored["scale"]))
            ]
        import keras

        from .networks import build  # noqa: F401  registers the network's own layer

        text = (folder / "network.json").read_text(encoding="utf-8")
        network = keras.models.model_from_json(text)
        network.set_weights(weights)
        # XLA takes a minute to compile what TensorFlow's own kernels do as fast
        network.compile(jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
        return Predictor(network, card)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PaperError(
            f"{folder}: the model cannot be loaded ({error})", "get it again"
        ) from error


def save(
    folder: str | Path,
    network: keras.Model,
    *,
    tags: Sequence[str],
    thresholds: np.ndarray,
    recalibrator: Any = None,
    card: dict[str, Any] | None = None,
    views: int = 1,
) -> Path:
    """Write a release; what `load` reads.

    network       of `networks.build` (or `Run.model()`); its batch normalisation is folded in, its
                  weights are stored in half precision, each array scaled by its largest value
    thresholds    `(L,)`, on the recalibrated probabilities
    recalibrator  a fitted `ridge.LabelRecalibrator`, or None
    card          what a reader should know: data, split, scores, limits, licence …
    views         symmetries averaged by default
    """
    import json

    from .networks import build

    folder = Path(folder)
    tags = list(tags)
    if np.shape(thresholds) != (len(tags),) or network.output_shape[-1] != len(tags):
        raise ValueError("network, tags and thresholds: not the same number of labels")
    folded = build.fold_batch_norm(network)
    described = json.loads(folded.to_json())
    files.write_json(folder / "network.json", described)
    arrays, scale = {}, []
    for i, value in enumerate(folded.get_weights()):
        scale.append(np.abs(value).max() or 1.0)
        arrays[f"w{i:03d}"] = (value / scale[-1]).astype(np.float16)
    files.write_arrays(folder / "weights.npz", scale=np.array(scale, np.float32), **arrays)
    numbers = None
    if recalibrator is not None and recalibrator.kind != "none":
        numbers = recalibrator.to_dict()
    files.write_json(
        folder / "card.json",
        {
            **(card or {}),
            "tags": tags,
            "size": int(folded.input_shape[1]),
            "parameters": int(folded.count_params()),
            "thresholds": {t: float(v) for t, v in zip(tags, thresholds, strict=True)},
            "recalibration": numbers,
            "views": views,
            "sha256": {f: files.sha256(folder / f) for f in ("network.json", "weights.npz")},
        },
    )
    return folder
