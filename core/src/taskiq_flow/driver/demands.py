"""What an attempt asks for: of its worker's capacity, and of the pool's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, evolve, field

from taskiq_flow.machine.events import AttemptFailed
from taskiq_flow.pools import fits, shortage
from taskiq_flow.scheduler import Scheduler, WorkerView

__all__ = ["Demands"]

Split = tuple[Mapping[str, float], Mapping[str, float]]

_NOTHING: Mapping[str, float] = {}
# Retries may ask for any amount, so there is no end to what could be kept.
_MOST_KEPT = 1000


@define(eq=False)
class Demands:
    """Tells limits and resources apart, and fills in what tasks do not say.

    A task that says nothing of it occupies one core, where somebody counts cores.

    :param limits: The pool's limits.
    :param scheduler: Who places the cells.
    """

    limits: Mapping[str, float]
    scheduler: Scheduler
    _kept: dict[tuple[tuple[str, float], ...], Split] = field(factory=dict, init=False)

    def of(self, resources: Mapping[str, float]) -> Split:
        """Give what is counted on a worker, and what is counted against the limits.

        :param resources: What a node or a retry asks for.
        """
        counts = self.scheduler.reads_resources
        if not self.limits and not counts:
            return resources, _NOTHING
        key = tuple(resources.items())
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            limited = {name: amount for name, amount in key if name in self.limits}
            rest = {name: amount for name, amount in key if name not in self.limits}
            found = self._kept[key] = ({"cpu": 1.0, **rest} if counts else rest, limited)
        return found

    def problem(self, resources: Mapping[str, float], queue: str, workers: Sequence[WorkerView]) -> str:
        """Say what could never be had of what is asked for; empty when all could.

        :param resources: What a node or a retry asks for.
        :param queue: The queue that it asks for; empty for any.
        :param workers: All workers that there can be; none where that is not known.
        """
        wanted, limited = self.of(resources)
        for name, amount in limited.items():
            if not fits({name: amount}, self.limits):
                return f"asks for {amount:.12g} of {name!r}, and the limit is {self.limits[name]:.12g}"
        return shortage(wanted, queue, workers) if workers and self.scheduler.reads_resources else ""

    def refuse_impossible(
        self, event: AttemptFailed, resources: Mapping[str, float], queue: str, workers: Sequence[WorkerView]
    ) -> AttemptFailed:
        """Give a failure without its retry, where the retry asks for more than anybody could ever have.

        :param resources: What the attempt that failed had.
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
        # The exception's own arguments would hide the reason from those who catch it.
        failure = evolve(event.failure, message=f"{event.failure.message} ({reason})", args=None)
        return evolve(
            event, failure=failure, retry_at=None, reason=reason, resources=None, queue=None, priority=None
        )
