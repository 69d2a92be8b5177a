"""What taskiq's receiver was given for synchronous tasks, cells use as well: its threads, or as many processes."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

import pytest
from taskiq.api import run_receiver_task

from pool_tasks_of_values import where
from queue_broker import QueueBroker
from taskiq_flow import Flow, MemoryStore, Pipeline


@pytest.mark.timeout(120)
async def test_with_a_pool_of_processes_cells_run_in_processes() -> None:
    broker = QueueBroker()
    Flow(broker, store=MemoryStore())
    task: Any = broker.task(where)
    receiver = asyncio.create_task(run_receiver_task(broker, sync_workers=2, use_process_pool=True))
    try:
        found = await (await Pipeline(broker).map(task).kiq(["a", "bb", "ccc"])).result(timeout=100)
        alone = (await (await task.kiq("dddd")).wait_result(0.01, timeout=100)).return_value
        assert [length for _, length in [*found, alone]] == [1, 2, 3, 4]
        assert os.getpid() not in {process for process, _ in [*found, alone]}
        assert len({process for process, _ in found}) <= 2
    finally:
        receiver.cancel()
        await asyncio.gather(receiver, return_exceptions=True)
        await broker.shutdown()


async def test_with_one_thread_nothing_runs_beside_something_else() -> None:
    broker = QueueBroker()
    Flow(broker, store=MemoryStore())
    lock, most = threading.Lock(), [0, 0]

    @broker.task
    def not_thread_safe(x: int) -> int:
        with lock:
            most[0] += 1
            most[1] = max(most)
        time.sleep(0.01)
        with lock:
            most[0] -= 1
        return x

    receiver = asyncio.create_task(run_receiver_task(broker, sync_workers=1))
    try:
        handle = await Pipeline(broker).map(not_thread_safe).kiq([1, 2, 3])
        sent = [await not_thread_safe.kiq(number) for number in (4, 5)]
        assert await handle.result(timeout=30) == [1, 2, 3]
        assert [(await each.wait_result(0.01, timeout=30)).return_value for each in sent] == [4, 5]
        assert most[1] == 1
    finally:
        receiver.cancel()
        await asyncio.gather(receiver, return_exceptions=True)
        await broker.shutdown()
