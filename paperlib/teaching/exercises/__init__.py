"""The exercises of the teaching notebooks: a wrong answer is told what is wrong with it.

    exercises.check_transmission(my_transmission)      # shows a verdict; raises nothing
    exercises.solution("transmission")                 # a model answer, after two tries

`checking` says how an answer is judged. The exercises: `vggnet` (notebook 01), `dark_channel` with
`haze`, `light` and `recovery` (02), `f2_score` (04), `later` (03, 07, 10, 11, 13).
"""

from __future__ import annotations

from . import dark_channel, f2_score, later, vggnet
from .checking import Verdict
from .dark_channel import (
    check_bright_ground,
    check_dark_channel,
    check_haze,
    check_light,
    check_recover,
    check_transmission,
)
from .f2_score import check_best_f2, check_counts, check_f2, check_mean_f2
from .later import check_features, check_plateau, check_ridge, check_separable, check_views
from .vggnet import (
    check_convolution,
    check_output_size,
    check_parameters,
    check_receptive_field,
)

__all__ = [
    "Verdict",
    "check_best_f2",
    "check_bright_ground",
    "check_convolution",
    "check_counts",
    "check_dark_channel",
    "check_f2",
    "check_features",
    "check_haze",
    "check_light",
    "check_mean_f2",
    "check_output_size",
    "check_parameters",
    "check_plateau",
    "check_receptive_field",
    "check_recover",
    "check_ridge",
    "check_separable",
    "check_transmission",
    "check_views",
    "solution",
]

BOOKS = (
    vggnet.BOOK,
    dark_channel.BOOK,
    later.PREPARATION,
    f2_score.BOOK,
    later.RIDGE,
    later.NETWORKS,
    later.TRANSFER,
    later.DESIGN_RULES,
)


def solution(name: str) -> str:
    """The model answer to an exercise as code, after two wrong tries or a right one.

    name  as the verdict gives it, `"dark channel"`
    """
    for book in BOOKS:
        if name in book.exercises:
            return book.solution(name)
    known = ", ".join(name for book in BOOKS for name in book.exercises)
    raise KeyError(f"no exercise {name!r}: there are {known}")
