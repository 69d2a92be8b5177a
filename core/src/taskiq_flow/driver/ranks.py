"""Upward ranks: how far the cells of a run are from its end, by the known durations of tasks."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field

from taskiq_flow.errors import RunNotFound
from taskiq_flow.graph.model import Graph, TaskNode
from taskiq_flow.graph.ranks import node_path, upward_ranks
from taskiq_flow.machine import events as ev
from taskiq_flow.schedulers.durations import Durations
from taskiq_flow.store import RunStore

__all__ = ["Ranks"]

# Enough to know the usual tasks, and little to read.
_RUNS_TO_RECALL = 20


@define(eq=False)
class Ranks:
    """The upward ranks of the nodes of each run, worked out when a driver takes the run up.

    :param durations: The known durations of tasks; all drivers of a process share them.
    """

    durations: Durations
    _by_run: dict[str, Mapping[str, float]] = field(factory=dict, init=False)
    _tasks: dict[str, Mapping[str, str]] = field(factory=dict, init=False)

    async def recall(self, store: RunStore, pool: str) -> None:
        """Learn from the latest finished runs of the pool, unless durations are known already."""
        if self.durations:
            return
        for record in await store.runs.list(pool=pool, active=False, limit=_RUNS_TO_RECALL):
            try:
                events = await store.log.read(record.id)
            except RunNotFound:
                continue
            self.add(record.id, record.graph)
            for event in events:
                self.observe(record.id, event)
            self.forget(record.id)

    def add(self, run: str, graph: Graph) -> None:
        """Work out the ranks of a run."""
        tasks: dict[str, str] = {}

        def cost(path: str, node: TaskNode) -> float:
            tasks[path] = node.task
            return self.durations.mean(node.task)

        self._by_run[run] = upward_ranks(graph, cost)
        self._tasks[run] = tasks

    def observe(self, run: str, event: ev.Event) -> None:
        """Learn how long an attempt took."""
        if type(event) is ev.CellSucceeded:
            task = self._tasks.get(run, {}).get(node_path(event.cell))
            if task is not None:
                self.durations.record(task, event.seconds)

    def forget(self, run: str) -> None:
        """Forget a run."""
        self._by_run.pop(run, None)
        self._tasks.pop(run, None)

    def of(self, run: str, cell: str, depth: int) -> float:
        """Return the rank of a cell.

        :param cell: Its path.
        :param depth: How many begun items of maps it is in; a cell in an item has the rank of its outermost map.
        """
        path = cell.partition("[")[0] if depth else node_path(cell)
        return self._by_run.get(run, {}).get(path, 0.0)
