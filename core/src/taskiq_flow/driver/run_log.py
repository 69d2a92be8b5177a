"""The lines that operators read: one for each run that starts or ends, and for each attempt that fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timezone

from taskiq_flow._logs import open_log
from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.graph.model import Graph, MapNode
from taskiq_flow.machine.events import AttemptFailed, Event, RunStarted
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.payloads import Failure
from taskiq_flow.store import RunOutcome, RunRecord
from taskiq_flow.terminal import printable

__all__ = ["LOGGED", "log_end", "log_events"]

runs = open_log("taskiq_flow.runs")
cells = open_log("taskiq_flow.cells")

LOGGED = frozenset({AttemptFailed, RunStarted})
"""The classes of the events that have a line."""

_LONGEST = 300


def log_events(run: ActiveRun, events: Iterable[Event]) -> None:
    """Write the lines for events that are in the log of their run."""
    for event in events:
        if type(event) is RunStarted:
            _log_start(run.record)
        elif type(event) is AttemptFailed:
            _log_failure(run, event)


def log_end(record: RunRecord, outcome: RunOutcome) -> None:
    """Write the line for a run whose outcome is stored."""
    failed = outcome.status is RunStatus.FAILED
    level = logging.ERROR if failed else logging.INFO
    if not runs.isEnabledFor(level):
        return
    text = f"run %s of %s {outcome.status.value} after %.3g s"
    args: list[object] = [record.id, _shorten(record.graph.name) or "a pipeline"]
    args.append(max(0.0, outcome.at - record.created_at))
    if outcome.reason:
        text += ": %s"
        args.append(_shorten(outcome.reason))
    if outcome.failures:
        text += "; %d failed, the first is %s: %s"
        cell, (_, failure) = next(iter(outcome.failures.items()))
        args += [len(outcome.failures), cell, _summarize(failure)]
    if outcome.left_out:
        text += "; %d failed and left out"
        args.append(len(outcome.left_out))
    runs.log(level, text, *args, extra=_fields(record.id))


def _log_start(record: RunRecord) -> None:
    if not runs.isEnabledFor(logging.INFO):
        return
    name, count = _shorten(record.graph.name) or "a pipeline", len(record.graph.nodes)
    nodes = "1 node" if count == 1 else f"{count} nodes"
    runs.info("run %s of %s started, with %s", record.id, name, nodes, extra=_fields(record.id))


_LEFT_OUT = "its map goes on without the item"
_HANDED_ON = "what waits for it gets the failure"


def _log_failure(run: ActiveRun, event: AttemptFailed) -> None:
    is_retried = event.retry_at is not None
    is_left_out = not is_retried and event.cell in run.machine.suppressed
    level = logging.WARNING if is_retried or is_left_out else logging.ERROR
    if not cells.isEnabledFor(level):
        return
    text = "cell %s of run %s failed on attempt %d (%s): %s; "
    args: list[object] = [
        event.cell,
        run.id,
        event.attempt,
        event.failure.kind.value,
        _summarize(event.failure),
    ]
    if event.retry_at is not None:
        text += "attempt %d follows in %.3g s, at %s"
        args += [event.attempt + 1, max(0.0, event.retry_at - event.at), _moment(event.retry_at)]
    else:
        text += "given up" if not is_left_out else _LEFT_OUT if "[" in event.cell else _HANDED_ON
    if event.reason:
        text += ": %s"
        args.append(_shorten(event.reason.removeprefix("gave up: ")))
    task = _find_task(run.record.graph, event.cell)
    cells.log(level, text, *args, extra=_fields(run.id, event.cell, event.attempt, task))


def _fields(run: str, cell: str = "", attempt: int = 0, task: str = "") -> dict[str, object]:
    """Return the fields of a record; every one has them all, so that a format may name them."""
    return {"run": run, "cell": cell, "attempt": attempt, "task": task}


def _find_task(graph: Graph, path: str) -> str:
    *maps, name = path.split("/")
    for step in maps:
        node = graph.nodes.get(step.rpartition("[")[0])
        if not isinstance(node, MapNode):
            return ""
        graph = node.body
    node = graph.nodes.get(name)
    return "" if node is None or isinstance(node, MapNode) else node.task


def _summarize(failure: Failure) -> str:
    return _shorten(failure.summary) or "without a message"


def _shorten(text: str) -> str:
    """Return a text as a part of one line."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.15g}"  # a clock of a test, far from any calendar
