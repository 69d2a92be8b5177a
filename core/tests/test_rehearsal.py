"""Runs played through without workers: what a plan can rely on, with the schedulers of the core."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from taskiq_flow.errors import UnschedulableError
from taskiq_flow.graph import (
    Graph,
    Input,
    InputSpec,
    Literal,
    MapNode,
    NodeOptions,
    TaskNode,
    build_graph,
)
from taskiq_flow.payloads import Payload, Value
from taskiq_flow.rehearsal import Rehearsal, RehearsedAttempt, Script, rehearse
from taskiq_flow.scheduler import Placement, Scheduler, WorkerView
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.schedulers.first_fit import FirstFitScheduler


class Seconds(Script):
    """Says how long nodes take by their names; a second where it is not said."""

    def __init__(self, **table: float) -> None:
        self.table = table

    def seconds(self, cell: str, node: TaskNode) -> float:
        return self.table.get(node.name, 1.0)

    def outputs(self, cell: str, node: TaskNode) -> tuple[Value, ...]:
        return (Payload("json", b"1"),) * len(node.outputs)

    def items(self, cell: str, node: MapNode, item: str, items: Value) -> tuple[Value, ...]:
        assert isinstance(items, Payload)
        return tuple(Payload("json", json.dumps(each).encode()) for each in json.loads(items.data))

    def inputs(self, graph: Graph) -> Mapping[str, Value]:
        return {}

    def read(self, value: Value) -> Any:
        assert isinstance(value, Payload)
        return json.loads(value.data)


def node(name: str, *after: str, **options: Any) -> TaskNode:
    return TaskNode(name=name, task=f"task-{name}", after=after, options=NodeOptions(**options))


def times(rehearsal: Rehearsal) -> list[tuple[str, str, float, float, str]]:
    return [(each.cell, each.worker, each.began, each.ended, each.after) for each in rehearsal.attempts]


def workers(*cores: float, queue: str = "") -> list[WorkerView]:
    return [
        WorkerView(id=f"w{number}", capacity={"cpu": each}, queue=queue)
        for number, each in enumerate(cores, start=1)
    ]


CHAIN = build_graph([node("a"), node("b", "a"), node("c"), node("d", "b", "c")])


def test_with_a_worker_for_each_cell_only_data_is_waited_for() -> None:
    found = rehearse(CHAIN, Seconds(a=2.0, c=7.0))
    assert times(found) == [
        ("a", "", 0, 2, ""),
        ("b", "", 2, 3, "a"),
        ("c", "", 0, 7, ""),
        ("d", "", 7, 8, "c"),
    ]
    assert (found.makespan, found.complaints) == (8, ())


@pytest.mark.parametrize("scheduler", [FifoScheduler(), FirstFitScheduler()])
def test_workers_have_one_core_for_what_does_not_say(scheduler: Scheduler) -> None:
    found = rehearse(CHAIN, Seconds(a=2.0, c=7.0), scheduler=scheduler, workers=workers(1, 1))
    assert times(found) == [
        ("a", "w1", 0, 2, ""),
        ("b", "w1", 2, 3, "a"),
        ("c", "w2", 0, 7, ""),
        ("d", "w1", 7, 8, "c"),
    ]


def test_the_bound_of_fifo_counts() -> None:
    graph = build_graph([node(name) for name in "abcd"])
    found = rehearse(graph, Seconds(), scheduler=FifoScheduler(max_in_flight=1), workers=workers(4))
    assert found.makespan == 4


def test_a_cell_that_asks_for_a_queue_goes_to_who_reads_it() -> None:
    graph = build_graph([node("a", queue="slow"), node("b")])
    pool = [*workers(1, 1), WorkerView(id="w9", capacity={"cpu": 1.0}, queue="slow")]
    other = [WorkerView(id="w0", capacity={"cpu": 1.0}, queue="other"), *pool]
    for scheduler in (FifoScheduler(), FirstFitScheduler()):
        found = rehearse(graph, Seconds(), scheduler=scheduler, workers=other)
        places = {each.cell: (each.worker, each.queue) for each in found.attempts}
        assert places["a"][0] != "w0"
        assert places["a"][1] == "slow"


def test_the_window_of_the_flow_counts_but_not_for_the_ideal() -> None:
    body = build_graph(
        [TaskNode(name="work", task="t", params={"x": Input("item")})], inputs={"item": InputSpec()}
    )
    graph = build_graph([MapNode(name="each", body=body, items=Literal([1, 2, 3, 4]), max_parallel=None)])
    assert rehearse(graph, Seconds()).makespan == 1
    pool = workers(4)
    assert rehearse(graph, Seconds(), scheduler=FifoScheduler(), workers=pool, window=2).makespan == 2
    assert rehearse(graph, Seconds(), scheduler=FifoScheduler(), workers=pool).makespan == 1


class Ranked(Scheduler):
    name = "ranked"
    uses_rank = True

    def place(self, ready: Any, workers: Any, running: Any) -> list[Placement]:
        best = sorted(ready, key=lambda cell: -cell.rank)
        return [Placement(run=cell.run, path=cell.path, worker="w1") for cell in best[: 1 - len(running)]]


def test_ranks_come_from_what_was_seen_before() -> None:
    graph = build_graph([node("short"), node("long")])
    script = Seconds(short=1.0, long=5.0)
    orders = [
        [
            each.cell
            for each in rehearse(graph, script, scheduler=Ranked(), workers=workers(1), seen=seen).attempts
        ]
        for seen in ((), [RehearsedAttempt(cell="x", node="x", task="task-long", began=0.0, ended=5.0)])
    ]
    assert orders == [["short", "long"], ["long", "short"]]


def test_who_is_left_for_ever_is_named() -> None:
    graph = build_graph([node(f"n{number}", resources={"cpu": 8.0}) for number in range(7)])
    with pytest.raises(UnschedulableError) as caught:
        rehearse(graph, Seconds(), scheduler=FirstFitScheduler(), workers=workers(4))
    assert str(caught.value) == (
        "scheduler 'first-fit' leaves 7 cells waiting for ever, with nothing running: "
        "'n0', 'n1', 'n2', 'n3', 'n4' and 2 more"
    )


def test_an_empty_graph_takes_no_time() -> None:
    assert rehearse(build_graph([]), Seconds()) == Rehearsal(attempts=())
    assert rehearse(build_graph([]), Seconds(), scheduler=FifoScheduler(), workers=[]).makespan == 0
