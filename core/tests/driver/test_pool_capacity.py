"""What a flow knows of the capacity that there is, with the core alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from taskiq import InMemoryBroker

from queue_broker import QueueBroker
from taskiq_flow import (
    CPUProfile,
    Flow,
    MemoryStore,
    Pipeline,
    Placement,
    PluginError,
    ResourceProfile,
    Scheduler,
    UnschedulableError,
    hookimpl,
)
from taskiq_flow.driver.ranks import Durations, Ranks
from taskiq_flow.driver.watch import WorkerWatch
from taskiq_flow.graph import TaskNode, build_graph
from taskiq_flow.machine import events as ev
from taskiq_flow.pools import WorkerPool
from taskiq_flow.scheduler import ReadyCell, WorkerView
from taskiq_flow.schedulers.first_fit import FirstFitScheduler
from taskiq_flow.store import WorkerInfo


class Says:
    """A plugin that knows the capacity."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @hookimpl
    def flow_worker_capacity(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Quiet:
    """One that leaves it to others."""

    @hookimpl
    def flow_worker_capacity(self) -> None:
        return None


def capacity_of(*plugins: object, **options: Any) -> Mapping[str, float]:
    flow = Flow(InMemoryBroker(), plugins=plugins, blocked=["resources"], **options)
    return flow.capacity


def test_plugins_say_what_a_worker_has() -> None:
    assert capacity_of() == {}
    assert capacity_of(Says({"cpu": 3, "tpu": 1})) == {"cpu": 3, "tpu": 1}
    assert capacity_of(Says({"cpu": 3}), Quiet()) == {"cpu": 3}
    assert capacity_of(Says({"cpu": 3}), capacity={"cpu": 7}) == {"cpu": 7}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ValueError("no idea"), "no idea"),
        (["cpu"], "expected a mapping with text as keys"),
        ({"cpu": "many"}, "'cpu' of what a plugin says of this worker's capacity is 'many'"),
    ],
)
def test_what_a_plugin_cannot_say_is_unknown(
    answer: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert capacity_of(Says(answer)) == {}
    assert words in caplog.text


def test_a_flow_is_told_amounts() -> None:
    with pytest.raises(PluginError, match="'cpu' of capacity is -1; give a number, 0 or more"):
        # At once, and not only when a worker announces it.
        Flow(InMemoryBroker(), capacity={"cpu": -1})
    with pytest.raises(PluginError, match="'db' is a limit of the pool and a resource of worker"):
        Flow(InMemoryBroker(), capacity={"db": 5}, limits={"db": 5})
    with pytest.raises(PluginError, match="limits is 5; give numbers by name"):
        Flow(InMemoryBroker(), limits=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queue": 5}, "queue is 5; give the name of the queue"),
        ({"queue": None}, "queue is None; give the name of the queue"),
        ({"processes": "2"}, "processes is '2'; give a number of processes"),
        ({"window": 0}, "window is 0; give a number of items, 1 or more"),
        ({"limits": {"db": 10**400}}, "'db' of limits is 1000"),
    ],
)
def test_what_a_flow_is_told_of_this_process_is_checked(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PluginError, match=words):
        Flow(InMemoryBroker(), **options)


async def test_a_worker_announces_what_it_has() -> None:
    store = MemoryStore()
    broker = QueueBroker()
    broker.is_worker_process = True
    Flow(broker, store=store, capacity={"cpu": 2, "gpu": 1}, queue="mine")
    await broker.startup()
    await asyncio.sleep(0)
    while not (found := await store.workers.list("default")):
        await asyncio.sleep(0)
    assert [(dict(each.capacity), each.queue) for each in found] == [({"cpu": 2, "gpu": 1}, "mine")]
    await broker.shutdown()


async def test_limits_need_no_plugin(broker: InMemoryBroker) -> None:
    Flow(broker, limits={"db": 2}, blocked=["resources"])
    now = peak = begun = 0

    @broker.task
    @ResourceProfile(db=1)
    async def query(number: int) -> int:
        nonlocal now, peak, begun
        now += 1
        begun += 1
        peak = max(peak, now)
        while peak < 2 and begun < 20:
            await asyncio.sleep(0)  # until another one is here
        now -= 1
        return number

    assert await (await Pipeline(broker).map(query).kiq(list(range(20)))).result(20) == list(range(20))
    assert peak == 2

    @broker.task
    @ResourceProfile(db=3)
    async def greedy() -> None: ...

    with pytest.raises(UnschedulableError, match="node 'greedy' asks for 3 of 'db', and the limit is 2"):
        await Pipeline(broker, greedy).kiq()


