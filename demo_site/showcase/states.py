"""The states of a batch, of an uploaded file and of a chip in a batch, each as one table.

Everything that changes a state goes through `Machine.step`, which refuses what the table does not
hold; figure 5 is drawn from these tables (`Machine.edges`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class State:
    """`name` is what the database keeps; `doing` says what happens while a row is in it."""

    name: str
    doing: str
    final: bool = False


@dataclass(frozen=True)
class Transition:
    """`event` takes a row from any state in `sources` to `target`; `doing` says what is done."""

    event: str
    sources: tuple[str, ...]
    target: str
    doing: str


class Machine:
    def __init__(self, name: str, states: tuple[State, ...], transitions: tuple[Transition, ...]):
        self.name, self.states, self.transitions = name, states, transitions
        self.by_event = {t.event: t for t in transitions}
        self.names = tuple(s.name for s in states)
        self.final = tuple(s.name for s in states if s.final)
        unknown = {s for t in transitions for s in (*t.sources, t.target)} - set(self.names) - {""}
        if unknown or len(self.by_event) != len(transitions):
            raise ValueError(f"{name}: unknown state {unknown} or an event given twice")

    def target(self, event: str, state: str) -> str:
        """The state after `event`; `ValueError` where the table has no such step."""
        transition = self.by_event[event]
        if state not in transition.sources:
            raise ValueError(f"{self.name}: {event} is not possible in state {state!r}")
        return transition.target

    def step(self, rows, event: str, /, **changes) -> int:
        """Apply `event` to those rows of a queryset that may take it; how many did.

        One conditional UPDATE: of two processes that try the same step, exactly one succeeds.
        """
        transition = self.by_event[event]
        return rows.filter(state__in=transition.sources).update(state=transition.target, **changes)

    def edges(self) -> list[tuple[str, str, str, str]]:
        """`(source, target, event, doing)` for each arrow; the start is the source `""`."""
        return [(s, t.target, t.event, t.doing) for t in self.transitions for s in t.sources]


BATCH = Machine(
    "batch",
    (
        State("receiving", "files arrive"),
        State("queued", "waits for a worker"),
        State("running", "files are read and cut into chips; the new chips are predicted"),
        State("done", "labelled chips are in the database and the gallery", final=True),
        State("failed", "no file could be read", final=True),
        State("cancelled", "stopped by the visitor; what was predicted stays", final=True),
    ),
    (
        Transition("open", ("",), "receiving", "a visitor starts an upload"),
        Transition("submit", ("receiving",), "queued", "all files are stored"),
        Transition("claim", ("queued",), "running", "a worker takes it for a while"),
        Transition("yield", ("running",), "queued", "other batches get their turn"),
        Transition("reclaim", ("running",), "queued", "its worker's lease has expired"),
        Transition(
            "finish", ("running",), "done", "upload copies are deleted once the pictures are drawn"
        ),
        Transition("fail", ("running",), "failed", "upload copies are deleted"),
        Transition("cancel", ("receiving", "queued", "running"), "cancelled", "visitor cancels"),
        Transition("retry", ("done", "failed"), "queued", "what failed is tried again"),
    ),
)

UPLOAD = Machine(
    "upload",
    (
        State("stored", "the copy waits to be read"),
        State("read", "its chips are labelled", final=True),
        State("failed", "it could not be read; the reason is written down", final=True),
    ),
    (
        Transition("store", ("",), "stored", "the bytes are stored under a random name"),
        Transition("read", ("stored",), "read", "decoded in a child process under limits"),
        Transition("refuse", ("stored",), "failed", "not a picture we read, too large, broken"),
        Transition("retry", ("failed", "read"), "stored", "it, or one of its chips, had failed"),
    ),
)

PLACEMENT = Machine(
    "chip in a batch",
    (
        State("labelled", "has its prediction", final=True),
        State("failed", "could not be predicted", final=True),
    ),
    (
        Transition("label", ("",), "labelled", "predicted now, or already known"),
        Transition("fail", ("",), "failed", "the predictor refused it"),
    ),
)


def decide(flags, *, accepted: bool, **changes) -> None:
    """Staff's verdict on corrections. It has no steps: a verdict may be changed at any time."""
    flags.update(state="accepted" if accepted else "rejected", **changes)
