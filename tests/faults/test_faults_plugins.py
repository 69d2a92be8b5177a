"""Retry policies, schedulers and observers of users, good and bad ones."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import (
    Flow,
    GiveUp,
    MemoryStore,
    Pipeline,
    Placement,
    PluginError,
    Retry,
    RetryPolicy,
    RunStatus,
    Scheduler,
    hookimpl,
)
from taskiq_flow.retry import CellView, FailedAttempt, RetryDecision
from taskiq_flow.testing import FakeClock


class Thrice(RetryPolicy):
    """Three attempts, with delays of 10 and 20 seconds."""

    name = "thrice"

    @classmethod
    def from_options(cls, options: Any) -> Thrice:
        return cls()

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        if attempt == 3:
            return GiveUp(reason=f"three attempts of {cell.path} are enough")
        return Retry(delay=10.0 * attempt, reason=f"attempt {attempt}: {failed.failure.kind.value}")


class Raising(RetryPolicy):
    name = "raising"

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        raise ZeroDivisionError("a policy's own fault")


class Babbling(RetryPolicy):
    name = "babbling"

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        return 42  # type: ignore[return-value]


class Selective(RetryPolicy):
    """Decides by the exception, without a delay."""

    name = "selective"

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return isinstance(exception, ConnectionError) and attempt < 4


def failures(events: Iterable[Any]) -> list[Any]:
    return [event for event in events if type(event).__name__ == "AttemptFailed"]


# Retry policies


@pytest.mark.parametrize("given", ["argument", "plugin"])
async def test_retries_happen_with_delays_and_leave_a_trace(broker: InMemoryBroker, given: str) -> None:
    class Plugin:
        @hookimpl
        def flow_register_retry_policies(self) -> Iterable[type[RetryPolicy]]:
            return [Thrice]

    clock = FakeClock()
    begun = clock.now()
    if given == "argument":
        flow = Flow(broker, retry=Thrice, clock=clock, store=MemoryStore(clock))
    else:
        flow = Flow(broker, retry="thrice", plugins=[Plugin()], clock=clock, store=MemoryStore(clock))
    calls: list[float] = []

    @broker.task
    async def flaky(x: int) -> int:
        calls.append(clock.now() - begun)
        if len(calls) < 3:
            raise ConnectionError(f"attempt {len(calls)}")
        return x

    handle = await Pipeline(broker, flaky).kiq(5)
    assert await clock.run(handle.result()) == 5
    assert calls == [0.0, 10.0, 30.0]
    told = failures(await flow.store.log.read(handle.id))
    assert [(event.attempt, event.retry_at - begun, event.reason) for event in told] == [
        (1, 10.0, "attempt 1: exception"),
        (2, 30.0, "attempt 2: exception"),
    ]
    assert [event.failure.message for event in told] == ["attempt 1", "attempt 2"]
    assert await handle.failures() == []


async def test_the_last_attempt_is_the_one_that_is_told(broker: InMemoryBroker) -> None:
    clock = FakeClock()
    flow = Flow(broker, retry=Thrice, clock=clock, store=MemoryStore(clock))
    calls: list[int] = []

    @broker.task
    async def fails() -> None:
        calls.append(1)
        raise ValueError(f"attempt {len(calls)}")

    handle = await Pipeline(broker, fails).kiq()
    with pytest.raises(ValueError, match="attempt 3") as caught:
        await clock.run(handle.result())
    assert any("attempt 3" in note for note in caught.value.__notes__)
    (failure,) = await handle.failures()
    assert failure.attempt == 3
    assert failures(await flow.store.log.read(handle.id))[-1].reason == "three attempts of fails are enough"


async def test_the_driver_asks_about_timeouts(broker: InMemoryBroker) -> None:
    clock = FakeClock()
    flow = Flow(broker, retry=Thrice, clock=clock, store=MemoryStore(clock))
    calls: list[int] = []

    @broker.task(timeout=5)
    async def slow(x: int) -> int:
        calls.append(x)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return x

    handle = await Pipeline(broker, slow).kiq(3)
    assert await clock.run(handle.result()) == 3
    assert len(calls) == 2
    (told,) = failures(await flow.store.log.read(handle.id))
    assert (told.failure.kind.value, told.reason) == ("timeout", "attempt 1: timeout")
    assert clock.now() == 1_000_000_000.0 + 5 + 10


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_the_worker_asks_with_the_exception(broker: InMemoryBroker, value: Any, kind: str) -> None:
    Flow(broker, retry=Selective)
    calls: list[int] = []

    def attempt(x: int) -> int:
        calls.append(x)
        if len(calls) < 4:
            raise ConnectionResetError("again")
        return x

    async def attempt_later(x: int) -> int:
        return attempt(x)

    @broker.task
    async def hopeless(x: int) -> int:
        calls.append(x)
        raise ValueError("never again")

    assert await value(Pipeline(broker, broker.task(attempt if kind == "sync" else attempt_later)), 1) == 1
    assert len(calls) == 4
    with pytest.raises(ValueError, match="never again"):
        await value(Pipeline(broker, hopeless), 1)
    assert len(calls) == 5


async def test_what_cannot_be_carried_is_not_tried_again_by_simple_policies(broker: InMemoryBroker) -> None:
    class Always(RetryPolicy):
        name = "always"

        def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
            return attempt < 5

    Flow(broker, retry=Always)
    calls: list[int] = []

    @broker.task
    async def odd() -> Any:
        calls.append(1)
        return threading.Lock()

    handle = await Pipeline(broker, odd).kiq()
    assert (await handle.wait_result(timeout=20)).is_err
    assert calls == [1]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (Raising, "retry policy 'raising' raised ZeroDivisionError: a policy's own fault"),
        (Babbling, "retry policy 'babbling' answered 42 instead of Retry or GiveUp"),
    ],
)
@pytest.mark.parametrize("failing", ["exception", "timeout"])
async def test_a_bad_policy_gives_up_with_a_reason(
    broker: InMemoryBroker, policy: Any, reason: str, failing: str
) -> None:
    flow = Flow(broker, retry=policy)

    @broker.task(timeout=0.05)
    async def fails() -> None:
        if failing == "timeout":
            await asyncio.Event().wait()
        raise ValueError("as expected")

    handle = await Pipeline(broker, fails).kiq()
    assert (await handle.wait_result(timeout=20)).is_err
    (told,) = failures(await flow.store.log.read(handle.id))
    assert (told.retry_at, told.reason) == (None, reason)


async def test_cancel_while_a_retry_is_waited_for(broker: InMemoryBroker) -> None:
    Flow(broker, retry=Thrice)
    calls: list[int] = []

    @broker.task
    async def fails() -> None:
        calls.append(1)
        raise ValueError("again in ten seconds")

    handle = await Pipeline(broker, fails).kiq()
    async for event in handle.events():
        if failures([event]):
            break
    await handle.cancel()
    await handle.wait_result(timeout=20)
    assert await handle.status() is RunStatus.CANCELLED
    assert calls == [1]


# Tasks that were sent on their own


@pytest.mark.parametrize("ending", ["succeeds", "fails"])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_plain_message_is_adopted(broker: InMemoryBroker, ending: str, kind: str) -> None:
    clock = FakeClock()
    flow = Flow(broker, retry=Thrice, clock=clock, store=MemoryStore(clock))
    calls: list[tuple[int, str]] = []

    def attempt(x: int, word: str = "default", *, loud: bool = False) -> str:
        calls.append((x, word))
        if len(calls) < 3 or ending == "fails":
            raise ConnectionError(f"attempt {len(calls)}")
        return f"{word}{x}{'!' if loud else ''}"

    async def attempt_later(x: int, word: str = "default", *, loud: bool = False) -> str:
        return attempt(x, word, loud=loud)

    task = broker.task(attempt if kind == "sync" else attempt_later)
    sent = await task.kiq(7, loud=True)
    # It waits for the run that this becomes as well.
    waiting = asyncio.ensure_future(broker.wait_all())
    # A thread of the executor is nothing that a fake clock could wait for.
    while not await flow.store.runs.list():
        await asyncio.sleep(0.001)
    assert not await sent.is_ready()
    while not waiting.done():
        await asyncio.sleep(0.001)
        clock.jump()
    assert await sent.is_ready()
    result = await sent.get_result()
    if ending == "succeeds":
        assert (result.is_err, result.return_value) == (False, "default7!")
    else:
        assert isinstance(result.error, ConnectionError)
        assert "attempt 3" in str(result.error)
    assert calls == [(7, "default")] * 3


async def test_many_plain_messages_are_adopted_at_once(broker: InMemoryBroker) -> None:
    Flow(broker, retry=Selective)
    failed: set[int] = set()

    @broker.task
    async def flaky(x: int) -> int:
        if x not in failed:
            failed.add(x)
            raise ConnectionError("once each")
        return x * 2

    sent = [await flaky.kiq(x) for x in range(50)]
    results = await asyncio.gather(*(each.wait_result(check_interval=0.01, timeout=20) for each in sent))
    assert [result.return_value for result in results] == [x * 2 for x in range(50)]


# Schedulers


class Fair(Scheduler):
    """The newest first, one at a time."""

    name = "fair"

    def place(self, ready: Sequence[Any], workers: Any, running: Any) -> Iterable[Placement] | None:
        if len(running):
            return []
        return [Placement(run=ready[-1].run, path=ready[-1].path)]


def cancels(ready: Sequence[Any]) -> Any:
    raise asyncio.CancelledError


def bad(answer: Callable[[Sequence[Any]], Any]) -> Scheduler:
    class Bad(Scheduler):
        name = "bad"

        def place(self, ready: Sequence[Any], workers: Any, running: Any) -> Any:
            return answer(ready)

    return Bad()


async def test_a_scheduler_orders_the_cells(broker: InMemoryBroker, value: Any) -> None:
    Flow(broker, scheduler=Fair())
    order: list[int] = []

    @broker.task
    async def step(x: int) -> int:
        order.append(x)
        return x

    assert await value(Pipeline(broker).map(step), [0, 1, 2, 3]) == [0, 1, 2, 3]
    assert order == [3, 2, 1, 0]


NONSENSE: dict[str, tuple[Callable[[Sequence[Any]], Any], str]] = {
    "raises": (lambda ready: 1 // 0, "it raised ZeroDivisionError"),
    "cancels": (cancels, "it raised CancelledError"),
    "no placement": (lambda ready: [ready[0].path], "it gave str instead of Placement"),
    "twice": (lambda ready: [Placement(run=ready[0].run, path=ready[0].path)] * 2, "' twice; using"),
    "unknown": (lambda ready: [Placement(run="r", path="p")], "'p'"),
    "no such worker": (
        lambda ready: [Placement(run=ready[0].run, path=ready[0].path, worker="w")],
        "worker 'w', which does not exist",
    ),
    "not even a list": (lambda ready: 5, "it gave int instead of placements"),
}


@pytest.mark.parametrize("case", NONSENSE)
async def test_a_bad_scheduler_is_logged_and_passed_over(
    broker: InMemoryBroker, value: Any, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    answer, words = NONSENSE[case]
    Flow(broker, scheduler=bad(answer))

    @broker.task
    async def step(x: int) -> int:
        return x + 1

    with caplog.at_level(logging.ERROR, logger="taskiq_flow"):
        assert await value(Pipeline(broker).map(step).map(step), [1, 2]) == [3, 4]
    assert words in caplog.text
    assert "using 'first-fit' for this turn" in caplog.text


@pytest.mark.parametrize("lookahead", [0, -1, 2.5, "many", None, True])
async def test_a_scheduler_that_wants_to_be_shown_nothing_is_refused(
    broker: InMemoryBroker, lookahead: Any
) -> None:
    scheduler = Fair()
    scheduler.lookahead = lookahead  # type: ignore[misc]
    with pytest.raises(PluginError, match=r"scheduler 'fair' has a lookahead of .*; give a number of cells"):
        Flow(broker, scheduler=scheduler)


async def test_a_scheduler_may_leave_it_to_the_default(broker: InMemoryBroker, value: Any) -> None:
    Flow(broker, scheduler=bad(lambda ready: None))

    @broker.task
    async def step(x: int) -> int:
        return x + 1

    assert await value(Pipeline(broker).map(step), [1, 2]) == [2, 3]


# Observers


class Diary:
    """Writes down what observers are told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @hookimpl
    def flow_run_started(self, record: Any) -> None:
        self.lines.append("run started")

    @hookimpl
    def flow_run_finished(self, record: Any, outcome: Any) -> None:
        self.lines.append(f"run {outcome.status.value}")

    @hookimpl
    def flow_cell_dispatched(self, run: str, event: Any) -> None:
        self.lines.append(f"{event.cell}#{event.attempt} dispatched")

    @hookimpl
    def flow_cell_started(self, run: str, event: Any) -> None:
        self.lines.append(f"{event.cell}#{event.attempt} started")

    @hookimpl
    def flow_cell_progressed(self, run: str, event: Any) -> None:
        self.lines.append(f"{event.cell}#{event.attempt} at {event.progress}")

    @hookimpl
    def flow_cell_retried(self, run: str, event: Any) -> None:
        self.lines.append(f"{event.cell}#{event.attempt} tried again: {event.reason}")

    @hookimpl
    def flow_cell_finished(self, run: str, event: Any) -> None:
        self.lines.append(f"{event.cell}#{event.attempt} {type(event).__name__}")


