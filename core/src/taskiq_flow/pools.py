"""Pools: workers whose capacity is scheduled together, and their free capacity."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from taskiq_flow.errors import PluginError
from taskiq_flow.scheduler import ReadyCell, RunningCell, WorkerView

__all__ = [
    "FreeCapacity",
    "WorkerPool",
    "amounts",
    "check_names",
    "fits",
    "is_amount",
    "shortage",
    "suits",
    "total_of",
]

# Fractions of cores add up with rounding errors.
_TOLERANCE = 1e-9


@frozen(kw_only=True)
class WorkerPool:
    """The declaration of a pool, for a flow or a pipeline.

    :param name: The pool's name; a run belongs to one pool.
    :param workers: The declared workers. With an in-memory broker there are no others, and the process executes all
        cells that are placed on any of them. Otherwise a declared worker with a queue stands for the reader of that
        queue; if none has a queue, only workers that announce themselves count.
    :param limits: Limits for all runs of the pool together, by name, such as ``{"db": 5}``.
    :param scheduler: The name of the pool's scheduler, if none is configured; ``None`` for the default.
    """

    name: str = "default"
    workers: tuple[WorkerView, ...] = ()
    limits: Mapping[str, float] = field(factory=dict, hash=False)
    scheduler: str | None = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise PluginError(f"the name of the pool is {self.name!r}; give a text that is not empty")
        if not isinstance(self.scheduler, (str, type(None))):
            raise PluginError(
                f"the scheduler of the pool is {self.scheduler!r}; give the name of one, or None"
            )
        if wrong := [worker for worker in self.workers if not isinstance(worker, WorkerView)]:
            raise PluginError(
                f"a worker of the pool is {wrong[0]!r}; give a WorkerView(id=…, capacity={{…}})"
            )
        for worker in self.workers:
            amounts(f"the capacity of worker {worker.id!r}", worker.capacity)
        amounts("limits", self.limits)
        check_names(self.workers, self.limits)


def amounts(subject: str, given: Any) -> dict[str, float]:
    """Check amounts by name.

    :param subject: The noun for errors, such as ``limits``.
    :raises PluginError: with every problem of the amounts.
    """
    if not isinstance(given, Mapping):
        raise PluginError(f"{subject} is {given!r}; give numbers by name, such as {{'db': 5}}")
    problems = [
        f"{name!r} of {subject} is {amount!r}; give a number, 0 or more"
        if isinstance(name, str) and name
        else f"{name!r} of {subject} is no name"
        for name, amount in given.items()
        if not (isinstance(name, str) and name and is_amount(amount))
    ]
    if problems:
        raise PluginError("\n".join(problems))
    return dict(given)


def check_names(workers: Sequence[WorkerView], limits: Mapping[str, float]) -> None:
    """Check that workers, queues, resources and limits of a pool have distinct names.

    :raises PluginError: with every name that is used twice.
    """
    problems: list[str] = []
    for word, names in (
        ("name", [worker.id for worker in workers]),
        ("queue", [worker.queue for worker in workers if worker.queue]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        problems += [f"several workers have the {word} {name!r}; give each its own" for name in twice]
    resources = {name: worker.id for worker in workers for name in worker.capacity}
    problems += [
        f"{name!r} is a limit of the pool and a resource of worker {resources[name]!r}; give one of them another name"
        for name in limits
        if name in resources
    ]
    if problems:
        raise PluginError("\n".join(problems))


def fits(demand: Mapping[str, float], room: Mapping[str, float]) -> bool:
    """Whether a demand fits into the free amounts; a resource without an amount has none.

    :param demand: Amounts by resource name.
    :param room: Free amounts by resource name. A worker with an empty capacity is unbounded; the caller checks that.
    """
    return all(amount <= room.get(name, 0.0) + _TOLERANCE or amount <= 0 for name, amount in demand.items())


def suits(queue: str, worker: WorkerView) -> bool:
    """Whether a worker may get a cell that asks for a queue; a worker with its own queue gets no other queue's cells.

    :param queue: The queue that the cell asks for; empty for any.
    """
    return not queue or not worker.queue or worker.queue == queue


def shortage(demand: Mapping[str, float], queue: str, workers: Sequence[WorkerView]) -> str:
    """Describe why a demand fits on no worker, even on an empty one; an empty text if it fits on one.

    :param demand: Amounts by resource name.
    :param queue: The demanded queue; empty for any.
    :returns: A part of a sentence that begins with a verb.
    """
    readers = [worker for worker in workers if suits(queue, worker)]
    if not readers:
        return f"asks for queue {queue!r}, which no worker of the pool reads"
    if any(not worker.capacity or fits(demand, worker.capacity) for worker in readers):
        return ""
    parts: list[str] = []
    for name, amount in demand.items():
        largest = max(readers, key=lambda worker: worker.capacity.get(name, 0.0))
        offered = largest.capacity.get(name, 0.0)
        if not fits({name: amount}, largest.capacity):
            has = (
                f"the largest worker ({largest.id!r}) has {offered:.12g}"
                if offered
                else f"no worker has any{_suggest(name, readers)}"
            )
            parts.append(f"{amount:.12g} of {name!r}, and {has}")
    if parts:
        return f"asks for {'; and for '.join(parts)}"
    wanted = " with ".join(f"{amount:.12g} of {name!r}" for name, amount in demand.items() if amount)
    return f"asks for {wanted}, which no worker has together"


def _suggest(name: str, workers: Sequence[WorkerView]) -> str:
    from difflib import get_close_matches  # needed for errors only

    # Only names with the same first letter count as a misspelling, so that gpu is none of cpu.
    known = {each for worker in workers for each in worker.capacity if each[:1] == name[:1]}
    close = get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def total_of(amounts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add amounts up by name."""
    # Most cells of a node share one mapping, so it is faster to count objects first.
    every = [*amounts]
    distinct = {id(each): each for each in every}
    total: dict[str, float] = {}
    for key, number in Counter(map(id, every)).items():
        for name, amount in distinct[key].items():
            total[name] = total.get(name, 0.0) + amount * number
    return total


