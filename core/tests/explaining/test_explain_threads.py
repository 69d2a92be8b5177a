"""Who has the threads that a synchronous cell waits for."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading

from taskiq import InMemoryBroker

from taskiq_flow import Pipeline


async def test_the_cells_that_have_the_threads_are_named(inplace: bool) -> None:
    broker = InMemoryBroker(await_inplace=inplace, sync_tasks_pool_size=2)
    gate, begun = threading.Event(), threading.Semaphore(0)

    @broker.task
    def hold(x: int) -> int:
        begun.release()
        gate.wait(30)
        return x

    @broker.task
    def wait(x: int) -> int:
        return x

    holders = [await Pipeline(broker, hold).kiq(x) for x in range(2)]
    for _ in holders:
        assert await asyncio.get_running_loop().run_in_executor(None, begun.acquire, True, 30)
    waiting = await Pipeline(broker, wait).kiq(1)
    taken = "waits for a thread: the 2 threads are taken by 'hold' of run "
    async with asyncio.timeout(20) if sys.version_info >= (3, 11) else contextlib.AsyncExitStack():
        while not (found := await waiting.explain()) or not found[0].reason.startswith(taken):
            await asyncio.sleep(0.01)
    assert all(each.id in found[0].reason for each in holders)
    gate.set()
    assert await waiting.result(timeout=20) == 1
    await broker.shutdown()
