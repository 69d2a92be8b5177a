"""What is simulated is what runs: the same workers for the same cells at the same times, on a clock that is moved."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from taskiq import InMemoryBroker

from taskiq_flow import Flow
from taskiq_flow.graph import (
    Graph,
    Input,
    InputSpec,
    Literal,
    MapNode,
    Node,
    NodeOptions,
    Output,
    TaskNode,
    build_graph,
)
from taskiq_flow.machine.events import CellDispatched, CellSucceeded
from taskiq_flow.pools import WorkerPool
from taskiq_flow.rehearsal import rehearse
from taskiq_flow.scheduler import Scheduler, WorkerView
from taskiq_flow.testing import FakeClock
from taskiq_flow_resources.best_fit import BestFitScheduler
from taskiq_flow_resources.critical_path import CriticalPathScheduler
from taskiq_flow_resources.fair_share import FairShareScheduler
from taskiq_flow_resources.simulation import Durations
from taskiq_flow_resources.simulation.scenario import Scenario

Row = tuple[str, str, float, float]

WINDOW = 3
SLOWER = 1.37


@frozen
class Case:
    graph: Graph
    pool: WorkerPool
    rows: dict[str, list[float]]
    durations: Durations


def case(random: Random) -> Case:
    """Make a graph whose cells all take times of their own, so that no two end at once."""
    nodes: list[Node] = []
    rows: dict[str, list[float]] = {}
    table: dict[str, float | list[float]] = {}
    limits = random.choice([{}, {"db": 2.0}])
    for number in range(random.randint(1, 9)):
        name = f"n{number}"
        after = tuple(sorted({each.name for each in nodes if random.random() < 0.3}))
        resources = {"cpu": random.choice([0.5, 1.0, 2.0]), "ram_mb": random.choice([0.0, 200.0, 500.0])}
        if limits and random.random() < 0.5:
            resources["db"] = random.choice([1.0, 2.0])
        options = NodeOptions(resources=resources, priority=random.choice([0, 0, 2]))
        if random.random() < 0.7:
            seconds = random.uniform(0.1, 9.0)
            table[name] = seconds
            nodes.append(
                TaskNode(
                    name=name, task="work", params={"seconds": Literal(seconds)}, after=after, options=options
                )
            )
            continue
        rows[f"rows{number}"] = items = [random.uniform(0.1, 9.0) for _ in range(random.randint(0, 5))]
        table[f"{name}[]/x"] = items or 1.0
        table[f"{name}[]/y"] = [SLOWER * each for each in items] or 1.0
        inner = [
            TaskNode(
                name="x", task="work", params={"seconds": Input("item")}, outputs=("a",), options=options
            ),
            TaskNode(name="y", task="work", params={"seconds": Output("x", "a")}, outputs=("b",)),
        ]
        body = build_graph(inner, inputs={"item": InputSpec()}, outputs={"b": Output("y", "b")})
        width = random.choice([None, None, 1, 2])
        nodes.append(
            MapNode(
                name=name,
                body=body,
                items=Input(f"rows{number}"),
                outputs=(f"out{number}",),
                collects=("b",),
                max_parallel=width,
                after=after,
            )
        )
    workers = [WorkerView(id="w0", capacity={"cpu": 2.0, "ram_mb": 500.0})]
    workers += [
        WorkerView(id=f"w{number}", capacity={"cpu": random.choice([1.0, 3.0]), "ram_mb": 600.0})
        for number in range(1, random.randint(1, 3))
    ]
    graph = build_graph(nodes, inputs={name: InputSpec() for name in rows})
    return Case(graph, WorkerPool(workers=tuple(workers), limits=limits), rows, Durations(table))


def simulated(found: Case, scheduler: Scheduler) -> list[Row]:
    scenario = Scenario(graph=found.graph, durations=found.durations, values=found.rows)
    rehearsal = rehearse(
        found.graph,
        scenario,
        scheduler=scheduler,
        workers=found.pool.workers,
        limits=found.pool.limits,
        window=WINDOW,
    )
    assert rehearsal.complaints == ()
    return sorted((each.cell, each.worker, each.began, each.ended) for each in rehearsal.attempts)


async def ran(found: Case, scheduler: Scheduler) -> list[Row]:
    clock, broker = FakeClock(1000.0), InMemoryBroker()
    flow = Flow(broker, pool=found.pool, scheduler=scheduler, clock=clock, window=WINDOW)

    @broker.task(task_name="work")
    async def work(seconds: float) -> float:
        await clock.sleep(seconds)
        return SLOWER * seconds

    handle = await flow.submit(found.graph, found.rows)
    await clock.run(handle.result())
    placed: dict[str, tuple[str, float]] = {}
    rows: list[Row] = []
    for event in await flow.store.log.read(handle.id):
        if isinstance(event, CellDispatched):
            placed[event.cell] = (event.worker, event.at)
        elif isinstance(event, CellSucceeded):
            worker, began = placed[event.cell]
            rows.append((event.cell, worker, began - 1000.0, event.at - 1000.0))
    await broker.shutdown()
    return sorted(rows)


@pytest.mark.parametrize("make", [BestFitScheduler, CriticalPathScheduler, FairShareScheduler])
@given(seed=st.integers(0, 2**32))
def test_a_run_goes_as_it_was_simulated(make: type[Scheduler], seed: int) -> None:
    found = case(Random(seed))
    expected = simulated(found, make())
    happened = asyncio.run(ran(found, make()))
    assert [(cell, worker) for cell, worker, _, _ in happened] == [
        (cell, worker) for cell, worker, _, _ in expected
    ]
    assert [row[2:] for row in happened] == [pytest.approx(row[2:], abs=1e-6) for row in expected]
