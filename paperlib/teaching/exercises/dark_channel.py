"""The six exercises of notebook 02."""

from __future__ import annotations

from .checking import Book, Exercise, Function, Verdict, number
from .haze import DARK, HAZE
from .light import ATMOSPHERIC_LIGHT
from .recovery import RECOVER, TRANSMISSION

BOOK = Book("02")
for _exercise in (HAZE, DARK, ATMOSPHERIC_LIGHT, TRANSMISSION, RECOVER):
    BOOK.add(_exercise)

_SAND = 1 - 0.95 * (0.7 * 0.6 / 0.8 + 0.3)
_SAND_WRONG = {
    0.7: "that is the true t. Put I = J·t + A·(1 − t) into eq. 8 and see what comes out",
    0.175: "that is with ω = 1; here ω is 0.95",
    0.715: "that is what eq. 8 gives over dark ground, J = 0; the sand has J = 0.6",
    0.316: "the haze model has to be divided by A: J/A = 0.75",
    0.373: "I = 0.66 still has to be divided by A",
    0.78375: "that is ω·min I/A; t is one minus that",
    0.66: "that is I of the sand; divide it by A, then put it into eq. 8",
    0.825: "that is I/A of the sand; t = 1 − ω·I/A",
    0.75: "that is J/A; the camera sees I, the sand through haze",
    0.2875: "that is eq. 8 with J; the camera sees I, the sand through haze",
    0.43: "that is eq. 8 with J and without A; the camera sees I, and A is 0.8",
}
SAND_DONE = (
    f"t = {_SAND:.3f}: a third of the truth, so the sand is made far too dark. "
    "The prior takes bright ground for haze"
)
SAND = BOOK.add(
    Exercise(
        "sand", lambda _flaws: _SAND, lambda: [()], {}, "",
        "I = 0.6 · 0.7 + 0.8 · 0.3 = 0.66; I/A = 0.825; t = 1 − 0.95 · 0.825 = 0.216", SAND_DONE,
    )
)  # fmt: skip


def check_haze(answer: Function) -> Verdict:
    """Exercise 1, eq. 3: `answer(scene, t, light)` with scene `(H, W, 3)` in 0…1, t `(H, W)`."""
    return BOOK.check("haze", answer)


def check_dark_channel(answer: Function) -> Verdict:
    """Exercise 2, eq. 1: `answer(image, patch)` gives `(H, W)`, windows clipped at the border."""
    return BOOK.check("dark channel", answer)


def check_light(answer: Function) -> Verdict:
    """Exercise 3: `answer(image, dark, fraction)` gives A, `(3,)`."""
    return BOOK.check("light", answer)


def check_transmission(answer: Function) -> Verdict:
    """Exercise 4, eq. 8: `answer(image, light, patch, omega)` gives `(H, W)`."""
    return BOOK.check("transmission", answer)


def check_recover(answer: Function) -> Verdict:
    """Exercise 5, eq. 9: `answer(image, t, light, t0)` gives the scene, clipped to 0…1."""
    return BOOK.check("recover", answer)


def check_bright_ground(answer: object) -> Verdict:
    """Exercise 6: the t that eq. 8 finds over sand: J = 0.6, A = 0.8, true t = 0.7, ω = 0.95."""
    reason = "Compute I of the sand first (eq. 3), then eq. 8"
    return BOOK.tell("sand", number(answer, _SAND, 0.004, _SAND_WRONG, SAND_DONE, reason))
