"""One prediction as rows for a bar chart."""

from __future__ import annotations

from dataclasses import dataclass

from paperlib.labels import GROUP, LABELS

from .. import label_sets
from ..models import Prediction


@dataclass(frozen=True)
class Bar:
    """Percentages are 0…100 with one decimal; `on` where the probability reaches the threshold."""

    name: str
    title: str
    group: str
    percent: float
    raw: float
    threshold: float
    rare: float | None  # the threshold that finds rare labels
    on: bool


def bars(prediction: Prediction) -> list[Bar]:
    """The 17 labels of one prediction in the order of `LABELS`."""
    probability = Prediction.unpack(prediction.probability)
    raw = Prediction.unpack(prediction.raw) if prediction.raw else probability
    limits = prediction.model.thresholds or [0.5] * len(LABELS)
    own = prediction.model.rare_thresholds
    return [
        Bar(
            name=name,
            title=label_sets.title(name),
            group=GROUP[name],
            percent=_percent(probability[i]),
            raw=_percent(raw[i]),
            threshold=_percent(limits[i]),
            rare=_percent(own[i]) if own else None,
            on=bool(prediction.labels >> i & 1),
        )
        for i, name in enumerate(LABELS)
    ]


def _percent(value: float) -> float:
    return round(100 * min(max(float(value), 0.0), 1.0), 1)
