"""Failed attempts, and the cell that they belong to, as a policy sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from taskiq_flow import Flow
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy
from taskiq_flow.testing import FakeClock
from taskiq_flow.testing.clock import settle

NOW = 1_000_000_000.0

Make = Callable[..., Flow]
"""Makes a flow of the test's broker, whose time is the test's clock."""


def raised(exception: BaseException) -> FailedAttempt:
    """Give an attempt whose task raised."""
    cls = type(exception)
    failure = Failure(
        kind=FailureKind.EXCEPTION, message=str(exception), type=f"{cls.__module__}:{cls.__qualname__}"
    )
    return FailedAttempt(failure=failure, exception=exception)


def of_kind(kind: str, *, cls: str = "") -> FailedAttempt:
    """Give an attempt that failed without an exception, or with one whose class this process does not know."""
    return FailedAttempt(failure=Failure(kind=FailureKind(kind), message="it did not work", type=cls))


def cell(
    elapsed: float = 0.0, resources: Mapping[str, float] | None = None, *, asked: bool = True
) -> CellView:
    """Give a cell whose first attempt started so many seconds ago."""
    return CellView(
        run="r",
        path="tracks[3]/features",
        task="app:features",
        resources=resources or {},
        first_started_at=NOW - elapsed,
        now=NOW,
        asked=asked,
    )


def decide(
    policy: RetryPolicy, failed: FailedAttempt, attempt: int = 1, elapsed: float = 0.0, *, asked: bool = True
) -> RetryDecision:
    """Ask a policy."""
    return policy.decide(failed, attempt, cell(elapsed, asked=asked))


def story(policy: RetryPolicy, failed: FailedAttempt, *, asked: bool = True) -> list[float | str]:
    """Give the waits of a cell whose attempts all fail alike, and in the end the reason why there are no more."""
    told: list[float | str] = []
    for attempt in range(1, 1000):
        decision = decide(policy, failed, attempt, asked=asked)
        if isinstance(decision, GiveUp):
            return [*told, decision.reason]
        assert isinstance(decision, Retry)
        told.append(decision.delay)
    raise AssertionError("it never gives up")


class Calls:
    """Fails a number of times, and notes when it was called."""

    def __init__(self, clock: FakeClock, failures: int = 10**6, error: BaseException | None = None) -> None:
        self.clock = clock
        self.begun = clock.now()
        self.failures = failures
        self.error = ValueError("no") if error is None else error
        self.times: list[float] = []

    def __call__(self, value: Any = None) -> Any:
        self.times.append(self.clock.now() - self.begun)
        if len(self.times) <= self.failures:
            raise self.error
        return value


async def reasons(handle: Any) -> list[str]:
    return [event.reason async for event in handle.events() if type(event).__name__ == "AttemptFailed"]


async def ready(clock: FakeClock, task: Any) -> Any:
    """Let time pass until the result of a task on its own is there."""
    for _ in range(1000):
        await settle()
        if await task.is_ready():
            return await task.get_result()
        clock.jump()
    raise AssertionError("there is no result")
