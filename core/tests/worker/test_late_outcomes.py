"""What comes of an attempt after it was given up: its slot is free, and nobody hears of a second end."""

from __future__ import annotations

import pytest

from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.graph import TaskNode, build_graph
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.store import RunRecord
from taskiq_flow.values.codec import Codec
from taskiq_flow.values.failures import failure_of

TOO_LONG = Failure(kind=FailureKind.TIMEOUT, message="too long")


@pytest.fixture
def run() -> ActiveRun:
    """A run whose cell was given up at its second attempt, and whose first attempt still has its thread."""
    graph = build_graph([TaskNode(name="a", task="t")])
    record = RunRecord(id="r", pool="p", graph=graph, created_at=0.0)
    codec = Codec({"json": JsonSerializer}, "json")
    machine = RunMachine(graph, read=codec.read)
    for event in (
        ev.RunStarted(),
        ev.CellDispatched(cell="a", attempt=1),
        ev.CellStarted(cell="a", attempt=1, worker="w"),
        ev.AttemptFailed(cell="a", attempt=1, failure=TOO_LONG, retry_at=1.0, holds_slot=True),
    ):
        machine.apply(event)
    return ActiveRun(record, machine)


@pytest.mark.parametrize(
    "late",
    [
        ev.CellSucceeded(cell="a", attempt=1, at=2.0),
        ev.AttemptFailed(cell="a", attempt=1, failure=failure_of(ValueError("late")), at=2.0),
        ev.CellCancelled(cell="a", attempt=1, at=2.0),
        ev.SlotFreed(cell="a", attempt=1, at=2.0),
    ],
)
def test_a_late_outcome_frees_the_slot_and_is_no_outcome(run: ActiveRun, late: ev.Event) -> None:
    news = run.news_of(late)

    assert news == ev.SlotFreed(cell="a", attempt=1, at=2.0)
    run.machine.apply(news)
    assert not run.machine.cells.held_slots


@pytest.mark.parametrize(
    "other",
    [
        ev.CellCancelled(cell="a", attempt=1, holds_slot=True),
        ev.CellSucceeded(cell="a", attempt=2),
        ev.TimerFired(timer="retry:a:2"),
    ],
)
def test_everything_else_is_what_it_is(run: ActiveRun, other: ev.Event) -> None:
    assert run.news_of(other) is other
