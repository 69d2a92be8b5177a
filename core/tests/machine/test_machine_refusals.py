"""What cannot happen: events that a machine refuses, with the story of the cell and with nothing changed."""

from __future__ import annotations

from typing import Any

import pytest

from machine_tables import (
    Table,
    began,
    broke,
    cancel,
    expanded,
    freed,
    gone,
    mapped,
    ok,
    pipeline,
    placed,
    start,
    task,
)
from taskiq_flow.errors import InvalidTransition
from taskiq_flow.graph import Graph
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.transitions import CellState
from taskiq_flow.testing.invariants import snapshot


def several() -> Graph:
    node = mapped("m", [task("f", x="item"), task("g", x="f")], "in1")
    return pipeline(task("a"), node, task("z", x="a"), inputs=["in1"])


@pytest.mark.parametrize(
    ("before", "event", "text"),
    [
        ([], began("a"), "CellStarted is not possible for cell 'a', which went through: pending"),
        ([], placed("a"), "CellDispatched is not possible for cell 'a', which went through: pending"),
        ([start(in1=[])], start(), "RunStarted is not possible for the run, which went through: running"),
        (
            [start(in1=[])],
            ok("a", 1),
            "CellSucceeded is not possible for cell 'a', which went through: pending -> ready",
        ),
        (
            [start(in1=[])],
            ok("z", 1),
            "CellSucceeded is not possible for cell 'z', which went through: pending",
        ),
        (
            [start(in1=[])],
            gone("zz"),
            "CellCancelled is not possible for cell 'zz', which went through: unknown",
        ),
        (
            [start(in1=[])],
            broke("z[0]/a"),
            "AttemptFailed is not possible for cell 'z[0]/a', which went through: unknown",
        ),
        (
            [start(in1=[])],
            ok("m", [1]),
            "CellSucceeded is not possible for cell 'm', which went through: pending -> running",
        ),
        (
            [start(in1=[])],
            began("m"),
            "CellStarted is not possible for cell 'm', which went through: pending -> running",
        ),
        (
            [start(in1=[])],
            placed("m"),
            "CellDispatched is not possible for cell 'm', which went through: pending -> running",
        ),
        (
            [start(in1=[])],
            broke("m[0]/f"),
            "AttemptFailed is not possible for cell 'm[0]/f', which went through: pending",
        ),
        (
            [start(in1=[])],
            expanded("a"),
            "MapExpanded is not possible for cell 'a', which went through: pending -> ready",
        ),
        (
            [start(in1=[])],
            expanded("z"),
            "MapExpanded is not possible for cell 'z', which went through: pending",
        ),
        (
            [start(in1=[]), expanded("m", 1)],
            expanded("m", 1),
            "MapExpanded is not possible for cell 'm', which went through: pending -> running",
        ),
        (
            [start(in1=[]), expanded("m", 1)],
            broke("m"),
            "AttemptFailed is not possible for cell 'm', which went through: pending -> running",
        ),
        (
            [start(in1=[]), expanded("m", 1)],
            began("m[0]/g"),
            "CellStarted is not possible for cell 'm[0]/g', which went through: pending",
        ),
        (
            [start(in1=[]), expanded("m", 1)],
            began("m[1]/f"),
            "CellStarted is not possible for cell 'm[1]/f', which went through: pending",
        ),
        (
            [start(in1=[]), expanded("m")],
            expanded("m"),
            "MapExpanded is not possible for cell 'm', which went through: succeeded",
        ),
        (
            [start(in1=[]), placed("a")],
            placed("a"),
            "CellDispatched is not possible for cell 'a', which went through: pending -> ready -> dispatched",
        ),
        (
            [start(in1=[]), placed("a")],
            began("a", 2),
            "CellStarted is not possible for cell 'a', which went through: pending -> ready -> dispatched",
        ),
        (
            [start(in1=[]), placed("a")],
            began("a", 0),
            "CellStarted is not possible for cell 'a', which went through: pending -> ready -> dispatched",
        ),
        (
            [start(in1=[]), placed("a"), broke("a", retry_at=1.0)],
            ok("a", 1, attempt=2),
            "CellSucceeded is not possible for cell 'a', which went through: pending -> ready -> dispatched -> waiting",
        ),
        (
            [start(in1=[]), placed("a"), ok("a", 1)],
            placed("a"),
            "CellDispatched is not possible for cell 'a', which went through: succeeded",
        ),
        (
            [start(in1=[]), cancel()],
            placed("a"),
            "CellDispatched is not possible for cell 'a', which went through: cancelled",
        ),
        (
            [start(in1=[])],
            freed("a"),
            "SlotFreed is not possible for cell 'a', which went through: pending -> ready",
        ),
        (
            [start(in1=[])],
            ev.StopRequested(cell="a", attempt=1),
            "StopRequested is not possible for the run, which went through: running",
        ),
    ],
)
def test_what_cannot_happen_is_refused_and_changes_nothing(
    before: list[Any], event: ev.Event, text: str
) -> None:
    table = Table(several())
    table(*before)
    state = snapshot(table.machine)
    with pytest.raises(InvalidTransition) as caught:
        table.machine.apply(event)
    assert str(caught.value) == text
    assert snapshot(table.machine) == state


def test_cells_of_an_item_that_is_done_are_final() -> None:
    table = Table(several())
    table(start(in1=[]), expanded("m", 1, 2))
    for cell in ("m[0]/f", "m[0]/g"):
        table(placed(cell), ok(cell, 0))
    assert table.machine.cells.state_of("m[0]/g") is CellState.CANCELLED
    assert table.machine.cells.state_of("m[1]/g") is CellState.PENDING
    assert table(ok("m[0]/f", 1), gone("m[0]/g"), began("m[0]/g")) == []
