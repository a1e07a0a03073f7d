"""The predictor, loaded once per worker process; a web process loads none.

Its interface is that of `paperlib.predictor`: `predict(images)` gives `probability` and `raw`
`(N, 17)` and `thresholds` `(17,)`; `card` is a dict.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading

import numpy as np
from django.conf import settings
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from paperlib.labels import COUNT
from paperlib.utils.errors import PaperError

from .. import label_sets
from ..models import ModelVersion

_loaded: tuple[object, ModelVersion] | None = None
_made: object | None = None  # the predictor, before its row is in the database
_lock = threading.Lock()


class NoModel(Exception):
    """The model is not there or cannot be read; the work waits until it is."""


def preload() -> None:
    """Begin to load the predictor in a thread, without the database; `load` waits for it."""

    def make() -> None:
        global _made
        with _lock, contextlib.suppress(Exception):  # `load` tries again and says what is wrong
            if _made is None:
                _made = _predictor()

    threading.Thread(target=make, name="model", daemon=True).start()


def load() -> tuple[object, ModelVersion]:
    """`(predictor, its ModelVersion)`; `NoModel` with the reason where there is none."""
    global _loaded, _made
    with _lock:
        if _loaded is None:
            try:
                predictor = _made = _made or _predictor()
                card = json.loads(json.dumps(predictor.card, default=str))
                limits = [float(t) for t in predictor.thresholds]
                if len(limits) != COUNT:
                    raise ValueError(f"thresholds: expected {COUNT}, got {len(limits)}")
            except (PaperError, OSError, ImportError, ValueError, AttributeError) as error:
                raise NoModel(str(error).splitlines()[0][:280]) from error
            text = json.dumps([card, limits], sort_keys=True)  # the card holds its files' sha256
            version, _ = ModelVersion.objects.update_or_create(
                fingerprint=hashlib.sha256(text.encode()).hexdigest(),
                defaults={
                    "name": str(card.get("name") or settings.SHOWCASE["MODEL"])[:100],
                    "card": card,
                    "thresholds": limits,
                    "used_at": Now(),
                },
            )
            _loaded = predictor, version
        return _loaded


def warm_up(size: int) -> None:
    """Predict black chips, so that the first visitor does not wait for what is made once."""
    load()[0].predict([np.zeros((256, 256, 3), np.uint8)] * size)


def forget() -> None:
    """Load again at the next call."""
    global _loaded, _made
    _loaded = _made = None


def _predictor():
    if path := settings.SHOWCASE["PREDICTOR"]:
        return import_string(path)()
    from paperlib import predictor

    return predictor.load(settings.SHOWCASE["MODEL"])


def side() -> int | None:
    """Pixels of the square that the decoder brings chips to, as `paperlib.predictor` would.

    None for a predictor without a `size`: it is given chips whole.
    """
    return getattr(load()[0], "size", None)


def predict(images: list[np.ndarray]):
    """`(probability, raw, masks, confidence)` of N chips: `(N, 17)` twice, N integers, `(N,)`."""
    predictor, version = load()
    found = predictor.predict(images)
    probability = np.asarray(found.probability, np.float32)
    raw = np.asarray(found.raw, np.float32)
    if probability.shape != (len(images), COUNT) or raw.shape != probability.shape:
        raise ValueError(f"the predictor gave {probability.shape} for {len(images)} chips")
    if not np.isfinite(probability).all():
        raise ValueError("the predictor gave a probability that is not a number")
    limits = np.asarray(version.thresholds, np.float32)
    masks = [label_sets.mask(row) for row in found.labels]
    return probability, raw, masks, confidence(probability, limits)


def confidence(probability: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """`(N,)` in 0…1: how far the labels are from their thresholds, as a mean over the 17.

    A label on its threshold counts 0, one that is certain (0 or 1) counts 1, linear between.
    """
    above = (probability - limits) / np.maximum(1 - limits, 1e-6)
    below = (limits - probability) / np.maximum(limits, 1e-6)
    margin = np.clip(np.where(probability >= limits, above, below), 0, 1).mean(axis=1)
    return np.maximum(margin, 1e-6)  # 0 stands for a chip that has no prediction yet
