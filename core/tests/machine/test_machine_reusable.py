"""What is kept of a run that is over, and that a resumption comes to what a run without faults comes to."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_strategies import graphs
from machine_compare import follows
from machine_graphs import random_graph
from machine_model import encode, evaluate, plain
from machine_sim import Chaos, Simulation
from taskiq_flow.graph import Graph, Input, InputSpec, Literal, MapNode, Output, TaskNode, build_graph
from taskiq_flow.graph.order import predecessors
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.reusable import reusable_results
from taskiq_flow.machine.transitions import CellState, RunStatus
from taskiq_flow.payloads import Failure, FailureKind

seeds = st.integers(0, 2**32)


@define
class Watched(Simulation):
    """A run of which is known which cells have succeeded."""

    done: set[str] = field(factory=set)

    def apply(self, event: ev.Event) -> None:
        cell = self.machine.cells.active.get(event.cell) if isinstance(event, ev.CellSucceeded) else None
        super().apply(event)
        if cell is not None and cell.state is CellState.SUCCEEDED:
            self.done.add(cell.path)


@define
class Resumption(Simulation):
    """A run whose driver answers with what an earlier run has done, where there is that."""

    kept: dict[str, ev.CellSucceeded] = field(factory=dict)
    taken: set[str] = field(factory=set)

    def apply(self, event: ev.Event) -> None:
        super().apply(event)
        if isinstance(event, ev.CellDispatched) and event.cell in self.kept:
            self.taken.add(event.cell)
            super().apply(self.kept[event.cell])

    def do_Enqueue(self, order: do.Enqueue) -> None:
        if order.cell in self.kept:
            self.chores.append(ev.CellDispatched(cell=order.cell, attempt=order.attempt))
        else:
            super().do_Enqueue(order)

    def do_Dispatch(self, order: do.Dispatch) -> None:
        if order.cell not in self.kept:
            super().do_Dispatch(order)

    def do_Withdraw(self, order: do.Withdraw) -> None:
        self.chores = [it for it in self.chores if getattr(it, "cell", "") != order.cell]
        self.ready.pop(order.cell, None)


def levels(graph: Graph, path: str) -> Iterator[tuple[str, Graph, str]]:
    """Each map that a cell is in, and the cell: prefix, graph, and name."""
    *maps, name = path.split("/")
    prefix = ""
    for scope in maps:
        node = graph.nodes[scope.partition("[")[0]]
        assert isinstance(node, MapNode)
        yield prefix, graph, node.name
        graph, prefix = node.body, f"{prefix}{scope}/"
    yield prefix, graph, name


def made_anew_before(graph: Graph, path: str, executed: set[str]) -> bool:
    """Whether something was executed that a cell waits for, directly or not."""
    for prefix, scope, name in levels(graph, path):
        line, before = [name], set[str]()
        while line:
            new = predecessors(scope.nodes[line.pop()]) - before
            before |= new
            line += new
        for cell in executed:
            if (
                cell.startswith(prefix)
                and cell.removeprefix(prefix).split("/")[0].partition("[")[0] in before
            ):
                return True
    return False


def resume(first: Simulation, random: Random, chaos: Chaos) -> Resumption:
    log = [event for event, _ in first.log]
    kept = {event.cell: event for event in reusable_results(first.graph, log, read=plain)}
    second = Resumption(first.graph, random, chaos, window=random.randrange(1, 5))
    second.inputs = first.inputs
    # One attempt for each cell, whatever number it had.
    second.kept = {
        cell: ev.CellSucceeded(cell=cell, attempt=1, outputs=it.outputs) for cell, it in kept.items()
    }
    second.run()
    return second


def check(graph: Graph, seed: int, first_chaos: Chaos, second_chaos: Chaos) -> None:
    random = Random(seed)
    first = Watched(graph, random, first_chaos, window=random.randrange(1, 5))
    first.run()
    second = resume(first, random, second_chaos)
    machine = second.machine
    executed = {cell for cell, _ in second.attempts}
    assert second.kept.keys() <= first.done
    assert second.taken.isdisjoint(executed)
    anew = {cell for cell in executed if not follows(cell)}  # nobody takes what these return
    for cell in second.taken:
        assert not made_anew_before(graph, cell, anew), f"{cell} was taken over, and made of something new"
    if machine.timed_out:
        return
    # A map over what is no list fails once more without anything being executed.
    changing = executed | first.machine.suppressed.keys()
    for cell in executed & first.done:
        if follows(cell):
            continue  # it follows what happens in this run
        assert made_anew_before(graph, cell, changing), f"{cell} was executed again without need"
    expected = evaluate(graph, first.inputs, lambda path: False)
    if not expected.stoppers and not expected.failures:
        assert machine.status is RunStatus.SUCCEEDED
        assert {name: plain(value) for name, value in machine.outputs().items()} == expected.outputs
        cells = {path for path, state in expected.states.items() if state == "succeeded"}
        ran = {path for path in cells if path in executed or path in second.taken}
        maps = {
            path
            for path in cells - ran
            if isinstance(list(levels(graph, path))[-1][1].nodes[path.rpartition("/")[2]], MapNode)
        }
        assert ran | maps == cells, "a cell was neither executed nor taken over"


@given(seeds)
def test_resumed_without_faults_it_comes_to_what_it_should_have(seed: int) -> None:
    for each in range(2):
        check(random_graph(Random(seed + each)), seed + each, Chaos(failing=0.25, retried=0.2), Chaos())


@given(seeds)
def test_a_cancelled_run_is_resumed_where_it_was(seed: int) -> None:
    for each in range(2):
        chaos = Chaos(failing=0.1, retried=0.2, cancelling=0.05, duplicates=0.2, losses=0.02, takeovers=0.03)
        check(random_graph(Random(seed + each)), seed + each, chaos, Chaos(takeovers=0.1, duplicates=0.2))


@settings(max_examples=max(5, settings().max_examples // 4))
@given(graphs(), seeds)
def test_resumed_on_graphs_that_shrink(graph: Graph, seed: int) -> None:
    check(graph, seed, Chaos(failing=0.25), Chaos())


def task(
    name: str, *, outputs: int = 1, after: tuple[str, ...] = (), **params: Output | Input | Literal
) -> TaskNode:
    names = tuple(f"{name}_{place}" for place in range(outputs))
    return TaskNode(name=name, task="t", params=params, outputs=names, after=after)


def kept(graph: Graph, events: list[ev.Event], lost: tuple[str, ...] = ()) -> list[str]:
    log = [ev.RunStarted(inputs={}), *events]
    return [event.cell for event in reusable_results(graph, log, read=plain, lost=lost)]


def executed(cell: str, *outputs: object) -> list[ev.Event]:
    return [
        ev.CellDispatched(cell=cell, attempt=1),
        ev.CellSucceeded(cell=cell, attempt=1, outputs=tuple(map(encode, outputs))),
    ]


ITEMS = ev.MapExpanded(cell="m", items=(encode(1), encode(2)))
BROKEN = Failure(kind=FailureKind.EXCEPTION, message="broken")


def failed(cell: str, **more: bool) -> list[ev.Event]:
    return [
        ev.CellDispatched(cell=cell, attempt=1),
        ev.AttemptFailed(cell=cell, attempt=1, failure=BROKEN, **more),
    ]


def forgiving() -> Graph:
    """A map that may leave items out, and what waits for it: by data, by order, through a map, or not at all."""
    body = build_graph(
        [task("one", a=Input("item")), task("two", a=Output("one", "one_0"))],
        inputs={"item": InputSpec()},
        outputs={"out": Output("two", "two_0")},
    )
    other = build_graph(
        [task("three", a=Input("item"))],
        inputs={"item": InputSpec()},
        outputs={"out": Output("three", "three_0")},
    )
    return build_graph(
        [
            task("apart"),
            MapNode(
                name="m",
                body=body,
                items=Literal([1, 2]),
                outputs=("list_m",),
                collects=("out",),
                skip_errors=True,
            ),
            task("sum", a=Output("m", "list_m")),
            task("late", after=("m",)),
            MapNode(
                name="n", body=other, items=Output("m", "list_m"), outputs=("list_n",), collects=("out",)
            ),
            task("further", a=Output("sum", "sum_0"), b=Output("apart", "apart_0")),
            task("end", after=("further", "n", "late")),
        ],
        outputs={"end": Output("end", "end_0")},
    )


def test_what_waits_for_a_map_that_left_items_out_is_done_again() -> None:
    events = [
        *executed("apart", 1),
        ITEMS,
        *executed("m[0]/one", 1),
        *executed("m[0]/two", 1),
        *executed("m[1]/one", 1),
        *failed("m[1]/two"),
        *executed("sum", 1),
        *executed("late", 1),
        *executed("n[0]/three", 1),
        *executed("further", 1),
        *failed("end"),
    ]
    assert kept(forgiving(), events) == ["apart", "m[0]/one", "m[0]/two", "m[1]/one"]


def test_what_came_of_a_lost_result_is_lost_with_it() -> None:
    events = [
        *executed("apart", 1),
        ITEMS,
        *executed("m[0]/one", 1),
        *executed("m[0]/two", 1),
        *executed("m[1]/one", 1),
        *executed("m[1]/two", 1),
        *executed("sum", 1),
        *executed("late", 1),
        *failed("end"),
    ]
    graph = forgiving()
    assert kept(graph, events[:-2], ("apart",)) == [
        "m[0]/one",
        "m[0]/two",
        "m[1]/one",
        "m[1]/two",
        "sum",
        "late",
    ]
    # Item 1 keeps what does not come from it; all that waits for the map goes.
    assert kept(graph, events, ("m[0]/one",)) == ["apart", "m[1]/one", "m[1]/two"]


def test_a_result_that_did_not_count_is_not_kept() -> None:
    graph = build_graph(
        [task("a"), task("b", outputs=2)], outputs={"a": Output("a", "a_0")}, on_error="continue"
    )
    events = [
        # Given up, while its thread went on and came to an end that nobody waited for.
        *failed("a", holds_slot=True),
        ev.CellSucceeded(cell="a", attempt=1, outputs=(encode(1),)),
        # Of the wrong shape, so it has failed.
        ev.CellDispatched(cell="b", attempt=1),
        ev.CellSucceeded(cell="b", attempt=1, outputs=(encode(1),)),
    ]
    assert kept(graph, events) == []


def test_an_event_that_cannot_be_is_passed_over() -> None:
    graph = build_graph([task("a"), task("b", a=Output("a", "a_0"))], outputs={"b": Output("b", "b_0")})
    events = [ev.CellStarted(cell="b", attempt=3), *executed("a", 1), *executed("a", 2), *failed("b")]
    assert kept(graph, events) == ["a"]
