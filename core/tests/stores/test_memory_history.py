"""Logs in memory: what is usual is kept as columns, and nobody who reads them sees that."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taskiq import InMemoryBroker

from taskiq_flow import Flow, Pipeline
from taskiq_flow.clock import Clock
from taskiq_flow.machine.events import CellDispatched, CellProgressed, CellStarted, CellSucceeded, Event
from taskiq_flow.payloads import ListedValue, Payload
from taskiq_flow.store import RunStore
from taskiq_flow.stores.memory import MemoryStore, history
from taskiq_flow.stores.memory.history import History
from taskiq_flow.testing.store import StoreKit, samples

FEW = 3

ONE = Payload("json", b"1")


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PACKED_AT_ONCE", FEW)


class TestMemoryStoreOfColumns(StoreKit):
    in_process = True
    shared_by_loops = True

    async def make_store(self, clock: Clock) -> RunStore:
        return MemoryStore(clock)

    async def residue(self, store: RunStore, run: str) -> Iterable[str]:
        assert isinstance(store, MemoryStore)
        return [run] if run in store._state.runs else []


paths = st.sampled_from(["a", "each[0]/a", "each[1]/a", "", "a\0b", "\udcff", "ä/ö"]) | st.text(max_size=3)
numbers = st.integers(1, 3)
seconds = st.floats(0, 2e9)
words = st.sampled_from(["", "w1", "w2"])
outputs = st.lists(st.sampled_from([ONE, ListedValue(()), ListedValue((ONE, ONE))]), max_size=2).map(tuple)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(CellDispatched, cell=paths, attempt=numbers, worker=words, queue=words, at=seconds),
    st.builds(CellStarted, cell=paths, attempt=numbers, worker=words, at=seconds),
    st.builds(
        CellSucceeded,
        cell=paths,
        attempt=numbers,
        outputs=outputs,
        seconds=seconds,
        taken_from=words,
        at=seconds,
    ),
    st.sampled_from(samples.one_of_each_event()),
)


@given(st.lists(st.lists(events, max_size=8), max_size=6))
def test_what_is_read_is_what_was_added(batches: list[list[Event]]) -> None:
    kept, plain = History(), list[Event]()
    for batch in batches:
        kept.extend(batch)
        plain += batch
        assert len(kept) == len(plain)
    for offset in range(len(plain) + 2):
        found = kept.since(offset)
        assert len(found) == len(plain[offset:])
        assert list(found) == plain[offset:]
        assert [found[number] for number in range(len(found))] == plain[offset:]
        assert list(found[1:-1]) == plain[offset:][1:-1]
        assert list(found[::-2]) == plain[offset:][::-2]
        assert not found or found[-1] == plain[-1]


def usual(count: int) -> Iterator[Event]:
    for number in range(count):
        cell = f"each[{number}]/body"
        yield CellDispatched(cell=cell, attempt=1, at=1.0)
        yield CellStarted(cell=cell, attempt=1, worker="w", at=2.0)
        yield CellSucceeded(cell=cell, attempt=1, outputs=(ONE,), seconds=1.0, at=3.0)


def test_an_event_that_is_not_there_is_missed() -> None:
    kept = History()
    kept.extend(usual(2))
    found = kept.since(1)
    with pytest.raises(IndexError):
        found[5]
    with pytest.raises(IndexError):
        found[-6]


def test_what_is_added_later_is_not_in_what_was_read_before() -> None:
    kept, plain = History(), [*usual(4)]
    kept.extend(plain[:7])
    whole, end = kept.since(0), kept.since(6)
    reading = iter(whole)
    first = next(reading)
    kept.extend(plain[7:])
    assert [first, *reading] == plain[:7]
    assert list(end) == plain[6:7]
    assert list(kept.since(0)) == plain


def test_usual_events_are_no_objects_that_the_collector_goes_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    kept, count = History(), 4 * history.PACKED_AT_ONCE
    gc.collect()
    before = len(gc.get_objects())
    kept.extend(usual(count))
    gc.collect()
    assert len(gc.get_objects()) - before < count // 100
    assert len(kept) == 3 * count


async def test_a_follower_sees_each_event_once_while_they_are_added() -> None:
    store, plain = MemoryStore(), [*usual(9)]
    lease = await store.leases.acquire("pool:pool", "driver", 60.0)
    assert lease is not None
    await store.runs.create(samples.record())
    seen: dict[int, list[Event]] = {0: [], 2: [], 5: []}

    async def follow(offset: int) -> None:
        async for event in store.log.follow("run", offset):
            seen[offset].append(event)
            await asyncio.sleep(0)

    followers = [asyncio.ensure_future(follow(offset)) for offset in seen]
    rest: Sequence[Event] = plain
    for length in (1, 2, 4, 8, 12):
        batch, rest = rest[:length], rest[length:]
        await store.log.append({"run": batch}, lease=lease)
        await asyncio.sleep(0)
    await store.runs.finish("run", samples.outcome(), lease=lease)
    await asyncio.gather(*followers)
    assert seen == {offset: plain[offset:] for offset in seen}


async def test_a_run_is_resumed_from_columns() -> None:
    broker = InMemoryBroker()
    calls: list[int] = []
    mended = False

    @broker.task
    async def add(x: int) -> int:
        calls.append(x)
        if x == 17 and not mended:
            raise ValueError("not yet")
        return x + 1

    flow = Flow(broker)
    handle = await Pipeline(broker).map(add).kiq([*range(20)])
    with pytest.raises(ValueError, match="not yet"):
        await handle.result()
    told = [event async for event in handle.events() if type(event) is CellSucceeded]
    done = {event.cell for event in told}
    assert done
    calls.clear()
    mended = True
    again = await flow.resume(handle)
    assert await again.result() == [*range(1, 21)]
    assert len(calls) == 20 - len(done)
    assert {event.cell async for event in again.events() if type(event) is CellSucceeded} > done


async def test_progress_stands_between_columns() -> None:
    kept = History()
    plain: list[Event] = [*usual(1)]
    plain.insert(2, CellProgressed(cell="each[0]/body", attempt=1, progress=0.5))
    kept.extend(plain)
    assert list(kept.since(0)) == plain
