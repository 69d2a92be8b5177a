"""What starts promise: own ids, labels, names, runs from scripts and found by id, and copies of pipelines."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from typing import Any

import pytest
from attrs import evolve
from pydantic import BaseModel
from taskiq import InMemoryBroker, TaskiqEvents

from taskiq_flow import DataflowPipeline, Flow, GraphError, Pipeline, RunNotFound, RunStatus, pipeline_task
from taskiq_flow.stores.wire import decode_record, encode_record


class Order(BaseModel):
    number: int


class Shop:
    def __init__(self) -> None:
        self.broker = InMemoryBroker()
        self.flow = Flow(self.broker)
        self.calls: list[int] = []

        @self.broker.task
        @pipeline_task(output="order")
        async def take(number: int) -> Order:
            self.calls.append(number)
            return Order(number=number)

        @self.broker.task
        def double(order: Order) -> Order:
            return Order(number=2 * order.number)

        self.take, self.double = take, double
        self.pipeline = Pipeline(self.broker, take).call_next(double)


async def test_the_same_id_again_gives_the_run_that_is_there() -> None:
    shop = Shop()
    kicker = shop.pipeline.kicker().with_task_id("order-4711")
    first, *others = await asyncio.gather(*(kicker.kiq(number) for number in range(10)))
    values = await asyncio.gather(*(handle.result(timeout=20) for handle in (first, *others)))
    assert {handle.id for handle in (first, *others)} == {"order-4711"}
    assert len(shop.calls) == 1
    assert values == [Order(number=2 * shop.calls[0])] * 10
    # Also when it is over.
    again = await kicker.kiq(99)
    assert await again.result(timeout=20) == values[0]
    assert len(shop.calls) == 1


async def test_an_id_of_a_run_of_another_pipeline_is_refused() -> None:
    shop = Shop()
    await shop.pipeline.kicker().with_task_id("a").kiq(1)
    with pytest.raises(GraphError, match=r"there is a run 'a' of another pipeline.*flow\.run\('a'\)"):
        await Pipeline(shop.broker, shop.take).kicker().with_task_id("a").kiq(1)
    assert await (await shop.flow.run("a")).result(timeout=20) == Order(number=2)


@pytest.mark.parametrize("wrong", ["", "a b", "a/b", "a~2", "ü", "x" * 129, "-a", 7, None])
def test_ids_that_no_message_could_carry_are_refused(wrong: Any) -> None:
    with pytest.raises(GraphError, match="the run's id is"):
        Shop().pipeline.kicker().with_task_id(wrong)


async def test_labels_and_names_are_those_of_the_run() -> None:
    shop = Shop()
    base = shop.pipeline.kicker().with_labels(tenant="acme", priority=3)
    handle = await base.with_labels(tenant="other").with_name("nightly").kiq(1)
    record = await shop.flow.store.runs.get(handle.id)
    assert record.labels == handle.labels == {"tenant": "other", "priority": "3"}
    assert record.name == handle.name == "nightly"
    assert "nightly" in repr(handle)
    assert handle.id in repr(handle)
    # A kicker stays as it was.
    assert (await base.kiq(1)).labels == {"tenant": "acme", "priority": "3"}
    for wrong in ({"a": None}, {"a": ["b"]}, {"taskiq_flow.adopted": "x"}):
        with pytest.raises(GraphError, match="label"):
            base.with_labels(**wrong)
    with pytest.raises(GraphError, match="name"):
        base.with_name(3)  # type: ignore[arg-type]


async def test_a_run_is_found_by_its_id_with_its_shape_and_types() -> None:
    shop = Shop()
    single = await shop.pipeline.kiq(3)
    several = await DataflowPipeline.from_tasks(shop.broker, [shop.take]).kiq(number=4)
    assert await (await shop.flow.run(single.id)).result(timeout=20) == Order(number=6)
    assert await (await shop.flow.run(several.id)).result(timeout=20) == {"order": Order(number=4)}
    with pytest.raises(RunNotFound):
        await shop.flow.run("nobody")


async def test_a_run_that_another_process_wrote_has_the_types_of_the_tasks_here() -> None:
    shop = Shop()
    mapped = DataflowPipeline(shop.broker).map(shop.take, over="numbers", output="orders")
    for handle, value in (
        (await shop.pipeline.kiq(3), Order(number=6)),
        (await mapped.kiq(numbers=[1, 2]), {"orders": [Order(number=1), Order(number=2)]}),
    ):
        await handle.result(timeout=20)
        written = decode_record(encode_record(await shop.flow.store.runs.get(handle.id)))
        assert await shop.flow.handle_of(written).result(timeout=20) == value


def test_a_script_needs_no_event_loop() -> None:
    shop = Shop()
    events: list[str] = []
    for event in (TaskiqEvents.WORKER_STARTUP, TaskiqEvents.WORKER_SHUTDOWN, TaskiqEvents.CLIENT_SHUTDOWN):
        shop.broker.add_event_handler(event, lambda _, event=event: events.append(event.value))
    # Twice, for the second one needs threads as well.
    assert shop.pipeline.run(1) == Order(number=2)
    assert shop.pipeline.kicker().with_name("second").run(number=2) == Order(number=4)
    assert DataflowPipeline.from_tasks(shop.broker, [shop.take]).run(number=5) == {"order": Order(number=5)}
    assert sorted(set(events)) == ["CLIENT_SHUTDOWN", "WORKER_SHUTDOWN", "WORKER_STARTUP"]
    assert len(events) == 9


def test_a_script_gets_the_exception_of_the_task() -> None:
    broker = InMemoryBroker()

    @broker.task
    def fail() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        Pipeline(broker, fail).run()


async def test_inside_of_an_event_loop_a_script_is_told_the_line_to_write() -> None:
    shop = Shop()
    with pytest.raises(RuntimeError, match=r"await \(await pipeline\.kiq\(\.\.\.\)\)\.result\(\)"):
        shop.pipeline.run(1)
    assert shop.calls == []


async def test_a_copy_and_its_original_go_their_own_ways() -> None:
    shop = Shop()
    twin = shop.pipeline.copy().call_next(shop.double).with_timeout(9)
    assert len(shop.pipeline.graph.nodes) == 2
    assert len(twin.graph.nodes) == 3
    assert shop.pipeline.graph.timeout is None
    assert await (await twin.kiq(1)).result(timeout=20) == Order(number=4)

    dataflow = DataflowPipeline.from_tasks(shop.broker, [shop.take])
    other = dataflow.copy().map(shop.take, over="numbers", output="orders")
    assert list(dataflow.graph.nodes) == ["take"]
    assert len(other.graph.nodes) == 2
    dataflow.map(shop.take, over="numbers", output="many")
    assert "many" not in other.graph.outputs
    # Names of nodes are counted apart, too.
    assert set(other.graph.nodes) == set(dataflow.graph.nodes)


def test_an_event_loop_that_ends_with_runs_under_way_warns(caplog: pytest.LogCaptureFixture) -> None:
    broker = InMemoryBroker()
    go = threading.Event()
    begun = asyncio.Event()

    @broker.task
    async def wait() -> str:
        begun.set()
        while not go.is_set():
            await asyncio.sleep(0.01)
        return "done"

    flow = Flow(broker)

    async def leave() -> str:
        handle = await Pipeline(broker, wait).kiq()
        await begun.wait()
        return handle.id

    async def come_back(run: str) -> str:
        go.set()
        handle = await flow.run(run)
        assert await handle.status() is RunStatus.RUNNING
        return await handle.result(timeout=20)

    with caplog.at_level(logging.WARNING, "taskiq_flow"):
        run = asyncio.run(leave())
    (warning,) = [record for record in caplog.records if "unfinished runs" in record.getMessage()]
    assert run in warning.getMessage()
    caplog.clear()
    assert asyncio.run(come_back(run)) == "done"
    assert not [record for record in caplog.records if "unfinished" in record.getMessage()]


async def test_an_input_that_only_replaces_a_default_of_what_is_wanted_may_be_left_out() -> None:
    broker = InMemoryBroker()

    @broker.task
    @pipeline_task(output="needs")
    async def needs(rate: int) -> int:
        return rate

    @broker.task
    @pipeline_task(output="takes")
    async def takes(rate: int = 5) -> int:
        return rate

    both = [needs, takes]
    pipeline = DataflowPipeline.from_tasks(broker, both, outputs=["takes"])
    assert not pipeline.graph.inputs["rate"].required
    assert await pipeline.kiq_dataflow() == {"takes": 5}
    assert await pipeline.kiq_dataflow(rate=7) == {"takes": 7}
    with pytest.raises(GraphError, match="'rate'"):
        await DataflowPipeline.from_tasks(broker, both).kiq_dataflow()


@pytest.mark.parametrize("inner", ["task", "pipeline", "map"])
async def test_an_input_replaces_the_default_of_that_name_however_deep_it_stands(inner: str) -> None:
    broker = InMemoryBroker()

    @broker.task
    @pipeline_task(output="first")
    async def first(rate: int) -> list[int]:
        return [rate]

    @broker.task
    @pipeline_task(output="last")
    async def last(first: list[int], rate: int = 5) -> int:
        return rate

    @broker.task
    @pipeline_task(output="each")
    async def each(item: int, rate: int = 5) -> int:
        return rate

    pipeline = DataflowPipeline.from_tasks(broker, [first])
    if inner == "map":
        body = DataflowPipeline.from_tasks(broker, [each])
        pipeline.map(body, over="first", output="last", item_param="item")
    else:
        part = last if inner == "task" else DataflowPipeline.from_tasks(broker, [last])
        pipeline = DataflowPipeline.from_tasks(broker, [first, part])
    assert (await pipeline.kiq_dataflow(rate=7))["last"] == ([7] if inner == "map" else 7)


async def test_a_run_that_nobody_told_its_driver_of_is_driven_when_its_id_comes_again() -> None:
    shop = Shop()
    other = await shop.pipeline.kiq(3)
    await other.result(timeout=20)
    record = await shop.flow.store.runs.get(other.id)
    shop.calls.clear()
    go = asyncio.Event()

    @shop.broker.task
    async def hold() -> None:
        await go.wait()

    # A driver that is at work already looks for no runs of its own accord.
    held = await Pipeline(shop.broker, hold).kiq()
    while (await held.describe()).counts != {"running": 1}:
        await asyncio.sleep(0)
    # What a client leaves that dies between the two.
    await shop.flow.store.runs.create(evolve(record, id="order-1", outcome=None))
    kicker = shop.pipeline.kicker().with_task_id("order-1")
    handle = await kicker.kiq(3)
    assert await handle.result(timeout=20) == Order(number=6)
    assert shop.calls == [3]
    go.set()
    await held.result(timeout=20)


async def test_cells_run_in_the_context_of_whoever_started_the_run_first() -> None:
    broker = InMemoryBroker()
    Flow(broker)
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
    go = asyncio.Event()

    @broker.task
    async def wait(number: int) -> int:
        await go.wait()
        return number

    @broker.task
    async def who(number: int) -> str:
        return user.get()

    kicker = Pipeline(broker, wait).call_next(who).kicker().with_task_id("shared")
    user.set("first")
    handle = await kicker.kiq(1)
    user.set("second")
    await kicker.kiq(1)
    go.set()
    assert await handle.result(timeout=20) == "first"
