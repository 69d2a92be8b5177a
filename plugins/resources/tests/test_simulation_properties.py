"""What holds for every run, every pool and every scheduler that is installed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from machine_graphs import random_graph
from taskiq_flow.errors import UsageError
from taskiq_flow.graph import (
    Graph,
    Input,
    InputSpec,
    MapNode,
    Node,
    NodeOptions,
    Output,
    TaskNode,
    build_graph,
    predecessors,
    task_nodes,
)
from taskiq_flow.pools import WorkerPool
from taskiq_flow.scheduler import WorkerView
from taskiq_flow_resources.simulation import SimulationReport, compare, simulate
from taskiq_flow_resources.simulation.durations import node_path

SCHEDULERS = ("fifo", "best-fit", "critical-path", "fair-share")
CLOSE = 1e-9


@frozen
class Case:
    graph: Graph
    pool: WorkerPool
    seconds: Mapping[str, float]
    items: Mapping[str, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    amounts = st.fixed_dictionaries(
        {},
        optional={
            "cpu": st.sampled_from([0.1, 0.5, 1.0, 2.0]),
            "ram_mb": st.sampled_from([1.0, 300.0, 512.0]),
            "db": st.sampled_from([1.0, 2.0]),
        },
    )
    capacity = st.fixed_dictionaries(
        {"cpu": st.sampled_from([1.0, 2.0, 3.0]), "ram_mb": st.sampled_from([256.0, 700.0])}
    )
    nodes: list[Node] = []
    seconds: dict[str, float] = {}
    items: dict[str, int] = {}
    for number in range(draw(st.integers(1, 9))):
        name = f"n{number}"
        after = draw(st.sets(st.sampled_from([each.name for each in nodes]), max_size=3)) if nodes else ()
        options = NodeOptions(resources=draw(amounts), priority=draw(st.sampled_from([0, 0, 3])))
        if draw(st.integers(0, 3)):
            nodes.append(
                TaskNode(name=name, task=f"t{number % 3}", after=tuple(sorted(after)), options=options)
            )
        else:
            inner = [
                TaskNode(name="x", task="t0", params={"p": Input("item")}, outputs=("a",), options=options),
                TaskNode(name="y", task="t1", params={"p": Output("x", "a")}, outputs=("b",)),
            ]
            nodes.append(
                MapNode(
                    name=name,
                    body=build_graph(inner, inputs={"item": InputSpec()}, outputs={"b": Output("y", "b")}),
                    items=Input(f"rows{number}"),
                    outputs=(f"out{number}",),
                    collects=("b",),
                    max_parallel=draw(st.sampled_from([None, 1, 2])),
                    after=tuple(sorted(after)),
                )
            )
            items[f"rows{number}"] = draw(st.integers(0, 4))
    graph = build_graph(nodes, inputs={name: InputSpec() for name in items})
    for path, _ in task_nodes(graph):
        seconds[path] = draw(st.sampled_from([0.0, 0.1, 1.0, 2.5, 7.0]))
    # One that is large enough for everything, so that nothing is refused.
    largest = WorkerView(id="w0", capacity={"cpu": 3.0, "ram_mb": 700.0})
    others = [
        WorkerView(id=f"w{number + 1}", capacity=draw(capacity)) for number in range(draw(st.integers(0, 2)))
    ]
    limits = draw(st.sampled_from([{}, {"db": 2.0}, {"db": 3.0}]))
    if not limits:
        largest = WorkerView(id="w0", capacity={**largest.capacity, "db": 2.0})
    return Case(graph, WorkerPool(workers=(largest, *others), limits=limits), seconds, items)


def run(case: Case, scheduler: str) -> SimulationReport:
    return simulate(case.graph, case.pool, scheduler, durations=case.seconds, items=case.items, window=3)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@given(case=cases())
def test_no_scheduler_beats_the_bounds_or_breaks_a_rule(scheduler: str, case: Case) -> None:
    report = run(case, scheduler)
    assert report.complaints == ()
    assert report.lower_bound <= report.makespan + CLOSE
    assert report.makespan <= report.serial + CLOSE, "something runs at any time"
    assert overbooked(report) == []
    assert out_of_order(case.graph, report) == []
    cells = [each.cell for each in report.attempts]
    assert len(set(cells)) == len(cells)
    for each in report.attempts:
        assert each.ready <= each.began <= each.ended
        assert each.seconds == pytest.approx(case.seconds[each.node], abs=1e-6)
    assert all(0 <= part <= 1 + CLOSE for use in report.workers for part in use.used.values())


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@given(case=cases())
def test_the_same_order_gives_the_same_report(scheduler: str, case: Case) -> None:
    assert run(case, scheduler).to_data() == run(case, scheduler).to_data()


@given(seed=st.integers(0, 2**32))
def test_any_graph_can_be_simulated_by_doing_what_errors_say(seed: int) -> None:
    graph = random_graph(Random(seed))
    items: dict[str, int] = {}
    reports: list[SimulationReport] = []
    for _ in range(20):
        try:
            reports = compare(graph, [WorkerView(id="w", capacity={"cpu": 2.0})], SCHEDULERS, items=items)
            break
        except UsageError as error:
            asked = set(re.findall(r"give it: --items (\S+)=N", str(error))) - items.keys()
        if not asked:
            break
        items.update((name, seed % 3) for name in sorted(asked))
    else:
        raise AssertionError(f"still asking after {items}")
    assert len(reports) == len(SCHEDULERS)
    ran = [sorted(each.cell for each in report.attempts) for report in reports]
    assert all(cells == ran[0] for cells in ran), "who places cells does not change which run"
    assert all(report.lower_bound <= report.makespan + CLOSE for report in reports)


def overbooked(report: SimulationReport) -> list[str]:
    """Find moments at which a worker, or a limit, carries more than it has; between events nothing changes."""
    wrong: list[str] = []
    free_capacity = {use.worker.id: use.worker.capacity for use in report.workers}
    for moment in sorted({each.began for each in report.attempts}):
        there = [each for each in report.attempts if each.began <= moment < each.ended]
        for worker, capacity in free_capacity.items():
            mine = [each for each in there if each.worker == worker]
            for name in {name for each in mine for name in each.resources}:
                used = sum(each.resources.get(name, 0.0) for each in mine)
                if used > capacity.get(name, 0.0) + 1e-6:
                    wrong.append(f"{worker} carries {used} of {name} at {moment}")
        for name, limit in report.limits.items():
            used = sum(each.limits.get(name, 0.0) for each in there)
            if used > limit + 1e-6:
                wrong.append(f"{used} of limit {name} at {moment}")
    return wrong


def out_of_order(graph: Graph, report: SimulationReport) -> list[str]:
    """Find cells that began before what they wait for had ended."""
    ends: dict[str, float] = {}
    for each in report.attempts:
        top = node_path(each.cell).partition("[")[0]
        ends[top] = max(ends.get(top, 0.0), each.ended)
    return [
        each.cell
        for each in report.attempts
        for name in predecessors(graph.nodes[node_path(each.cell).partition("[")[0]])
        if ends.get(name, 0.0) > each.began + CLOSE
    ]
