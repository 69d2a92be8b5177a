"""``broker.wait_all()`` on a broker with a flow."""

from __future__ import annotations

import asyncio
import time

import pytest
from taskiq import InMemoryBroker
from taskiq.exceptions import NoResultError

from again import Again
from taskiq_flow import Flow, Pipeline, RunStatus


@pytest.mark.parametrize("first", [True, False], ids=["Flow", "no Flow"])
@pytest.mark.parametrize("worker", [True, False], ids=["in a worker process", "in another one"])
async def test_it_waits_for_pipelines(broker: InMemoryBroker, first: bool, worker: bool) -> None:
    broker.is_worker_process = worker
    await broker.startup()
    if first:
        Flow(broker)

    @broker.task
    async def wait(x: int) -> int:
        await asyncio.sleep(0.02)
        return x + 1

    @broker.task
    def sleep(x: int) -> int:
        time.sleep(0.02)
        return x + 1

    handles = [
        await Pipeline(broker, wait).call_next(sleep).call_next(wait).call_next(sleep).kiq(1) for _ in "ab"
    ]
    await broker.wait_all()
    assert [await handle.status() for handle in handles] == [RunStatus.SUCCEEDED] * 2


async def test_it_waits_for_a_task_that_is_tried_again(broker: InMemoryBroker) -> None:
    Flow(broker, retry=Again)
    calls: list[int] = []

    @broker.task
    async def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise ValueError("not yet")
        return x

    task = await flaky.kiq(7)
    await broker.wait_all()
    assert (await task.get_result()).return_value == 7


async def test_without_runs_it_waits_for_tasks_alone(broker: InMemoryBroker) -> None:
    Flow(broker)
    done: list[int] = []

    @broker.task
    async def note(x: int) -> None:
        await asyncio.sleep(0.01)
        done.append(x)
        raise NoResultError

    await note.kiq(1)
    await broker.wait_all()
    assert done == [1]


async def test_a_task_that_would_wait_for_itself_is_told_so(broker: InMemoryBroker) -> None:
    @broker.task
    async def wait() -> None:
        await broker.wait_all()

    result = await (await Pipeline(broker, wait).kiq()).wait_result(timeout=20)
    assert isinstance(result.error, RuntimeError)
