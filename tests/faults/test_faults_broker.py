"""Brokers that lose their way, middlewares that raise, and messages of all sorts."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from taskiq import (
    AsyncBroker,
    BrokerMessage,
    InMemoryBroker,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    async_shared_broker,
)
from taskiq.formatters.proxy_formatter import ProxyFormatter

from taskiq_flow import Flow, GraphError, MemoryStore, Pipeline, PipelineMiddleware, PluginError


class Doubling(InMemoryBroker):
    """Delivers every message twice."""

    async def kick(self, message: BrokerMessage) -> None:
        await super().kick(message)
        await super().kick(message)


class Shuffling(InMemoryBroker):
    """Delivers messages late and out of order."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.random = random.Random(7)
        self.late: set[asyncio.Task[None]] = set()

    async def kick(self, message: BrokerMessage) -> None:
        task = asyncio.ensure_future(self._later(message, self.random.randrange(40)))
        self.late.add(task)
        task.add_done_callback(self.late.discard)

    async def _later(self, message: BrokerMessage, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await super().kick(message)


class Broken(InMemoryBroker):
    """Takes no messages of one task."""

    async def kick(self, message: BrokerMessage) -> None:
        if message.task_name.endswith("unlucky"):
            raise ConnectionError("the broker is away")
        await super().kick(message)


class Remote(AsyncBroker):
    """Stands for a broker that is not in memory."""

    async def kick(self, message: BrokerMessage) -> None:
        raise AssertionError("nothing is sent in these tests")

    async def listen(self) -> AsyncIterator[bytes]:
        yield b""


class Faulty(TaskiqMiddleware):
    """Raises where it is told to, for tasks whose name says so."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def _raise(self, where: str, message: TaskiqMessage) -> None:
        if where == self.where and message.task_name.endswith("unlucky"):
            raise LookupError(f"{where} of a middleware")

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        self._raise("pre_send", message)
        return message

    def post_send(self, message: TaskiqMessage) -> None:
        self._raise("post_send", message)

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        self._raise("pre_execute", message)
        return message

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        self._raise("post_execute", message)

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        self._raise("on_error", message)


class Tasks:
    """The same tasks on every broker."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.calls: list[int] = []

        @broker.task
        async def step(x: int) -> int:
            self.calls.append(x)
            await asyncio.sleep(0)
            return x + 1

        @broker.task
        def thread_step(x: int) -> int:
            self.calls.append(x)
            return x + 1

        @broker.task
        def total(xs: list[int]) -> int:
            return sum(xs)

        @broker.task
        async def unlucky(x: int) -> int:
            self.calls.append(x)
            return x

        @broker.task
        async def fails(x: int) -> int:
            raise ValueError("as expected")

        self.step, self.thread_step, self.total, self.unlucky, self.fails = (
            step,
            thread_step,
            total,
            unlucky,
            fails,
        )


# Delivery


async def test_every_message_twice(inplace: bool, value: Any) -> None:
    broker = Doubling(await_inplace=inplace)
    tasks = Tasks(broker)
    pipeline = Pipeline(broker).map(tasks.step).map(tasks.thread_step).call_next(tasks.total)
    assert await value(pipeline, [1, 2, 3]) == 12
    # Each of the two steps is executed once for an item.
    assert sorted(tasks.calls) == [1, 2, 2, 3, 3, 4]
    handle = await Pipeline(broker, tasks.fails).kiq(1)
    assert isinstance((await handle.wait_result(timeout=20)).error, ValueError)
    await broker.shutdown()


async def test_messages_come_late_and_in_any_order(inplace: bool, value: Any) -> None:
    broker = Shuffling(await_inplace=inplace)
    tasks = Tasks(broker)
    pipeline = Pipeline(broker).map(tasks.step).map(tasks.thread_step)
    given = list(range(50))
    assert await value(pipeline, given) == [x + 2 for x in given]
    await broker.shutdown()


async def test_a_broker_that_takes_no_messages_fails_the_cell(inplace: bool, value: Any) -> None:
    broker = Broken(await_inplace=inplace)
    tasks = Tasks(broker)
    handle = await Pipeline(broker, tasks.unlucky).kiq(1)
    with pytest.raises(ConnectionError, match="the broker is away"):
        await handle.result(timeout=20)
    assert await value(Pipeline(broker, tasks.step), 1) == 2
    await broker.shutdown()


async def test_a_task_that_the_broker_does_not_have_is_refused_at_submit(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)
    pipeline = Pipeline(broker, tasks.step)
    pipeline.graph  # noqa: B018 - compiled while the task was still there
    del broker.local_task_registry[tasks.step.task_name]
    with pytest.raises(GraphError, match="which its broker does not have; import the module that has it"):
        await pipeline.kiq(1)


async def test_a_task_that_goes_while_its_run_is_on(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)

    @broker.task
    async def forget(x: int) -> int:
        del broker.local_task_registry[tasks.step.task_name]
        return x

    handle = await Pipeline(broker, forget).call_next(tasks.step).kiq(1)
    assert (await handle.wait_result(timeout=20)).is_err
    (failure,) = await handle.failures()
    assert failure.node == "step"


# Other middlewares

WHERE = ["pre_send", "post_send", "pre_execute", "post_execute"]


@pytest.mark.parametrize("before", [True, False], ids=["before ours", "after ours"])
@pytest.mark.parametrize("where", WHERE)
async def test_a_middleware_that_raises_fails_one_cell_at_most(
    broker: InMemoryBroker, value: Any, where: str, before: bool
) -> None:
    if before:
        broker.add_middlewares(Faulty(where))
    Flow(broker)
    if not before:
        broker.add_middlewares(Faulty(where))
    tasks = Tasks(broker)
    handle = await Pipeline(broker).call_next(tasks.step).call_next(tasks.unlucky).kiq(1)
    result = await handle.wait_result(timeout=20)
    if where in ("pre_send", "pre_execute"):
        assert isinstance(result.error, LookupError)
        assert tasks.calls == [1]
    elif result.is_err:
        assert isinstance(result.error, LookupError)
    else:
        assert result.return_value == 2
    assert await value(Pipeline(broker, tasks.step), 5) == 6


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "ours last"])
@pytest.mark.parametrize("where", WHERE)
async def test_the_order_of_add_middlewares_does_not_matter_for_faults(
    broker: InMemoryBroker, value: Any, where: str, ours_first: bool
) -> None:
    middlewares = [PipelineMiddleware(), Faulty(where)]
    broker.add_middlewares(*(middlewares if ours_first else reversed(middlewares)))
    tasks = Tasks(broker)
    handle = await Pipeline(broker).call_next(tasks.step).call_next(tasks.unlucky).kiq(1)
    result = await handle.wait_result(timeout=20)
    if where in ("pre_send", "pre_execute"):
        assert isinstance(result.error, LookupError)
    assert await value(Pipeline(broker, tasks.step), 5) == 6


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "ours last"])
async def test_an_error_hook_that_raises(broker: InMemoryBroker, value: Any, ours_first: bool) -> None:
    class FaultyOnError(TaskiqMiddleware):
        def on_error(
            self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException
        ) -> None:
            raise LookupError("on_error of a middleware")

    middlewares = [PipelineMiddleware(), FaultyOnError()]
    broker.add_middlewares(*(middlewares if ours_first else reversed(middlewares)))
    tasks = Tasks(broker)
    handle = await Pipeline(broker, tasks.fails).kiq(1)
    result = await handle.wait_result(timeout=20)
    assert isinstance(result.error, (ValueError, LookupError))
    assert await value(Pipeline(broker, tasks.step), 5) == 6


