"""Dead letters, and reading them from a finished run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import field, frozen

from taskiq_flow.graph import Graph, MapNode
from taskiq_flow.machine.events import AttemptFailed, Event
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.store import RunOutcome, RunRecord, RunStatus

__all__ = ["DeadLetter", "cells_given_up", "letters_of", "task_of"]


@frozen(kw_only=True)
class DeadLetter:
    """A failure that gets no further attempt.

    :param run: The run's id.
    :param pipeline: The name of its pipeline, or of a task that was sent on its own.
    :param cell: The cell's path; empty for a run that failed as a whole, at its time limit.
    :param task: The task's name; empty where no task failed.
    :param attempt: The number of the last attempt, counted from 1; 0 where there was none.
    :param kind: One of exception, timeout, worker_lost, rejected, cancelled.
    :param type: ``module:qualname`` of the exception's class; empty where there was no exception.
    :param message: The exception's text, or a sentence.
    :param traceback: The traceback as the worker formatted it; empty where there was none.
    :param reason: The retry policy's reason to give up; empty where it gave none.
    :param at: The time of the failure, in seconds since the epoch.
    :param labels: The run's labels.
    :param left_out: Whether a map left the item out, and the run went on.
    :param resumed_as: The run that replays it; empty where there is none.
    """

    run: str
    pipeline: str = ""
    cell: str = ""
    task: str = ""
    attempt: int = 0
    kind: str
    type: str = ""
    message: str
    traceback: str = field(default="", repr=False)
    reason: str = ""
    at: float
    labels: Mapping[str, str] = field(factory=dict)
    left_out: bool = False
    resumed_as: str = ""

    @property
    def summary(self) -> str:
        """The class and the text in one line, with the kind where it was not an exception."""
        kind = FailureKind(self.kind)
        text = Failure(kind=kind, type=self.type, message=self.message).summary
        return text if kind is FailureKind.EXCEPTION else f"{kind.value}: {text}"


def cells_given_up(record: RunRecord) -> Iterator[str]:
    """Yield the paths of the failed cells of a run; an empty path stands for the run as a whole.

    A cancelled run has none, because it was meant to end.
    """
    outcome = record.outcome
    if outcome is None or outcome.status is RunStatus.CANCELLED:
        return
    if outcome.status is RunStatus.FAILED and not outcome.failures:
        yield ""
    yield from outcome.failures
    yield from outcome.left_out


def letters_of(
    record: RunRecord, log: Iterable[Event], cells: Iterable[str], *, resumed_as: str = ""
) -> list[DeadLetter]:
    """Return the dead letters of a run, the newest first.

    :param record: The finished run.
    :param log: Its log.
    :param cells: The wanted ones of :func:`cells_given_up`.
    :param resumed_as: The run that resumes it.
    """
    outcome = record.outcome
    assert outcome is not None, "only a run that is over has dead letters"
    ends: dict[tuple[str, int], AttemptFailed] = {}
    for event in log:
        if isinstance(event, AttemptFailed):
            # The first end of an attempt counts; an attempt that was given up may report another one later.
            ends.setdefault((event.cell, event.attempt), event)
    found = [_letter(record, outcome, cell, ends, resumed_as) for cell in cells]
    return sorted(found, key=lambda letter: letter.at, reverse=True)


def _letter(
    record: RunRecord,
    outcome: RunOutcome,
    cell: str,
    ends: Mapping[tuple[str, int], AttemptFailed],
    resumed_as: str,
) -> DeadLetter:
    if not cell:
        return DeadLetter(
            run=record.id,
            pipeline=record.graph.name,
            kind=(FailureKind.TIMEOUT if outcome.timed_out else FailureKind.EXCEPTION).value,
            message=outcome.reason,
            at=outcome.at,
            labels=record.labels,
            resumed_as=resumed_as,
        )
    left_out = cell not in outcome.failures
    attempt, failure = (outcome.left_out if left_out else outcome.failures)[cell]
    event = ends.get((cell, attempt))
    return DeadLetter(
        run=record.id,
        pipeline=record.graph.name,
        cell=cell,
        task=task_of(record.graph, cell),
        attempt=attempt,
        kind=failure.kind.value,
        type=failure.type,
        message=failure.message,
        traceback=failure.traceback,
        reason="" if event is None else event.reason,
        at=outcome.at if event is None else event.at,
        labels=record.labels,
        left_out=left_out,
        resumed_as=resumed_as,
    )


def task_of(graph: Graph, cell: str) -> str:
    """Return the name of a cell's task; empty for a map, and for the run as a whole."""
    *scopes, name = cell.split("/")
    for scope in scopes:
        node = graph.nodes[scope.partition("[")[0]]
        assert isinstance(node, MapNode), "only maps have items"
        graph = node.body
    found = graph.nodes.get(name)
    return "" if found is None or isinstance(found, MapNode) else found.task
