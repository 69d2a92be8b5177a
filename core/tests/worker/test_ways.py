"""Cells in memory: called where nobody else has to see them, and sent as messages where somebody does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from taskiq import BrokerMessage, Context, InMemoryBroker, TaskiqDepends, TaskiqMessage, TaskiqMiddleware
from taskiq.formatters.proxy_formatter import ProxyFormatter
from taskiq.serializers import JSONSerializer

from taskiq_flow import Flow, MemoryStore, Pipeline, RunCancelled
from taskiq_flow.machine.events import CellStarted
from taskiq_flow.store import Lease
from taskiq_flow.stores.memory.log import MemoryRunLog

LABELS = {"text": "x", "count": 3, "share": 0.5, "on": True, "none": None, "nested": {"a": [1]}}


class Wired(InMemoryBroker):
    """A broker of somebody's own: it sees what a wire would."""

    def __init__(self, times: int = 1) -> None:
        super().__init__(await_inplace=True)
        self.messages: list[bytes] = []
        self.times = times

    async def kick(self, message: BrokerMessage) -> None:
        self.messages.append(message.message)
        for _ in range(self.times):
            await super().kick(message)


class Dumping(TaskiqMiddleware):
    """Looks at messages before they are executed, as one that logs or traces does."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        self.seen.append(message.model_dump_json())
        return message


class Counting(JSONSerializer):
    """A serializer of somebody's own."""

    read = 0

    def loadb(self, value: bytes) -> Any:
        type(self).read += 1
        return super().loadb(value)


class Keeping(ProxyFormatter):
    """A formatter of somebody's own."""

    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker)
        self.read: list[bytes] = []

    def loads(self, message: bytes) -> TaskiqMessage:
        self.read.append(message)
        return super().loads(message)


async def double(broker: InMemoryBroker) -> Any:
    """Run a task that doubles 21, with nothing of taskiq's about it."""

    async def twice(value: int) -> int:
        return 2 * value

    task = broker.task("twice", labels=LABELS)(twice)
    return await (await Pipeline(broker).call_next(task).kiq(21)).result(timeout=30)


async def labels_of_cell(broker: InMemoryBroker) -> dict[str, str]:
    """Run a task that asks taskiq for its context, and give the labels that it sees."""

    async def look(value: int, context: Context = TaskiqDepends()) -> dict[str, str]:  # noqa: B008
        labels = context.message.labels
        return {name: repr(labels[name]) for name in LABELS if name in labels}

    task = broker.task("look", labels=LABELS)(look)
    found: dict[str, str] = await (await Pipeline(broker).call_next(task).kiq(21)).result(timeout=30)
    return found


@pytest.fixture
def no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every message fail the test."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("a message was read")

    monkeypatch.setattr(ProxyFormatter, "loads", refuse)


# Calls


