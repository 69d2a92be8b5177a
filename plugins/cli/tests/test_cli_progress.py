"""The progress model: events in, rows out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, Graph, Pipeline
from taskiq_flow.graph import (
    FirstOf,
    Follows,
    Guard,
    Input,
    InputSpec,
    MapNode,
    Output,
    TaskNode,
    build_graph,
)
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.payloads import Failure, FailureKind, Payload
from taskiq_flow.waiting import WaitingCell
from taskiq_flow_cli.progress import Progress
from taskiq_flow_cli.rows import Row, visible

BOOM = Failure(kind=FailureKind.EXCEPTION, type="builtins:ValueError", message="boom")
ONE = Payload("json", b"1")


def task(name: str, *sources: str, **options: Any) -> TaskNode:
    """A node that takes outputs of others, each named after its node, and gives one of its own name."""
    params = {source: Output(source, source) for source in sources}
    return TaskNode(name=name, task="t", params=params, outputs=(name,), **options)


def body(*nodes: TaskNode, output: str) -> Graph:
    return build_graph(
        [
            TaskNode(name=nodes[0].name, task="t", params={"item": Input("item")}, outputs=(nodes[0].name,)),
            *nodes[1:],
        ],
        inputs={"item": InputSpec()},
        outputs={"out": Output(output, output)},
    )


def mapped(name: str, over: str, inner: Graph, **options: Any) -> MapNode:
    return MapNode(
        name=name, body=inner, items=Output(over, over), outputs=(name,), collects=("out",), **options
    )


CHAIN = build_graph([task("a"), task("b", "a")])
MAPPED = build_graph([task("a"), mapped("m", "a", body(task("f"), output="f")), task("z", "m")])
FORGIVING = build_graph([task("a"), mapped("m", "a", body(task("f"), output="f"), skip_errors=True)])
LONG_BODY = build_graph([task("a"), mapped("m", "a", body(task("f"), task("g", "f"), output="g"))])
KEPT = build_graph(
    [
        task("a"),
        mapped("k", "a", body(task("f"), output="f"), keep="items"),
        mapped("m", "k", body(task("f"), output="f")),
    ]
)
BRANCH = build_graph(
    [
        task("p"),
        task("yes", when=Guard(Output("p", "p"), True)),
        task("no", when=Guard(Output("p", "p"), False)),
        TaskNode(name="join", task="t", params={"v": FirstOf((Output("yes", "yes"), Output("no", "no")))}),
    ]
)


def begin() -> list[ev.Event]:
    return [ev.RunStarted(at=100.0)]


def sent(cell: str, attempt: int = 1, at: float = 101.0) -> list[ev.Event]:
    return [ev.CellDispatched(cell=cell, attempt=attempt, at=at)]


def going(cell: str, attempt: int = 1) -> list[ev.Event]:
    return [*sent(cell, attempt), ev.CellStarted(cell=cell, attempt=attempt, at=102.0)]


def good(cell: str, value: bytes = b"1", attempt: int = 1) -> list[ev.Event]:
    done = ev.CellSucceeded(cell=cell, attempt=attempt, outputs=(Payload("json", value),), at=103.0)
    return [*going(cell, attempt), done]


def bad(cell: str, attempt: int = 1, retry_at: float | None = None) -> list[ev.Event]:
    return [
        *going(cell, attempt),
        ev.AttemptFailed(cell=cell, attempt=attempt, failure=BOOM, retry_at=retry_at, at=103.0),
    ]


def opened(cell: str, count: int) -> list[ev.Event]:
    return [ev.MapExpanded(cell=cell, items=(ONE,) * count, at=101.0)]


TABLE: dict[str, tuple[Graph, list[list[ev.Event]], str]] = {
    "nothing yet": (CHAIN, [], "a:pending 0/1, b:pending 0/1"),
    "sent": (CHAIN, [sent("a")], "a:dispatched 0/1, b:pending 0/1"),
    "running": (CHAIN, [going("a")], "a:running 0/1, b:pending 0/1"),
    "first is over": (CHAIN, [good("a"), going("b")], "a:succeeded 1/1, b:running 0/1"),
    "an outcome overtakes the start": (
        CHAIN,
        [sent("a"), [ev.CellSucceeded(cell="a", attempt=1)], [ev.CellStarted(cell="a", attempt=1)]],
        "a:succeeded 1/1, b:pending 0/1",
    ),
    "waiting for a retry": (CHAIN, [bad("a", retry_at=105.0)], "a:waiting 0/1 1r, b:pending 0/1"),
    "second attempt": (
        CHAIN,
        [bad("a", retry_at=105.0), going("a", 2)],
        "a:running 0/1 1r, b:pending 0/1",
    ),
    "failed for good": (CHAIN, [bad("a", retry_at=105.0), bad("a", 2)], "a:failed 1/1 1r 1f, b:pending 0/1"),
    "what nobody draws": (
        CHAIN,
        [
            going("a"),
            [ev.WorkerLost(worker="w"), ev.TimerFired(timer="x"), ev.SlotFreed(cell="a", attempt=1)],
        ],
        "a:running 0/1, b:pending 0/1",
    ),
    "items of a map": (
        MAPPED,
        [good("a"), opened("m", 3), good("m[0]/f"), going("m[2]/f"), sent("m[1]/f")],
        "a:succeeded 1/1, m:running 1/3, z:pending 0/1",
    ),
    "a map is over": (
        MAPPED,
        [good("a"), opened("m", 2), good("m[1]/f"), good("m[0]/f"), going("z")],
        "a:succeeded 1/1, m:succeeded 2/2, z:running 0/1",
    ),
    "a map over nothing": (
        MAPPED,
        [good("a"), opened("m", 0), going("z")],
        "a:succeeded 1/1, m:succeeded 0/0, z:running 0/1",
    ),
    "items that are left out": (
        FORGIVING,
        [good("a"), opened("m", 2), bad("m[0]/f"), good("m[1]/f")],
        "a:succeeded 1/1, m:succeeded 2/2 1f",
    ),
    "items that fail the map": (
        MAPPED,
        [good("a"), opened("m", 2), bad("m[0]/f"), good("m[1]/f")],
        "a:succeeded 1/1, m:failed 2/2 1f, z:pending 0/1",
    ),
    "several nodes for each item": (
        LONG_BODY,
        [good("a"), opened("m", 2), good("m[0]/f"), good("m[1]/f"), good("m[1]/g"), going("m[0]/g")],
        "a:succeeded 1/1, m:running 1/2, f:succeeded 2/2, g:running 1/2",
    ),
    "an item ends where it fails": (
        LONG_BODY,
        [good("a"), opened("m", 2), bad("m[0]/f"), good("m[1]/f")],
        "a:succeeded 1/1, m:running 1/2, f:failed 2/2 1f, g:pending 0/2",
    ),
    "a map is over although an item did not get far": (
        LONG_BODY,
        [good("a"), opened("m", 2), bad("m[0]/f"), good("m[1]/f"), good("m[1]/g")],
        "a:succeeded 1/1, m:succeeded 2/2, f:failed 2/2 1f, g:succeeded 1/1",
    ),
    "a filter, and a map over what it keeps": (
        KEPT,
        [
            good("a"),
            opened("k", 3),
            good("k[0]/f", b"true"),
            good("k[1]/f", b"false"),
            good("k[2]/f", b"true"),
            going("m[0]/f"),
            good("m[1]/f"),
        ],
        "a:succeeded 1/1, k:succeeded 3/3, m:running 1/2",
    ),
    "a side of a branch is skipped": (
        BRANCH,
        [good("p", b"true"), good("yes"), going("join")],
        "p:succeeded 1/1, yes:succeeded 1/1, no:skipped 0/1, join:running 0/1",
    ),
    "cancelled": (
        CHAIN,
        [going("a"), [ev.CancelRequested(at=104.0)], [ev.CellCancelled(cell="a", attempt=1, at=105.0)]],
        "a:cancelled 1/1, b:pending 0/1",
    ),
}


def said(row: Row) -> str:
    counts = f"{row.done}/{'?' if row.total is None else row.total}"
    extra = (f" {row.retries}r" if row.retries else "") + (f" {row.failed}f" if row.failed else "")
    return f"{row.name}:{row.state} {counts}{extra}"


def folded(graph: Graph, steps: list[list[ev.Event]]) -> Progress:
    progress = Progress(graph)
    for event in [*begin(), *(event for step in steps for event in step)]:
        progress.apply(event)
    return progress


@pytest.mark.parametrize(("graph", "steps", "rows"), TABLE.values(), ids=TABLE)
def test_events_become_rows(graph: Graph, steps: list[list[ev.Event]], rows: str) -> None:
    assert ", ".join(map(said, folded(graph, steps).rows)) == rows


ENDS = {
    "succeeded without a trace": (
        BRANCH,
        [good("p"), good("yes"), good("join")],
        "succeeded",
        "no:skipped 0/1",
    ),
    "the rest of a failed run": (CHAIN, [bad("a")], "failed", "b:cancelled 0/1"),
    "what still ran": (CHAIN, [going("a")], "cancelled", "a:cancelled 1/1"),
    "a map that was cut off": (
        MAPPED,
        [good("a"), opened("m", 9), good("m[0]/f"), going("m[1]/f")],
        "cancelled",
        "m:cancelled 2/9",
    ),
}


@pytest.mark.parametrize(("graph", "steps", "status", "row"), ENDS.values(), ids=ENDS)
def test_nothing_is_open_at_the_end(graph: Graph, steps: list[list[ev.Event]], status: str, row: str) -> None:
    progress = folded(graph, steps)
    progress.finish(status)
    assert row in [said(each) for each in progress.rows]
    assert all(each.over and not (each.running or each.waiting or each.dispatched) for each in progress.rows)
    assert progress.nodes_over == progress.nodes


def test_the_items_of_several_lists_of_parts_and_of_trees_are_counted() -> None:
    inner = body(task("f"), output="f")
    ways: list[tuple[dict[str, Any], int]] = [({"chunk": 2}, 3), ({"chunk": 2, "keep": "one"}, 5), ({}, 5)]
    for more, total in ways:
        progress = folded(
            build_graph([task("a"), mapped("m", "a", inner, **more)]), [good("a"), opened("m", 5)]
        )
        assert progress.rows[1].total == total
    pair = build_graph(
        [TaskNode(name="f", task="f", params={"x": Input("item"), "y": Input("y")}, outputs=("f",))],
        inputs={"item": InputSpec(), "y": InputSpec()},
        outputs={"out": Output("f", "f")},
    )
    both = mapped("m", "a", pair, also={"y": Output("a", "a")}, join="product")
    event = ev.MapExpanded(cell="m", items=(ONE,) * 2, also=((ONE,) * 3,), at=101.0)
    assert folded(build_graph([task("a"), both]), [good("a"), [event]]).rows[1].total == 6


def test_what_follows_the_run_does_not_make_it_stand() -> None:
    close = TaskNode(name="close", task="t", follows=Follows("always"))
    found = Progress(build_graph([task("a"), task("b", "a"), close]))
    for event in [*going("a"), *good("a"), *going("b")]:
        found.apply(event)
    assert not found.stands
    for event in good("b"):
        found.apply(event)
    assert found.stands
    for event in [*going("close")]:
        found.apply(event)
    assert not found.stands


def test_what_follows_others_says_nothing_about_their_ends() -> None:
    undo = TaskNode(name="undo", task="t", follows=Follows("always", ("b",)))
    progress = folded(build_graph([task("a"), task("b", "a"), undo]), [bad("a"), good("undo")])
    progress.finish("failed")
    assert {row.name: row.state for row in progress.rows} == {
        "a": "failed",
        "b": "cancelled",
        "undo": "succeeded",
    }


def test_progress_of_running_cells_counts_for_parts() -> None:
    progress = folded(MAPPED, [good("a"), opened("m", 4), good("m[0]/f"), going("m[1]/f")])
    progress.apply(ev.CellProgressed(cell="m[1]/f", attempt=1, progress=0.5))
    assert progress.rows[1].fraction == pytest.approx(1.5 / 4)
    progress.apply(ev.CellProgressed(cell="m[1]/f", attempt=1, progress=7))
    assert progress.rows[1].fraction == pytest.approx(2 / 4)


def test_a_reason_belongs_to_the_node_of_its_cell_until_the_next_one_is_given() -> None:
    found = Progress(MAPPED)
    reasons = [
        WaitingCell(path="m[0]/f", state="ready", since=0.0, reason="no room"),
        WaitingCell(path="m[1]/f", state="ready", since=0.0, reason="another"),
        WaitingCell(path="z", state="pending", since=0.0, reason="waits for 'm'"),
        WaitingCell(path="", state="pending", since=0.0, reason="no driver"),
    ]
    found.explain(reasons)
    assert {row.name: row.why for row in found.rows} == {"a": "", "m": "no room", "z": ""}
    found.explain([])
    assert not any(row.why for row in found.rows)


def test_a_run_stands_where_a_node_could_run_and_nothing_of_it_does() -> None:
    found = Progress(CHAIN)
    stands = [found.stands]
    for event in (
        ev.CellDispatched(cell="a", attempt=1),
        ev.CellStarted(cell="a", attempt=1),
        ev.CellSucceeded(cell="a", attempt=1, outputs=(ONE,)),
        ev.CellDispatched(cell="b", attempt=1),
        ev.CellStarted(cell="b", attempt=1),
        ev.CellSucceeded(cell="b", attempt=1, outputs=(ONE,)),
    ):
        found.apply(event)
        stands.append(found.stands)
    assert stands == [True, True, False, True, True, False, False]


def test_a_failure_is_handed_out_with_what_comes_next() -> None:
    progress = Progress(FORGIVING)
    attempt_failures = [
        progress.apply(event)
        for event in [*opened("m", 1), *bad("m[0]/f", retry_at=104.5), *bad("m[0]/f", attempt=2)]
    ]
    assert [(m.attempt, m.delay, m.forgiven) for m in attempt_failures if m is not None] == [
        (1, 1.5, False),
        (2, None, True),
    ]
    assert progress.retries == 1


def test_a_long_chain_of_skipped_nodes_is_no_trouble() -> None:
    nodes = [task("n0"), *(task(f"n{i}", f"n{i - 1}") for i in range(1, 5000))]
    graph = build_graph([*nodes, TaskNode(name="end", task="t", after=("n4999",))])
    progress = folded(graph, [going("end")])
    assert [row.state for row in progress.rows[-3:]] == ["skipped", "skipped", "running"]


def test_the_rows_that_matter_are_kept_when_there_is_no_room() -> None:
    rows = [Row(name=f"r{i}", done=1, started=1.0, ended=float(i)) for i in range(5)]
    rows += [Row(name="now", running=1, started=1.0), Row(name="bad", failed=1, done=1, started=1.0)]
    rows += [Row(name=f"later{i}") for i in range(5)]
    assert [row.name for row in visible(rows, 3)] == ["r4", "now", "bad"]
    assert list(visible(rows, 50)) == rows


def add_steps(broker: InMemoryBroker) -> dict[str, Callable[[], Pipeline[..., Any]]]:
    @broker.task(task_name="numbers")
    def numbers(count: int) -> list[int]:
        return list(range(count))

    @broker.task(task_name="odd")
    async def odd(n: int) -> bool:
        return n % 2 == 1

    @broker.task(task_name="strict")
    async def strict(n: int) -> int:
        if n == 3:
            raise ValueError(n)
        return n

    @broker.task(task_name="total")
    def total(values: list[int]) -> int:
        return sum(values)

    @broker.task(task_name="many")
    def many(n: int) -> bool:
        return n > 10

    inner = Pipeline(broker, strict).branch(odd, strict, numbers)
    return {
        "filter": lambda: (
            Pipeline(broker, numbers).filter(odd).map(strict, skip_errors=True).call_next(total)
        ),
        "branch": lambda: Pipeline(broker, numbers).call_next(total).branch(many, strict),
        "inner": lambda: Pipeline(broker, numbers).map(inner, skip_errors=True),
        "nested": lambda: Pipeline(broker, numbers).map(
            Pipeline(broker, numbers).map(strict), skip_errors=True
        ),
        "failing": lambda: Pipeline(broker, numbers).map(strict).call_next(total),
        "empty": lambda: Pipeline(broker, numbers).filter(many).map(strict).call_next(total),
    }


@pytest.mark.parametrize("name", ["filter", "branch", "inner", "nested", "failing", "empty"])
async def test_the_rows_agree_with_the_machine(name: str) -> None:
    broker = InMemoryBroker()
    graph = add_steps(broker)[name]().graph
    flow = Flow.of(broker)
    handle = await flow.submit(graph, {"count": 6})
    events = [event async for event in handle.events()]
    machine, progress = RunMachine(graph, read=flow.codec.read), Progress(graph)
    for event in events:
        machine.apply(event)
        progress.apply(event)
        rows = {row.name: row for row in progress.rows if row.depth == 0}
        # Of a task node all shows at once, but that it is ready, or skipped or withdrawn without ever having been sent.
        silent = {("pending", "ready"), ("pending", "skipped"), ("pending", "cancelled")}
        wrong = {
            (name, row.state, machine.cells.states()[name].word)
            for name, row in rows.items()
            if row.kind == "task"
            and row.state != (word := machine.cells.states()[name].word)
            and (row.state, word) not in silent
        }
        assert wrong == set(), event
    progress.finish((await handle.status()).value)
    found = {row.name: row.state for row in progress.rows if row.depth == 0}
    expected = {path: state.word for path, state in machine.cells.states().items()}
    # The machine withdraws a map when an item fails; people want to see which node it was that failed.
    expected.update(
        {
            row.name: "failed"
            for row in progress.rows
            if row.kind != "task" and row.failed and not row.forgiving
        }
    )
    assert found == expected
    await flow.shutdown()
