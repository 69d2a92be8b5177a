"""The pool of a flow: what was declared, what this process adds to it, and whether a graph can be run there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from attrs import define

from taskiq_flow.admission import task_nodes
from taskiq_flow.driver.demands import Demands
from taskiq_flow.errors import PluginError, UnschedulableError
from taskiq_flow.graph.model import Graph
from taskiq_flow.pools import WorkerPool, amounts, check_names
from taskiq_flow.scheduler import Scheduler, WorkerView
from taskiq_flow.store import WorkerInfo

__all__ = ["Workplace", "as_pool", "check_options", "effective_limits"]

logger = logging.getLogger("taskiq_flow")

_HERE = "this-process"


def as_pool(pool: str | WorkerPool) -> WorkerPool:
    """Give a pool, or the one of a name.

    :raises PluginError: it is something else.
    """
    if isinstance(pool, WorkerPool):
        return pool
    if isinstance(pool, str) and pool:
        return WorkerPool(name=pool)
    raise PluginError(
        f"pool is {pool!r}; give a name, or a WorkerPool such as ResourceAwareWorkerPool(workers=[…])"
    )


def effective_limits(pool: WorkerPool, limits: Mapping[str, float] | None) -> dict[str, float]:
    """Give the limits of a pool with those that a flow was given, which go first.

    :raises PluginError: they are no numbers by name, or a worker of the pool has a resource of the same name.
    """
    found = {**pool.limits, **amounts("limits", limits or {})}
    check_names(pool.workers, found)
    return found


def check_options(*, processes: object, window: object, queue: object) -> None:
    """Check what a flow was told of this process.

    :raises PluginError: with everything that is wrong.
    """
    problems: list[str] = []
    if processes is not None and not _is_count(processes):
        problems.append(f"processes is {processes!r}; give a number of processes, 1 or more, or None")
    if not _is_count(window):
        problems.append(f"window is {window!r}; give a number of items, 1 or more")
    if not isinstance(queue, str):
        problems.append(
            f"queue is {queue!r}; give the name of the queue that only this worker reads, or leave it out"
        )
    if problems:
        raise PluginError("\n".join(problems))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


@define(slots=False)
class Workplace:
    """Where the runs of a flow are executed.

    :param pool: The pool as it was declared.
    :param limits: How much of these names all runs together may occupy.
    :param scheduler: Who places the cells.
    :param embedded: Whether this process is the only one.
    :param given_capacity: What this process was said to have; ``None`` where it is to be found out.
    :param detect: Finds it out.
    :raises PluginError: the capacity is no numbers by name, or one of its names is a limit; or the scheduler wants to
        be shown no cells.
    """

    pool: WorkerPool
    limits: Mapping[str, float]
    scheduler: Scheduler
    embedded: bool
    given_capacity: Mapping[str, float] | None
    detect: Callable[[], Mapping[str, float]]

    def __attrs_post_init__(self) -> None:
        lookahead = self.scheduler.lookahead
        if not _is_count(lookahead):
            raise PluginError(
                f"scheduler {self.scheduler.name!r} has a lookahead of {lookahead!r}; give a number of cells, 1 or more"
            )
        if self.given_capacity is not None:
            here = WorkerView(id=_HERE, capacity=amounts("capacity", self.given_capacity))
            check_names((here,), self.limits)

    @cached_property
    def capacity(self) -> Mapping[str, float]:
        """What the worker of this process has, by resource name; empty where that is not known."""
        if self.given_capacity is not None:
            return dict(self.given_capacity)
        try:
            return amounts("what a plugin says of this worker's capacity", self.detect())
        except PluginError as error:
            logger.error("the capacity of this worker counts as unknown: %s", error)
            return {}

    @cached_property
    def workers(self) -> tuple[WorkerView, ...]:
        """The workers that are known beforehand. Embedded without any, that is this process, if anybody looks at it."""
        if self.pool.workers or not (self.embedded and self.scheduler.reads_resources):
            return self.pool.workers
        return (WorkerView(id=_HERE, capacity=self.capacity),)

    def check(self, graph: Graph, live: Sequence[WorkerInfo]) -> None:
        """Refuse a graph that asks for more than any worker, or any limit, could ever give.

        :param live: Workers that have announced themselves.
        :raises UnschedulableError: with every node that does.
        """
        demands = Demands(self.limits, self.scheduler)
        there = (WorkerView(id=each.id, capacity=each.capacity, queue=each.queue) for each in live)
        workers = (*self.workers, *there)
        problems: list[str] = []
        known: dict[Any, str] = {}
        for path, node in task_nodes(graph):
            options = node.options
            key = (tuple(options.resources.items()), options.queue)
            if key not in known:
                known[key] = demands.problem(options.resources, options.queue or "", workers)
            if known[key]:
                problems.append(f"node {path!r} {known[key]}")
        if problems:
            raise UnschedulableError(
                "\n".join(f"{each}; ask for less, or give pool {self.pool.name!r} more" for each in problems)
            )
