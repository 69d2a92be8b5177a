"""Demands of attempts: on the capacity of a worker, and on the limits of the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, evolve, field

from taskiq_flow.machine.events import AttemptFailed
from taskiq_flow.pools import fits, shortage
from taskiq_flow.scheduler import Scheduler, WorkerView

__all__ = ["Demands"]

Split = tuple[Mapping[str, float], Mapping[str, float]]

_NOTHING: Mapping[str, float] = {}
# Retries may ask for any amount, so the cache needs a bound.
_MOST_SPLITS = 1000


@define(eq=False)
class Demands:
    """Tells limits and resources apart, and adds the default.

    A task without a demand on ``cpu`` occupies one core, where the scheduler reads resources.

    :param limits: The pool's limits.
    :param scheduler: The scheduler that places the cells.
    """

    limits: Mapping[str, float]
    scheduler: Scheduler
    _splits: dict[tuple[tuple[str, float], ...], Split] = field(factory=dict, init=False)

    def of(self, resources: Mapping[str, float]) -> Split:
        """Return the demand on a worker and the demand on the limits.

        :param resources: The resources that a node or a retry asks for.
        """
        counts = self.scheduler.reads_resources
        if not self.limits and not counts:
            return resources, _NOTHING
        key = tuple(resources.items())
        found = self._splits.get(key)
        if found is None:
            if len(self._splits) >= _MOST_SPLITS:
                self._splits.clear()
            limited = {name: amount for name, amount in key if name in self.limits}
            rest = {name: amount for name, amount in key if name not in self.limits}
            found = self._splits[key] = ({"cpu": 1.0, **rest} if counts else rest, limited)
        return found

    def problem(self, resources: Mapping[str, float], queue: str, workers: Sequence[WorkerView]) -> str:
        """Describe a demand that can never be met; empty when all can.

        :param resources: The resources that a node or a retry asks for.
        :param queue: The queue that it asks for; empty for any.
        :param workers: All possible workers; empty where they are not known.
        """
        wanted, limited = self.of(resources)
        for name, amount in limited.items():
            if not fits({name: amount}, self.limits):
                return f"asks for {amount:.12g} of {name!r}, and the limit is {self.limits[name]:.12g}"
        return shortage(wanted, queue, workers) if workers and self.scheduler.reads_resources else ""

    def refuse_impossible(
        self, event: AttemptFailed, resources: Mapping[str, float], queue: str, workers: Sequence[WorkerView]
    ) -> AttemptFailed:
        """Return a failure without its retry, where the retry asks for more than any worker or limit has.

        :param resources: The resources of the failed attempt.
        :param queue: The queue that it asked for.
        :param workers: As for :meth:`problem`.
        """
        problem = self.problem(
            resources if event.resources is None else event.resources,
            queue if event.queue is None else event.queue,
            workers,
        )
        if not problem:
            return event
        reason = f"not tried again: the retry {problem}"
        # An exception revived from its own arguments would not show the reason.
        failure = evolve(event.failure, notes=(*event.failure.notes, reason))
        return evolve(
            event, failure=failure, retry_at=None, reason=reason, resources=None, queue=None, priority=None
        )