async def test_other_middlewares_see_plain_messages_of_our_tasks(broker: InMemoryBroker, value: Any) -> None:
    seen: list[tuple[str, str]] = []

    class Watching(TaskiqMiddleware):
        def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
            seen.append(("pre", message.task_name.rpartition(":")[2]))
            return message

        def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
            seen.append(("post", message.task_name.rpartition(":")[2]))

    broker.add_middlewares(Watching())
    tasks = Tasks(broker)
    assert await value(Pipeline(broker, tasks.step).call_next(tasks.unlucky), 1) == 2
    assert seen == [("pre", "step"), ("post", "step"), ("pre", "unlucky"), ("post", "unlucky")]


# Installing


@pytest.mark.parametrize("decorated", ["before", "after"])
@pytest.mark.parametrize("position", ["first", "last"])
async def test_the_middleware_is_a_flow(
    broker: InMemoryBroker, value: Any, decorated: str, position: str
) -> None:
    store = MemoryStore()
    tasks = Tasks(broker) if decorated == "before" else None
    if position == "last":
        broker.add_middlewares(Faulty("nowhere"))
    broker.add_middlewares(PipelineMiddleware(store=store))
    if position == "first":
        broker.add_middlewares(Faulty("nowhere"))
    tasks = tasks or Tasks(broker)
    assert Flow.of(broker).store is store
    handle = await Pipeline(broker).map(tasks.step).call_next(tasks.total).kiq([1, 2])
    assert await handle.result(timeout=20) == 5
    assert (await store.runs.get(handle.id)).outcome is not None


def test_two_flows_on_one_broker_are_refused() -> None:
    broker = InMemoryBroker()
    flow = Flow(broker)
    with pytest.raises(PluginError, match=r"has a flow already; use Flow\.of\(broker\) to get it"):
        Flow(broker)
    with pytest.raises(PluginError, match="has a flow already"):
        broker.add_middlewares(PipelineMiddleware())
    assert Flow.of(broker) is flow


async def test_two_flows_in_one_process(value: Any) -> None:
    brokers = [InMemoryBroker(), InMemoryBroker(await_inplace=True)]
    pipelines = [Pipeline(broker, Tasks(broker).step) for broker in brokers]
    assert await asyncio.gather(*(value(pipeline, 1) for pipeline in pipelines)) == [2, 2]
    for broker in brokers:
        await broker.shutdown()


