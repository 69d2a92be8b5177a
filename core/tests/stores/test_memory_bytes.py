"""The memory store forgets by bytes as well as by count, and says so once."""

from __future__ import annotations

import logging

import pytest

from taskiq_flow import MemoryStore
from taskiq_flow.graph import Graph
from taskiq_flow.machine.events import CellSucceeded
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.payloads import Payload
from taskiq_flow.store import RunOutcome, RunRecord


async def finish(
    store: MemoryStore, run: str, *, inputs: int = 0, log: int = 0, outputs: int = 0, blob: int = 0
) -> None:
    def value(size: int) -> Payload:
        return Payload("json", b"1" * size)

    lease = await store.leases.acquire("pool:default", "test", 60)
    assert lease is not None
    await store.runs.create(
        RunRecord(id=run, pool="default", graph=Graph(nodes={}), inputs={"x": value(inputs)})
    )
    if blob:
        await store.blobs.put(run, "key", b"1" * blob)
    await store.log.append({run: [CellSucceeded(cell="a", attempt=1, outputs=(value(log),))]}, lease=lease)
    outcome = RunOutcome(status=RunStatus.SUCCEEDED, outputs={"o": value(outputs)}, at=1.0)
    await store.runs.finish(run, outcome, lease=lease)


@pytest.mark.parametrize("where", ["inputs", "log", "outputs", "blob"])
async def test_the_oldest_runs_are_forgotten_where_all_take_too_much(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore(max_finished_bytes=10_000)
    with caplog.at_level(logging.WARNING, "taskiq_flow"):
        for number in range(6):
            await finish(store, f"run{number}", **{where: 4_000})
    assert sorted(each.id for each in await store.runs.list()) == ["run4", "run5"]
    assert caplog.text.count("the memory store begins to forget the oldest finished runs") == 1


async def test_a_run_that_is_deleted_takes_nothing_any_more() -> None:
    store = MemoryStore(max_finished_bytes=10_000)
    for number in range(20):
        await finish(store, f"run{number}", log=4_000)
        await store.runs.delete(f"run{number}")
    await finish(store, "one", log=4_000)
    await finish(store, "two", log=4_000)
    assert sorted(each.id for each in await store.runs.list()) == ["one", "two"]


async def test_the_url_sets_the_limit() -> None:
    store = MemoryStore.from_url("memory://?max_finished_bytes=5000&max_finished_runs=7")
    for number in range(3):
        await finish(store, f"run{number}", log=4_000)
    assert [each.id for each in await store.runs.list()] == ["run2"]
