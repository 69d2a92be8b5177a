"""Why cells wait: asked of a run in this process, whose tasks end when the test says so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from attrs import define, field
from taskiq import AsyncBroker, BrokerMessage, InMemoryBroker

from taskiq_flow import Flow, MemoryStore, Placement, RunHandle, Scheduler
from taskiq_flow.errors import RunNotFound
from taskiq_flow.explaining.explainer import Explainer
from taskiq_flow.explaining.reasons import room_holders, room_reason
from taskiq_flow.graph import (
    Graph,
    Input,
    InputSpec,
    MapNode,
    NodeOptions,
    Output,
    TaskNode,
    build_graph,
)
from taskiq_flow.pools import FreeCapacity, WorkerPool
from taskiq_flow.retry import GiveUp, Retry, RetryPolicy
from taskiq_flow.scheduler import ReadyCell, RunningCell, WorkerView
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.schedulers.first_fit import FirstFitScheduler
from taskiq_flow.store import RunRecord, WorkerInfo


@define(eq=False)
class Studio:
    """A broker whose one task waits for the test."""

    gate: asyncio.Event = field(factory=asyncio.Event)
    begun: asyncio.Queue[str] = field(factory=asyncio.Queue)
    broker: InMemoryBroker = field(factory=InMemoryBroker)

    def flow(self, **options: Any) -> Flow:
        flow = Flow(self.broker, **options)

        @self.broker.task(task_name="work")
        async def work(name: str = "") -> str:
            self.begun.put_nowait(name)
            await self.gate.wait()
            return name

        return flow


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    made = Studio()
    yield made
    made.gate.set()
    await made.broker.shutdown()


def node(name: str, *after: str, queue: str | None = None, **resources: float) -> TaskNode:
    return TaskNode(
        name=name,
        task="work",
        after=after,
        outputs=(f"{name}_out",),
        options=NodeOptions(resources=resources, queue=queue),
    )


async def reasons(handle: RunHandle[Any]) -> list[tuple[str, str, str, list[str]]]:
    return [
        (each.path, each.state, each.reason, [holder.path for holder in each.holders])
        for each in await handle.explain()
    ]


async def started(studio: Studio, flow: Flow, graph: Graph, count: int, **inputs: Any) -> RunHandle[Any]:
    """Start a run, and wait until so many attempts have begun, and the driver knows it."""
    handle = await flow.submit(graph, inputs)
    for _ in range(count):
        await asyncio.wait_for(studio.begun.get(), 10)
    maps = sum(isinstance(each, MapNode) for each in graph.nodes.values())
    await until(lambda: running(handle, count + maps))
    return handle


async def running(handle: RunHandle[Any], count: int) -> bool:
    return (await handle.describe()).counts.get("running", 0) == count


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():
        await asyncio.sleep(0)


async def test_a_limit_says_who_has_taken_it_in_whichever_run(studio: Studio) -> None:
    flow = studio.flow(limits={"db": 2})
    other = await started(studio, flow, build_graph([node("a", db=1)]), 1)
    graph = build_graph([node("b", db=1), node("c", db=1), node("d", db=2), node("e", "b", "c")])
    handle = await started(studio, flow, graph, 1)
    assert await reasons(handle) == [
        ("c", "ready", "limit 'db' is reached: 2 of 2 in use", ["a", "b"]),
        ("d", "ready", "limit 'db' is reached: 2 of 2 in use, and it takes 2", ["a", "b"]),
        ("e", "pending", "waits for 'b' (running), 'c' (ready)", []),
    ]
    (first, *_) = await handle.explain()
    assert [holder.run for holder in first.holders] == [other.id, handle.id]


async def test_who_lacks_room_and_takes_of_a_limit_that_is_not_reached_says_what_room(studio: Studio) -> None:
    pool = WorkerPool(workers=(WorkerView(id="w1", capacity={"cpu": 4, "gpu": 1}),), limits={"db": 3})
    flow = studio.flow(pool=pool, scheduler=FirstFitScheduler())
    handle = await started(studio, flow, build_graph([node(name, db=1, gpu=1) for name in "abc"]), 1)
    lacking = "it needs 1 of 'gpu', and worker 'w1' has 0 of 1 free"
    assert await reasons(handle) == [("b", "ready", lacking, ["a"]), ("c", "ready", lacking, ["a"])]


async def test_what_would_overtake_in_a_limit_says_so(studio: Studio) -> None:
    flow = studio.flow(limits={"db": 3})
    handle = await started(studio, flow, build_graph([node("a", db=2), node("b", db=2), node("c", db=1)]), 1)
    assert await reasons(handle) == [
        ("b", "ready", "limit 'db' is reached: 2 of 3 in use, and it takes 2", ["a"]),
        ("c", "ready", "cells that are ahead of it take what is left of limit 'db'", []),
    ]


async def test_capacity_says_what_there_is_too_little_of_and_who_holds_it(studio: Studio) -> None:
    pool = WorkerPool(
        workers=(
            WorkerView(id="w1", capacity={"cpu": 4.0, "ram_mb": 100.0}),
            WorkerView(id="w2", capacity={"cpu": 2.0, "ram_mb": 900.0}),
        )
    )
    flow = studio.flow(pool=pool, scheduler=FirstFitScheduler())
    graph = build_graph([node("a", cpu=3), node("b", cpu=1, ram_mb=800), node("c", cpu=2), node("d", cpu=1)])
    handle = await started(studio, flow, graph, 2)
    assert await reasons(handle) == [
        ("c", "ready", "it needs 2 of 'cpu', and the nearest to that, 'w1', has 1 of 4 free", ["a", "b"]),
        (
            "d",
            "ready",
            "there is room for it on worker 'w1', unless a cell that is ahead of it has that reserved",
            [],
        ),
    ]


async def test_fifo_says_how_many_cells_are_in_flight(studio: Studio) -> None:
    flow = studio.flow(scheduler=FifoScheduler(max_in_flight=2))
    handle = await started(studio, flow, build_graph([node(name) for name in "abc"]), 2)
    assert await reasons(handle) == [("c", "ready", "2 of 2 cells are in flight", ["a", "b"])]


async def test_missing_inputs_are_named_with_their_producers(studio: Studio) -> None:
    flow = studio.flow()
    graph = build_graph(
        [
            node("a"),
            node("b", "a"),
            TaskNode(name="c", task="work", params={"name": Output("a", "a_out")}, after=("b",)),
        ]
    )
    handle = await started(studio, flow, graph, 1)
    assert await reasons(handle) == [
        ("b", "pending", "waits for 'a' (running)", []),
        ("c", "pending", "waits for 'a_out' of 'a' (running), 'b' (pending)", []),
    ]


async def test_a_map_says_why_items_have_not_begun(studio: Studio) -> None:
    body = build_graph(
        [TaskNode(name="each", task="work", params={"name": Input("item")}, outputs=("out",))],
        inputs={"item": InputSpec()},
        outputs={"out": Output("each", "out")},
    )
    wide = MapNode(name="wide", body=body, items=Input("rows"), outputs=("ws",), collects=("out",))
    narrow = MapNode(
        name="narrow", body=body, items=Input("rows"), outputs=("ns",), collects=("out",), max_parallel=1
    )
    graph = build_graph([narrow, wide], inputs={"rows": InputSpec()})
    handle = await started(studio, studio.flow(window=3), graph, 3, rows=["a", "b", "c", "d"])
    assert await reasons(handle) == [
        ("narrow", "running", "3 of 4 items are not begun: max_parallel is 1", []),
        (
            "wide",
            "running",
            "2 of 4 items are not begun: 3 items of maps are open, which is the flow's window",
            [],
        ),
    ]


class Patient(RetryPolicy):
    name = "patient"

    def decide(self, failure: Any, attempt: int, cell: Any) -> Retry | GiveUp:
        return Retry(delay=3600.0, reason="the moon is not full")


async def test_another_attempt_says_when_it_is_due_and_what_the_policy_said(studio: Studio) -> None:
    flow = studio.flow(retry=Patient)

    @studio.broker.task(task_name="fail")
    async def fail() -> None:
        raise ValueError("no luck\n" + "in the stars " * 1000)

    handle = await flow.submit(build_graph([TaskNode(name="a", task="fail"), node("b", "a")]), {})

    async def waits() -> bool:
        return (await handle.describe()).counts.get("waiting", 0) == 1

    await until(waits)
    waiting, pending = await handle.explain()
    assert (waiting.path, waiting.state) == ("a", "waiting")
    said = r"attempt 2 is due in 3[56]\d\d\.\d s, after ValueError: no luck in the [a-z ]{,200} …; the moon is not full"
    assert re.fullmatch(said, waiting.reason)
    assert pending.reason == "waits for 'a' (waiting)"
    await handle.cancel()


class Whimsical(Scheduler):
    """Places one cell at a time, and says about the others what it is told to."""

    name = "whimsical"

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def place(self, ready: Sequence[ReadyCell], workers: Any, running: Sequence[Any]) -> list[Placement]:
        return [Placement(run=cell.run, path=cell.path, worker="w1") for cell in ready[: 1 - len(running)]]

    def explain(self, cell: ReadyCell, workers: Sequence[WorkerView], running: Sequence[RunningCell]) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("it is Monday", "it is Monday"),
        (
            KeyError("rank"),
            "there is room for it on worker 'w1', unless a cell that is ahead of it has that reserved",
        ),
        (None, "there is room for it on worker 'w1', unless a cell that is ahead of it has that reserved"),
        ("", "there is room for it on worker 'w1', unless a cell that is ahead of it has that reserved"),
        (" ", "there is room for it on worker 'w1', unless a cell that is ahead of it has that reserved"),
    ],
)
async def test_a_scheduler_of_others_may_say_why_and_may_fail_at_that(
    studio: Studio, answer: object, said: str
) -> None:
    pool = WorkerPool(workers=(WorkerView(id="w1", capacity={"cpu": 4.0}),))
    flow = studio.flow(pool=pool, scheduler=Whimsical(answer))
    handle = await started(studio, flow, build_graph([node("a"), node("b")]), 1)
    assert [reason for _, _, reason, _ in await reasons(handle)] == [said]


async def test_a_description_counts_the_cells_and_ends_with_the_run(studio: Studio) -> None:
    flow = studio.flow()
    handle = await started(studio, flow, build_graph([node("a"), node("b", "a")]), 1)
    before = await handle.describe()
    assert (before.id, before.status, before.counts) == (handle.id, "running", {"pending": 1, "running": 1})
    studio.gate.set()
    await handle.result(timeout=10)
    after = await handle.describe()
    assert (after.status, after.counts, after.waiting) == ("succeeded", {"succeeded": 2}, ())
    assert await handle.explain() == []


async def test_somebody_who_did_not_start_the_run_gets_the_same_answer(studio: Studio) -> None:
    store = MemoryStore()
    flow = studio.flow(store=store, limits={"db": 1})
    handle = await started(studio, flow, build_graph([node("a", db=1), node("b", db=1)]), 1)
    onlooker = Flow(InMemoryBroker(), store=store, limits={"db": 1})
    found = await Explainer(onlooker.runtime).explain(handle.id)
    assert found == await handle.explain() != []
    with pytest.raises(RunNotFound):
        await Explainer(onlooker.runtime).explain("nobody")


async def test_asked_again_it_goes_on_where_it_was(studio: Studio) -> None:
    flow = studio.flow(limits={"db": 1})
    handle = await started(studio, flow, build_graph([node("a", db=1), node("b", "a", db=1)]), 1)
    explainer = Explainer(flow.runtime)
    assert [each.reason for each in await explainer.explain(handle.id)] == ["waits for 'a' (running)"]
    other = await flow.submit(build_graph([node("c", db=1)]), {})
    studio.gate.set()
    await handle.result(timeout=10)
    await other.result(timeout=10)
    assert await explainer.explain(handle.id) == []
    assert await explainer.explain(other.id) == []


async def test_a_run_that_nobody_has_begun_says_so(studio: Studio) -> None:
    flow = studio.flow()
    await flow.store.runs.create(
        RunRecord(id="r", pool="default", graph=build_graph([node("a")]), created_at=5.0)
    )
    (only,) = await Explainer(flow.runtime).explain("r")
    assert (only.path, only.state, only.since) == ("", "pending", 5.0)
    assert only.reason == "no driver of pool 'default' has begun the run; is a worker of it running?"


class Nowhere(AsyncBroker):
    """A broker whose messages nobody takes."""

    async def kick(self, message: BrokerMessage) -> None: ...

    async def listen(self) -> AsyncIterator[bytes]:
        while True:
            yield b""


async def test_what_was_sent_says_whether_anybody_is_there_to_take_it() -> None:
    broker = Nowhere()
    flow = Flow(broker, store=MemoryStore())

    @broker.task(task_name="work")
    async def work() -> None: ...

    handle = await flow.submit(build_graph([node("a", queue="slow")]), {})
    assert [cell.path for cell in await handle.explain()] == [""]
    lease = await flow.store.leases.acquire("pool:default", "test", 3600.0)
    assert lease is not None
    await flow.make_driver(lease).turn()
    assert await reasons(handle) == [("a", "dispatched", "sent, and pool 'default' has no live worker", [])]
    there = WorkerInfo(id="w1", pool="default", expires_at=flow.clock.now() + 60)
    await flow.store.workers.announce(there)
    assert await reasons(handle) == [
        ("a", "dispatched", "sent to queue 'slow', and no worker has begun it", [])
    ]


def test_who_has_room_somewhere_is_kept_from_it_by_nobody_elsewhere() -> None:
    workers = [WorkerView(id="w1", capacity={"cpu": 4.0}), WorkerView(id="w2", capacity={"cpu": 1.0})]
    cell = ReadyCell(run="r", path="c", node="c", task="t", resources={"cpu": 1.0})
    other = RunningCell(run="r", path="o", task="t", worker="w2", resources={"cpu": 1.0})
    assert room_holders(cell, workers, [other]) == ()
    assert room_holders(cell, workers[1:], [other]) == (other,)


CELL = ReadyCell(run="r", path="c", node="c", task="t", resources={"cpu": 2.0, "gpu": 1.0}, queue="q")


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        ({}, "no worker of the pool is known"),
        ({"w1": {"cpu": 1.0, "gpu": 1.0}}, "it asks for 2 of 'cpu', and the largest worker ('w1') has 1"),
        ({"w1": {"cpu": 9.0}}, "it asks for 1 of 'gpu', and no worker has any"),
        (
            {"w1": {}},
            "there is room for it on worker 'w1', unless a cell that is ahead of it has that reserved",
        ),
        (
            {"w1": {"cpu": 3.0, "gpu": 1.0}},
            "it needs 2 of 'cpu', and worker 'w1' has 1 of 3 free",
        ),
    ],
)
def test_the_usual_reason_is_what_there_is_too_little_of(
    workers: Mapping[str, Mapping[str, float]], said: str
) -> None:
    views = [WorkerView(id=name, capacity=capacity) for name, capacity in workers.items()]
    held = [RunningCell(run="r", path="h", task="t", worker="w1", resources={"cpu": 2.0})]
    assert room_reason(CELL, views, held) == said


def test_rooms_are_not_changed_by_asking() -> None:
    views = [WorkerView(id="w1", capacity={"cpu": 3.0, "gpu": 1.0})]
    before = FreeCapacity(views, [])
    room_reason(CELL, views, [])
    assert before.free == FreeCapacity(views, []).free
