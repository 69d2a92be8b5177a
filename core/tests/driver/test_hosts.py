"""Event loops of one process that use one flow: who opens the store, who has which name, who drives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from taskiq import AsyncBroker, BrokerMessage, InMemoryBroker

from taskiq_flow import Flow, MemoryStore, Pipeline, StoreError
from taskiq_flow.driver.hosts import Hosts
from taskiq_flow.store import RunStore
from taskiq_flow.stores.memory.small import MemoryLeases


class CountedStore(MemoryStore):
    """Counts how often it is started and shut down, and in which threads."""

    def __init__(self) -> None:
        super().__init__()
        self.life: list[tuple[str, int]] = []

    async def startup(self) -> None:
        await asyncio.sleep(0.02)
        self.life.append(("startup", threading.get_ident()))

    async def shutdown(self) -> None:
        self.life.append(("shutdown", threading.get_ident()))

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in self.life]


class LonelyStore(CountedStore):
    shared_by_loops = False


class SilentBroker(AsyncBroker):
    """Sends to nowhere."""

    async def kick(self, message: BrokerMessage) -> None: ...

    async def listen(self) -> AsyncGenerator[bytes, None]:
        for message in ():
            yield message


class Loop:
    """An event loop that runs in a thread of its own."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.loop = asyncio.new_event_loop()
        self._running = threads.submit(self.loop.run_forever)

    def do(self, action: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(action, self.loop).result(20)

    def stop(self) -> None:
        """Stand still, in the middle of whatever is going on."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._running.result(20)

    def go_on(self, threads: ThreadPoolExecutor) -> None:
        self._running = threads.submit(self.loop.run_forever)

    def end(self) -> None:
        """End in order, as ``asyncio.run`` does."""
        if self.loop.is_closed():
            return
        if self.loop.is_running():
            self.stop()
        self.loop.run_until_complete(cancel_all())
        self.loop.close()


async def cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def event_loops(count: int) -> Iterator[list[Loop]]:
    with ThreadPoolExecutor(count + 1) as threads:
        loops = [Loop(threads) for _ in range(count)]
        try:
            yield loops
        finally:
            for each in loops:
                each.end()


def pipeline_of(broker: AsyncBroker) -> Pipeline:
    @broker.task
    async def step(x: int) -> int:
        return x + 1

    return Pipeline(broker, step)


# The store and the names


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    make = Hosts._make

    def noted(hosts: Hosts, loop: asyncio.AbstractEventLoop) -> Any:
        made.append((host := make(hosts, loop)).worker.id)
        return host

    monkeypatch.setattr(Hosts, "_make", noted)
    return made


def test_ten_runs_of_two_event_loops_start_a_shared_store_once_and_shut_it_down(names: list[str]) -> None:
    broker, store = SilentBroker(), CountedStore()
    Flow(broker, store=store)
    pipeline = pipeline_of(broker)
    with event_loops(2) as loops:
        for number in range(10):
            loops[number % 2].do(pipeline.kiq(number))
        assert store.steps == ["startup"]
        assert len(set(names)) == len(names) == 2
        loops[0].do(broker.shutdown())
        assert store.steps == ["startup", "shutdown"]
        loops[1].do(broker.shutdown())
        assert store.steps == ["startup", "shutdown"]
    assert len(names) == 2


def test_event_loops_that_come_at_once_start_a_shared_store_once(names: list[str]) -> None:
    broker, store = SilentBroker(), CountedStore()
    Flow(broker, store=store)
    pipeline = pipeline_of(broker)
    with event_loops(4) as loops:
        calls = [
            asyncio.run_coroutine_threadsafe(pipeline.kiq(number), loops[number % 4].loop)
            for number in range(10)
        ]
        for call in calls:
            call.result(20)
        assert store.steps == ["startup"]
        assert len(set(names)) == len(names) == 4
        loops[3].do(broker.shutdown())
    assert store.steps == ["startup", "shutdown"]


def test_a_store_that_is_not_shared_is_started_once_for_each_event_loop(names: list[str]) -> None:
    broker, store = SilentBroker(), LonelyStore()
    Flow(broker, store=store)
    pipeline = pipeline_of(broker)
    for _ in range(2):
        with event_loops(1) as [loop]:
            for number in range(5):
                loop.do(pipeline.kiq(number))
            loop.do(broker.shutdown())
    assert store.steps == ["startup", "shutdown"] * 2
    assert len(set(names)) == len(names) == 2


@pytest.mark.parametrize("make_broker", [SilentBroker, InMemoryBroker])
def test_a_store_that_is_not_shared_refuses_a_second_event_loop_while_the_first_one_runs(
    make_broker: Callable[[], AsyncBroker],
) -> None:
    broker, store = make_broker(), LonelyStore()
    Flow(broker, store=store)
    pipeline = pipeline_of(broker)
    with event_loops(2) as [first, second]:
        first.do(pipeline.kiq(1))
        with pytest.raises(
            StoreError, match=r"LonelyStore is in use by another event loop .*; give each event loop"
        ):
            second.do(pipeline.kiq(2))
        # It is no matter of who came first, but of who runs.
        first.end()
        second.do(pipeline.kiq(3))
        assert store.steps == ["startup", "startup"]
        second.do(broker.shutdown())
        assert store.steps == ["startup", "startup", "shutdown"]


def test_a_store_is_shut_down_in_its_own_event_loop_where_that_runs() -> None:
    broker, store = SilentBroker(), LonelyStore()
    Flow(broker, store=store)
    pipeline = pipeline_of(broker)
    with event_loops(2) as [first, second]:
        first.do(pipeline.kiq(1))
        second.do(broker.shutdown())
    assert store.steps == ["startup", "shutdown"]
    assert len({thread for _, thread in store.life}) == 1


def test_a_store_that_nobody_has_used_is_not_shut_down(names: list[str]) -> None:
    broker, store = SilentBroker(), CountedStore()
    Flow(broker, store=store)
    asyncio.run(broker.shutdown())
    assert store.steps == names == []


def test_an_event_loop_that_ends_while_it_starts_a_store_keeps_nobody_waiting() -> None:
    class Hangs(CountedStore):
        async def startup(self) -> None:
            if not self.life:
                self.life.append(("hangs", 0))
                begun.set()
                await asyncio.Event().wait()
            await super().startup()

    begun = threading.Event()
    broker, store = SilentBroker(), Hangs()
    Flow(broker, store=store)
    pipeline = pipeline_of(broker)
    with event_loops(2) as [first, second]:
        starting = asyncio.run_coroutine_threadsafe(pipeline.kiq(1), first.loop)
        assert begun.wait(20)
        waiting = asyncio.run_coroutine_threadsafe(pipeline.kiq(2), second.loop)
        first.stop()
        waiting.result(20)
        assert store.steps == ["hangs", "startup"]
        assert not starting.done()


# Who drives


class Held:
    """Runs of one task, which tells where it has begun and then waits."""

    def __init__(self) -> None:
        self.broker = InMemoryBroker()
        Flow(self.broker)
        self.begun: list[int] = []
        self.go = threading.Event()
        self._begins = threading.Semaphore(0)

        @self.broker.task
        async def wait(x: int) -> int:
            self.begun.append(threading.get_ident())
            self._begins.release()
            while not self.go.is_set():
                await asyncio.sleep(0.005)
            return x

        self._task = wait

    async def result(self) -> Any:
        return await (await Pipeline(self.broker, self._task).kiq(7)).result(timeout=20)

    def wait_until_begun(self, times: int) -> None:
        for _ in range(times):
            assert self._begins.acquire(timeout=20)


def test_a_run_is_driven_by_whoever_is_left() -> None:
    """Three event loops: one drives and stands still, the next drives and ends, the last one has to go on."""
    held = Held()
    with event_loops(3) as loops:
        calls = [asyncio.run_coroutine_threadsafe(held.result(), each.loop) for each in loops]
        held.wait_until_begun(3)
        [at_work] = [each for each in loops if each.do(ident()) == held.begun[0]]
        others = [each for each in loops if each is not at_work]
        at_work.stop()
        held.wait_until_begun(3)
        [next_one] = [each for each in others if each.do(ident()) == held.begun[-1]]
        [last] = [each for each in others if each is not next_one]
        next_one.end()
        held.wait_until_begun(3)
        assert held.begun[-1] == last.do(ident())
        held.go.set()
        assert calls[loops.index(last)].result(20) == 7


async def ident() -> int:
    return threading.get_ident()


def test_an_event_loop_that_goes_on_after_it_stood_still_takes_over_again() -> None:
    held = Held()
    with ThreadPoolExecutor(4) as threads:
        first, second = Loop(threads), Loop(threads)
        call = asyncio.run_coroutine_threadsafe(held.result(), first.loop)
        held.wait_until_begun(1)
        other = asyncio.run_coroutine_threadsafe(held.result(), second.loop)
        first.stop()
        held.wait_until_begun(2)
        # Nobody asks for a driver any more; who waits for the result all the same was told that somebody drives.
        first.go_on(threads)
        second.end()
        held.wait_until_begun(2)
        held.go.set()
        assert call.result(20) == 7
        assert other.cancelled() or other.done()
        first.end()


def test_event_loops_leave_nothing_behind() -> None:
    broker = InMemoryBroker()
    flow = Flow(broker)
    pipeline = pipeline_of(broker)

    async def main(x: int) -> Any:
        return await (await pipeline.kiq(x)).result(timeout=20)

    for x in range(5):
        assert asyncio.run(main(x)) == x + 1
    assert len(flow.hosts._by_loop) == 1
    assert len(flow.hosts.contexts) == 0


async def test_a_run_costs_its_driver_one_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking again and again for a driver that is there does not make it begin again when it is done."""
    broker = InMemoryBroker()
    flow = Flow(broker)
    acquired: list[str] = []
    acquire = MemoryLeases.acquire

    async def noted(leases: MemoryLeases, name: str, holder: str, ttl: float) -> Any:
        acquired.append(holder)
        return await acquire(leases, name, holder, ttl)

    monkeypatch.setattr(MemoryLeases, "acquire", noted)
    handle = await pipeline_of(broker).kiq(1)
    for _ in range(5):
        await flow.drive()
    assert await handle.result(timeout=20) == 2
    await asyncio.gather(*flow.host.tasks, return_exceptions=True)
    assert acquired == [flow.host.worker.id]
    await broker.shutdown()


def test_a_forked_process_has_names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that loads an application and then forks: nothing has run yet, and each child begins anew."""
    flow = Flow(SilentBroker(), store=MemoryStore())
    name = flow.hosts._name
    monkeypatch.setattr("taskiq_flow.driver.hosts.os.getpid", lambda: 4711)

    async def look() -> str:
        return flow.host.worker.id

    child = asyncio.run(look())
    assert "-4711-" in child
    assert not child.startswith(name)
    assert not flow.hosts.is_dead_incarnation(name)


def test_a_store_says_whether_it_can_be_shared() -> None:
    assert not RunStore.shared_by_loops
    assert MemoryStore.shared_by_loops
