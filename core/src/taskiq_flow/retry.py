"""The protocol of retry policies, which decide about failed attempts."""

from __future__ import annotations

import inspect
from abc import ABC
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Union

from attrs import field, frozen

from taskiq_flow._groups import members_of
from taskiq_flow.errors import PayloadError, PluginError
from taskiq_flow.payloads import Failure, FailureKind

__all__ = [
    "LONGEST_DELAY",
    "CellView",
    "FailedAttempt",
    "GiveUp",
    "Retry",
    "RetryDecision",
    "RetryPolicy",
    "answer_of",
    "option_problems",
    "plain_options",
]


LONGEST_DELAY = 100 * 365 * 86_400.0
"""Seconds; a longer delay counts as a hundred years, so that every due time is a valid date."""


@frozen(kw_only=True)
class Retry:
    """Try again.

    :param delay: Seconds to wait first, from 0 to :data:`LONGEST_DELAY`; other values count as the nearer of both.
    :param reason: For people; it is written to the log.
    :param resources: The resources of the next attempt; ``None`` for no change.
    :param queue: The queue of the next attempt; ``None`` for no change.
    :param priority: The priority of the next attempt; ``None`` for no change.
    """

    delay: float = 0.0
    reason: str = ""
    resources: Mapping[str, float] | None = None
    queue: str | None = None
    priority: int | None = None


@frozen(kw_only=True)
class GiveUp:
    """The failure is final.

    :param reason: For people; it is written to the log.
    """

    reason: str = ""


RetryDecision = Union[Retry, GiveUp]


@frozen(kw_only=True)
class CellView:
    """A policy's view of the cell that failed.

    :param run: The run's id.
    :param path: The cell's path, such as ``tracks[3]/features``.
    :param task: The task's name.
    :param resources: The resources that the attempt occupied.
    :param first_started_at: When the first attempt started, in seconds since the epoch; ``None`` if unknown.
    :param now: The time of the question, in seconds since the epoch.
    :param asked: Whether the task, its pipeline or the configuration has retry options.
    """

    run: str
    path: str
    task: str
    resources: Mapping[str, float] = field(factory=dict)
    first_started_at: float | None = None
    now: float = 0.0
    asked: bool = True

    @property
    def elapsed(self) -> float:
        """Seconds since the first attempt started; 0 if none did."""
        return 0.0 if self.first_started_at is None else max(0.0, self.now - self.first_started_at)


@frozen(kw_only=True)
class FailedAttempt:
    """A failed attempt, as a question to a policy.

    :param failure: The failure as data, of any kind.
    :param exception: The exception itself, if the asking process has it.
    """

    failure: Failure
    exception: BaseException | None = None

    def leaves(self) -> Iterator[FailedAttempt]:
        """Yield the exceptions of a group, and of the groups in it, each as a failed attempt of its own.

        A failure that is no group of exceptions is its own leaf.
        """
        pending: list[tuple[Failure, BaseException | None]] = [(self.failure, self.exception)]
        while pending:
            failure, exception = pending.pop()
            members = failure.members
            exceptions = () if exception is None else members_of(exception)
            if not members and not exceptions:
                yield FailedAttempt(failure=failure, exception=exception)
            elif len(members) == len(exceptions):
                pending.extend(reversed(list(zip(members, exceptions, strict=True))))
            elif exceptions:
                pending.extend((_describe(each), each) for each in reversed(exceptions))
            else:
                pending.extend((each, None) for each in reversed(members))


def _describe(exception: BaseException) -> Failure:
    """Describe a member of a group that is too large for the log."""
    kind = FailureKind.REJECTED if isinstance(exception, PayloadError) else FailureKind.EXCEPTION
    cls = type(exception)
    return Failure(kind=kind, message="", type=f"{cls.__module__}:{cls.__qualname__}")


class RetryPolicy(ABC):
    """Decides about failed attempts. Simple policies override the two small methods.

    Implementations pass ``taskiq_flow.testing.RetryPolicyKit``.

    :cvar name: The name that configuration selects it by.
    :cvar preferred: Whether this very class, without its subclasses, is the default instead of the core's.
    """

    name: ClassVar[str]
    preferred: ClassVar[bool] = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        """Make a policy from plain options, such as ``{"max_retries": 3, "delay": 5.0}``.

        :raises PluginError: an option is unknown or has a wrong value.
        """
        try:
            return cls(**options)
        except TypeError as error:
            problem = (
                f"does not take the options {', '.join(map(repr, options))}" if options else "needs options"
            )
            name = getattr(cls, "name", cls.__name__)
            raise PluginError(f"retry policy {name!r} {problem}: {error}") from error

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        """Decide about a failed attempt, whatever the kind of its failure.

        A value that cannot be encoded, decoded or carried would fail again every time, and a cancelled attempt is not
        wanted any more: :meth:`should_retry` is not called for these.

        :param attempt: The number of the attempt, counted from 1.
        """
        if failed.failure.kind in (FailureKind.REJECTED, FailureKind.CANCELLED):
            return GiveUp(reason=f"gave up: the attempt was {failed.failure.kind.value}")
        if answer_of("should_retry", self.should_retry(attempt, failed.exception)):
            return Retry(delay=answer_of("get_delay", self.get_delay(attempt)))
        return GiveUp()

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        """Whether another attempt shall follow this one (counted from 1)."""
        return False

    def get_delay(self, attempt: int) -> float:
        """Seconds to wait between this attempt (counted from 1) and the next."""
        return 0.0


def answer_of(name: str, answer: Any) -> Any:
    """Return the answer of a user's function, and refuse a coroutine, which would count as true.

    :param name: The function's name, for the error.
    :raises PluginError: the function is asynchronous.
    """
    if not inspect.isawaitable(answer):
        return answer
    if inspect.iscoroutine(answer):
        answer.close()
    raise PluginError(
        f"{name} is asynchronous, and nobody can wait for its answer here; make it a plain function"
    )


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in the form of graphs: exception classes become ``module:qualname``, other values stay."""
    return {name: _plain(value) for name, value in options.items()}


def option_problems(options: Mapping[Any, Any]) -> Iterator[str]:
    """Yield a problem for each option that cannot stand in a graph or travel with a message."""
    for name, value in options.items():
        if not isinstance(name, str):
            yield f"the retry options have the name {name!r}; give texts as names"
        elif callable(value) and not isinstance(value, type):
            yield (
                f"the retry option {name!r} is a function, which cannot travel with a graph; decorate the task with a "
                f"policy object that has it, such as retry_policy=StandardRetry({name}=…)"
            )


def _plain(value: Any) -> Any:
    if isinstance(value, type) and issubclass(value, BaseException):
        return f"{value.__module__}:{value.__qualname__}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    return value