@pytest.mark.usefixtures("no_message")
async def test_what_nobody_else_has_to_see_needs_no_message(broker: InMemoryBroker) -> None:
    @broker.task
    def in_a_thread(value: int) -> int:
        return value + 1

    @broker.task
    async def waiting(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    assert await double(broker) == 42
    assert await (await Pipeline(broker, in_a_thread).call_next(waiting).kiq(1)).result(timeout=30) == 3


@pytest.mark.usefixtures("no_message")
async def test_the_log_says_that_a_cell_has_started_before_it_does(broker: InMemoryBroker) -> None:
    flow = Flow(broker)
    seen: list[str] = []

    @broker.task
    async def look(value: int) -> int:
        (record,) = await flow.store.runs.list(active=True)
        seen.extend(type(event).__name__ for event in await flow.store.log.read(record.id))
        return value

    assert await (await Pipeline(broker, look).kiq(1)).result(timeout=30) == 1
    assert seen == ["RunStarted", "CellDispatched", "CellStarted"]


async def test_a_driver_that_was_replaced_executes_nothing(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write that says so is refused, and takes the place of a claim."""
    store = MemoryStore()
    Flow(broker, store=store)
    calls = []
    refused: list[str] = []
    append = MemoryRunLog.append

    async def overtake(log: MemoryRunLog, batch: Any, *, lease: Lease) -> None:
        started = any(type(event) is CellStarted for events in batch.values() for event in events)
        if started and not refused:
            await store.leases.release(lease)
            other = await store.leases.acquire(lease.name, "another driver", 60)
            assert other is not None
            try:
                await append(log, batch, lease=lease)
            except BaseException as error:
                refused.append(f"{type(error).__name__}, executed {len(calls)}")
                raise
            finally:
                await store.leases.release(other)
        await append(log, batch, lease=lease)

    monkeypatch.setattr(MemoryRunLog, "append", overtake)

    @broker.task
    async def note(value: int) -> int:
        calls.append(value)
        return value

    assert await (await Pipeline(broker, note).kiq(1)).result(timeout=30) == 1
    assert (refused, calls) == (["LeaseLost, executed 0"], [1])


async def test_a_write_that_fails_for_a_while_loses_no_cell(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, failures, calls = MemoryRunLog.append, iter(range(3)), []

    async def fail(log: MemoryRunLog, batch: Any, *, lease: Lease) -> None:
        started = any(type(event) is CellStarted for events in batch.values() for event in events)
        if started and next(failures, None) is not None:
            raise OSError("away")
        await append(log, batch, lease=lease)

    monkeypatch.setattr(MemoryRunLog, "append", fail)

    @broker.task
    async def note(value: int) -> int:
        calls.append(value)
        return value + 1

    assert await (await Pipeline(broker, note).call_next(note).kiq(1)).result(timeout=30) == 3
    assert calls == [1, 2]


async def test_what_a_task_reports_comes_before_its_outcome(broker: InMemoryBroker) -> None:
    @broker.task
    async def report(value: int, progress_callback: Any = None) -> int:
        await progress_callback(0.5)
        return value

    handle = await Pipeline(broker, report).kiq(1)
    assert await handle.result(timeout=30) == 1
    words = [type(event).__name__ async for event in handle.events()]
    assert words.index("CellProgressed") < words.index("CellSucceeded")


async def test_a_task_can_cancel_its_own_run(broker: InMemoryBroker) -> None:
    handles: list[Any] = []

    @broker.task
    async def give_up(value: int) -> int:
        await handles[0].cancel("enough")
        return value

    flow = Flow(broker)
    pipeline = Pipeline(broker, give_up).call_next(give_up)
    handle = await pipeline.kiq(1)
    handles.append(handle)
    with pytest.raises(RunCancelled):
        await handle.result(timeout=30)
    words = [type(event).__name__ for event in await flow.store.log.read(handle.id)]
    assert words.count("CellStarted") == 1


async def test_what_cannot_be_encoded_fails_its_cell_and_no_run_hangs(broker: InMemoryBroker) -> None:
    @broker.task
    async def odd(value: int) -> Any:
        return object()

    result = await (await Pipeline(broker, odd).kiq(1)).wait_result(timeout=30)
    assert "object" in str(result.error)


# Messages


async def test_labels_arrive_as_they_do_over_a_wire(broker: InMemoryBroker) -> None:
    wired = Wired()

    over_a_wire = await labels_of_cell(wired)

    assert len(wired.messages[0]) > 0
    assert over_a_wire.keys() >= {"text", "count", "share", "on", "nested"}
    assert await labels_of_cell(broker) == over_a_wire


async def test_a_broker_of_somebodys_own_gets_bytes() -> None:
    wired = Wired()

    assert await double(wired) == 42

    message = TaskiqMessage.model_validate_json(wired.messages[0])
    assert (message.task_name, message.args) == ("twice", [])


async def test_a_message_that_comes_twice_is_executed_once() -> None:
    calls = []
    wired = Wired(times=2)

    @wired.task
    async def note(value: int) -> int:
        calls.append(value)
        return value

    assert await (await Pipeline(wired).call_next(note).kiq(1)).result(timeout=30) == 1
    assert calls == [1]


async def test_a_receiver_of_somebodys_own_is_used(broker: InMemoryBroker) -> None:
    Flow(broker)
    callback, messages, calls = broker.receiver.callback, [], []

    async def call_twice(message: Any, *args: Any, **kwargs: Any) -> None:
        messages.append(message)
        await callback(message, *args, **kwargs)
        await callback(message, *args, **kwargs)

    broker.receiver.callback = call_twice  # type: ignore[method-assign]

    @broker.task
    async def note(value: int) -> int:
        calls.append(value)
        return value

    assert await (await Pipeline(broker).call_next(note).kiq(1)).result(timeout=30) == 1
    assert (len(messages), calls) == (1, [1])


async def test_a_middleware_can_dump_what_it_sees(broker: InMemoryBroker) -> None:
    dumping = Dumping()
    broker.add_middlewares(dumping)

    assert await double(broker) == 42
    assert len(dumping.seen) == 1


async def test_a_serializer_of_the_broker_is_used(broker: InMemoryBroker) -> None:
    read = Counting.read

    assert await double(broker.with_serializer(Counting())) == 42
    assert Counting.read == read + 1


async def test_a_formatter_of_the_broker_is_used(broker: InMemoryBroker) -> None:
    before = Keeping(broker)
    broker.with_formatter(before)

    assert await double(broker) == 42
    assert len(before.read) == 1


async def test_a_formatter_that_comes_after_the_flow_is_used(broker: InMemoryBroker) -> None:
    Flow(broker)
    after = Keeping(broker)
    broker.with_formatter(after)

    assert await double(broker) == 42
    assert len(after.read) == 1
