"""Cells that are executed where they are driven, when somebody takes the pool over or the store is unreliable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest
from taskiq import InMemoryBroker

from again import Again
from taskiq_flow import Flow, Pipeline
from taskiq_flow.driver.inline import UncertainStarts
from taskiq_flow.driver.loop import revoke
from taskiq_flow.errors import RunNotFound
from taskiq_flow.machine.events import AttemptFailed, CellDispatched, CellStarted, CellSucceeded
from taskiq_flow.messages.envelope import address_of
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.store import Lease, Notice
from taskiq_flow.stores.memory.inbox import MemoryInbox
from taskiq_flow.stores.memory.log import MemoryRunLog
from taskiq_flow.stores.memory.small import MemoryLeases
from taskiq_flow.worker.worker import Worker

SECONDS = 20


def meet_first_write(
    monkeypatch: pytest.MonkeyPatch, kind: type, meet: Callable[[Lease], Coroutine[Any, Any, None]]
) -> None:
    """Do something before the first write of a kind of event; what it raises, the write raises."""
    append, met = MemoryRunLog.append, False

    async def write(log: MemoryRunLog, batch: Any, *, lease: Lease) -> None:
        nonlocal met
        if not met and any(type(event) is kind for events in batch.values() for event in events):
            met = True
            await meet(lease)
        await append(log, batch, lease=lease)

    monkeypatch.setattr(MemoryRunLog, "append", write)


async def take_over(flow: Flow) -> Lease:
    """Take the pool over from the driver of a flow."""
    name, leases = f"pool:{flow.pool}", flow.store.leases
    lease = await leases.acquire(name, flow.host.worker.id, 60)
    assert lease is not None
    await leases.release(lease)
    other = await leases.acquire(name, "another driver", 60)
    assert other is not None
    return other


async def give_back(flow: Flow, lease: Lease) -> None:
    """Let the flow's host drive again."""
    await flow.store.leases.release(lease)
    flow.host.tell()


def note_calls(broker: InMemoryBroker) -> tuple[Any, list[int]]:
    """Give a task that never waits, and what it was called with."""
    calls: list[int] = []

    @broker.task
    async def note(value: int) -> int:
        calls.append(value)
        return value + 1

    return note, calls


