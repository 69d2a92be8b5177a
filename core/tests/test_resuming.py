"""Resuming runs: what a user sees of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from pydantic import BaseModel
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Flow, Pipeline, RunHandle, pipeline_task
from taskiq_flow.errors import GraphError, ResumeError, RunCancelled, RunNotFound
from taskiq_flow.graph import Guard, Input, InputSpec, ListOf, MapNode, Output, TaskNode, build_graph
from taskiq_flow.machine import events as ev
from taskiq_flow.payloads import ClaimCheck, ListedValue, Payload
from taskiq_flow.resumption import read_results, resumed_id, resumption_of
from taskiq_flow.store import Lease, RunOutcome, RunRecord, RunStatus, RunStore
from taskiq_flow.stores.memory import MemoryStore


class Report(BaseModel):
    total: int


class Shop:
    """A pipeline that fails where it is told to, and counts what it executes."""

    def __init__(self, **options: Any) -> None:
        self.calls: Counter[str] = Counter()
        self.broken: set[Any] = set()
        self.broker = InMemoryBroker()
        self.flow = Flow(self.broker, **options)

        @self.broker.task(task_name="load")
        @pipeline_task(output="numbers")
        async def load(count: int) -> list[int]:
            return self.work("load", list(range(count)))

        @self.broker.task(task_name="double")
        async def double(number: int) -> int:
            self.work(f"double {number}", None)
            if number in self.broken:
                raise ValueError(f"cannot double {number}")
            return 2 * number

        @self.broker.task(task_name="summary")
        @pipeline_task(output="report")
        async def summary(doubled: list[int]) -> Report:
            if "report" in self.broken:
                raise ValueError("no ink")
            return self.work("report", Report(total=sum(doubled)))

        self.tasks = (load, double, summary)

    def work(self, what: str, value: Any) -> Any:
        self.calls[what] += 1
        return value

    def pipeline(self, **options: Any) -> DataflowPipeline:
        load, double, summary = self.tasks
        pipeline = DataflowPipeline.from_tasks(self.broker, [load, summary])
        return pipeline.map(double, over="numbers", output="doubled", **options)

    async def failed(self, pipeline: DataflowPipeline, **inputs: Any) -> RunHandle[Any]:
        handle = await self.flow.submit(pipeline.graph, inputs, labels={"team": "sales"})
        with pytest.raises(ValueError, match=r"cannot double|no ink"):
            await handle.result()
        self.calls.clear()
        self.broken.clear()
        return handle


async def test_only_what_had_not_succeeded_is_executed() -> None:
    shop = Shop()
    shop.broken = {3}
    old = await shop.failed(shop.pipeline(max_parallel=1), count=6)
    new = await shop.flow.resume(old)
    assert (await new.result())["report"] == {"total": 30}
    # Items that had not been started are not passed over.
    assert shop.calls == {"double 3": 1, "double 4": 1, "double 5": 1, "report": 1}
    record = await shop.flow.store.runs.get(new.id)
    assert (record.id, record.resumes, record.labels) == (f"{old.id}~2", old.id, {"team": "sales"})
    assert (await shop.flow.store.runs.get(old.id)).outcome.status is RunStatus.FAILED  # type: ignore[union-attr]


async def test_the_value_is_decoded_as_that_of_the_old_run() -> None:
    broker = InMemoryBroker()
    broken = True

    @broker.task
    async def double(number: int) -> Report:
        if broken:
            raise ValueError("broken")
        return Report(total=2 * number)

    old = await Pipeline(broker, double).kiq(4)
    with pytest.raises(ValueError, match="broken"):
        await old.result()
    broken = False
    flow = Flow.of(broker)
    new: RunHandle[Report] = await flow.resume(old)
    assert await new.result() == Report(total=8)


async def test_with_the_id_alone_the_value_is_all_outputs() -> None:
    shop = Shop()
    shop.broken = {"report"}
    old = await shop.failed(shop.pipeline(), count=2)
    new = await shop.flow.resume(old.id)
    assert await new.result() == {"numbers": [0, 1], "doubled": [0, 2], "report": {"total": 2}}
    assert shop.calls == {"report": 1}


async def test_where_a_result_comes_from_stands_in_the_log() -> None:
    shop = Shop()
    shop.broken = {0, "report"}
    first = await shop.failed(shop.pipeline().on_error("continue"), count=2)
    shop.broken = {"report"}
    second = await shop.flow.resume(first)
    await second.wait_result()
    shop.broken = set()
    third = await shop.flow.resume(second)
    await third.result()
    origins = {
        event.cell: event.taken_from
        for event in await shop.flow.store.log.read(third.id)
        if isinstance(event, ev.CellSucceeded)
    }
    assert origins == {
        "load": first.id,
        "double[0]/double": second.id,
        "double[1]/double": first.id,
        "summary": "",
    }


async def test_what_waits_for_items_that_were_left_out_is_done_again() -> None:
    shop = Shop()
    shop.broken = {1}
    old = await shop.flow.submit(shop.pipeline(skip_errors=True).graph, {"count": 3})
    assert (await old.result())["report"] == {"total": 4}
    outcome = (await shop.flow.store.runs.get(old.id)).outcome
    assert outcome is not None
    assert list(outcome.left_out) == ["double[1]/double"]
    shop.calls.clear()
    shop.broken.clear()
    new = await shop.flow.resume(old)
    assert (await new.result())["report"] == {"total": 6}
    assert shop.calls == {"double 1": 1, "report": 1}


async def test_a_cancelled_run_goes_on() -> None:
    broker = InMemoryBroker()
    begun, calls = asyncio.Event(), Counter[str]()
    patient = True

    @broker.task
    async def one(x: int) -> int:
        calls["one"] += 1
        return x + 1

    @broker.task
    async def two(x: int) -> int:
        calls["two"] += 1
        begun.set()
        if patient:
            await asyncio.Event().wait()
        return x * 2

    old = await Pipeline(broker, one).call_next(two).kiq(1)
    await begun.wait()
    await old.cancel("lunch")
    with pytest.raises(RunCancelled):
        await old.result()
    patient = False
    assert await (await Flow.of(broker).resume(old)).result() == 4
    assert calls == {"one": 1, "two": 2}


async def test_what_cannot_be_resumed_is_refused() -> None:
    shop = Shop()
    flow = shop.flow
    with pytest.raises(RunNotFound, match="no run 'nothing' in this store"):
        await flow.resume("nothing")
    shop.broken = {"report"}
    old = await shop.failed(shop.pipeline(), count=1)
    new = await flow.resume(old)
    with pytest.raises(
        ResumeError, match=f"run '{new.id}' is not over; wait for its end, or cancel it, before"
    ):
        await flow.resume(new)
    await new.result()
    with pytest.raises(ResumeError, match=f"run '{new.id}' has succeeded, so nothing of it is left to do"):
        await flow.resume(new)
    with pytest.raises(
        ResumeError, match=f"'{old.id}' was resumed already, as run '{new.id}'; when that"
    ) as caught:
        await flow.resume(old)
    assert (caught.value.run, caught.value.resumed_as) == (old.id, new.id)


async def test_of_many_who_resume_a_run_at_once_one_does() -> None:
    shop = Shop()
    shop.broken = {"report"}
    old = await shop.failed(shop.pipeline(), count=1)
    answers = await asyncio.gather(*(shop.flow.resume(old) for _ in range(10)), return_exceptions=True)
    [new] = [answer for answer in answers if isinstance(answer, RunHandle)]
    assert sum(isinstance(answer, ResumeError) for answer in answers) == 9
    await new.result()
    assert shop.calls == {"report": 1}


async def test_a_run_whose_tasks_are_gone_is_not_resumed() -> None:
    shop = Shop()
    shop.broken = {"report"}
    old = await shop.failed(shop.pipeline(), count=1)
    del shop.broker.local_task_registry["double"]
    with pytest.raises(GraphError, match="task 'double', which its broker does not have"):
        await shop.flow.resume(old)


@pytest.mark.parametrize(
    ("run", "following"),
    [("a", "a~2"), ("a~2", "a~3"), ("a~9", "a~10"), ("a~b", "a~b~2"), ("a~0", "a~0~2"), ("~2", "~2~2")],
)
def test_ids_count(run: str, following: str) -> None:
    assert resumed_id(run) == following


@pytest.mark.parametrize("in_place", [False, True])
async def test_a_long_chain_is_taken_over_without_recursion(
    in_place: bool, scaled: Callable[[int], int]
) -> None:
    broker = InMemoryBroker(await_inplace=in_place)
    broken, calls = True, 0

    @broker.task(task_name="step")
    async def step(x: int) -> int:
        nonlocal calls
        calls += 1
        return x + 1

    @broker.task(task_name="end")
    async def end(x: int) -> int:
        if broken:
            raise ValueError("broken")
        return x

    pipeline: Any = Pipeline(broker, step)
    length = max(3000, scaled(10_000))
    for _ in range(length - 1):
        pipeline = pipeline.call_next(step)
    old = await pipeline.call_next(end).kiq(0)
    with pytest.raises(ValueError, match="broken"):
        await old.result()
    broken = False
    assert await (await Flow.of(broker).resume(old)).result() == length
    assert calls == length


# What stands in the store


async def store_with(
    store: RunStore, record: RunRecord, events: list[ev.Event], status: RunStatus = RunStatus.FAILED
) -> RunRecord:
    """Put a run that is over into a store."""
    await store.runs.create(record)
    lease = await store.leases.acquire("pool:elsewhere", "test", 10)
    assert isinstance(lease, Lease)
    await store.log.append({record.id: events}, lease=lease)
    await store.runs.finish(record.id, RunOutcome(status=status), lease=lease)
    await store.leases.release(lease)
    return await store.runs.get(record.id)


LARGE = {"x": b"1", "a": b"20", "b": b"300"}


def large(key: str) -> ClaimCheck:
    return ClaimCheck("json", key, len(LARGE[key]))


async def with_large_values(store: RunStore, pool: str = "default") -> RunRecord:
    """A run of three nodes, of which the last was never reached, and whose values are blobs."""
    nodes = [
        TaskNode(name="a", task="add", params={"x": Input("x"), "y": Input("x")}, outputs=("a",)),
        TaskNode(name="b", task="add", params={"x": Input("x"), "y": Output("a", "a")}, outputs=("b",)),
        TaskNode(name="c", task="add", params={"x": Output("a", "a"), "y": Output("b", "b")}, outputs=("c",)),
    ]
    outputs = {"c": Output("c", "c"), "all": ListOf((Output("a", "a"), Output("b", "b")))}
    record = RunRecord(
        id="old",
        pool=pool,
        graph=build_graph(nodes, inputs={"x": InputSpec()}, outputs=outputs),
        inputs={"x": large("x")},
    )
    for key, data in LARGE.items():
        await store.blobs.put("old", key, data)
    events: list[ev.Event] = [ev.RunStarted(inputs=record.inputs)]
    for cell in ("a", "b"):
        events.append(ev.CellDispatched(cell=cell, attempt=1))
        events.append(ev.CellSucceeded(cell=cell, attempt=1, outputs=(large(cell),)))
    return await store_with(store, record, events, RunStatus.CANCELLED)


def adding(store: RunStore) -> tuple[Flow, list[tuple[int, int]]]:
    broker = InMemoryBroker()
    calls: list[tuple[int, int]] = []

    @broker.task(task_name="add")
    async def add(x: int, y: int) -> int:
        calls.append((x, y))
        return x + y

    return Flow(broker, store=store), calls


async def test_large_values_outlive_the_old_run() -> None:
    store = MemoryStore()
    await with_large_values(store)
    flow, calls = adding(store)
    new = await flow.resume("old")
    await store.runs.delete("old")
    assert await new.result() == {"c": 320, "all": [20, 300]}
    assert calls == [(20, 300)]


async def test_what_a_lost_value_was_made_for_is_executed_again() -> None:
    store = MemoryStore()
    await with_large_values(store)
    del store._state.blobs["old"]["a"]
    flow, calls = adding(store)
    new = await flow.resume("old")
    assert await new.result() == {"c": 5, "all": [2, 3]}
    assert calls == [(1, 1), (1, 2), (2, 3)]


async def test_a_run_that_is_deleted_while_it_is_resumed_is_gone() -> None:
    store = MemoryStore()
    await with_large_values(store)
    flow, _ = adding(store)
    get = store.blobs.get

    class Blobs(type(store.blobs)):  # type: ignore[misc]
        async def get(self, run: str, key: str) -> bytes:
            if (run, key) == ("old", "b"):
                await store.runs.delete("old")
            return await get(run, key)

    store.blobs = Blobs(store._state)
    with pytest.raises(RunNotFound, match="no run 'old' in this store"):
        await flow.resume("old")
    assert await store.runs.list() == []


@pytest.mark.parametrize("in_place", [False, True])
async def test_large_values_are_mapped_over_guarded_by_and_taken_over(in_place: bool) -> None:
    broker = InMemoryBroker(await_inplace=in_place)
    flow = Flow(broker, claim_check=1)
    calls: Counter[str] = Counter()
    broken = True

    @broker.task(task_name="load")
    async def load(count: int) -> list[str]:
        calls["load"] += 1
        return [f"number {number}" for number in range(count)]

    @broker.task(task_name="shout")
    async def shout(text: str) -> str:
        calls[text] += 1
        if broken and text.endswith("3"):
            raise ValueError("hoarse")
        return text.upper()

    body = build_graph(
        [TaskNode(name="shout", task="shout", params={"text": Input("item")}, outputs=("loud",))],
        inputs={"item": InputSpec()},
        outputs={"loud": Output("shout", "loud")},
    )
    graph = build_graph(
        [
            TaskNode(name="load", task="load", params={"count": Input("count")}, outputs=("texts",)),
            MapNode(
                name="each",
                body=body,
                items=Output("load", "texts"),
                outputs=("louds",),
                collects=("loud",),
                when=Guard(Output("load", "texts")),
                max_parallel=1,
            ),
        ],
        inputs={"count": InputSpec()},
        outputs={"louds": Output("each", "louds")},
    )
    old = await flow.submit(graph, {"count": 6})
    with pytest.raises(ValueError, match="hoarse"):
        await old.result()
    calls.clear()
    broken = False
    new = await flow.resume(old)
    await flow.store.runs.delete(old.id)
    assert await new.result() == {"louds": [f"NUMBER {number}" for number in range(6)]}
    assert calls == {"number 3": 1, "number 4": 1, "number 5": 1}


async def test_a_lost_input_is_said() -> None:
    store = MemoryStore()
    await with_large_values(store)
    del store._state.blobs["old"]["x"]
    flow, _ = adding(store)
    with pytest.raises(
        ResumeError, match="run 'old' cannot be resumed, because an input of it is lost: no blob 'x'"
    ):
        await flow.resume("old")
    assert [record.id for record in await store.runs.list()] == ["old"]


@pytest.mark.parametrize("damage", [None, b"last\nnonsense", b"\xff"])
async def test_a_run_that_cannot_be_given_what_it_takes_over_fails_and_executes_nothing(
    damage: bytes | None,
) -> None:
    store = MemoryStore()
    old = await with_large_values(store)
    flow, calls = adding(store)
    record = await resumption_of(old, store=store, read=flow.codec.read, now=1.0)
    [key] = [key for key in store._state.blobs[record.id] if "kept" in key]
    if damage is None:
        del store._state.blobs[record.id][key]
    else:
        await store.blobs.put(record.id, key, damage)
    await store.runs.create(record)
    await flow.drive()
    outcome = (await store.runs.wait(record.id)).outcome
    assert outcome is not None
    assert outcome.status is RunStatus.FAILED
    assert "what it was to take over from run 'old' is lost" in outcome.reason
    assert calls == []
    # The pool goes on.
    other = await flow.submit(old.graph, {"x": 1})
    assert (await other.result())["c"] == 5


async def test_much_is_handed_over_in_pieces() -> None:
    store = MemoryStore()
    record = RunRecord(
        id="old",
        pool="default",
        graph=build_graph([TaskNode(name=f"n{n}", task="t", outputs=(f"x{n}",)) for n in range(40)]),
    )
    events: list[ev.Event] = [ev.RunStarted()]
    for number in range(39):
        text = Payload("json", b'"%s"' % (b"\xc3\xa9\\n" * 25_000))
        events.append(ev.CellDispatched(cell=f"n{number}", attempt=1))
        events.append(
            ev.CellSucceeded(
                cell=f"n{number}", attempt=1, outputs=(ListedValue((text,)) if number % 2 else text,)
            )
        )
    old = await store_with(store, record, events)
    new = await resumption_of(old, store=store, read=repr, now=1.0)
    pieces = [data for key, data in store._state.blobs[new.id].items() if "kept" in key]
    assert 1 < len(pieces) < 10
    assert max(map(len, pieces)) < 2 << 20
    assert [event async for event in read_results(store, new.id)] == [
        event for event in events if isinstance(event, ev.CellSucceeded)
    ]
    assert new == evolve(record, id="old~2", created_at=1.0, resumes="old")
