"""A pool whose workers are processes somewhere else: whom it sees, where messages go, and what retries may ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from resource_bench import QuietBroker
from taskiq import InMemoryBroker

from taskiq_flow import (
    CPUProfile,
    Flow,
    GiveUp,
    MemoryStore,
    Pipeline,
    ResourceAwareWorkerPool,
    ResourceProfile,
    Retry,
    RetryPolicy,
    RunError,
    UnschedulableError,
)
from taskiq_flow.driver.driver import Driver
from taskiq_flow.machine import events as ev
from taskiq_flow.retry import CellView, FailedAttempt
from taskiq_flow.store import Notice, WorkerInfo
from taskiq_flow.testing import FakeClock


class Far:
    """A flow on a broker with workers elsewhere, driven by hand."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.broker = QuietBroker()
        self.flow = Flow(self.broker, store=self.store, clock=self.clock, **options)

        @self.broker.task
        @CPUProfile(cpu_units=4)
        async def heavy(number: int) -> int:
            return number

        @self.broker.task
        async def light(number: int) -> int:
            return number

        self.heavy, self.light = heavy, light

    async def announce(self, name: str, cpu: float, queue: str = "") -> None:
        info = WorkerInfo(id=name, pool="default", capacity={"cpu": cpu}, queue=queue, expires_at=1e12)
        await self.store.workers.announce(info)

    async def drive(self) -> Driver:
        lease = await self.store.leases.acquire("pool:default", "test", 1e9)
        assert lease is not None
        driver = self.flow.make_driver(lease)
        await driver.resume()
        await self.turn(driver)
        return driver

    async def turn(self, driver: Driver) -> None:
        self.clock.advance(2.0)
        await driver.turn()
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """The task and the queue of each message."""
        return [
            (each.task_name.rpartition(":")[2], str(each.labels.get("queue_name", "")))
            for each in self.broker.messages
        ]


async def test_live_workers_are_used_with_what_they_announce_and_messages_go_to_their_queues() -> None:
    far = Far(scheduler="best-fit")
    await far.announce("small", 2, "q-small")
    await far.announce("large", 4, "q-large")
    for _ in range(2):
        await Pipeline(far.broker, far.heavy).kiq(1)
    await Pipeline(far.broker).map(far.light).kiq([1, 2, 3])
    driver = await far.drive()
    # The second heavy one waits for the large worker, which the light ones leave alone.
    assert sorted(far.sent) == [("heavy", "q-large"), ("light", "q-small"), ("light", "q-small")]
    await far.store.workers.remove("small")
    await far.announce("other", 8, "q-other")
    await far.turn(driver)
    assert sorted(far.sent)[1:] == [
        ("heavy", "q-other"),
        ("light", "q-other"),
        ("light", "q-small"),
        ("light", "q-small"),
    ]


async def test_a_declared_worker_stands_for_whoever_reads_its_queue() -> None:
    workers = [{"cpu_cores": 4, "queue": "big"}, {"cpu_cores": 1, "queue": "little"}]
    far = Far(pool=ResourceAwareWorkerPool(workers=workers))
    await far.announce("host-1", 64, "big")
    await Pipeline(far.broker).map(far.heavy).kiq([1, 2])
    await Pipeline(far.broker).map(far.light).kiq([1, 2])
    driver = await far.drive()
    assert sorted(far.sent) == [("heavy", "big"), ("light", "little")]
    # The one who claims it changes nothing of where it is counted.
    (run,) = [run.id for run in await far.store.runs.list() if "heavy" in str(run.graph.to_json())]
    started = ev.CellStarted(cell="heavy[0]/heavy", attempt=1, worker="host-1")
    assert await far.store.inbox.claim("default", Notice(run=run, event=started), worker="host-1")
    await far.turn(driver)
    assert len(far.sent) == 2
    # Nor does another driver, which knows the log alone.
    await far.store.leases.release(driver.lease)
    far.broker.messages.clear()
    await far.drive()
    assert far.sent == [("light", "little")]


async def test_a_request_that_no_live_worker_can_meet_is_refused() -> None:
    far = Far(scheduler="best-fit")
    # Nobody knows yet who will come.
    await Pipeline(far.broker, far.heavy).kiq(1)
    await far.announce("small", 2)
    with pytest.raises(
        UnschedulableError, match=r"asks for 4 of 'cpu', and the largest worker \('small'\) has 2"
    ):
        await Pipeline(far.broker, far.heavy).kiq(1)
    await far.announce("large", 4)
    await Pipeline(far.broker, far.heavy).kiq(1)


class Growing(RetryPolicy):
    """Asks for twice as much each time."""

    name = "growing"

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> Retry | GiveUp:
        resources: Mapping[str, float] = {name: 2 * amount for name, amount in cell.resources.items()}
        return Retry(resources=resources) if attempt < 9 else GiveUp()


@pytest.mark.parametrize("inplace", [True, False])
async def test_a_retry_that_asks_for_more_than_anybody_has_is_a_final_failure_with_the_reason(
    inplace: bool,
) -> None:
    broker: InMemoryBroker = InMemoryBroker(await_inplace=inplace)
    Flow(broker, retry=Growing, pool=ResourceAwareWorkerPool(workers=[{"cpu_cores": 4, "name": "only"}]))
    attempts = 0

    @broker.task
    @CPUProfile(cpu_units=1)
    async def hungry() -> None:
        nonlocal attempts
        attempts += 1
        raise ValueError("out of breath")

    handle = await Pipeline(broker, hungry).kiq()
    reason = "not tried again: the retry asks for 8 of 'cpu', and the largest worker ('only') has 4"
    with pytest.raises(ValueError, match="out of breath") as caught:
        await handle.result(20)
    assert str(caught.value) == "out of breath"
    assert reason in caught.value.__notes__
    assert attempts == 3
    assert [event.reason async for event in handle.events() if isinstance(event, ev.AttemptFailed)][
        -1
    ] == reason
    assert not isinstance(caught.value, RunError)
    await broker.shutdown()


@pytest.mark.parametrize("scheduler", ["best-fit", "fair-share", "critical-path"])
async def test_a_task_that_waits_for_a_run_lends_its_core_and_keeps_the_rest(scheduler: str) -> None:
    broker = InMemoryBroker()
    Flow(broker, scheduler=scheduler, capacity={"cpu": 2, "ram_mb": 1000})
    held = most = 0

    @broker.task
    async def inc(x: int) -> int:
        return x + 1

    @broker.task
    @ResourceProfile(cpu=2, ram_mb=300)
    async def outer(x: int) -> int:
        nonlocal held, most
        held += 300
        most = max(most, held)
        value: int = await (await Pipeline(broker, inc).kiq(x)).result()
        held -= 300
        return value

    handles = [await Pipeline(broker, outer).kiq(x) for x in range(8)]
    assert [await each.result(timeout=20) for each in handles] == list(range(1, 9))
    assert most <= 1000