async def test_observers_are_told_everything_in_order(broker: InMemoryBroker) -> None:
    diary, clock = Diary(), FakeClock()
    Flow(broker, plugins=[diary], retry=Thrice, clock=clock, store=MemoryStore(clock))
    tries: list[int] = []

    @broker.task
    async def first(x: int, progress_callback: Any = None) -> int:
        await progress_callback(0.5)
        return x

    @broker.task
    async def flaky(x: int) -> int:
        tries.append(x)
        if len(tries) == 1:
            raise ConnectionError("once")
        return x

    @broker.task
    async def fails(x: int) -> int:
        raise ValueError("always")

    handle = await Pipeline(broker, first).call_next(flaky).call_next(fails).kiq(1)
    await clock.run(handle.wait_result())
    assert diary.lines == [
        "run started",
        "first#1 dispatched",
        "first#1 started",
        "first#1 at 0.5",
        "first#1 CellSucceeded",
        "flaky#1 dispatched",
        "flaky#1 started",
        "flaky#1 tried again: attempt 1: exception",
        "flaky#2 dispatched",
        "flaky#2 started",
        "flaky#2 CellSucceeded",
        "fails#1 dispatched",
        "fails#1 started",
        "fails#1 tried again: attempt 1: exception",
        "fails#2 dispatched",
        "fails#2 started",
        "fails#2 tried again: attempt 2: exception",
        "fails#3 dispatched",
        "fails#3 started",
        "fails#3 AttemptFailed",
        "run failed",
    ]


async def test_an_observer_that_raises_is_logged_and_changes_nothing(
    broker: InMemoryBroker, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Grumbling(Diary):
        @hookimpl
        def flow_cell_started(self, run: str, event: Any) -> None:
            raise LookupError("no pen")

    diary, grumbling = Diary(), Grumbling()
    Flow(broker, plugins=[grumbling, diary])

    @broker.task
    async def step(x: int) -> int:
        return x + 1

    with caplog.at_level(logging.ERROR, logger="taskiq_flow"):
        assert await value(Pipeline(broker, step), 1) == 2
    assert "no pen" in caplog.text
    assert diary.lines[-1] == "run succeeded"
    assert "step#1 started" in diary.lines
