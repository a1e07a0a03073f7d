"""The exercises of the teaching notebooks: a wrong answer is told what is wrong with it.

    exercises.check_transmission(my_transmission)      # shows a verdict; raises nothing
    exercises.solution("transmission")                 # a model answer, after two tries

`checking` says how an answer is judged. The exercises: `dark_channel` with `haze`, `light` and
`recovery` (notebook 02).
"""

from __future__ import annotations

from . import dark_channel
from .checking import Verdict
from .dark_channel import (
    check_bright_ground,
    check_dark_channel,
    check_haze,
    check_light,
    check_recover,
    check_transmission,
)

__all__ = [
    "Verdict",
    "check_bright_ground",
    "check_dark_channel",
    "check_haze",
    "check_light",
    "check_recover",
    "check_transmission",
    "solution",
]

_BOOKS = (dark_channel.BOOK,)


def solution(name: str) -> str:
    """The model answer to an exercise as code, after two wrong tries or a right one.

    name  as the verdict gives it, `"dark channel"`
    """
    for book in _BOOKS:
        if name in book.exercises:
            return book.solution(name)
    known = ", ".join(name for book in _BOOKS for name in book.exercises)
    raise KeyError(f"no exercise {name!r}: there are {known}")
