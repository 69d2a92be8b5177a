"""The memory store: the kit, and what is its own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable

import pytest

from taskiq_flow.clock import Clock
from taskiq_flow.errors import RunNotFound, StoreError
from taskiq_flow.store import Lease, RunRecord, RunStore
from taskiq_flow.stores.memory import MemoryStore
from taskiq_flow.testing.store import StoreKit, samples


def left_of(store: RunStore, run: str) -> list[str]:
    """What a memory store's raw data holds of a run."""
    assert isinstance(store, MemoryStore)
    state = store._state
    held = {"run": state.runs, "finished run": state.finished, "blobs": state.blobs}
    return [name for name, table in held.items() if run in table]


class TestMemoryStore(StoreKit):
    in_process = True
    shared_by_loops = True

    async def make_store(self, clock: Clock) -> RunStore:
        return MemoryStore(clock)

    async def residue(self, store: RunStore, run: str) -> Iterable[str]:
        return left_of(store, run)


async def leased(store: MemoryStore) -> Lease:
    lease = await store.leases.acquire("pool:pool", "driver", 60.0)
    assert lease is not None
    return lease


async def run_through(store: MemoryStore, lease: Lease, names: Iterable[str]) -> None:
    for name in names:
        await store.runs.create(samples.record(name))
        await store.log.append({name: samples.some_events(2)}, lease=lease)
        await store.blobs.put(name, "key", b"data")
        await store.runs.finish(name, samples.outcome(), lease=lease)


def finished_runs(store: MemoryStore) -> list[str]:
    return list(store._state.finished)


async def test_values_are_kept_as_they_are() -> None:
    store = MemoryStore()
    lease = await leased(store)
    record = samples.record()
    await store.runs.create(record)
    events = samples.one_of_each_event()
    await store.log.append({"run": events}, lease=lease)
    assert all(read is put for read, put in zip(await store.log.read("run"), events, strict=True))
    assert (await store.runs.get("run")).graph is record.graph


async def test_the_log_that_was_read_does_not_grow() -> None:
    store = MemoryStore()
    lease = await leased(store)
    await store.runs.create(samples.record())
    before = await store.log.read("run")
    await store.log.append({"run": samples.some_events(1)}, lease=lease)
    assert list(before) == []


async def test_the_runs_that_finished_first_are_dropped() -> None:
    store = MemoryStore(max_finished_runs=3)
    lease = await leased(store)
    await store.runs.create(samples.record("active"))
    await run_through(store, lease, ["d", "c", "b", "a", "e"])
    assert finished_runs(store) == ["b", "a", "e"]
    with pytest.raises(RunNotFound):
        await store.runs.get("d")
    assert left_of(store, "d") == []
    assert (await store.runs.get("active")).outcome is None


async def test_a_thousand_finished_runs_are_kept_by_default() -> None:
    store = MemoryStore()
    await run_through(store, await leased(store), (f"run{number}" for number in range(1010)))
    assert len(finished_runs(store)) == 1000
    assert finished_runs(store)[0] == "run10"


async def test_a_run_that_somebody_waits_for_is_not_dropped() -> None:
    store = MemoryStore(max_finished_runs=0)
    lease = await leased(store)
    await store.runs.create(samples.record("waited"))
    waiting = asyncio.ensure_future(store.runs.wait("waited"))
    await asyncio.sleep(0)
    await store.runs.finish("waited", samples.outcome(), lease=lease)
    await run_through(store, lease, "abc")
    assert finished_runs(store) == ["waited"]
    assert (await waiting).outcome == samples.outcome()
    await run_through(store, lease, "d")
    assert finished_runs(store) == []


async def test_a_run_that_somebody_follows_is_not_dropped() -> None:
    store = MemoryStore(max_finished_runs=1)
    lease = await leased(store)
    await run_through(store, lease, ["followed"])
    follower = store.log.follow("followed")
    first = await follower.__anext__()
    await run_through(store, lease, "abc")
    assert [first, *[event async for event in follower]] == samples.some_events(2)
    await run_through(store, lease, "d")
    assert finished_runs(store) == ["d"]


async def test_a_run_is_kept_while_its_creator_holds_the_record() -> None:
    store = MemoryStore(max_finished_runs=2)
    lease = await leased(store)
    held: list[RunRecord] = [samples.record(f"held{number}") for number in range(20)]
    for record in held:
        await store.runs.create(record)
        await store.runs.finish(record.id, samples.outcome(), lease=lease)
    for record in held:
        assert (await store.runs.wait(record.id)).outcome is not None
    held.clear()
    del record
    gc.collect()
    for number in range(5):
        await run_through(store, lease, [f"later{number}"])
    assert finished_runs(store) == ["later3", "later4"]


async def test_nothing_grows_with_runs_that_come_and_go() -> None:
    store = MemoryStore()
    lease = await leased(store)
    for number in range(50):
        run = f"run{number}"
        await run_through(store, lease, [run])
        await store.inbox.put("pool", [samples.notice(number, run)])
        taken = await store.inbox.take("pool")
        await store.inbox.acknowledge("pool", [token for token, _ in taken])
        await asyncio.gather(store.runs.wait(run), store.inbox.wait("pool", 0))
        await store.runs.delete(run)
    state = store._state
    assert (state.runs, state.finished, state.blobs) == ({}, {}, {})
    box = state.boxes["pool"]
    assert (len(box.notices), box.acknowledged, len(box.waiters)) == (0, set(), 0)


@pytest.mark.timeout(10)
async def test_a_wait_that_is_collected_under_the_lock_stops_nobody() -> None:
    store = MemoryStore()
    abandoned = store.inbox.wait("pool", None)
    abandoned.send(None)
    with store._state.lock:
        abandoned.close()
    assert not store._state.boxes["pool"].waiters


def test_one_store_serves_many_event_loops() -> None:
    store = MemoryStore()

    async def turn(number: int) -> int:
        waiting = asyncio.ensure_future(store.inbox.wait("pool", None))
        await asyncio.sleep(0)
        await store.inbox.put("pool", [samples.notice(number)])
        await waiting
        taken = await store.inbox.take("pool")
        await store.inbox.acknowledge("pool", [token for token, _ in taken])
        return len(taken)

    assert [asyncio.run(turn(number)) for number in range(3)] == [1, 1, 1]


def test_a_url_makes_a_store_of_its_own() -> None:
    first, second = MemoryStore.from_url("memory://"), MemoryStore.from_url("memory://")
    assert first._state is not second._state
    assert first._state.max_finished_runs == 1000
    assert MemoryStore.from_url("memory://?max_finished_runs=5")._state.max_finished_runs == 5
    assert MemoryStore.schemes == ("memory",)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("memory://shared", "'memory://shared' names a memory store, but nothing is shared by name"),
        ("memory:///shared", "nothing is shared by name"),
        ("redis://", "expected a memory:// URL, found 'redis://'"),
        ("memory://?size=3&max_finished_runs=1&a=", "unknown options 'size', 'a'"),
        ("memory://?max_finished_runs=many", "max_finished_runs is 'many'"),
        ("memory://?max_finished_runs=-1", "max_finished_runs is '-1'"),
    ],
)
def test_a_url_that_means_nothing_is_refused(url: str, text: str) -> None:
    with pytest.raises(StoreError, match=text.replace("?", r"\?")):
        MemoryStore.from_url(url)


def test_a_negative_number_of_runs_is_refused() -> None:
    with pytest.raises(StoreError, match="give a number of runs, 0 or more"):
        MemoryStore(max_finished_runs=-1)
