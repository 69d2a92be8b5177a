"""What goes wrong for one run ends that run; other runs, reports and the pool go on."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, GraphError, MemoryStore, Pipeline, RunHandle, RunStatus, Scheduler
from taskiq_flow.graph import Graph, Input, InputSpec, ListOf, MapNode, Output, TaskNode, build_graph
from taskiq_flow.graph.wire import to_json
from taskiq_flow.machine.events import CellSucceeded, Event, RunStarted
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.payloads import Payload
from taskiq_flow.store import Lease, Notice, RunOutcome, RunRecord
from taskiq_flow.stores.memory.inbox import MemoryInbox
from taskiq_flow.stores.memory.log import MemoryRunLog
from taskiq_flow.stores.memory.runs import MemoryRunTable


def nested_maps(levels: int) -> Graph:
    node = TaskNode(name="inc", task="inc", params={"x": Input("item")}, outputs=("o",))
    graph = build_graph([node], inputs={"item": InputSpec()}, outputs={"o": Output("inc", "o")})
    for _ in range(levels):
        outer = MapNode(name="m", body=graph, items=Input("item"), outputs=("o",), collects=("o",))
        graph = build_graph([outer], inputs={"item": InputSpec()}, outputs={"o": Output("m", "o")})
    return graph


def nested_lists(levels: int) -> Graph:
    source: Any = Input("item")
    for _ in range(levels):
        source = ListOf((source,))
    node = TaskNode(name="inc", task="inc", params={"x": source}, outputs=("o",))
    return build_graph([node], inputs={"item": InputSpec()}, outputs={"o": Output("inc", "o")})


async def value_of_another(broker: InMemoryBroker) -> Any:
    @broker.task(task_name="other")
    async def other(x: int) -> int:
        return x + 1

    return await (await Pipeline(broker, other).kiq(1)).result(timeout=20)


# How deep graphs are


@pytest.mark.parametrize("levels", [51, 600])
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (nested_maps, r"maps are nested more than 50 deep; let the tasks of the inner ones go over"),
        (
            nested_lists,
            r"a source of node 'inc' is nested more than 50 deep in lists and choices; put a task",
        ),
    ],
    ids=["maps", "lists"],
)
async def test_a_graph_that_is_nested_too_deep_is_refused(
    broker: InMemoryBroker, make: Any, problem: str, levels: int
) -> None:
    graph = make(levels)
    broker.task(task_name="inc")(lambda x: x)
    with pytest.raises(GraphError, match=problem):
        await Flow(broker).submit(graph, {"item": []})
    if levels == 51:
        with pytest.raises(GraphError, match=f"cannot read a graph: {problem}"):
            Graph.from_json(to_json(graph))
    assert await value_of_another(broker) == 2


@pytest.mark.parametrize("make", [nested_maps, nested_lists])
async def test_a_graph_that_is_as_deep_as_may_be_is_written_read_and_executed(
    broker: InMemoryBroker, make: Any
) -> None:
    @broker.task(task_name="inc")
    async def inc(x: Any) -> Any:
        return x

    value: Any = 7
    for _ in range(50 if make is nested_maps else 0):
        value = [value]
    graph = make(50)
    assert Graph.from_json(graph.to_json()).digest == graph.digest
    handle = await Flow(broker).submit(Graph.from_json(graph.to_json()), {"item": value}, single="o")
    found = await handle.result(timeout=20)
    for _ in range(50):
        (found,) = found
    assert found == 7


async def test_pipelines_that_are_nested_too_deep_are_refused_where_they_are_built(
    broker: InMemoryBroker,
) -> None:
    @broker.task
    async def same(x: Any) -> Any:
        return x

    mapped = Pipeline(broker, same)
    for _ in range(51):
        mapped = Pipeline(broker).map(mapped)
    with pytest.raises(GraphError, match="maps are nested more than 50 deep"):
        await mapped.kiq([])
    inside = Pipeline(broker, same)
    for _ in range(2 * sys.getrecursionlimit()):
        inside = Pipeline(broker).call_next(inside)
    with pytest.raises(GraphError, match="nested too deep"):
        await inside.kiq(1)


async def test_a_run_whose_graph_cannot_be_driven_fails_with_the_reason(broker: InMemoryBroker) -> None:
    store = MemoryStore()
    flow = Flow(broker, store=store)
    record = RunRecord(id="deep", pool="default", graph=nested_maps(600), created_at=1.0)
    await store.runs.create(record)
    await store.inbox.put("default", [Notice(run="deep", event=RunStarted())])
    assert await value_of_another(broker) == 2
    outcome = (await asyncio.wait_for(store.runs.wait("deep"), 20)).outcome
    assert outcome is not None
    assert outcome.status is RunStatus.FAILED
    assert "RecursionError" in outcome.reason
    await flow.shutdown()


# Delivery


@pytest.mark.parametrize("where", ["direct_function", "needs_extras"])
async def test_an_attempt_that_cannot_be_prepared_ends_its_run_and_no_other(
    broker: InMemoryBroker, where: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    from taskiq_flow.driver.outgoing import MessageWriter

    extras = MessageWriter._extras

    def fail(self: MessageWriter, run: Any, instruction: Any) -> Any:
        if instruction.node.task == "bad":
            raise RuntimeError("no such thing was foreseen")
        return extras(self, run, instruction)

    monkeypatch.setattr(MessageWriter, "_extras", fail)

    @broker.task(task_name="bad", timeout=None if where == "direct_function" else 5)
    async def bad(x: int) -> int:
        return x

    handle = await Pipeline(broker, bad).kiq(1)
    assert await value_of_another(broker) == 2
    result = await handle.wait_result(timeout=20)
    assert "no such thing was foreseen" in str(result.error)


# Stores that refuse


class Particular(MemoryRunLog):
    """Writes no event with a certain value, as a store whose wire form does not know it."""

    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        for events in batch.values():
            for event in events:
                if isinstance(event, CellSucceeded) and event.outputs == (Payload("json", b"13"),):
                    raise ValueError("13 cannot be written")
        await super().append(batch, lease=lease)


class Squeamish(MemoryRunTable):
    """Finishes no run with a certain output."""

    async def finish(self, run: str, outcome: RunOutcome, *, lease: Lease) -> None:
        if Payload("json", b"13") in outcome.outputs.values():
            raise ValueError("13 cannot be written")
        await super().finish(run, outcome, lease=lease)


@pytest.mark.parametrize(("part", "kind"), [("log", Particular), ("runs", Squeamish)])
async def test_what_a_store_refuses_of_one_run_ends_that_run_and_no_other(
    broker: InMemoryBroker, part: str, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskiq_flow.driver.finishing._TRIES", 1)
    store = MemoryStore()
    setattr(store, part, kind(store._state))
    Flow(broker, store=store)

    @broker.task
    async def same(x: int) -> int:
        return x

    bad = await Pipeline(broker, same).kiq(13)
    assert await value_of_another(broker) == 2
    result = await bad.wait_result(timeout=20)
    assert "internal error: " in str(result.error)
    assert (await bad.status()) is RunStatus.FAILED


class Away(MemoryRunLog):
    """Takes nothing for a while."""

    failures = 12

    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        if Away.failures:
            Away.failures -= 1
            raise ConnectionError("the store is away")
        await super().append(batch, lease=lease)


async def test_a_store_that_is_away_for_a_while_ends_no_run(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskiq_flow._background._LONGEST", 0.01)
    monkeypatch.setattr(Away, "failures", 12)
    store = MemoryStore()
    store.log = Away(store._state)
    Flow(broker, store=store)
    assert await value_of_another(broker) == 2
    assert Away.failures == 0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before, a cancellation tells nobody whose it is")
async def test_a_cancellation_that_comes_out_of_a_store_does_not_end_the_driver(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskiq_flow._background._FIRST", 0.01)
    store, left = MemoryStore(), [2]

    class Cancelled(MemoryInbox):
        async def acknowledge(self, pool: str, tokens: Any) -> None:
            if left[0]:
                left[0] -= 1
                raise asyncio.CancelledError("a request of its own")
            await super().acknowledge(pool, tokens)

    store.inbox = Cancelled(store._state)
    Flow(broker, store=store)
    assert await value_of_another(broker) == 2


# Values, reports, plugins


@pytest.mark.parametrize("wanted", [True, "a text"])
def test_a_guard_whose_value_raises_anything_fails_its_cell(wanted: Any) -> None:
    class Odd:
        def __bool__(self) -> bool:
            raise asyncio.CancelledError

        def __eq__(self, other: object) -> bool:
            raise asyncio.CancelledError

        __hash__ = None  # type: ignore[assignment]

    from taskiq_flow.graph import Guard

    node = TaskNode(name="a", task="t", when=Guard(Input("x"), wanted))
    graph = build_graph([node], inputs={"x": InputSpec()})
    machine = RunMachine(graph, read=lambda _: Odd())
    machine.apply(RunStarted(inputs={"x": Payload("json", b"1")}))
    assert machine.status is RunStatus.FAILED
    assert "the value that the guard looks at cannot be read" in machine.failures["a"][1].message


async def test_a_run_that_cannot_be_read_leaves_the_reports_about_others(
    broker: InMemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    Flow(broker, store=store)
    gate, begun = asyncio.Event(), asyncio.Event()

    @broker.task
    async def wait(x: int) -> int:
        begun.set()
        await gate.wait()
        return x

    handle: RunHandle[int] = await Pipeline(broker, wait).call_next(wait).kiq(1)
    await asyncio.wait_for(begun.wait(), 20)
    await store.runs.create(RunRecord(id="deep", pool="default", graph=nested_maps(600), created_at=1.0))
    assert [each.path for each in await handle.explain()] == ["wait_2"]
    assert "run deep cannot be read, and is left out of what is explained" in caplog.text
    gate.set()
    assert await handle.result(timeout=20) == 1


async def test_a_scheduler_that_answers_without_end_is_told_about(
    broker: InMemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    class Endless(Scheduler):
        name = "endless"

        def place(self, ready: Any, workers: Any, running: Any) -> Any:
            from taskiq_flow import Placement

            while True:
                yield Placement(run=ready[0].run, path=ready[0].path)

    Flow(broker, scheduler=Endless())
    assert await value_of_another(broker) == 2
    assert "scheduler 'endless' answered nonsense: it placed cell 'other'" in caplog.text


@pytest.mark.parametrize("amount", [0.5, float("nan")])
async def test_progress_that_cannot_be_reported_is_logged_once_and_is_nothing_to_the_task(
    broker: InMemoryBroker, amount: float, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()

    class Full(MemoryInbox):
        async def put(self, pool: str, notices: Any) -> None:
            notices = list(notices)
            if any(type(each.event).__name__ == "CellProgressed" for each in notices):
                raise ConnectionError("full")
            await super().put(pool, notices)

    store.inbox = Full(store._state)
    Flow(broker, store=store)

    @broker.task
    async def work(x: int, progress_callback: Any = None) -> int:
        await progress_callback(amount)
        await progress_callback(amount)
        return x

    with caplog.at_level(logging.WARNING):
        assert await (await Pipeline(broker, work).kiq(1)).result(timeout=20) == 1
    assert caplog.text.count("is not reported") == 1
