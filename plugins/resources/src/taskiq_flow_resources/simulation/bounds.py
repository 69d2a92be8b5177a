"""Lower bounds of a run's duration, for any scheduler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from taskiq_flow.pools import fits, suits
from taskiq_flow.rehearsal import RehearsedAttempt
from taskiq_flow.scheduler import WorkerView

__all__ = ["Bound", "critical_path", "lower_bounds"]

_MOST_NAMED = 5


@frozen
class Bound:
    """A lower bound of the makespan.

    :param seconds: The seconds.
    :param reason: ``critical path``, or the scarce resource: ``work: cpu``, ``work: gpu of w3``, ``limit: db``.
    """

    seconds: float
    reason: str


def critical_path(ideal: Sequence[RehearsedAttempt]) -> tuple[str, ...]:
    """Return the chain of cells that determines the shortest possible duration of the run.

    :param ideal: The attempts of a run in which each cell has a worker of its own.
    """
    by_cell = {attempt.cell: attempt for attempt in ideal}
    path: list[str] = []
    last = max(ideal, key=lambda attempt: attempt.ended, default=None)
    while last is not None:
        path.append(last.cell)
        last = by_cell.get(last.after)
    return tuple(reversed(path))


def lower_bounds(
    ideal: Sequence[RehearsedAttempt], workers: Sequence[WorkerView], limits: Mapping[str, float]
) -> list[Bound]:
    """Return the bounds, the largest first.

    Work over capacity: cells that only some workers are large enough for must all run on these. For cells that fit
    everywhere, these are all workers together.

    :param ideal: The attempts of a run in which each cell has a worker of its own.
    :param workers: The workers.
    :param limits: The pool's limits.
    """
    found = [Bound(max((attempt.ended for attempt in ideal), default=0.0), "critical path")]
    found += _work(ideal, workers)
    for name, allowed in limits.items():
        work = sum(attempt.seconds * attempt.limits.get(name, 0.0) for attempt in ideal)
        if work and allowed > 0:
            found.append(Bound(work / allowed, f"limit: {name}"))
    return sorted(found, key=lambda bound: -bound.seconds)


def _work(ideal: Sequence[RehearsedAttempt], workers: Sequence[WorkerView]) -> Iterator[Bound]:
    capacity = {worker.id: worker.capacity for worker in workers}
    hosts: dict[tuple[str, tuple[tuple[str, float], ...]], frozenset[str]] = {}
    work: dict[tuple[str, frozenset[str]], float] = {}
    for attempt in ideal:
        demand = (attempt.queue, tuple(attempt.resources.items()))
        if demand not in hosts:
            hosts[demand] = frozenset(
                worker.id
                for worker in workers
                if suits(attempt.queue, worker)
                and (not worker.capacity or fits(attempt.resources, worker.capacity))
            )
        for resource, amount in attempt.resources.items():
            key = (resource, hosts[demand])
            work[key] = work.get(key, 0.0) + attempt.seconds * amount
    for resource, group in sorted(work, key=lambda key: (key[0], sorted(key[1]))):
        if not all(capacity[worker] for worker in group):
            continue  # one of them has unlimited capacity
        total = sum(capacity[worker].get(resource, 0.0) for worker in group)
        theirs = sum(amount for (name, part), amount in work.items() if name == resource and part <= group)
        if theirs and total:
            yield Bound(theirs / total, f"work: {resource}{_few(group, workers)}")


def _few(group: frozenset[str], workers: Sequence[WorkerView]) -> str:
    if len(group) == len(workers):
        return ""
    return f" of {', '.join(sorted(group)) if len(group) <= _MOST_NAMED else f'{len(group)} workers'}"