async def test_a_limit_is_no_resource_that_nobody_looks_at(
    broker: InMemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    Flow(broker, limits={"db": 2}, blocked=["resources"])

    @broker.task
    @ResourceProfile(db=1)
    async def query() -> int:
        return 1

    with caplog.at_level(logging.WARNING, logger="taskiq_flow"):
        assert await (await Pipeline(broker, query).kiq()).result(20) == 1
    assert "asks for resources" not in caplog.text


class Recorder(FirstFitScheduler):
    """Keeps what it was shown."""

    name = "recorder"
    uses_rank = True

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[str, ReadyCell] = {}
        self.workers: Any = ()

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        self.shown |= {each.path: each for each in ready}
        self.workers = workers
        return super().place(ready, workers, running)


async def test_a_scheduler_is_shown_what_it_needs(broker: InMemoryBroker) -> None:
    scheduler = Recorder()
    worker = WorkerView(id="only", capacity={"cpu": 2.0})
    Flow(broker, pool=WorkerPool(workers=(worker,), limits={"db": 2}), scheduler=scheduler)

    @broker.task
    @ResourceProfile(db=1)
    async def first(number: int) -> list[int]:
        return [number]

    @broker.task
    @CPUProfile(cpu_units=2)
    async def each(number: int) -> int:
        return number

    @broker.task
    async def then(number: int) -> int:
        return number

    pipeline = Pipeline(broker, first).map(Pipeline(broker, each).call_next(then))
    assert await (await pipeline.kiq(5)).result(20) == [5]
    assert tuple(scheduler.workers) == (worker,)
    assert {
        cell.path: (dict(cell.resources), dict(cell.limits), cell.depth) for cell in scheduler.shown.values()
    } == {
        "first": ({"cpu": 1.0}, {"db": 1}, 0),
        "each[0]/each": ({"cpu": 2}, {}, 0),
        "each[0]/then": ({"cpu": 1.0}, {}, 1),
    }
    # Nothing was known of durations. What has begun is ranked as its map.
    assert {cell.path: cell.rank for cell in scheduler.shown.values()} == {
        "first": 3.0,
        "each[0]/each": 2.0,
        "each[0]/then": 2.0,
    }


async def test_ranks_follow_recorded_durations() -> None:
    graph = build_graph(
        [TaskNode(name="a", task="slow", outputs=("x",)), TaskNode(name="b", task="quick", after=("a",))]
    )
    durations = Durations()
    ranks = Ranks(durations)
    ranks.add("first", graph)
    assert ranks.of("first", "a", 0) == 2.0
    for seconds in (3.0, 5.0):
        ranks.observe("first", ev.CellSucceeded(cell="a", attempt=1, seconds=seconds))
    ranks.observe("first", ev.CellSucceeded(cell="nowhere", attempt=1, seconds=99.0))
    ranks.add("second", graph)
    assert (ranks.of("second", "a", 0), ranks.of("second", "b", 0)) == (5.0, 1.0)
    ranks.forget("second")
    assert ranks.of("second", "a", 0) == 0.0


def test_a_clock_that_is_set_back_makes_nothing_take_less_than_no_time() -> None:
    durations = Durations()
    for seconds in (-3600.0, 4.0):
        durations.record("task", seconds)
    assert durations.mean("task") == 2.0


async def test_workers_that_schedulers_see() -> None:
    store = MemoryStore()
    for info in (
        WorkerInfo(id="common", pool="p", capacity={"cpu": 2}, expires_at=1e12),
        WorkerInfo(id="reader", pool="p", capacity={"cpu": 4}, queue="big", expires_at=1e12),
        WorkerInfo(id="own", pool="p", capacity={"cpu": 8}, queue="own", expires_at=1e12),
    ):
        await store.workers.announce(info)
    plain = WorkerView(id="plain", capacity={"cpu": 16})
    routed = WorkerView(id="routed", capacity={"cpu": 3}, queue="big")

    async def seen(*declared: WorkerView, embedded: bool = False) -> list[str]:
        watch = WorkerWatch("p", store, declared=declared, embedded=embedded)
        assert await watch.find_lost(100.0, {each.id for each in declared}) == []
        return [view.id for view in watch.views]

    assert await seen() == ["common", "own", "reader"]
    # One that no message can be sent to says nothing of who is there.
    assert await seen(plain) == ["common", "own", "reader"]
    # One with a queue stands for whoever reads it; who reads the common queue gets nothing then.
    assert await seen(plain, routed) == ["routed", "own"]
    assert await seen(plain, routed, embedded=True) == ["plain", "routed"]


async def test_resources_are_counted_where_a_cell_was_placed() -> None:
    store = MemoryStore()
    await store.workers.announce(WorkerInfo(id="live", pool="p", expires_at=1e12))
    declared = WorkerView(id="declared", queue="q")
    behind = WorkerWatch("p", store, declared=[declared])
    await behind.find_lost(0.0, ())
    assert behind.place_of("declared", "host-1") == "declared"
    info = behind.info_of("declared")
    assert info is not None
    assert info.queue == "q"
    shared = WorkerWatch("p", store)
    await shared.find_lost(0.0, ())
    # Workers that share a queue may take what was meant for others.
    assert shared.place_of("other", "live") == "live"
    assert shared.place_of("other", "gone") == "other"
    assert shared.info_of("nobody") is None


async def test_a_line_of_its_own_for_each_run(broker: InMemoryBroker) -> None:
    class ByRun(Scheduler):
        name = "by-run"
        lookahead = 4

        def lane_of(self, cell: ReadyCell) -> str:
            return cell.run

        def place(self, ready: Any, workers: Any, running: Any) -> Any:
            seen.append(len({each.run for each in ready}))
            return [Placement(run=each.run, path=each.path) for each in ready[: 1 - len(running)]]

    seen: list[int] = []
    Flow(broker, scheduler=ByRun())

    @broker.task
    async def step(number: int) -> int:
        await asyncio.sleep(0)
        return number

    handles = [await Pipeline(broker).map(step).kiq(list(range(10))) for _ in range(2)]
    for handle in handles:
        await handle.result(20)
    assert 2 in seen
