"""``Context.requeue()`` and ``Context.reject()`` in pipelines act on the cell: its run, its arguments."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from taskiq import Context, InMemoryBroker, TaskiqDepends, TaskiqMessage, TaskiqMiddleware
from taskiq.exceptions import NoResultError, TaskRejectedError

from again import Again
from taskiq_flow import Flow, Pipeline
from taskiq_flow.machine.events import AttemptFailed


class Copying(TaskiqMiddleware):
    """Gives taskiq another message than it got."""

    def __init__(self, deep: bool) -> None:
        super().__init__()
        self.deep = deep
        self.seen: list[TaskiqMessage] = []

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        self.seen.append(message)
        return message.model_copy(deep=self.deep)


async def outcome(pipeline: Any, *args: Any) -> Any:
    return await (await pipeline.kiq(*args)).wait_result(timeout=20)


async def test_the_cell_is_executed_again_with_its_arguments_and_in_its_run(broker: InMemoryBroker) -> None:
    calls: list[tuple[str, int, str | None]] = []

    @broker.task
    async def charge(
        customer: str = "everybody",
        amount: int = 999,
        context: Context = TaskiqDepends(),  # noqa: B008
    ) -> str:
        calls.append((customer, amount, context.message.labels.get("X-Taskiq-requeue")))
        if len(calls) < 3:
            await context.requeue()
        return customer

    @broker.task
    async def greet(name: str) -> str:
        return f"Hello, {name}"

    result = await outcome(Pipeline(broker, charge).call_next(greet), "alice", 5)
    await broker.wait_all()
    assert result.return_value == "Hello, alice"
    assert calls == [("alice", 5, None), ("alice", 5, "1"), ("alice", 5, "2")]


async def test_each_item_of_a_map_is_requeued_by_itself(broker: InMemoryBroker) -> None:
    calls: list[int] = []

    @broker.task
    async def twice(x: int, context: Context = TaskiqDepends()) -> int:  # noqa: B008
        calls.append(x)
        if calls.count(x) < 2:
            await context.requeue()
        return x * 2

    assert (await outcome(Pipeline(broker).map(twice), [1, 2, 3])).return_value == [2, 4, 6]
    assert sorted(calls) == [1, 1, 2, 2, 3, 3]


class Twice(Again):
    """Two attempts, and no more."""

    def __init__(self, seen: list[int]) -> None:
        self.seen = seen

    def decide(self, failure: Any, attempt: int, cell: Any) -> Any:
        self.seen.append(attempt)
        return (
            super().decide(failure, attempt, cell)
            if attempt < 2
            else super(Again, self).decide(failure, attempt, cell)
        )


async def test_the_policy_does_not_count_it(broker: InMemoryBroker) -> None:
    seen: list[int] = []
    Flow(broker, retry=Twice(seen))
    calls: list[int] = []

    @broker.task
    async def fails(x: int, context: Context = TaskiqDepends()) -> None:  # noqa: B008
        calls.append(x)
        if len(calls) < 4:
            await context.requeue()
        raise ValueError("no")

    handle = await Pipeline(broker, fails).kiq(1)
    assert isinstance((await handle.wait_result(timeout=20)).error, ValueError)
    assert seen == [1, 2]
    assert len(calls) == 5
    failed = [event async for event in handle.events() if isinstance(event, AttemptFailed)]
    assert [event.requeues for event in failed] == [1, 2, 3, 0, 0]
    assert [event.reason for event in failed][:3] == ["the task has requeued its message"] * 3


async def test_a_dependency_may_do_it_before_the_function_is_called(broker: InMemoryBroker) -> None:
    asked: list[int] = []

    async def room(context: Context = TaskiqDepends()) -> int:  # noqa: B008
        asked.append(1)
        if len(asked) < 2:
            await context.requeue()
        return len(asked)

    @broker.task
    async def enter(x: int, place: int = TaskiqDepends(room)) -> tuple[int, int]:
        return x, place

    assert (await outcome(Pipeline(broker, enter), 7)).return_value == (7, 2)


async def test_who_catches_what_it_raises_goes_on(broker: InMemoryBroker) -> None:
    calls: list[int] = []

    @broker.task
    async def stubborn(x: int, context: Context = TaskiqDepends()) -> int:  # noqa: B008
        calls.append(x)
        try:
            await context.requeue()
        except NoResultError:
            return x
        return 0

    assert (await outcome(Pipeline(broker, stubborn), 7)).return_value == 7
    await broker.wait_all()
    assert calls == [7]


@pytest.mark.parametrize("deep", [True, False])
async def test_middlewares_may_copy_the_message(broker: InMemoryBroker, deep: bool) -> None:
    Flow(broker)
    copying = Copying(deep)
    broker.add_middlewares(copying)
    calls: list[int] = []

    @broker.task
    async def again(x: int = 0, context: Context = TaskiqDepends()) -> int:  # noqa: B008
        calls.append(x)
        if len(calls) < 3:
            await context.requeue()
        return x

    assert (await outcome(Pipeline(broker, again), 7)).return_value == 7
    assert calls == [7, 7, 7]
    labels = copying.seen[-1].labels
    assert labels["X-Taskiq-requeue"] == "2"
    assert pickle.loads(pickle.dumps(labels)) == copy.deepcopy(labels) == copy.copy(labels) == dict(labels)


async def test_a_task_that_rejects_fails_with_that(broker: InMemoryBroker) -> None:
    Flow(broker, retry=Again)
    calls: list[int] = []

    @broker.task
    async def refuse(x: int, context: Context = TaskiqDepends()) -> None:  # noqa: B008
        calls.append(x)
        context.reject()

    assert isinstance((await outcome(Pipeline(broker, refuse), 7)).error, TaskRejectedError)
    assert calls == [7]


async def test_plain_tasks_requeue_as_ever(broker: InMemoryBroker) -> None:
    Flow(broker)
    calls: list[int] = []

    @broker.task
    async def later(x: int, context: Context = TaskiqDepends()) -> int:  # noqa: B008
        calls.append(x)
        if len(calls) < 3:
            await context.requeue()
        return x

    assert (await (await later.kiq(7)).wait_result(0.01, timeout=20)).return_value == 7
    assert calls == [7, 7, 7]
