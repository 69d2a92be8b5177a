"""Many runs at once: a node looks at none of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, Pipeline, Scheduler
from taskiq_flow.driver.placing import SeenCells
from taskiq_flow.driver.scheduling import PoolScheduling, ScheduledRun
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.scope import Cell
from taskiq_flow.scheduler import RunningCell
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.schedulers.first_fit import FirstFitScheduler

NODES = 3


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[ScheduledRun]:
    """The runs that were looked at for what they occupy, one after the other."""
    found: list[Any] = []
    running, occupying = PoolScheduling.running, RunMachine.occupying

    def count_runs(self: PoolScheduling, runs: Iterable[ScheduledRun]) -> SeenCells[RunningCell]:
        known = [*runs]
        found.extend(known)
        return running(self, known)

    def count_machine(self: RunMachine) -> Iterator[Cell]:
        found.append(self)
        return occupying(self)

    monkeypatch.setattr(PoolScheduling, "running", count_runs)
    monkeypatch.setattr(RunMachine, "occupying", count_machine)
    return found


async def execute(count: int, scheduler: Scheduler, *, in_place: bool) -> None:
    broker = InMemoryBroker(await_inplace=in_place)

    @broker.task
    async def add(x: int) -> int:
        return x + 1

    Flow(broker, scheduler=scheduler)
    pipeline = Pipeline(broker, add).call_next(add).call_next(add)
    handles = [await pipeline.kiq(number) for number in range(count)]
    results = await asyncio.gather(*[handle.result() for handle in handles])
    assert results == [number + NODES for number in range(count)]


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "in tasks"])
@pytest.mark.parametrize("bound", [1, 256])
@pytest.mark.parametrize("kind", [FifoScheduler, FirstFitScheduler])
async def test_a_node_looks_at_no_more_runs_where_more_are_active(
    looks: list[ScheduledRun], kind: Any, bound: int, in_place: bool
) -> None:
    per_node = {}
    for count in (50, 200):
        looks.clear()
        await execute(count, kind(bound), in_place=in_place)
        per_node[count] = len(looks) / count / NODES
    # Those that occupy capacity are looked at once in a second, however fast the machine is.
    assert per_node[200] <= per_node[50] + 3
    assert per_node[200] < 10
