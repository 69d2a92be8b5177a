"""Simulating a run with one scheduler, or with several for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Union

from taskiq_flow.errors import UnschedulableError, UsageError
from taskiq_flow.graph import Graph
from taskiq_flow.plugins import Plugins
from taskiq_flow.pools import WorkerPool, fits, shortage
from taskiq_flow.rehearsal import Rehearsal, RehearsedAttempt, rehearse
from taskiq_flow.scheduler import Scheduler, WorkerView
from taskiq_flow_resources.simulation.bounds import critical_path, lower_bounds
from taskiq_flow_resources.simulation.durations import Durations, Seconds
from taskiq_flow_resources.simulation.past import Past
from taskiq_flow_resources.simulation.report import SimulationReport, WorkerUse
from taskiq_flow_resources.simulation.scenario import Scenario

__all__ = ["AnyScheduler", "compare", "simulate"]

AnyScheduler = Union[str, Scheduler, type[Scheduler]]
"""A scheduler, its class, or the name of an installed one."""

_WINDOW = 256
_MOST_NODES = 10


def simulate(
    graph: Graph,
    pool: WorkerPool | Sequence[WorkerView],
    scheduler: AnyScheduler,
    *,
    durations: Durations | Mapping[str, Seconds] | None = None,
    items: Mapping[str, int] | None = None,
    values: Mapping[str, Any] | None = None,
    past: Past | None = None,
    window: int = _WINDOW,
) -> SimulationReport:
    """Simulate a run on a clock that jumps; the same arguments give the same report.

    ::

        report = simulate(pipeline.graph, pool, "best-fit", durations={"features": 12.0}, items={"tracks": 50})
        print(report.makespan, report.lower_bound, report.bound.reason)

    :param graph: The graph to run.
    :param pool: A pool, or its workers.
    :param scheduler: A scheduler, its class, or the name of an installed one.
    :param durations: Seconds by task, node or cell; others take their time in ``past``, or 1 s.
    :param items: The number of items of lists, by the name of the map or of its list.
    :param values: The values of inputs and outputs, by name, where a guard, a filter or a map reads them.
    :param past: A past run with default durations, items and values.
    :param window: The number of items that a map opens at once, where the map does not set it.
    :raises UsageError: names are unknown, a number of items is missing, or the scheduler cannot be made.
    :raises UnschedulableError: cells fit no worker, or are left waiting for ever.
    :raises PluginError: no scheduler of that name is installed, or several workers have one name.
    """
    return compare(
        graph,
        pool,
        [scheduler],
        durations=durations,
        items=items,
        values=values,
        past=past,
        window=window,
    )[0]


def compare(
    graph: Graph,
    pool: WorkerPool | Sequence[WorkerView],
    schedulers: Iterable[AnyScheduler],
    *,
    durations: Durations | Mapping[str, Seconds] | None = None,
    items: Mapping[str, int] | None = None,
    values: Mapping[str, Any] | None = None,
    past: Past | None = None,
    window: int = _WINDOW,
) -> list[SimulationReport]:
    """Simulate the same run with several schedulers; for the arguments see :func:`simulate`.

    :returns: A report for each scheduler, in the given order.
    """
    made = [_scheduler(each) for each in schedulers]
    past = Past() if past is None else past
    table = durations if isinstance(durations, Durations) else Durations(durations or {})
    if past.seconds:
        # Given durations override those of the past run.
        table = table.over(Durations.from_measurements(past.seconds, graph))
    scenario = Scenario(graph=graph, durations=table, counts=items or {}, values=values or {}, past=past)
    pool = pool if isinstance(pool, WorkerPool) else WorkerPool(workers=tuple(pool))
    workers, limits = pool.workers, pool.limits
    ideal = rehearse(graph, scenario, limits=limits).attempts
    scenario.check()
    _check_room(ideal, workers, limits)
    return [
        _report(
            graph,
            scheduler,
            rehearse(
                graph,
                scenario,
                scheduler=scheduler,
                workers=workers,
                limits=limits,
                seen=ideal,
                window=window,
            ),
            ideal,
            workers,
            limits,
        )
        for scheduler in made
    ]


def _scheduler(given: AnyScheduler) -> Scheduler:
    if isinstance(given, Scheduler):
        return given
    kind = Plugins.load().schedulers[given] if isinstance(given, str) else given
    try:
        scheduler = kind()
    except Exception as error:
        raise UsageError(
            f"scheduler {kind.__name__!r} cannot be made without arguments ({type(error).__name__}: {error}); "
            "give an object of it"
        ) from error
    if not isinstance(getattr(scheduler, "name", None), str):
        raise UsageError(f"scheduler {kind.__name__!r} has no name; write name = '…' in the class")
    return scheduler


def _check_room(
    ideal: Sequence[RehearsedAttempt], workers: Sequence[WorkerView], limits: Mapping[str, float]
) -> None:
    if not workers:
        raise UnschedulableError("the pool has no workers; give it some to simulate with")
    nodes: dict[str, list[str]] = {}
    for attempt in {each.node: each for each in ideal}.values():
        for problem in _without_room(attempt, workers, limits):
            nodes.setdefault(problem, []).append(attempt.node)
    if nodes:
        raise UnschedulableError(
            "\n".join(f"{_join_names(names)} {problem}" for problem, names in nodes.items())
        )


def _join_names(nodes: Sequence[str]) -> str:
    if len(nodes) == 1:
        return f"node {nodes[0]!r}"
    more = f" and {len(nodes) - _MOST_NODES} more" if len(nodes) > _MOST_NODES else ""
    return f"each of the nodes {', '.join(map(repr, nodes[:_MOST_NODES]))}{more}"


def _without_room(
    attempt: RehearsedAttempt, workers: Sequence[WorkerView], limits: Mapping[str, float]
) -> Iterator[str]:
    problem = shortage(attempt.resources, attempt.queue, workers)
    if problem:
        yield problem
    for name, amount in attempt.limits.items():
        if not fits({name: amount}, limits):
            yield f"asks for {amount:g} of {name!r}, and the limit is {limits[name]:g}"


def _report(
    graph: Graph,
    scheduler: Scheduler,
    rehearsal: Rehearsal,
    ideal: Sequence[RehearsedAttempt],
    workers: Sequence[WorkerView],
    limits: Mapping[str, float],
) -> SimulationReport:
    attempts = rehearsal.attempts
    return SimulationReport(
        graph=graph.name,
        scheduler=scheduler.name,
        makespan=rehearsal.makespan,
        bounds=tuple(lower_bounds(ideal, workers, limits)),
        critical_path=critical_path(ideal),
        serial=sum(attempt.seconds for attempt in ideal),
        waited=fmean(each.began - each.ready for each in attempts) if attempts else 0.0,
        workers=tuple(_use(worker, attempts, rehearsal.makespan) for worker in workers),
        limits=dict(limits),
        attempts=attempts,
        complaints=rehearsal.complaints,
    )


def _use(worker: WorkerView, attempts: Sequence[RehearsedAttempt], makespan: float) -> WorkerUse:
    mine = sorted((each for each in attempts if each.worker == worker.id), key=lambda each: each.began)
    busy, until = 0.0, 0.0
    for each in mine:
        busy += max(0.0, each.ended - max(each.began, until))
        until = max(until, each.ended)
    used = {
        name: sum(each.seconds * each.resources.get(name, 0.0) for each in mine) / (capacity * makespan)
        for name, capacity in worker.capacity.items()
        if capacity and makespan
    }
    return WorkerUse(worker=worker, attempts=len(mine), busy=busy / makespan if makespan else 0.0, used=used)
