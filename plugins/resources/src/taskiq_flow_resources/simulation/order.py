"""``taskiq flow simulate``: from the arguments of the command line to the output."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from taskiq_flow.errors import FlowError, GraphError, PluginError, RunNotFound, UsageError
from taskiq_flow.flow import Flow
from taskiq_flow.graph import Graph
from taskiq_flow.plugins import Plugins
from taskiq_flow.pools import WorkerPool
from taskiq_flow.scheduler import Scheduler
from taskiq_flow.targets import find_flow, find_object, find_pipeline, graph_of
from taskiq_flow.terminal import reserve_stdout
from taskiq_flow_resources.simulation.durations import Durations
from taskiq_flow_resources.simulation.past import Past, read_events
from taskiq_flow_resources.simulation.report import SimulationReport
from taskiq_flow_resources.simulation.simulate import AnyScheduler, compare
from taskiq_flow_resources.simulation.tables import comparison, description, use_of_workers
from taskiq_flow_resources.simulation.wfformat import read_document, trace_of
from taskiq_flow_resources.simulation.words import columns
from taskiq_flow_resources.simulation.workers import read_amounts, read_workers, usual_workers

__all__ = ["SimulationRequest", "carry_out"]

_MOST_WORKERS = 20
_MOST_COMPLAINTS = 3


@frozen(kw_only=True)
class SimulationRequest:
    """The arguments of the command.

    :param target: ``MODULE:PIPELINE``, or a file: a graph, or a workflow trace.
    :param schedulers: Names of schedulers, or ``MODULE:NAME``.
    :param workers: Groups of workers with their capacity.
    :param pool: ``MODULE:NAME`` of a pool.
    :param limits: Limits of the pool.
    :param durations: A file with durations.
    :param default: Seconds of tasks without a duration.
    :param run: The id of a past run in the flow's store.
    :param events: A file with the events of a past run.
    :param items: ``NAME=N`` for lists.
    :param values: ``NAME=JSON`` for inputs and outputs.
    :param outputs: The wanted outputs; none for all of them.
    :param gantt: A file to write a chart to.
    :param as_json: Write one JSON object to the standard output.
    :param app_dir: A folder to search for modules.
    :param traceback: Show the tracebacks of schedulers.
    """

    target: str
    schedulers: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    pool: str | None = None
    limits: tuple[str, ...] = ()
    durations: str | None = None
    default: float = 1.0
    run: str | None = None
    events: str | None = None
    items: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    gantt: str | None = None
    as_json: bool = False
    app_dir: str | None = None
    traceback: bool = False


@frozen(kw_only=True)
class _Subject:
    """The subject of a simulation, with its durations and its past run."""

    graph: Graph
    flow: Flow | None = None
    durations: Durations
    past: Past


def carry_out(request: SimulationRequest) -> int:
    """Simulate, and show the reports.

    :returns: The exit code: 1 when the core refused an answer of a scheduler.
    :raises UsageError: the request cannot be carried out.
    """
    _check_combinations(request)
    # Output of the named modules must not get into the JSON.
    with reserve_stdout(request.as_json):
        reports = _simulate(request)
    if request.gantt is not None:
        _write_chart(Path(request.gantt), reports)
    _show(reports, as_json=request.as_json)
    return int(any(report.complaints for report in reports))


def _simulate(request: SimulationRequest) -> Sequence[SimulationReport]:
    subject = _subject(request)
    pool = _pool(request, subject)
    schedulers = [_scheduler(word, request.app_dir) for word in request.schedulers] or [_usual(subject, pool)]
    # The report has the problems of a scheduler's answers; only the log has the tracebacks.
    logger = logging.getLogger("taskiq_flow")
    before, logger.disabled = logger.disabled, not request.traceback
    try:
        return compare(
            subject.graph,
            pool,
            schedulers,
            durations=subject.durations,
            items=_counts(request.items),
            values=_values(request.values),
            past=subject.past,
        )
    except GraphError as error:
        raise UsageError(str(error)) from error
    finally:
        logger.disabled = before


def _check_combinations(request: SimulationRequest) -> None:
    if request.run is not None and request.events is not None:
        raise UsageError("--run and --events both name a past run; give one of them")
    if request.pool is not None and request.workers:
        raise UsageError("--pool and --workers both say which workers there are; give one of them")
    if request.gantt is not None and Path(request.gantt).suffix not in (".svg", ".html"):
        raise UsageError(f"--gantt is {request.gantt!r}; give a file that ends in .svg or .html")


def _subject(request: SimulationRequest) -> _Subject:
    durations = Durations({}, request.default)
    if request.durations is not None:
        durations = Durations.read(Path(request.durations), default=request.default)
    past = Past() if request.events is None else Past.of(read_events(Path(request.events)))
    path = Path(request.target)
    if path.is_file() or path.suffix in (".json", ".gz"):
        if request.run is not None:
            raise UsageError(f"--run needs a flow whose store has the run; {request.target!r} is a file")
        return _from_file(path, request, durations, past)
    if request.run is not None:
        flow = find_flow(request.target, request.app_dir)
        graph, past = asyncio.run(_past_run(flow, request.run))
        if request.outputs:
            graph = _part(graph, request.outputs)
        return _Subject(graph=graph, flow=flow, durations=durations, past=past)
    pipeline = find_pipeline(request.target, request.app_dir)
    try:
        found: Flow | None = Flow.of(pipeline.broker)
    except FlowError:
        # A graph can be simulated before there is a store to run it in.
        found = None
    graph = graph_of(pipeline, request.outputs)
    return _Subject(graph=graph, flow=found, durations=durations, past=past)


def _from_file(path: Path, request: SimulationRequest, durations: Durations, past: Past) -> _Subject:
    document = read_document(path)
    if isinstance(document, dict) and "schemaVersion" in document:
        trace = trace_of(document, str(path))
        # Given durations override those of the trace.
        graph, durations = trace.graph, durations.over(trace.durations)
    else:
        try:
            graph = Graph.from_json(json.dumps(document))
        except GraphError as error:
            raise UsageError(
                f"{str(path)!r} is neither a workflow trace (WfFormat) nor a graph as "
                f"`taskiq flow graph --format json` writes it: {error}"
            ) from error
    if request.outputs:
        graph = _part(graph, request.outputs)
    return _Subject(graph=graph, durations=durations, past=past)


def _part(graph: Graph, outputs: Iterable[str]) -> Graph:
    try:
        return graph.subgraph_for(outputs)
    except GraphError as error:
        raise UsageError(str(error)) from error


async def _past_run(flow: Flow, run: str) -> tuple[Graph, Past]:
    await flow.store.startup()
    try:
        record = await flow.store.runs.get(run)
        return record.graph, Past.of(await flow.store.log.read(run))
    except RunNotFound as error:
        raise UsageError(f"{error}; a store in memory has only the runs of its own process") from error
    finally:
        await flow.store.shutdown()


def _pool(request: SimulationRequest, subject: _Subject) -> WorkerPool:
    flow = subject.flow
    pool = WorkerPool() if flow is None else WorkerPool(workers=flow.declared_workers, limits=flow.limits)
    if request.pool is not None:
        pool = find_object(request.pool, request.app_dir)
        if not isinstance(pool, WorkerPool):
            raise UsageError(
                f"{request.pool!r} is of type {type(pool).__name__}; expected a WorkerPool, "
                "such as ResourceAwareWorkerPool(workers=[…])"
            )
    workers = read_workers(request.workers) or pool.workers
    limits = dict(pool.limits)
    for word in request.limits:
        limits.update(read_amounts(word, "--limit"))
    try:
        return WorkerPool(
            name=pool.name,
            workers=workers or usual_workers(subject.graph, limits),
            limits=limits,
            scheduler=pool.scheduler,
        )
    except PluginError as error:
        raise UsageError(str(error)) from error


def _scheduler(word: str, app_dir: str | None) -> AnyScheduler:
    if ":" not in word:
        try:
            return Plugins.load().schedulers[word]
        except PluginError as error:
            raise UsageError(str(error)) from error
    found = find_object(word, app_dir)
    if isinstance(found, Scheduler) or (isinstance(found, type) and issubclass(found, Scheduler)):
        return found
    raise UsageError(f"{word!r} is of type {type(found).__name__}; expected a Scheduler or a class of them")


def _usual(subject: _Subject, pool: WorkerPool) -> AnyScheduler:
    if pool.scheduler is not None:
        return pool.scheduler
    if subject.flow is not None:
        return subject.flow.scheduler
    return Plugins.load().selection("scheduler").name


def _counts(words: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        name, _, number = (part.strip() for part in word.partition("="))
        if not name or not number.isdecimal():
            raise UsageError(f"--items is {word!r}; expected a list and how many items it has: tracks=50")
        counts[name] = int(number)
    return counts


def _values(words: Iterable[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        try:
            values[name.strip()] = json.loads(text)
        except ValueError:
            values[name.strip()] = text
        if not sign or not name.strip():
            raise UsageError(f"--value is {word!r}; expected an input or an output and its JSON: valid=false")
    return values


def _write_chart(path: Path, reports: Sequence[SimulationReport]) -> None:
    from taskiq_flow_resources.simulation.gantt import draw_gantt
    from taskiq_flow_resources.simulation.page import write_page

    text = draw_gantt(reports) if path.suffix == ".svg" else write_page(reports)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the chart to {str(path)!r}: {error.strerror or error}") from error


def _show(reports: Sequence[SimulationReport], *, as_json: bool) -> None:
    if as_json:
        _write(json.dumps({"simulations": [report.to_data() for report in reports]}, allow_nan=False))
        return
    first = reports[0]
    if first.graph:
        _write(first.graph)
    for line in description(first):
        _write(line)
    _write("")
    for line in columns(comparison(reports)):
        _write(line)
    if len(reports) == 1 and len(first.workers) <= _MOST_WORKERS:
        _write("")
        for line in columns(use_of_workers(first)):
            _write(line)
    for report in reports:
        _write_complaints(report.scheduler, report.complaints)


def _write_complaints(scheduler: str, complaints: Sequence[str]) -> None:
    if not complaints:
        return
    _write(f"\n{scheduler} gave answers that the core refused; the default placed cells in its stead:")
    for complaint in complaints[:_MOST_COMPLAINTS]:
        _write(f"  {complaint}")
    if len(complaints) > _MOST_COMPLAINTS:
        _write(f"  and {len(complaints) - _MOST_COMPLAINTS} more")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
