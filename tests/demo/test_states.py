"""The tables of states: complete, and the only way a state changes."""

from __future__ import annotations

import pytest
from showcase import states
from showcase.models import Batch, Chip, Placement, Upload
from showcase.states import BATCH, PLACEMENT, UPLOAD, Machine, State, Transition

MACHINES = pytest.mark.parametrize("machine", [BATCH, UPLOAD, PLACEMENT], ids=lambda m: m.name)


@MACHINES
def test_every_state_is_reached_and_left_or_final(machine):
    edges = machine.edges()
    reached, frontier = set(), {""}
    while frontier:
        state = frontier.pop()
        for source, target, _, _ in edges:
            if source == state and target not in reached:
                reached.add(target)
                frontier.add(target)
    assert reached == set(machine.names)
    left = {source for source, *_ in edges}
    assert all(s.final or s.name in left for s in machine.states)


@MACHINES
@pytest.mark.django_db
def test_only_what_the_table_holds_is_allowed(machine):
    batch = Batch.objects.create()
    upload = Upload.objects.create(batch=batch)
    chip = Chip.objects.create(width=1, height=1)
    Placement.objects.create(batch=batch, upload=upload, chip=chip)
    rows = {BATCH: Batch, UPLOAD: Upload, PLACEMENT: Placement}[machine].objects.all()
    allowed = {(source, event): target for source, target, event, _ in machine.edges()}
    for event in machine.by_event:
        for state in ("", *machine.names):
            rows.update(state=state)
            assert machine.step(rows, event) == ((state, event) in allowed), (state, event)
            assert rows.get().state == allowed.get((state, event), state)
            if (state, event) in allowed:
                assert machine.target(event, state) == allowed[state, event]
            else:
                with pytest.raises(ValueError, match="is not possible in state"):
                    machine.target(event, state)


def test_nothing_leaves_cancelled_and_nothing_runs_without_a_claim():
    edges = BATCH.edges()
    assert not [e for e in edges if e[0] == "cancelled"]
    assert {e[2] for e in edges if e[1] == "running"} == {"claim"}


@pytest.mark.django_db
def test_of_two_that_step_one_succeeds():
    batch = Batch.objects.create(state="queued")
    rows = Batch.objects.filter(pk=batch.pk)
    assert BATCH.step(rows, "cancel", setback="one") == 1
    assert BATCH.step(rows, "cancel", setback="two") == 0
    batch.refresh_from_db()
    assert (batch.state, batch.setback) == ("cancelled", "one")


@pytest.mark.django_db
def test_no_module_changes_a_state_past_the_table():
    """`state=` in an update stands only in `Machine.step`; rows are made in a first state."""
    import re
    from pathlib import Path

    folder = Path(states.__file__).parent
    for path in folder.rglob("*.py"):
        text = path.read_text()
        if path.name != "states.py":
            assert not re.search(r"\.update\([^)]*\bstate=", text), path.name
            assert not re.search(r"\.state = ", text), path.name


def test_a_table_with_an_unknown_state_is_refused():
    with pytest.raises(ValueError, match="unknown"):
        Machine("m", (State("a", ""),), (Transition("go", ("a",), "b", ""),))
