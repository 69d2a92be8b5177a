"""What other middlewares leave behind when they raise."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from taskiq import InMemoryBroker, TaskiqMessage, TaskiqMiddleware, TaskiqResult

from taskiq_flow import Flow, Pipeline


class Raising(TaskiqMiddleware):
    """Raises in one hook, as often as it is told to."""

    def __init__(self, hook: str, times: int, error: type[BaseException]) -> None:
        super().__init__()
        self.hook = hook
        self.times = times
        self.error = error

    def _reach(self, hook: str) -> None:
        if hook == self.hook and self.times:
            self.times -= 1
            raise self.error("as expected")

    async def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        self._reach("pre_send")
        return message

    async def post_send(self, message: TaskiqMessage) -> None:
        self._reach("post_send")

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        self._reach("pre_execute")
        return message

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        self._reach("post_execute")


@pytest.mark.parametrize("hook", ["pre_execute", "post_execute"])
async def test_what_fails_around_synchronous_tasks_takes_no_slot(
    inplace: bool, value: Any, hook: str
) -> None:
    broker = InMemoryBroker(sync_tasks_pool_size=1, await_inplace=inplace)
    flow = Flow(broker)
    broker.add_middlewares(Raising(hook, 3, ValueError))

    @broker.task
    def step(x: int) -> int:
        return x + 1

    for _ in range(3):
        assert (await (await Pipeline(broker, step).kiq(1)).wait_result(timeout=20)).is_err
    assert await value(Pipeline(broker, step), 1) == 2
    assert not flow.host.worker.busy
    await broker.shutdown()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="every CancelledError is taken for a cancellation")
@pytest.mark.parametrize("hook", ["pre_send", "post_send", "pre_execute", "post_execute"])
async def test_a_middleware_that_raises_cancelled_error_fails_one_cell_at_most(
    broker: InMemoryBroker, value: Any, hook: str
) -> None:
    Flow(broker)
    broker.add_middlewares(Raising(hook, 1, asyncio.CancelledError))

    @broker.task
    async def step(x: int) -> int:
        return x + 1

    handle = await Pipeline(broker, step).kiq(1)
    await handle.wait_result(timeout=20)
    assert await value(Pipeline(broker, step), 1) == 2
