"""What came of a simulation, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, field, frozen

from taskiq_flow.rehearsal import RehearsedAttempt
from taskiq_flow.scheduler import WorkerView
from taskiq_flow_resources.simulation.bounds import Bound

__all__ = ["SimulationReport", "WorkerUse"]


@frozen(kw_only=True)
class WorkerUse:
    """What a worker did.

    :param worker: The worker.
    :param attempts: How many attempts it executed.
    :param busy: The share of the makespan during which it executed something.
    :param used: The share of its capacity that was occupied over the makespan, by resource.
    """

    worker: WorkerView
    attempts: int
    busy: float
    used: Mapping[str, float] = field(factory=dict)


@frozen(kw_only=True)
class SimulationReport:
    """A run that was simulated with one scheduler.

    :param graph: The graph's name.
    :param scheduler: The scheduler's name.
    :param makespan: Seconds from the start of the run to its end.
    :param bounds: What no scheduler can go below, and why; the largest first.
    :param critical_path: The cells that follow one after the other for as long as the run takes at best.
    :param serial: Seconds that all attempts take one after the other.
    :param waited: Seconds that a cell waited on average between being ready and being begun.
    :param workers: What each worker did.
    :param limits: The pool's limits.
    :param attempts: Every attempt, in the order in which they ended.
    :param complaints: What the core did not accept of the scheduler's answers; the default scheduler was asked then.
    """

    graph: str
    scheduler: str
    makespan: float
    bounds: tuple[Bound, ...]
    critical_path: tuple[str, ...]
    serial: float
    waited: float
    workers: tuple[WorkerUse, ...]
    limits: Mapping[str, float] = field(factory=dict)
    attempts: tuple[RehearsedAttempt, ...] = field(repr=False)
    complaints: tuple[str, ...] = ()

    @property
    def bound(self) -> Bound:
        """The largest lower bound."""
        return self.bounds[0]

    @property
    def lower_bound(self) -> float:
        """Seconds that no scheduler can go below: the critical path, or work over capacity, whichever is larger."""
        return self.bound.seconds

    @property
    def ratio(self) -> float:
        """The makespan over the lower bound; 1 is as good as it gets."""
        return self.makespan / self.lower_bound if self.lower_bound else 1.0

    @property
    def used(self) -> Mapping[str, float]:
        """The share of the capacity of all workers together that was occupied over the makespan, by resource."""
        room: dict[str, float] = {}
        work: dict[str, float] = {}
        for each in self.workers:
            for name, capacity in each.worker.capacity.items():
                room[name] = room.get(name, 0.0) + capacity
                work[name] = work.get(name, 0.0) + capacity * each.used.get(name, 0.0)
        return {name: work[name] / amount for name, amount in room.items() if amount}

    def to_data(self) -> dict[str, Any]:
        """Give everything as plain data that JSON can hold; seconds are rounded to microseconds."""
        data = asdict(self, value_serializer=_round)
        return {**data, "lower_bound": round(self.lower_bound, 6), "ratio": round(self.ratio, 6)}


def _round(owner: Any, attribute: Any, value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    return list(value) if isinstance(value, tuple) else value
