"""How an answer is checked: run on several cases, and the mistake named where it can be told.

An exercise knows one right way and the ways in which it usually goes wrong (`flaws`). The answer
is compared with the right way, then with one flaw in it, then with two; what agrees on every case
is named. So a hint does not say what is not so.
"""

from __future__ import annotations

import copy
import html
import inspect
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from ..words import say
from .picture import beside
from .usual import difference, equal, mistake

Function = Callable[..., Any]
_COLOURS = {True: "#00694C", False: "#A63C00", None: "#595959"}  # 4.5:1 or more on white


@dataclass(frozen=True)
class Verdict:
    """What a check found: `ok` True, False, or None where nothing was answered; and why.

    progress  "4 of 6 done" in this session; picture  HTML: yours, wanted and the difference
    """

    ok: bool | None
    message: str
    progress: str = ""
    picture: str = field(default="", repr=False)

    def __repr__(self) -> str:
        word = {True: say("right"), False: say("not yet"), None: say("open")}[self.ok]
        return f"{word}: {self.message}" + (f" [{self.progress}]" if self.progress else "")

    def _repr_html_(self) -> str:
        mark = {True: say("✔ Right"), False: say("✘ Not yet"), None: say("… Open")}[self.ok]
        text, progress = html.escape(self.message), html.escape(self.progress)
        return (
            f'<div><b style="color:{_COLOURS[self.ok]};background:#fff;padding:0 .3em">{mark}</b> '
            f"{text} <small>{progress}</small>{self.picture}</div>"
        )


class Book:
    """The exercises of one notebook: what was tried and solved since the kernel was started."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.exercises: dict[str, Exercise] = {}
        self.solved: set[str] = set()
        self.tries: dict[str, int] = {}

    def add(self, exercise: Exercise) -> Exercise:
        self.exercises[exercise.name] = exercise
        return exercise

    def check(self, name: str, answer: Function) -> Verdict:
        return self.tell(name, self.exercises[name].check(answer))

    def tell(self, name: str, verdict: Verdict) -> Verdict:
        """Count the try, and say how many are done and what help there is."""
        message = verdict.message
        if verdict.ok:
            self.solved.add(name)
        elif verdict.ok is False:
            self.tries[name] = self.tries.get(name, 0) + 1
            if self.tries[name] >= 2:
                message += say(" (A model answer: exercises.solution({name!r}).)", name=name)
        progress = say("{n} of {all} done", n=len(self.solved), all=len(self.exercises))
        return Verdict(verdict.ok, message, progress, verdict.picture)

    def solution(self, name: str) -> str:
        """The model answer as code, once two answers were wrong or one was right."""
        if name not in self.exercises:
            raise KeyError(f"no exercise {name!r}: there are {', '.join(self.exercises)}")
        if name not in self.solved and self.tries.get(name, 0) < 2:
            return say("Try twice first; then the model answer is shown.")
        return self.exercises[name].solution


@dataclass(frozen=True)
class Exercise:
    """One task with a function as its answer.

    way       `way(flaws, *case)`: the right result, or with the named flaws in it
    cases     arguments for the answer, several, so that no setting can be typed in
    flaws     name -> what is said of it
    reason    the first hint where no flaw fits: why, not the formula
    solution  a model answer, code that defines one function
    done      what is said of a right answer
    arrange   brings a result into one order, where any order is right
    """

    name: str
    way: Callable[..., Any]
    cases: Callable[[], Sequence[tuple[Any, ...]]]
    flaws: Mapping[str, str]
    reason: str
    solution: str
    done: str
    arrange: Callable[[np.ndarray], np.ndarray] = np.asarray

    def right(self, case: tuple[Any, ...], flaws: frozenset[str] = frozenset()) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self.arrange(np.asarray(self.way(flaws, *case), float))

    def check(self, answer: Function) -> Verdict:
        """Run the answer on every case; raises nothing."""
        if answer is None or answer is Ellipsis:
            return Verdict(None, say("write the function, and give its name here"))
        if not callable(answer):
            return Verdict(
                False, say("give the function itself, its name without brackets, not its result")
            )
        cases = self.cases()
        results = []
        for case in cases:
            result = _run(answer, case)
            if isinstance(result, Verdict):
                return result
            results.append(self.arrange(result))
        wanted = [self.right(case) for case in cases]
        failing = [
            k for k, (a, b) in enumerate(zip(results, wanted, strict=True)) if not equal(a, b)
        ]
        if not failing:
            return Verdict(True, say(self.done))
        picture = beside(results[failing[0]], wanted[failing[0]])
        if hint := self._flaw(cases, results, wanted):
            return Verdict(False, hint, picture=picture)
        hint = mistake(results, wanted, failing) or (
            difference(results[failing[0]], wanted[failing[0]]) + say(self.reason)
        )
        return Verdict(False, hint, picture=picture)

    def _flaw(self, cases: Sequence[tuple], results: list, wanted: list) -> str:
        """The flaw, or the two flaws, whose results agree with the answer's on every case."""
        partly = ""
        for number in (1, 2):
            for names in combinations(self.flaws, number):
                agree = []
                for case, result, right in zip(cases, results, wanted, strict=True):
                    try:
                        flawed = self.right(case, frozenset(names))
                    except (ValueError, IndexError, TypeError, ZeroDivisionError):
                        break
                    same = equal(result, flawed)
                    agree.append((same, same and not equal(flawed, right)))
                    if not same and not equal(result, right):
                        break  # wrong here, and not in this way
                else:
                    text = say("; and ").join(say(self.flaws[name]) for name in names)
                    if all(same for same, _ in agree):
                        return text
                    if any(shows for _, shows in agree) and number == 1:
                        partly = partly or text
        return partly


