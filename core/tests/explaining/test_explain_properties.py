"""Whatever happens to a run, at every moment each cell that waits is explained, and no other."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from taskiq import InMemoryBroker

from machine_graphs import random_graph
from machine_sim import Chaos, Simulation, replay
from taskiq_flow import Flow, MemoryStore
from taskiq_flow.explaining.explainer import Explainer
from taskiq_flow.machine.transitions import CellState
from taskiq_flow.schedulers.first_fit import FirstFitScheduler
from taskiq_flow.store import RunRecord
from taskiq_flow.waiting import RunDescription

STORM = Chaos(
    failing=0.1,
    retried=0.3,
    hanging=0.1,
    losses=0.03,
    duplicates=0.2,
    early_timers=0.1,
    cancelling=0.05,
)
WAITING = (CellState.PENDING, CellState.READY, CellState.DISPATCHED, CellState.WAITING)
MOMENTS = 12


@given(st.integers(0, 2**32), st.booleans())
def test_each_cell_that_waits_is_explained_at_every_moment(seed: int, counting: bool) -> None:
    random = Random(seed)
    simulation = Simulation(random_graph(random), random, STORM, window=random.randrange(1, 5))
    simulation.run()
    asyncio.run(check(simulation, random, counting))


async def check(simulation: Simulation, random: Random, counting: bool) -> None:
    store = MemoryStore()
    scheduler = FirstFitScheduler() if counting else None
    flow = Flow(InMemoryBroker(), store=store, scheduler=scheduler, limits={"db": 1})
    record = RunRecord(id="r", pool=flow.pool, graph=simulation.graph)
    await store.runs.create(record)
    lease = await store.leases.acquire("pool:default", "test", 3600.0)
    assert lease is not None
    events = [event for event, _ in simulation.log]
    moments = sorted(random.sample(range(1, len(events) + 1), min(MOMENTS, len(events))))
    follower, before = Explainer(flow.runtime), 0
    for moment in moments:
        await store.log.append({"r": events[before:moment]}, lease=lease)
        before = moment
        found = await follower.describe("r")
        assert found == await Explainer(flow.runtime).describe("r"), "it goes on as if it had begun anew"
        compare(found, simulation, moment)


def compare(found: RunDescription, simulation: Simulation, moment: int) -> None:
    machine = replay(simulation, moment)
    expected = {path: state.word for path, state in machine.cells.states().items() if state in WAITING}
    explained = {each.path: each.state for each in found.waiting if each.state != "running"}
    assert explained == expected
    assert found.status == machine.status
    assert all(each.reason and not each.reason[0].isupper() for each in found.waiting)
    occupying = {cell.path for cell in machine.occupying()}
    assert {holder.path for each in found.waiting for holder in each.holders} <= occupying
