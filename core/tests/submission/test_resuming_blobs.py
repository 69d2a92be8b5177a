"""Resuming runs: what stands in the store, and what of that may be lost."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve
from taskiq import InMemoryBroker

from taskiq_flow import Flow
from taskiq_flow.errors import ResumeError, RunNotFound
from taskiq_flow.graph import Guard, Input, InputSpec, ListOf, MapNode, Output, TaskNode, build_graph
from taskiq_flow.machine import events as ev
from taskiq_flow.payloads import ClaimCheck, ListedValue, Payload
from taskiq_flow.store import Lease, RunOutcome, RunRecord, RunStatus, RunStore
from taskiq_flow.stores.memory import MemoryStore
from taskiq_flow.submission.resumption import resumption_of
from taskiq_flow.values.results import read_results


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


@pytest.mark.parametrize("damage", [None, b"2"])
async def test_what_a_lost_value_was_made_for_is_executed_again(damage: bytes | None) -> None:
    store = MemoryStore()
    await with_large_values(store)
    if damage is None:
        del store._state.blobs["old"]["a"]
    else:
        store._state.blobs["old"]["a"] = damage
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


@pytest.mark.usefixtures("small_blobs")
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
    assert "the results that it resumes from run 'old' are lost" in outcome.reason
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
        evolve(event, taken_from="old") for event in events if isinstance(event, ev.CellSucceeded)
    ]
    assert new == evolve(record, id="old~2", created_at=1.0, resumes="old")
