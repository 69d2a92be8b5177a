"""A task can ask for which cell it is executed."""

from __future__ import annotations

from typing import Any

import pytest
from taskiq import InMemoryBroker

from pool_tasks_of_values import tell_cell
from taskiq_flow import Flow, Pipeline, current_cell


@pytest.mark.parametrize("processes", [None, 1], ids=["threads", "processes"])
async def test_a_task_knows_its_cell_wherever_it_is_executed(way: str, processes: int | None) -> None:
    broker = InMemoryBroker()
    flow = Flow(broker, processes=processes)
    told: list[Any] = []

    @broker.task
    async def outer(number: int) -> list[int]:
        told.append(current_cell())
        # A plain call and a task that is sent on its own are no cells of their own.
        return [number] * 2

    sync = broker.register_task(tell_cell, task_name="tell_cell")
    handle = await Pipeline(broker, outer).map(sync).kiq(1)
    assert await handle.result(timeout=50) == [
        [handle.id, f"tell_cell[{number}]/tell_cell", 1] for number in range(2)
    ]
    assert [(each.run, each.cell, each.attempt) for each in told] == [(handle.id, "outer", 1)]
    assert current_cell() is None
    await flow.shutdown()


async def test_a_task_that_is_sent_on_its_own_has_no_cell() -> None:
    broker = InMemoryBroker()
    Flow(broker)

    @broker.task
    async def alone() -> bool:
        return current_cell() is None

    assert (await (await alone.kiq()).wait_result(timeout=20)).return_value is True
