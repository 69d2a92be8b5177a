"""Reports of simulations, as data."""

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
    """The use of a worker.

    :param worker: The worker.
    :param attempts: The number of attempts that it executed.
    :param busy: The share of the makespan with at least one attempt.
    :param used: The share of its capacity that was occupied over the makespan, by resource.
    """

    worker: WorkerView
    attempts: int
    busy: float
    used: Mapping[str, float] = field(factory=dict)


@frozen(kw_only=True)
class SimulationReport:
    """The simulation of a run with one scheduler.

    :param graph: The graph's name.
    :param scheduler: The scheduler's name.
    :param makespan: Seconds from the start of the run to its end.
    :param bounds: The lower bounds of the makespan, the largest first.
    :param critical_path: The chain of cells that determines the shortest possible duration of the run.
    :param serial: Seconds that all attempts take one after the other.
    :param waited: The mean seconds of a cell between being ready and its start.
    :param workers: The use of each worker.
    :param limits: The pool's limits.
    :param attempts: Every attempt, in the order of their ends.
    :param complaints: The problems of answers that the core refused; the default scheduler was used in these turns.
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
        """The largest lower bound in seconds: the critical path, or work over capacity."""
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
        """Return everything as plain data that JSON can hold; seconds are rounded to microseconds."""
        data = asdict(self, value_serializer=_round)
        return {**data, "lower_bound": round(self.lower_bound, 6), "ratio": round(self.ratio, 6)}


def _round(owner: Any, attribute: Any, value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    return list(value) if isinstance(value, tuple) else value
