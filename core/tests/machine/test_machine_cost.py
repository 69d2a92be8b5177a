"""What events cost: in calls, which are the same on every computer, and in what is kept at a time."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from machine_model import encode, plain
from machine_tables import broke, expanded, mapped, pipeline, placed, source, start, task
from taskiq_flow.graph import Graph, Guard, Input, InputSpec, ListOf, Literal, build_graph
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.machine import RunMachine

Costs = dict[str, set[int]]


def counted(function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """Count the calls that a call makes in our code, of functions in Python and in C."""
    count = 0

    def note(frame: FrameType, what: str, _: Any) -> None:
        nonlocal count
        # Collecting garbage calls others in between.
        count += what in ("call", "c_call") and "taskiq_flow" in frame.f_code.co_filename

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        result = function(*arguments)
    finally:
        sys.setprofile(before)
    return count, result


def drive(
    graph: Graph,
    *,
    counting: bool = True,
    window: int = 256,
    watch: Callable[[RunMachine], None] = lambda _: None,
) -> tuple[RunMachine, Costs]:
    """Run a graph, first come first served; give what events of each kind cost, but for the first and the last."""
    machine = RunMachine(graph, read=plain, window=window)
    costs: Costs = {}
    todo: deque[ev.Event] = deque([start()])
    while todo:
        event = todo.popleft()
        if counting and not isinstance(event, ev.RunStarted):
            count, orders = counted(machine.apply, event)
            if not machine.status.final:
                costs.setdefault(type(event).__name__, set()).add(count)
        else:
            orders = machine.apply(event)
        watch(machine)
        for order in orders:
            if isinstance(order, do.Enqueue):
                outputs = tuple(encode(1) for _ in order.node.outputs)
                todo += [
                    ev.CellDispatched(cell=order.cell, attempt=1, worker="w"),
                    ev.CellStarted(cell=order.cell, attempt=1, worker="w"),
                    ev.CellSucceeded(cell=order.cell, attempt=1, outputs=outputs),
                ]
            elif isinstance(order, do.Expand):
                todo.append(expanded(order.cell, *plain(order.items)))
    assert machine.status.value == "succeeded"
    return machine, costs


def chain(size: int, **first: Any) -> Graph:
    return pipeline(
        task("t0", node=first), *(task(f"t{n}", x=f"t{n - 1}") for n in range(1, size)), on_error="continue"
    )


def fan(size: int) -> Graph:
    middle = [task(f"m{n}", x="a") for n in range(size)]
    return pipeline(task("a"), *middle, task("z", xs=ListOf(tuple(source(node.name) for node in middle))))


def items(size: int, body: Any = None, **more: Any) -> Graph:
    return pipeline(mapped("m", body or [task("f", x="item")], Literal([0] * size), **more))


def test_an_event_in_a_chain_costs_the_same_however_long_the_chain_is() -> None:
    assert drive(chain(10_000))[1] == drive(chain(100))[1]


def test_an_event_about_one_of_many_costs_the_same_however_many_there_are() -> None:
    few, many = drive(fan(100))[1], drive(fan(10_000))[1]
    opening_few, opening_many = few["CellSucceeded"], many["CellSucceeded"]
    assert few["CellDispatched"] == many["CellDispatched"]
    assert few["CellStarted"] == many["CellStarted"]
    # What opens the fan costs as much as it opens; what closes it resolves all members once; others are alike.
    assert len(opening_few) == len(opening_many) == 3
    assert min(opening_few) == min(opening_many)
    for place in (1, 2):
        each = (sorted(opening_many)[place] - sorted(opening_few)[place]) / 9_900
        assert each == int(each)
        assert each < 60


def test_an_item_of_a_map_costs_the_same_however_many_there_are() -> None:
    few, many = drive(items(100), window=8)[1], drive(items(10_000), window=8)[1]
    assert few == many


@pytest.mark.parametrize("limit", [None, 7])
def test_a_map_keeps_no_more_than_its_window(limit: int | None) -> None:
    most = 0

    def watch(machine: RunMachine) -> None:
        nonlocal most
        most = max(most, len(machine.cells.active))

    drive(items(3_000, max_parallel=limit), counting=False, window=10, watch=watch)
    assert most == (limit or 10) + 1


def test_maps_inside_maps_keep_no_more_than_one_window() -> None:
    most = 0

    def watch(machine: RunMachine) -> None:
        nonlocal most
        most = max(most, len(machine.cells.active))

    inner = build_graph(
        [mapped("n", [task("f", x="item")], ListOf((Literal(0),) * 50))],
        inputs={"item": InputSpec()},
        outputs={"n": source("n"), "item": Input("item")},
    )
    graph = pipeline(mapped("m", inner, ListOf((Literal(0),) * 50)))
    machine, _ = drive(graph, counting=False, window=20, watch=watch)
    assert plain(machine.outputs()["out"]) == [[1] * 50] * 50
    assert 20 < most <= 30


NEVER = Guard(Literal(1), 2)


def test_long_chains_of_skipped_cells_do_not_recurse() -> None:
    machine, _ = drive(chain(20_000, when=NEVER, outputs=("t0",)), counting=False)
    assert {state.word for state in machine.cells.states().values()} == {"skipped"}


def test_long_chains_of_cells_that_cannot_run_any_more_do_not_recurse() -> None:
    machine = RunMachine(chain(20_000), read=plain)
    for event in (start(), placed("t0"), broke("t0")):
        machine.apply(event)
    assert machine.status.value == "failed"
    assert sum(state.word == "cancelled" for state in machine.cells.states().values()) == 19_999


def empty() -> Graph:
    return build_graph([], inputs={"item": InputSpec()}, outputs={"out": Input("item")})


def skipped() -> Graph:
    nodes = [task("f", x="item", node={"when": NEVER})]
    return build_graph(nodes, inputs={"item": InputSpec()}, outputs={"out": source("f")})


def nothing_inside() -> Graph:
    nodes = [mapped("n", empty(), ListOf(()))]
    return build_graph(nodes, inputs={"item": InputSpec()}, outputs={"out": Input("item")})


@pytest.mark.parametrize("body", [empty, skipped, nothing_inside], ids=lambda body: body.__name__)
@pytest.mark.parametrize("limit", [None, 1])
def test_many_bodies_that_are_done_at_once_do_not_recurse(
    body: Callable[[], Graph], limit: int | None
) -> None:
    machine, _ = drive(items(30_000, body(), max_parallel=limit), counting=False)
    assert len(plain(machine.outputs()["out"])) == 30_000


def test_fifty_maps_inside_each_other() -> None:
    graph = build_graph([task("f", x="item")], inputs={"item": InputSpec()}, outputs={"f": source("f")})
    for depth in range(49):
        node = mapped(f"m{depth}", graph, "item")
        graph = build_graph([node], inputs={"item": InputSpec()}, outputs={node.name: source(node.name)})
    value: Any = 0
    for _ in range(50):
        value = [value]
    machine, _ = drive(pipeline(mapped("m", graph, Literal(value))), counting=False)
    wanted: Any = 1
    for _ in range(50):
        wanted = [wanted]
    assert plain(machine.outputs()["out"]) == wanted
