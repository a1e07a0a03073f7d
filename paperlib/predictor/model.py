"""A released network on ONNX Runtime: arrays or files to probabilities and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..utils.errors import PaperError
from ..utils.system import cores
from .images import read_image

if TYPE_CHECKING:
    import onnxruntime

_BATCH = 128  # chips read together
_ROWS = 64  # chips times views in one call of the network: what flows in it stays in the caches


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model predicts for N chips.

    Attributes
    ----------
    probability : ndarray of shape (N, L), float32
        After recalibration.
    raw : ndarray of shape (N, L), float32
        As the network gave it.
    labels : list of list of str
        For each chip the tags whose probability is above the label's threshold.
    thresholds : ndarray of shape (L,)
    tags : tuple of str
        The L label names.
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
    """A released model; `predictor.load` makes one.

    Attributes
    ----------
    card : dict
        What `card.json` holds.
    name : str
        What `load` finds it by: a name of `names()`, or its folder.
    tags : tuple of str
        The L label names.
    size : int
        S, the side in pixels that every image is brought to.
    thresholds : ndarray of shape (L,)
        On the recalibrated probabilities: for the F2 of a chip, mean over chips.
    label_thresholds : ndarray of shape (L,) or None
        For each label's own F2, where the release has them: they find rare labels.
    """

    def __init__(self, network: onnxruntime.InferenceSession, card: dict[str, Any], name: str = ""):
        self.network, self.card, self.name = network, card, name
        self.tags: tuple[str, ...] = tuple(card["tags"])
        self.size = int(card["size"])
        self.thresholds = np.array([card["thresholds"][tag] for tag in self.tags], np.float64)
        own = card.get("label_thresholds")
        self.label_thresholds = np.array([own[tag] for tag in self.tags]) if own else None
        recalibration = card.get("recalibration")
        self._coef = np.array(recalibration["coef"]) if recalibration else None
        self._intercept = np.array(recalibration["intercept"]) if recalibration else None
        self._input = network.get_inputs()[0].name

    def predict(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        *,
        views: int | None = None,
        thresholds: str = "chips",
        batch: int = _BATCH,
        progress: bool = False,
    ) -> Prediction:
        """Labels of chips.

        Parameters
        ----------
        images : ndarray of shape (N, H, W, 3), uint8, or list of ndarray
            RGB. In a list each is `(H, W, 3)` of any size (also `(H, W)` grey and `(H, W, 4)`,
            whose fourth channel is left out). Each is brought to the network's size, antialiased
            when it shrinks.
        views : int, optional
            Mean over this many of the eight symmetries; by default what the card says.
        thresholds : str
            "chips": for the mean-over-chips F2, the competition's; "labels": for each label's own
            F2. The latter give rare labels, which the former hardly ever do, and more false alarms.
        batch : int
            Chips at once.
        progress : bool
            Show a bar.

        Returns
        -------
        Prediction

        Raises
        ------
        ValueError
            For arrays that are no 8-bit images, naming which; for one image without its batch
            axis; for a batch below 1; for thresholds that the release does not have.
        """
        from tqdm.auto import tqdm

        _check_batch(batch)
        limits = self._limits(thresholds)
        if isinstance(images, np.ndarray) and images.ndim != 4:
            cure = "; one image is images[None]" if images.ndim == 3 else ""
            raise ValueError(f"images: expected (N, H, W, 3), got {images.shape}{cure}")

        raw = [np.zeros((0, len(self.tags)), np.float32)]
        with tqdm(total=len(images), unit="chip", disable=not progress) as bar:
            for start in range(0, len(images), batch):
                part = images[start : start + batch]
                fitted = [self._fit(image, start + i) for i, image in enumerate(part)]
                raw.append(self._raw(np.stack(fitted), views))
                bar.update(len(part))
        return self._prediction(np.concatenate(raw), limits)

    def predict_files(
        self,
        paths: Iterable[str | Path],
        *,
        views: int | None = None,
        thresholds: str = "chips",
        batch: int = _BATCH,
        workers: int | None = None,
    ) -> Iterator[FileResult]:
        """Labels of image files.

        Parameters
        ----------
        paths : iterable of str or Path
        views, thresholds, batch
            As of `predict`.
        workers : int, optional
            Threads that read; by default one for each core that may be used.

        Yields
        ------
        FileResult
            In the order of the files; one that cannot be read yields its reason.
        """
        _check_batch(batch)
        limits = self._limits(thresholds)
        queue = iter(Path(path) for path in paths)
        with ThreadPoolExecutor(workers or cores()) as pool:
            following = self._read_many(pool, islice(queue, batch))
            while waiting := following:
                following = self._read_many(pool, islice(queue, batch))  # read on while predicting
                read = [(path, future.result()) for path, future in waiting]
                good = [got for _, got in read if isinstance(got, np.ndarray)]
                found = self._prediction(self._raw(np.stack(good), views), limits) if good else None
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
            return str(error)

    def fit(self, image: np.ndarray) -> np.ndarray:
        """`(H, W, 3)` uint8 -> `(S, S, 3)`: what `predict` does with an image before all else.

        A fitted image has the same labels as the one it was made from, and is all of it that is
        needed until then.
        """
        return self._fit(image, 0)

    def _fit(self, image: np.ndarray, at: int) -> np.ndarray:
        from ..chips.jpeg import fit

        image = np.asarray(image)
        if image.ndim == 2:
            image = np.repeat(image[:, :, None], 3, axis=2)
        if image.ndim != 3 or image.shape[2] not in (3, 4) or 0 in image.shape:
            raise ValueError(f"images[{at}]: expected (H, W, 3), got {image.shape}")
        if image.dtype != np.uint8:
            raise ValueError(f"images[{at}]: expected uint8 in 0…255, got {image.dtype}")
        return fit(np.ascontiguousarray(image[:, :, :3]), self.size)

    def _raw(self, chips: np.ndarray, views: int | None) -> np.ndarray:
        """`(n, S, S, 3)` -> `(n, L)` float32: the mean over the views, `_ROWS` rows a call."""
        from ..networks.views import symmetries

        seen = symmetries(chips, int(self.card.get("views", 1)) if views is None else views)
        rows = seen.reshape(-1, *chips.shape[1:])
        parts = [
            self.network.run(None, {self._input: rows[at : at + _ROWS]})[0]
            for at in range(0, len(rows), _ROWS)
        ]
        by_view = np.concatenate(parts).reshape(len(seen), len(chips), -1)
        return np.mean(by_view, axis=0, dtype=np.float64).astype(np.float32)

    def _limits(self, thresholds: str) -> np.ndarray:
        if thresholds not in ("chips", "labels"):
            raise ValueError(f'thresholds: "chips" or "labels", not {thresholds!r}')
        limits = self.thresholds if thresholds == "chips" else self.label_thresholds
        if limits is None:
            raise ValueError('thresholds: this release has none for "labels"; make it again')
        return limits

    def _prediction(self, raw: np.ndarray, thresholds: np.ndarray) -> Prediction:
        probability = raw
        if self._coef is not None:  # as ridge.LabelRecalibrator.predict
            q = raw.astype(np.float64) @ self._coef.T + self._intercept
            probability = np.clip(q, 0.0, 1.0).astype(np.float32)
        on = probability > thresholds
        labels = [[t for t, yes in zip(self.tags, row, strict=True) if yes] for row in on]
        return Prediction(probability, raw, labels, thresholds, self.tags)


def _check_batch(batch: int) -> None:
    if batch < 1:
        raise ValueError(f"batch: 1 or more, not {batch}")
