"""Guards and filters look at values; those that cannot be read fail a cell, and not the driver."""

from __future__ import annotations

from typing import Any

import pytest

from machine_model import plain
from machine_tables import gone, mapped, ok, pipeline, placed, source, start, task
from taskiq_flow.errors import PayloadError
from taskiq_flow.graph import Guard, ListOf, Literal
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.payloads import Payload, Value
from taskiq_flow.testing.invariants import check_invariants

DAMAGED = Payload("json", b"{")


def reading(value: Value) -> Any:
    if value == DAMAGED:
        raise PayloadError("it is damaged")
    return plain(value)


def test_a_guard_that_cannot_be_read_fails_its_cell_and_not_the_driver() -> None:
    graph = pipeline(
        task("p"), task("a", node={"when": Guard(source("p"), True)}), task("b", x="a"), task("c")
    )
    machine = RunMachine(graph, read=reading)
    for event in (start(), placed("p"), placed("c")):
        machine.apply(event)
    machine.apply(ev.CellSucceeded(cell="p", attempt=1, outputs=(DAMAGED,)))
    check_invariants(machine)
    assert [(path, failure.message) for path, (_, failure) in machine.failures.items()] == [
        ("a", "the value that the guard looks at cannot be read: it is damaged")
    ]
    machine.apply(gone("c"))
    assert machine.status.value == "failed"
    assert {path: state.word for path, state in machine.cells.states().items()}["b"] == "cancelled"


@pytest.mark.parametrize("skip_errors", [True, False])
def test_a_filter_that_cannot_be_read_fails_its_item(skip_errors: bool) -> None:
    items = ListOf((Literal(1), Literal(2)))
    node = mapped("m", [task("f", x="item")], items, keep="items", skip_errors=skip_errors)
    machine = RunMachine(pipeline(node, on_error="continue"), read=reading)
    for event in (start(), placed("m[0]/f"), placed("m[1]/f"), ok("m[1]/f", True)):
        machine.apply(event)
        check_invariants(machine)
    machine.apply(ev.CellSucceeded(cell="m[0]/f", attempt=1, outputs=(DAMAGED,)))
    check_invariants(machine)
    failures = machine.suppressed if skip_errors else machine.failures
    assert failures["m"][1].message == "what the filter gave for item 0 cannot be read: it is damaged"
    assert machine.status.value == ("succeeded" if skip_errors else "failed")
    assert [plain(value) for value in machine.outputs().values()] == ([[2]] if skip_errors else [])