class FreeCapacity:
    """The free capacity of each worker while a scheduler makes its choice.

    :param workers: The pool's workers.
    :param running: The cells that occupy capacity.

    :ivar free: Free amounts by worker and resource; ``None`` for a worker without bounds. May be below zero.
    """

    def __init__(self, workers: Sequence[WorkerView], running: Iterable[RunningCell]) -> None:
        self.workers = workers
        self.free: dict[str, dict[str, float] | None] = {
            worker.id: dict(worker.capacity) or None for worker in workers
        }
        held: dict[str, list[Mapping[str, float]]] = {worker.id: [] for worker in workers}
        for cell in running:
            if cell.worker in held:
                held[cell.worker].append(cell.resources)
        for worker, demands in held.items():
            self.take(total_of(demands), worker)

    def fits_now(self, cell: ReadyCell, worker: WorkerView) -> bool:
        """Whether a cell can be placed on a worker now."""
        free = self.free[worker.id]
        return suits(cell.queue, worker) and (free is None or fits(cell.resources, free))

    @staticmethod
    def fits_when_empty(cell: ReadyCell, worker: WorkerView) -> bool:
        """Whether a cell could be placed on a worker without any other cells."""
        return suits(cell.queue, worker) and (not worker.capacity or fits(cell.resources, worker.capacity))

    def take(self, demand: Mapping[str, float], worker: str) -> None:
        """Count a demand as in use on a worker; without effect for an unknown worker."""
        free = self.free.get(worker)
        if free is not None:
            for name, amount in demand.items():
                free[name] = free.get(name, 0.0) - amount


def is_amount(value: object) -> bool:
    """Whether a value is an amount of a resource: a finite number, 0 or more."""
    # Not by math.isfinite(), which raises for a whole number that is too large.
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max
    )
