"""Tasks that are sent on their own on a broker with a flow: taskiq runs the user's function itself."""

from __future__ import annotations

import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from taskiq import InMemoryBroker, TaskiqMessage, TaskiqMiddleware
from taskiq.exceptions import SendTaskError

from again import Again
from taskiq_flow import Flow, Pipeline, RetryException
from taskiq_flow.worker.decorated import FlowTask
from taskiq_flow.worker.execution import CURRENT


class Unlucky(TaskiqMiddleware):
    """Fails around the messages of some tasks."""

    def __init__(self, *tasks: str) -> None:
        super().__init__()
        self.tasks = tasks

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        if message.task_name in self.tasks:
            raise ValueError("bad luck")
        return message


class Watching(TaskiqMiddleware):
    """Keeps what taskiq is about to call."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[Any] = []

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        task = self.broker.find_task(message.task_name)
        assert task is not None
        self.targets.append(task.original_func)
        return message


async def value_of(task: Any, *args: Any, **kwargs: Any) -> Any:
    """Send a task on its own, and give what it returned."""
    result = await (await task.kiq(*args, **kwargs)).wait_result(check_interval=0.01, timeout=20)
    if result.error is not None:
        raise result.error
    return result.return_value


@pytest.fixture(params=[True, False], ids=["in place", "in tasks"])
async def made(request: pytest.FixtureRequest) -> Any:
    """A broker with a flow whose threads have a name of their own."""
    broker = InMemoryBroker(await_inplace=request.param)
    Flow(broker, retry=Again)
    yield broker
    await broker.shutdown()


async def test_taskiq_gets_the_users_function_for_a_plain_task_and_not_for_a_cell(
    made: InMemoryBroker,
) -> None:
    watching = Watching()
    made.add_middlewares(watching)

    async def step(x: int) -> int:
        return x + 1

    task: Any = made.task(step)
    assert isinstance(task, FlowTask)
    assert await value_of(task, 1) == 2
    pipeline: Any = Pipeline(made, task)
    assert await (await pipeline.kiq(1)).result(timeout=20) == 2
    plain, of_cell = watching.targets
    assert plain is step
    assert of_cell is task.original_func is not step


async def test_a_synchronous_plain_task_runs_where_taskiqs_receiver_runs_them(made: InMemoryBroker) -> None:
    @made.task
    def where(x: int) -> str:
        return threading.current_thread().name

    with ThreadPoolExecutor(1, thread_name_prefix="of-the-receiver") as own:
        made.receiver.executor = own
        assert (await value_of(where, 1)).startswith("of-the-receiver")


async def test_what_somebody_has_put_around_a_task_stays_around_it(made: InMemoryBroker) -> None:
    calls: list[tuple[Any, ...]] = []

    def trace(function: Any) -> Any:
        @functools.wraps(function)
        async def traced(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return await function(*args, **kwargs)

        return traced

    @made.task
    async def step(x: int) -> int:
        return x + 1

    @made.task
    def step_in_a_thread(x: int) -> bool:
        return threading.current_thread() is not threading.main_thread()

    step.original_func = trace(step.original_func)
    step_in_a_thread.original_func = trace(step_in_a_thread.original_func)
    assert await value_of(step, 1) == 2
    assert await value_of(step_in_a_thread, 3) is True
    assert await (await Pipeline(made, step).kiq(1)).result(timeout=20) == 2
    assert calls == [(1,), (3,), ()]


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "by position"])
async def test_what_is_sent_again_is_what_was_sent(made: InMemoryBroker, by_name: bool) -> None:
    seen: list[Any] = []

    @made.task
    async def spoil(numbers: list[int], options: dict[str, list[int]], word: str) -> int:
        seen.append(([*numbers], {name: [*each] for name, each in options.items()}, word))
        numbers.clear()
        options["a"].append(1)
        options["b"] = []
        if len(seen) == 1:
            raise RetryException(delay=0)
        return len(seen)

    given: dict[str, Any] = {"numbers": [1, 2], "options": {"a": []}, "word": "w"}
    sent = value_of(spoil, **given) if by_name else value_of(spoil, *given.values())
    assert await sent == 2
    assert seen == [([1, 2], {"a": []}, "w")] * 2


async def test_a_task_without_a_policy_of_its_own_is_tried_again_when_it_asks_for_that(
    made: InMemoryBroker,
) -> None:
    calls: list[int] = []

    @made.task
    def ask(x: int) -> int:
        calls.append(x)
        if len(calls) == 1:
            raise RetryException(delay=0)
        return len(calls)

    assert await value_of(ask, 7) == 2
    assert calls == [7, 7]


async def test_what_failed_around_an_inner_task_does_not_cost_the_outer_one_its_retry() -> None:
    broker = InMemoryBroker(await_inplace=True)
    Flow(broker, retry=Again)
    broker.add_middlewares(Unlucky("inner"))
    seen: list[int] = []

    @broker.task("inner")
    async def inner(x: int) -> None: ...

    @broker.task
    async def outer(x: int) -> int:
        seen.append(x)
        with pytest.raises(SendTaskError):
            await inner.kiq(99)
        if len(seen) == 1:
            raise RetryException(delay=0)
        return x

    assert await value_of(outer, 5) == 5
    assert seen == [5, 5]
    await broker.shutdown()


async def test_a_plain_task_in_place_leaves_nothing_behind_in_its_senders_context() -> None:
    broker = InMemoryBroker(await_inplace=True)
    Flow(broker)

    @broker.task
    async def inner(x: int) -> int:
        return x

    async def call_inner(x: int) -> int:
        return int(await value_of(inner, x))

    outer = broker.task(call_inner)
    assert await value_of(outer, 5) == 5
    assert CURRENT.get() is None
    assert outer.original_func is not call_inner
    await broker.shutdown()
