"""Outcomes of attempts, as the events that their driver gets."""

from __future__ import annotations

from typing import Any

from taskiq.exceptions import NoResultError
from taskiq.result import TaskiqResult

from taskiq_flow.errors import PayloadError
from taskiq_flow.machine import events as ev
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retries.policies import Policies
from taskiq_flow.retries.refusals import find_refusal
from taskiq_flow.retry import CellView, FailedAttempt
from taskiq_flow.values.codec import Codec
from taskiq_flow.values.failures import failure_of
from taskiq_flow.worker.arguments import encode_outputs
from taskiq_flow.worker.attempts import Attempt

__all__ = ["CallResult", "failure_event", "outcome_of"]


class CallResult:
    """The result of a call that taskiq has not executed; it has the fields of taskiq's result that are read here.

    :param return_value: The function's return value.
    :param error: The exception that it raised; ``None`` where it returned.
    """

    __slots__ = ("error", "return_value")

    def __init__(self, return_value: Any = None, error: BaseException | None = None) -> None:
        self.return_value = return_value
        self.error = error


def outcome_of(
    attempt: Attempt, result: TaskiqResult[Any] | CallResult, codec: Codec, policies: Policies, now: float
) -> ev.Event:
    """Return the outcome of an attempt.

    :param result: The result of the call.
    :param now: Seconds since the epoch.
    """
    envelope = attempt.envelope
    if attempt.stopped:
        return ev.CellCancelled(
            cell=envelope.cell, attempt=envelope.attempt, holds_slot=attempt.thread is not None, at=now
        )
    if attempt.requeued and isinstance(result.error, NoResultError):
        return _event_of_requeue(attempt, result.error, now)
    failure = attempt.failure
    if failure is None and result.error is None:
        outputs = attempt.outputs
        try:
            if outputs is None:
                serializer = envelope.extras.get("serializer")
                returns = attempt.task_function.returns_for(envelope.outputs)
                outputs = encode_outputs(
                    result.return_value,
                    envelope.outputs,
                    codec,
                    serializer,
                    task=attempt.task_function.task,
                    returns=returns,
                )
        except PayloadError as error:
            failure = failure_of(error, FailureKind.REJECTED)
        else:
            return ev.CellSucceeded(
                cell=envelope.cell,
                attempt=envelope.attempt,
                outputs=outputs,
                seconds=attempt.seconds,
                at=now,
            )
    if failure is None:
        assert result.error is not None, "an attempt without an error has succeeded above"
        failure = failure_of(result.error)
    return failure_event(attempt, failure, result.error, policies, now)


def _event_of_requeue(attempt: Attempt, error: NoResultError, now: float) -> ev.AttemptFailed:
    envelope = attempt.envelope
    return ev.AttemptFailed(
        cell=envelope.cell,
        attempt=envelope.attempt,
        failure=failure_of(error),
        retry_at=now,
        reason="the task has requeued its message",
        requeues=envelope.extras.get("requeues", 0) + 1,
        at=now,
    )


def failure_event(
    attempt: Attempt, failure: Failure, exception: BaseException | None, policies: Policies, now: float
) -> ev.AttemptFailed:
    """Ask the retry policy about a failure, and return its decision.

    :param exception: The exception itself, where there is one.
    :param now: Seconds since the epoch.
    """
    envelope = attempt.envelope
    view = CellView(
        run=envelope.run,
        path=envelope.cell,
        task=attempt.task_function.task,
        resources=envelope.extras.get("resources") or {},
        first_started_at=envelope.extras.get("first_started_at") or attempt.started_at,
    )
    return policies.decide(
        FailedAttempt(failure=failure, exception=exception),
        view,
        own=attempt.task_function.policy,
        options=envelope.extras.get("retry"),
        attempt=envelope.attempt,
        now=now,
        requeues=envelope.extras.get("requeues", 0),
        refusal=find_refusal(
            failure,
            exception,
            says_no="retry_on_error" in envelope.extras,
            types=attempt.task_function.types,
        ),
    )