async def test_nothing_of_a_deleted_run_is_executed(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its start can be in no log."""
    flow = Flow(broker)
    note, calls = note_calls(broker)

    async def delete(lease: Lease) -> None:
        (record,) = await flow.store.runs.list(active=True)
        await flow.store.runs.delete(record.id)

    handle = await Pipeline(broker, note).call_next(note).kiq(1)
    meet_first_write(monkeypatch, CellSucceeded, delete)
    with pytest.raises(RunNotFound):
        await handle.result(timeout=SECONDS)
    other = await Pipeline(broker, note).kiq(10)
    assert await other.result(timeout=SECONDS) == 11
    assert calls == [1, 10]


async def test_what_a_replaced_driver_has_executed_is_not_executed_again(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task may keep the event loop for longer than the lease is good."""
    flow = Flow(broker)
    note, calls = note_calls(broker)

    async def replace(lease: Lease) -> None:
        await flow.store.leases.release(await take_over(flow))

    meet_first_write(monkeypatch, CellSucceeded, replace)
    handle = await Pipeline(broker, note).call_next(note).kiq(1)
    assert await handle.result(timeout=SECONDS) == 3
    assert calls == [1, 2]


async def test_what_was_executed_before_a_shutdown_is_not_executed_again(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = Flow(broker)
    note, calls = note_calls(broker)
    writing = asyncio.Event()

    async def take_long(lease: Lease) -> None:
        writing.set()
        await asyncio.Event().wait()

    meet_first_write(monkeypatch, CellSucceeded, take_long)
    handle = await Pipeline(broker, note).call_next(note).kiq(1)
    await asyncio.wait_for(writing.wait(), SECONDS)
    await flow.shutdown()
    assert await handle.result(timeout=SECONDS) == 3
    assert calls == [1, 2]


async def test_a_start_that_was_written_and_not_made_is_taken_back(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever drives next may be in another event loop, where it cannot see what this one holds."""
    flow = Flow(broker)
    note, calls = note_calls(broker)
    leases: list[Lease] = []
    there = asyncio.Event()
    append, put = MemoryRunLog.append, MemoryInbox.put

    async def write_and_fail(log: MemoryRunLog, batch: Any, *, lease: Lease) -> None:
        await append(log, batch, lease=lease)
        if not leases and any(type(event) is CellStarted for events in batch.values() for event in events):
            leases.append(await take_over(flow))
            raise OSError("the answer was lost")

    async def look(inbox: MemoryInbox, pool: str, notices: Iterable[Notice]) -> None:
        notices = [*notices]
        await put(inbox, pool, notices)
        if any(type(notice.event) is AttemptFailed for notice in notices):
            there.set()

    monkeypatch.setattr(MemoryRunLog, "append", write_and_fail)
    monkeypatch.setattr(MemoryInbox, "put", look)
    handle = await Pipeline(broker, note).kiq(1)
    await asyncio.wait_for(there.wait(), SECONDS)
    await give_back(flow, leases[0])
    assert await handle.result(timeout=SECONDS) == 2
    assert calls == [1]


async def stand_by(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> Lease:
    """Take the pool over while the flow's driver waits, and see it stand by."""
    standing = asyncio.Event()
    acquire = MemoryLeases.acquire

    async def look(leases: MemoryLeases, name: str, holder: str, ttl: float) -> Lease | None:
        if holder == flow.host.worker.id:
            standing.set()
        return await acquire(leases, name, holder, ttl)

    lease = await take_over(flow)
    monkeypatch.setattr(MemoryLeases, "acquire", look)
    # Something wakes the driver, which finds its lease lost.
    event = CellDispatched(cell="x", attempt=1)
    await flow.store.inbox.put(flow.pool, [Notice(run="unknown", event=event)])
    await asyncio.wait_for(standing.wait(), SECONDS)
    return lease


async def go_on(flow: Flow, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the flow's host drive again, and see it decide about attempts that it knows of by the log alone."""
    settled = asyncio.Event()
    settle = UncertainStarts.note

    def look(starts: UncertainStarts, run: Any) -> None:
        settle(starts, run)
        settled.set()

    monkeypatch.setattr(UncertainStarts, "note", look)
    await give_back(flow, lease)
    await asyncio.wait_for(settled.wait(), SECONDS)
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("dispatch", [1, 2])
async def test_a_synchronous_task_is_begun_although_the_store_was_away(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch, dispatch: int
) -> None:
    """Its driver makes sure of its lease between the write and the start, and that may fail alone."""
    append, writes = MemoryRunLog.append, 0

    async def fail_after(log: MemoryRunLog, batch: Any, *, lease: Lease) -> None:
        nonlocal writes
        if writes == dispatch:
            writes += 1
            raise OSError("away")
        writes += any(type(event) is CellDispatched for events in batch.values() for event in events)
        await append(log, batch, lease=lease)

    monkeypatch.setattr(MemoryRunLog, "append", fail_after)

    @broker.task
    def step(value: int) -> int:
        return value + 1

    handle = await Pipeline(broker, step).call_next(step).kiq(1)
    assert await handle.result(timeout=SECONDS) == 3


async def test_an_outcome_on_its_way_is_not_done_again(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = Flow(broker)
    calls: list[int] = []
    begun, go, on_its_way, arrive = (asyncio.Event() for _ in range(4))
    put = MemoryInbox.put

    async def take_long(inbox: MemoryInbox, pool: str, notices: Iterable[Notice]) -> None:
        notices = [*notices]
        if any(type(notice.event) is CellSucceeded for notice in notices):
            on_its_way.set()
            await arrive.wait()
        await put(inbox, pool, notices)

    monkeypatch.setattr(MemoryInbox, "put", take_long)

    @broker.task
    async def wait(value: int) -> int:
        calls.append(value)
        begun.set()
        await go.wait()
        return value + 1

    handle = await Pipeline(broker, wait).kiq(1)
    await asyncio.wait_for(begun.wait(), SECONDS)
    lease = await stand_by(flow, monkeypatch)
    go.set()
    await asyncio.wait_for(on_its_way.wait(), SECONDS)
    await go_on(flow, lease, monkeypatch)
    arrive.set()
    assert await handle.result(timeout=SECONDS) == 2
    assert calls == [1]


async def test_more_outcomes_than_a_turn_reads_are_not_done_again(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 1_010
    flow = Flow(broker, scheduler=FifoScheduler(max_in_flight=count), window=count)
    begun, ended = 0, 0
    all_begun, go, all_ended = (asyncio.Event() for _ in range(3))

    @broker.task
    async def wait(value: int) -> int:
        nonlocal begun, ended
        begun += 1
        if begun == count:
            all_begun.set()
        await go.wait()
        ended += 1
        if ended == count:
            all_ended.set()
        return value

    handle = await Pipeline(broker).map(wait).kiq([*range(count)])
    await asyncio.wait_for(all_begun.wait(), SECONDS)
    lease = await stand_by(flow, monkeypatch)
    go.set()
    await asyncio.wait_for(all_ended.wait(), SECONDS)
    await asyncio.sleep(0)
    await go_on(flow, lease, monkeypatch)
    assert await handle.result(timeout=SECONDS) == [*range(count)]
    assert begun == count


async def test_a_store_that_cannot_say_whether_there_are_notices_loses_no_outcome(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_notices, failures = MemoryInbox.has_notices, iter(range(2))

    def fail(inbox: MemoryInbox, pool: str) -> bool:
        if next(failures, None) is not None:
            raise OSError("away")
        return has_notices(inbox, pool)

    monkeypatch.setattr(MemoryInbox, "has_notices", fail)

    Flow(broker, retry=Again)

    @broker.task
    async def step(value: int, waiting: bool = False) -> int:
        if waiting:
            await asyncio.sleep(0)
        return value + 1

    pipeline = Pipeline(broker).call_next(step, waiting=True)
    assert (await (await pipeline.kiq(1)).wait_result(timeout=SECONDS)).return_value == 2


async def test_a_cancelled_task_has_an_outcome_while_the_store_is_away(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads the notices to this worker tries again later; that does not mean that everything goes down."""
    flow = Flow(broker)
    take, failed, go = MemoryInbox.take, asyncio.Event(), asyncio.Event()

    async def fail(inbox: MemoryInbox, pool: str, limit: int = 1000) -> Any:
        if pool == address_of(flow.host.worker.id) and not failed.is_set():
            failed.set()
            raise OSError("away")
        return await take(inbox, pool, limit)

    @broker.task
    async def give_up(value: int) -> int:
        begun.set()
        await go.wait()
        raise asyncio.CancelledError

    begun = asyncio.Event()
    handle = await Pipeline(broker, give_up).kiq(1)
    await asyncio.wait_for(begun.wait(), SECONDS)
    monkeypatch.setattr(MemoryInbox, "take", fail)
    event = CellDispatched(cell="x", attempt=1)
    await flow.store.inbox.put(address_of(flow.host.worker.id), [Notice(run="unknown", event=event)])
    await asyncio.wait_for(failed.wait(), SECONDS)
    go.set()
    result = await handle.wait_result(timeout=SECONDS)
    assert "CancelledError" in str(result.error)


async def test_a_driver_that_is_cancelled_by_a_task_loses_no_cell(broker: InMemoryBroker) -> None:
    flow = Flow(broker)
    calls: list[int] = []

    @broker.task
    async def cancel_driver(value: int) -> int:
        calls.append(value)
        driving = flow.host._driving
        assert driving is not None
        if len(calls) == 1:
            driving.cancel()
            driving.add_done_callback(lambda _: again.set())
        return value + 1

    again = asyncio.Event()
    handle = await Pipeline(broker, cancel_driver).call_next(cancel_driver).kiq(1)
    await asyncio.wait_for(again.wait(), SECONDS)
    assert await handle.result(timeout=SECONDS) == 3


async def test_a_cell_that_is_sent_again_while_it_is_claimed_is_executed_once(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that starts over sends again what it does not know to have begun."""
    flow = Flow(broker)
    calls: list[int] = []
    first, go, answered, finish = asyncio.Event(), asyncio.Event(), asyncio.Event(), threading.Event()
    claim = MemoryInbox.claim

    async def fail_first(inbox: MemoryInbox, pool: str, notice: Notice, *, worker: str) -> bool:
        if not first.is_set():
            first.set()
            await go.wait()
            raise OSError("away")
        answer = await claim(inbox, pool, notice, worker=worker)
        if go.is_set():
            answered.set()
        return answer

    monkeypatch.setattr(MemoryInbox, "claim", fail_first)

    @broker.task
    def step(value: int) -> int:
        calls.append(value)
        finish.wait(SECONDS)
        return value + 1

    handle = await Pipeline(broker, step).kiq(1)
    await asyncio.wait_for(first.wait(), SECONDS)
    lease = await stand_by(flow, monkeypatch)
    await go_on(flow, lease, monkeypatch)
    go.set()
    await asyncio.wait_for(answered.wait(), SECONDS)
    finish.set()
    assert await handle.result(timeout=SECONDS) == 2
    assert calls == [1]


@pytest.mark.parametrize("synchronous", [True, False])
async def test_what_fails_around_an_outcome_fails_its_cell(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch, synchronous: bool
) -> None:
    """A part that raises what it must not raise leaves no run behind."""

    async def fail(worker: Worker, attempt: Any, result: Any) -> Any:
        raise OSError("away")

    monkeypatch.setattr(Worker, "outcome_of", fail)

    @broker.task
    async def step(value: int) -> int:
        return value + 1

    @broker.task
    def step_in_a_thread(value: int) -> int:
        return value + 1

    handle = await Pipeline(broker, step_in_a_thread if synchronous else step).kiq(1)
    result = await handle.wait_result(timeout=SECONDS)
    assert "away" in str(result.error)


async def test_cells_that_never_wait_give_way_to_the_event_loop(broker: InMemoryBroker, way: str) -> None:
    breaths = 0

    async def breathe() -> None:
        nonlocal breaths
        while True:
            await asyncio.sleep(0)
            breaths += 1

    @broker.task
    async def step(value: int) -> int:
        return value

    breathing = asyncio.ensure_future(breathe())
    try:
        handle = await Pipeline(broker).map(step).kiq([*range(3_000)])
        before = breaths
        assert await handle.result(timeout=SECONDS) == [*range(3_000)]
    finally:
        breathing.cancel()
    assert breaths - before > 5


async def test_an_attempt_that_others_were_given_before_it_began_is_executed_once(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event loop may stand still between the start in the log and the call; then another one revokes it."""
    flow = Flow(broker)
    note, calls = note_calls(broker)
    append, met = MemoryRunLog.append, False

    async def write(log: MemoryRunLog, batch: Any, *, lease: Lease) -> None:
        nonlocal met
        await append(log, batch, lease=lease)
        if not met and any(type(event) is CellStarted for events in batch.values() for event in events):
            met = True
            other, worker = await take_over(flow), flow.host.worker
            worker.revoked = True
            await revoke(worker.id, pool=flow.pool, store=flow.store)
            await give_back(flow, other)

    monkeypatch.setattr(MemoryRunLog, "append", write)
    handle = await Pipeline(broker, note).kiq(1)
    assert await handle.result(timeout=SECONDS) == 2
    assert met
    assert calls == [1]
    log = await flow.store.log.read(handle.id)
    assert [event.attempt for event in log if isinstance(event, CellSucceeded)] == [2]
