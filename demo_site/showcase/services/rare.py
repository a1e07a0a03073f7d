"""Labels by the thresholds for each label's own F2: they find rare ones, and err more often."""

from __future__ import annotations

import numpy as np

from ..models import ModelVersion

Limits = dict[int, np.ndarray]


def limits(asked: bool) -> Limits | None:
    """Model version -> its 17 thresholds, of those whose card has them; None where not asked for.

    What `Placement.mask` takes: one query for however many chips are labelled with it.
    """
    if not asked:
        return None
    versions = ModelVersion.objects.all()
    return {one.pk: np.array(one.rare_thresholds) for one in versions if one.rare_thresholds}
