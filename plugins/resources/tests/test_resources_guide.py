"""Section 4 of the guide, as it stands there, and what it says of it: counted while tasks really run."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import (
    CPUProfile,
    DataflowPipeline,
    Flow,
    Pipeline,
    RAMProfile,
    ResourceAwareWorkerPool,
    ResourceProfile,
    UnschedulableError,
    pipeline_task,
)
from taskiq_flow.machine.events import CellDispatched


class Gauge:
    """Counts what runs at once, by resource."""

    def __init__(self) -> None:
        self.now: dict[str, float] = {}
        self.peak: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def using(self, **amounts: float) -> Any:
        self._add(amounts, 1)
        try:
            yield
        finally:
            self._add(amounts, -1)

    def _add(self, amounts: dict[str, float], sign: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self.now[name] = self.now.get(name, 0) + sign * amount
                self.peak[name] = max(self.peak.get(name, 0), self.now[name])


def guide_pool() -> ResourceAwareWorkerPool:
    return ResourceAwareWorkerPool(
        workers=[
            {"cpu_cores": 4, "ram_gb": 8},
            {"cpu_cores": 2, "ram_gb": 4},
        ]
    )


async def workers_of(handle: Any) -> dict[str, str]:
    return {event.cell: event.worker async for event in handle.events() if isinstance(event, CellDispatched)}


async def test_4_1_a_task_that_wants_two_cores_finds_a_worker_that_has_them(broker: InMemoryBroker) -> None:
    @broker.task
    @CPUProfile(cpu_units=2)  # Requires 2 CPU cores
    def heavy_computation(data: int) -> int:
        return data + 1

    handle = await Pipeline(broker, heavy_computation).with_pool(guide_pool()).kiq(1)
    assert await handle.result(20) == 2
    assert await workers_of(handle) == {"heavy_computation": "worker-2"}


@pytest.mark.parametrize(("cpu_units", "at_once"), [(0.5, 12), (1, 6), (2, 3), (None, 6)])
async def test_4_1_the_table_of_cpu_units(cpu_units: float | None, at_once: int) -> None:
    broker = InMemoryBroker()
    gauge = Gauge()
    full = asyncio.Event()

    async def work(number: int) -> int:
        with gauge.using(cells=1):
            if gauge.now["cells"] == at_once:
                full.set()
            await full.wait()
        return number

    task = broker.task(work if cpu_units is None else CPUProfile(cpu_units=cpu_units)(work))
    pipeline = Pipeline(broker).with_pool(guide_pool()).map(task)
    assert await (await pipeline.kiq(list(range(24)))).result(20) == list(range(24))
    assert gauge.peak["cells"] == at_once


async def test_4_2_a_task_that_wants_memory_runs_where_there_is_some(broker: InMemoryBroker) -> None:
    @broker.task
    @RAMProfile(ram_mb=2048)  # Requires 2GB RAM
    def memory_intensive(data: int) -> int:
        return data

    @broker.task
    @RAMProfile(ram_mb=6000)
    def more(data: int) -> int:
        return data

    pipeline = Pipeline(broker, memory_intensive).with_pool(guide_pool()).call_next(more)
    handle = await pipeline.kiq(1)
    assert await handle.result(20) == 1
    assert (await workers_of(handle))["more"] == "worker-1"


async def test_4_3_what_wants_four_cores_never_runs_on_the_worker_with_two(broker: InMemoryBroker) -> None:
    gauge = Gauge()

    @broker.task
    @CPUProfile(cpu_units=4)
    @RAMProfile(ram_mb=4096)
    async def gpu_style_task(data: int) -> int:
        with gauge.using(cores=4, large=1):
            await asyncio.sleep(0)
            return data

    @broker.task
    async def light(data: int) -> int:
        with gauge.using(cores=1):
            await asyncio.sleep(0)
            return data

    Flow(broker, pool=guide_pool())
    pipelines = [Pipeline(broker).map(gpu_style_task), Pipeline(broker).map(light)]
    handles = [await pipeline.kiq(list(range(20))) for pipeline in pipelines]
    for handle in handles:
        assert await handle.result(20) == list(range(20))
    assert gauge.peak["cores"] <= 6
    assert gauge.peak["large"] == 1
    assert set((await workers_of(handles[0])).values()) == {"worker-1"}


async def test_what_nobody_has_is_refused_with_every_node_that_asks_for_it(broker: InMemoryBroker) -> None:
    @broker.task
    @pipeline_task(output="a")
    @CPUProfile(cpu_units=8)
    def wide(x: int) -> int:
        return x

    @broker.task
    @pipeline_task(output="b")
    @ResourceProfile(gpu=1)
    def seeing(a: int) -> int:
        return a

    @broker.task
    @pipeline_task(output="c")
    @ResourceProfile(db=6)
    def storing(b: int) -> int:
        return b

    Flow(broker, pool=guide_pool(), limits={"db": 5})
    with pytest.raises(UnschedulableError) as caught:
        await DataflowPipeline.from_tasks(broker, [wide, seeing, storing]).kiq_dataflow(x=1)
    assert str(caught.value).splitlines() == [
        "node 'wide' asks for 8 of 'cpu', and the largest worker ('worker-1') has 4; ask for less, or give pool "
        "'default' more",
        "node 'seeing' asks for 1 of 'gpu', and no worker has any; ask for less, or give pool 'default' more",
        "node 'storing' asks for 6 of 'db', and the limit is 5; ask for less, or give pool 'default' more",
    ]


@pytest.mark.parametrize("scheduler", ["fifo", "best-fit", "critical-path", "fair-share"])
async def test_limits_hold_across_runs(scheduler: str) -> None:
    broker = InMemoryBroker()
    Flow(broker, pool=guide_pool(), scheduler=scheduler, limits={"db": 3})
    gauge = Gauge()

    @broker.task
    @ResourceProfile(db=1, cpu=0)
    async def query(number: int) -> int:
        with gauge.using(db=1):
            await asyncio.sleep(0.001)
            return number

    handles = [await Pipeline(broker).map(query).kiq(list(range(10))) for _ in range(3)]
    for handle in handles:
        assert await handle.result(20) == list(range(10))
    assert gauge.peak["db"] == 3


async def test_a_thread_that_goes_on_past_its_time_limit_keeps_its_worker_occupied() -> None:
    broker = InMemoryBroker(sync_tasks_pool_size=8)
    gauge = Gauge()
    gate = threading.Event()
    deaf = threading.Semaphore(2)

    @broker.task(timeout=0.05, max_retries=0)
    @CPUProfile(cpu_units=2)
    def stuck(number: int) -> int:
        with gauge.using(cores=2):
            if deaf.acquire(blocking=False):
                gate.wait(20)
            return number

    pipeline = Pipeline(broker).with_pool(guide_pool()).map(stuck, skip_errors=True)
    try:
        done = await (await pipeline.kiq(list(range(12)))).result(20)
    finally:
        gate.set()
    assert len(done) == 10
    assert gauge.peak["cores"] == 6
    await broker.shutdown()


async def test_items_that_have_begun_are_finished_before_new_ones_begin(broker: InMemoryBroker) -> None:
    begun: list[tuple[str, int]] = []

    @broker.task
    async def load(number: int) -> int:
        begun.append(("load", number))
        return number

    @broker.task
    async def work(number: int) -> int:
        begun.append(("work", number))
        return number

    pool = ResourceAwareWorkerPool(workers=[{"cpu_cores": 2}])
    pipeline = Pipeline(broker).with_pool(pool).map(Pipeline(broker, load).call_next(work))
    await (await pipeline.kiq(list(range(30)))).result(20)
    ahead = 0
    for place, (step, _) in enumerate(begun):
        ahead += 1 if step == "load" else -1
        assert ahead <= 3, f"{ahead} items were begun and not worked on: {begun[: place + 1]}"


async def test_a_cell_that_needs_a_whole_worker_is_not_passed_over() -> None:
    broker = InMemoryBroker()
    order: list[str] = []

    @broker.task
    async def small(number: int) -> int:
        order.append("small")
        await asyncio.sleep(0)
        return number

    @broker.task
    @CPUProfile(cpu_units=4)
    async def large(number: int) -> int:
        order.append("large")
        return number

    pool = ResourceAwareWorkerPool(workers=[{"cpu_cores": 4}])
    many = Pipeline(broker).with_pool(pool).map(small, max_parallel=50)
    first = await many.kiq(list(range(100)))
    second = await Pipeline(broker, large).kiq(1)
    await asyncio.gather(first.result(20), second.result(20))
    assert order.index("large") < 70
