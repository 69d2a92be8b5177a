"""A log that holds more than can have happened is read like the one that does not."""

from __future__ import annotations

from machine_model import plain
from machine_tables import began, broke, expanded, fired, lost, mapped, ok, pipeline, placed, start, task
from taskiq_flow.errors import InvalidTransition
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.replay import replay
from taskiq_flow.testing.invariants import snapshot

GRAPH = pipeline(task("a", x="in1"), mapped("m", [task("f", x="item")], "a"), inputs=["in1"])
LOG: list[ev.Event] = [
    start(in1=1),
    placed("a"),
    began("a"),
    broke("a", retry_at=5.0),
    fired("retry:a:2"),
    placed("a", 2, worker="w2"),
    began("a", 2, worker="w2"),
    ok("a", [7, 8], attempt=2),
    expanded("m", 7, 8),
    placed("m[0]/f"),
    placed("m[1]/f"),
    ok("m[0]/f", 70),
    lost("w2"),
    ok("m[1]/f", 80),
]


def machine() -> RunMachine:
    return RunMachine(GRAPH, read=plain)


def test_every_event_that_could_be_comes_with_what_the_machine_said() -> None:
    one, other = machine(), machine()
    assert list(replay(one, LOG)) == [(event, other.apply(event)) for event in LOG]
    assert one.status.value == "succeeded"


def test_batches_that_were_written_twice_change_nothing() -> None:
    for size in range(1, len(LOG) + 1):
        once, twice = machine(), machine()
        for begin in range(0, len(LOG), size):
            batch = LOG[begin : begin + size]
            told: list[InvalidTransition] = []
            said = [instructions for _, instructions in replay(once, batch)]
            # What is possible and comes too late has no instructions.
            assert [each for _, each in replay(twice, [*batch, *batch], pass_over=told.append) if each] == [
                each for each in said if each
            ]
            assert snapshot(twice) == snapshot(once)
        assert twice.status.value == "succeeded"


def test_who_asks_is_told_of_what_cannot_be() -> None:
    told: list[InvalidTransition] = []
    happened = [event for event, _ in replay(machine(), [*LOG[:2], *LOG[:2]], pass_over=told.append)]
    assert happened == LOG[:2]
    assert [str(error) for error in told] == [
        "RunStarted is not possible for the run, which went through: running",
        "CellDispatched is not possible for cell 'a', which went through: pending -> ready -> dispatched",
    ]