def _run(answer: Function, case: tuple[Any, ...]) -> Any:
    """The answer's result as an array, or a verdict where there is none."""
    given = copy.deepcopy(case)
    try:
        inspect.signature(answer).bind(*given)
    except TypeError:
        names = ", ".join(inspect.signature(answer).parameters)
        text = "the function has to take {n} arguments; it has ({names})"
        return Verdict(False, say(text, n=len(case), names=names))
    except ValueError:
        pass  # a built-in function without a signature
    try:
        with np.errstate(all="ignore"):
            result = answer(*given)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the student's code may fail in any way, also by exit()
        return Verdict(False, _explained(error, answer, case))
    if result is None or result is Ellipsis:
        return Verdict(None, say("the function returns nothing yet; end it with `return …`"))
    for before, after in zip(case, given, strict=True):
        if isinstance(before, np.ndarray | list) and not np.array_equal(before, after):
            return Verdict(False, say("the function changes its input; work on a copy"))
    try:
        return np.asarray(result, float)
    except (TypeError, ValueError):
        kind = type(result).__name__
        return Verdict(False, say("numbers are wanted, not {kind}", kind=kind))


def _explained(error: BaseException, answer: Function, case: tuple[Any, ...]) -> str:
    """The error with the line of the student's own code, and what to do in the usual cases."""
    own = getattr(getattr(answer, "__code__", None), "co_filename", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == own]
    place = say(" in line {n} of your cell", n=lines[-1]) if lines else ""
    text = f"{type(error).__name__}{place}: {error}. "
    said = str(error)
    planes = any(isinstance(a, np.ndarray) and a.ndim == 2 for a in case)
    if isinstance(error, SystemExit):
        return say("exit() ends the notebook{place}; use return", place=place)
    if "broadcast" in said and planes:
        return text + say("A plane (H, W) and a picture (H, W, 3): write t[..., None]")
    if "ambiguous" in said:
        return text + say("max and if take one number; np.maximum and np.where take whole arrays")
    if "zero-size array" in said or "empty" in said:
        return text + say(
            "A window is empty: a slice that begins below 0 counts from the end. At the border "
            "begin at max(0, …)"
        )
    if isinstance(error, ZeroDivisionError):
        return text + say("One of the cases has nothing there: say what it counts")
    if "NoneType" in said or "ellipsis" in said:
        return text + say("Something is None: is an exercise that you use here still open?")
    return text.removesuffix(". ")


def number(
    answer: object, right: float, within: float, wrong: Mapping[float, str], done: str, reason: str
) -> Verdict:
    """The verdict on one number: right, one of the usual wrong ones, or neither.

    wrong  number -> why it is wrong
    """
    if answer is None or answer is Ellipsis:
        return Verdict(None, say("put a number"))
    if isinstance(answer, np.ndarray) and answer.size == 1:
        answer = answer.item()
    text = str(answer).strip().replace(",", ".").replace("−", "-")
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        text, kind = "a number is wanted, not {kind} {answer!r}", type(answer).__name__
        return Verdict(False, say(text, kind=kind, answer=answer))
    if abs(value - right) <= within:
        return Verdict(True, say(done))
    near = min(wrong, key=lambda other: abs(value - other))
    if abs(value - near) <= within:
        return Verdict(False, say(wrong[near]))
    if abs(value - 100 * right) <= 100 * within:
        return Verdict(False, say("as a number from 0 to 1, not in per cent"))
    return Verdict(False, say("{value:g} it is not. ", value=value) + say(reason))


def code(text: str) -> str:
    """A model answer without the indentation of the module it stands in."""
    return textwrap.dedent(text).strip()
