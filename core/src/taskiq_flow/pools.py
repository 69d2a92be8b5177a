"""Pools: workers whose capacity is scheduled together, and what is free on them."""

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
    """A pool as it is declared, to be given to a flow or to a pipeline.

    :param name: The pool's name; a run belongs to one pool.
    :param workers: What is known of its workers beforehand. Embedded, these are the only workers there are, and the
        process executes what is placed on any of them. Elsewhere those that have a queue stand for whoever reads it,
        and without any such the workers that announce themselves count.
    :param limits: How much of these names all runs of the pool together may occupy at once, such as ``{"db": 5}``.
    :param scheduler: The name of the scheduler to use where nothing else is selected; ``None`` for the usual one.
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
        if strangers := [worker for worker in self.workers if not isinstance(worker, WorkerView)]:
            raise PluginError(
                f"a worker of the pool is {strangers[0]!r}; give a WorkerView(id=…, capacity={{…}})"
            )
        for worker in self.workers:
            amounts(f"the capacity of worker {worker.id!r}", worker.capacity)
        amounts("limits", self.limits)
        check_names(self.workers, self.limits)


def amounts(what: str, given: Any) -> dict[str, float]:
    """Check amounts by name.

    :param what: What they are, for the error.
    :raises PluginError: with everything that is wrong with them.
    """
    if not isinstance(given, Mapping):
        raise PluginError(f"{what} is {given!r}; give numbers by name, such as {{'db': 5}}")
    problems = [
        f"{name!r} of {what} is {amount!r}; give a number, 0 or more"
        if isinstance(name, str) and name
        else f"{name!r} of {what} is no name"
        for name, amount in given.items()
        if not (isinstance(name, str) and name and is_amount(amount))
    ]
    if problems:
        raise PluginError("\n".join(problems))
    return dict(given)


def check_names(workers: Sequence[WorkerView], limits: Mapping[str, float]) -> None:
    """Check that nothing in a pool goes by the name of something else.

    :raises PluginError: with every name that is there twice.
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
    """Whether a demand fits into a room; of a resource that the room does not name there is none.

    :param demand: Amounts by resource name.
    :param room: Likewise. For a worker's whole capacity an empty mapping means that it is unbounded; ask that first.
    """
    return all(amount <= room.get(name, 0.0) + _TOLERANCE or amount <= 0 for name, amount in demand.items())


def suits(queue: str, worker: WorkerView) -> bool:
    """Whether a cell that asks for a queue may be placed on a worker: one with a queue of its own gets nothing else.

    :param queue: What the cell asks for; empty for any.
    """
    return not queue or not worker.queue or worker.queue == queue


def shortage(demand: Mapping[str, float], queue: str, workers: Sequence[WorkerView]) -> str:
    """Say why a demand could be met by no worker, even one with nothing else on it; empty where one could.

    :param demand: Amounts by resource name.
    :param queue: The queue that is asked for; empty for any.
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

    # A slip begins with the same letter; gpu is no slip for cpu.
    known = {each for worker in workers for each in worker.capacity if each[:1] == name[:1]}
    close = get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def total_of(amounts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add amounts up by name."""
    # Equal demands are mostly one object, and there are many of them.
    all_of_them = [*amounts]
    distinct = {id(each): each for each in all_of_them}
    total: dict[str, float] = {}
    for key, number in Counter(map(id, all_of_them)).items():
        for name, amount in distinct[key].items():
            total[name] = total.get(name, 0.0) + amount * number
    return total


class FreeCapacity:
    """What is free on each worker while a scheduler makes its choice.

    :param workers: The pool's workers.
    :param running: What is in use.

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
        """Whether a cell could be placed on a worker with nothing else on it."""
        return suits(cell.queue, worker) and (not worker.capacity or fits(cell.resources, worker.capacity))

    def take(self, demand: Mapping[str, float], worker: str) -> None:
        """Count a demand as in use on a worker; without effect for one that is not there."""
        free = self.free.get(worker)
        if free is not None:
            for name, amount in demand.items():
                free[name] = free.get(name, 0.0) - amount


def is_amount(value: object) -> bool:
    """Whether something is a number that can be there of a resource: finite, and not below zero."""
    # Not by math.isfinite(), which raises where a whole number is too large.
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max
    )
