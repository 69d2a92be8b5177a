"""What users say in taskiq's words against another attempt; it stands above every policy."""

from __future__ import annotations

from taskiq.exceptions import TaskRejectedError

from taskiq_flow._groups import leaves_of
from taskiq_flow.errors import AbortPipeline, RetryException
from taskiq_flow.payloads import Failure, FailureKind

__all__ = ["find_refusal"]


def find_refusal(
    failure: Failure,
    exception: BaseException | None,
    *,
    says_no: bool,
    types: tuple[type[BaseException], ...] | None,
) -> str:
    """Return why a failed attempt gets no further one, whatever its policy says; empty if nobody has said no.

    The loss of a worker is no error of the task, so nothing that is said about errors is about that. Of a group of
    exceptions, each one counts.

    :param exception: The exception itself, if the asking process has it.
    :param says_no: Whether ``retry_on_error`` says no.
    :param types: The classes in ``types_of_exceptions``; ``None`` for any.
    """
    if failure.kind is FailureKind.WORKER_LOST:
        return ""
    leaves = [] if exception is None else list(leaves_of(exception))
    if any(isinstance(each, AbortPipeline) for each in leaves):
        return "the task has aborted its pipeline"
    if any(isinstance(each, TaskRejectedError) for each in leaves):
        return "the task has rejected its message"
    if says_no:
        return "retry_on_error says no"
    if types is None:
        return ""
    if exception is None and failure.kind is FailureKind.TIMEOUT:
        exception = TimeoutError()
        leaves = [exception]
    if exception is None or isinstance(exception, types):
        return ""
    other = next((each for each in leaves if not isinstance(each, (RetryException, *types))), None)
    return "" if other is None else f"{type(other).__name__} is none of types_of_exceptions"