async def test_a_bare_broker_that_is_not_in_memory_shows_the_line_to_add() -> None:
    broker = Remote()

    @broker.task
    async def step(x: int) -> int:
        return x

    with pytest.raises(PluginError, match=r"Remote has no flow; .*flow = Flow\(broker, store='…'\)"):
        await Pipeline(broker, step).kiq(1)


async def test_a_shared_task(broker: InMemoryBroker, value: Any) -> None:
    @async_shared_broker.task
    async def shared(x: int) -> int:
        return x * 3

    tasks = Tasks(broker)
    assert await value(Pipeline(broker, tasks.step).call_next(shared), 1) == 6


# Messages that are not ours


async def test_tasks_on_their_own_run_as_taskiq_runs_them(broker: InMemoryBroker) -> None:
    Flow(broker)
    tasks = Tasks(broker)
    assert (await (await tasks.step.kiq(1)).wait_result(timeout=20)).return_value == 2
    assert (await (await tasks.thread_step.kiq(x=1)).wait_result(timeout=20)).return_value == 2
    result = await (await tasks.fails.kiq(1)).wait_result(timeout=20)
    assert isinstance(result.error, ValueError)


async def test_a_damaged_envelope_is_dropped(
    broker: InMemoryBroker, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    Flow(broker)
    tasks = Tasks(broker)
    with caplog.at_level(logging.ERROR, logger="taskiq_flow"):
        await tasks.unlucky.kicker().with_task_id("odd").kiq(taskiq_flow={"v": 99})
        await broker.wait_all()
    assert tasks.calls == []
    assert "odd" in caplog.text
    assert await value(Pipeline(broker, tasks.step), 1) == 2


# Tasks that use the broker


async def test_a_task_that_starts_a_pipeline_and_waits_for_it(broker: InMemoryBroker, value: Any) -> None:
    tasks = Tasks(broker)
    inner = Pipeline(broker).map(tasks.step).call_next(tasks.total)

    @broker.task
    async def outer(xs: list[int]) -> int:
        handle = await inner.kiq(xs)
        return await handle.result(timeout=20)

    assert await value(Pipeline(broker, outer).call_next(tasks.step), [1, 2]) == 6


async def test_a_task_that_starts_a_pipeline_and_does_not_wait(broker: InMemoryBroker, value: Any) -> None:
    tasks = Tasks(broker)
    started: list[Any] = []

    @broker.task
    async def outer(x: int) -> int:
        started.append(await Pipeline(broker, tasks.step).kiq(x))
        return x

    assert await value(Pipeline(broker, outer), 1) == 1
    assert await started[0].result(timeout=20) == 2


async def test_a_task_that_sends_tasks(broker: InMemoryBroker, value: Any) -> None:
    tasks = Tasks(broker)

    @broker.task
    async def outer(x: int) -> int:
        first = await (await tasks.step.kiq(x)).wait_result(timeout=20)
        second = await (await tasks.thread_step.kiq(first.return_value)).wait_result(timeout=20)
        third = await (await tasks.fails.kiq(1)).wait_result(timeout=20)
        assert isinstance(third.error, ValueError)
        return int(second.return_value)

    assert await value(Pipeline(broker, outer).call_next(tasks.step), 1) == 4


async def test_a_task_that_calls_a_task(broker: InMemoryBroker, value: Any) -> None:
    tasks = Tasks(broker)

    @broker.task
    async def outer(x: int) -> int:
        return await tasks.step(x) + tasks.thread_step(x)

    assert await value(Pipeline(broker, outer).call_next(tasks.step), 1) == 5


class Masking(ProxyFormatter):
    """Hides what is in a message, with the help of another formatter."""

    def __init__(self, broker: AsyncBroker) -> None:
        super().__init__(broker)
        self.inner = ProxyFormatter(broker)

    def dumps(self, message: TaskiqMessage) -> BrokerMessage:
        written = self.inner.dumps(message)
        written.message = bytes(each ^ 42 for each in written.message)
        return written

    def loads(self, message: bytes) -> TaskiqMessage:
        return self.inner.loads(bytes(each ^ 42 for each in message))


@pytest.mark.parametrize("when", ["before the flow", "after it"])
async def test_a_formatter_around_another_writes_what_it_reads(
    broker: InMemoryBroker, value: Any, when: str
) -> None:
    if when == "after it":
        Flow(broker)
    broker.formatter = Masking(broker)

    @broker.task
    async def step(x: int) -> int:
        return x + 1

    assert await value(Pipeline(broker, step), 1) == 2


async def test_a_kick_that_was_put_over_the_brokers_own_gets_bytes(
    broker: InMemoryBroker, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kick, seen = broker.kick, []

    async def note(message: BrokerMessage) -> None:
        seen.append(bytes(message.message))
        await kick(message)

    @broker.task
    async def step(x: int) -> int:
        return x + 1

    monkeypatch.setattr(broker, "kick", note)
    assert await value(Pipeline(broker, step), 1) == 2
    assert len(seen) == 1
    assert b"step" in seen[0]
