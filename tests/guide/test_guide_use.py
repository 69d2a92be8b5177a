"""The guide's statements about retries, registries, tests, composition and progress."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from taskiq import InMemoryBroker

import taskiq_flow
from taskiq_flow import (
    DataflowPipeline,
    DataflowRegistry,
    Flow,
    GiveUp,
    Pipeline,
    PluginError,
    Retry,
    RetryPolicy,
    pipeline_task,
)

# 6: retries come with a distribution of their own; without it the core says which one.


@pytest.mark.parametrize(
    "options",
    [{"retry_policy": {"max_retries": 3, "delay": 5.0, "backoff": 2.0}}, {"max_retries": 3}],
    ids=["retry_policy", "max_retries"],
)
async def test_retry_options_name_the_distribution(broker: InMemoryBroker, options: dict[str, Any]) -> None:
    Flow(broker, blocked=["retry"])

    @broker.task(**options)
    async def flaky() -> None:
        raise AssertionError("must not run")

    with pytest.raises(PluginError, match=r"nodes 'flaky': .*install taskiq-flow-retry"):
        await Pipeline(broker, flaky).kiq()


async def test_pipeline_retry_names_the_distribution(broker: InMemoryBroker) -> None:
    Flow(broker, blocked=["retry"])

    @broker.task
    async def flaky() -> None:
        raise AssertionError("must not run")

    pipeline = Pipeline(broker).with_retry(max_attempts=3, delay=1.0, backoff=1.5).call_next(flaky)
    assert pipeline.graph.nodes["flaky"].options.retry == {"max_attempts": 3, "delay": 1.0, "backoff": 1.5}
    with pytest.raises(PluginError, match="install taskiq-flow-retry"):
        await pipeline.kiq()


async def test_a_task_that_asks_for_a_retry_is_told_what_is_missing(broker: InMemoryBroker) -> None:
    from taskiq.exceptions import RetryException  # type: ignore[attr-defined]

    assert RetryException is taskiq_flow.RetryException
    Flow(broker, blocked=["retry"])

    @broker.task
    async def conditional(allowed: bool) -> None:
        if allowed:
            raise RetryException("a network error, try again")
        raise ValueError("not this one")

    pipeline = Pipeline(broker, conditional)
    handle = await pipeline.kiq(True)
    with pytest.raises(RetryException, match="a network error, try again"):
        await handle.result(timeout=20)
    reasons = [event.reason async for event in handle.events() if hasattr(event, "failure")]
    assert reasons == [
        "the task asks for a retry, which needs a plugin; install taskiq-flow-retry, or select its policy 'standard'"
    ]
    with pytest.raises(ValueError, match="not this one"):
        await (await pipeline.kiq(False)).result(timeout=20)


@pytest.mark.parametrize("asked", ["by the exception", "by an option"])
async def test_a_task_on_its_own_that_cannot_be_retried_says_so_in_the_log(
    broker: InMemoryBroker, caplog: pytest.LogCaptureFixture, asked: str
) -> None:
    Flow(broker, blocked=["retry"])
    options = {"max_retries": 3} if asked == "by an option" else {}

    @broker.task(**options)
    async def flaky() -> None:
        raise taskiq_flow.RetryException("again")

    with caplog.at_level(logging.WARNING, logger="taskiq_flow"):
        result = await (await flaky.kiq()).wait_result(timeout=20)
    assert isinstance(result.error, taskiq_flow.RetryException)
    assert "install taskiq-flow-retry" in caplog.text


async def test_a_policy_object_belongs_to_its_task(broker: InMemoryBroker, value: Any) -> None:
    class Twice(RetryPolicy):
        name = "twice"

        def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
            return attempt < 2

    calls: list[int] = []

    @broker.task(retry_policy=Twice())
    async def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 2:
            raise OSError("the line is busy")
        return x

    assert await value(Pipeline(broker, flaky), 5) == 5
    assert calls == [5, 5]


# 7: registries


async def test_tasks_find_each_other(broker: InMemoryBroker) -> None:
    @broker.task
    @pipeline_task(output="clean")
    def clean(raw: str) -> str:
        return raw.strip()

    @broker.task
    @pipeline_task(output="words")
    async def split(clean: str) -> list[str]:
        return clean.split()

    outputs = await DataflowPipeline.from_tasks(broker, [split, clean]).kiq_dataflow(raw=" a b ")
    assert outputs == {"clean": "a b", "words": ["a", "b"]}


async def test_a_registry_by_hand_and_from_objects(broker: InMemoryBroker) -> None:
    @broker.task
    def load(path: str) -> list[int]:
        return [len(path)]

    @broker.task
    def process_data(data: list[int]) -> list[int]:
        return [number * 2 for number in data]

    @broker.task
    @pipeline_task(output="total")
    async def add_up(processed: list[int]) -> int:
        return sum(processed)

    registry = DataflowRegistry()
    registry.register_task(task=load, output="raw")
    registry.register_task(task=process_data, output="processed", inputs=["raw"])
    for task in [add_up]:
        registry.register_task_from_object(task)
    assert registry.external_inputs == ("path",)
    assert registry.producers == {"raw": "load", "processed": "process_data", "total": "add_up"}
    outputs = await DataflowPipeline.from_registry(broker, registry).kiq_dataflow(path="abc")
    assert outputs == {"raw": [3], "processed": [6], "total": 6}


# 8: tests of tasks


@pytest.mark.parametrize("installed", [True, False], ids=["flow", "bare broker"])
async def test_a_decorated_task_is_still_a_function(installed: bool) -> None:
    broker = InMemoryBroker(await_inplace=True)
    if installed:
        Flow(broker)

    @broker.task
    def process(data: dict[str, int]) -> dict[str, int]:
        return {"result": data["value"] * 2}

    @broker.task
    async def my_task(x: int) -> int:
        return x + 1

    assert process({"value": 5}) == {"result": 10}
    assert await my_task(5) == 6
    result = await (await my_task.kiq(5)).wait_result()
    assert (result.return_value, result.is_err) == (6, False)
    result = await (await process.kiq({"value": 5})).wait_result(timeout=20)
    assert result.return_value == {"result": 10}


# 9: patterns


async def test_small_tasks_make_several_pipelines(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    def validate(data: int) -> int:
        return abs(data)

    @broker.task
    async def transform(data: int) -> int:
        return data * 2

    @broker.task
    def enrich(data: int) -> dict[str, int]:
        return {"data": data}

    first = Pipeline(broker).call_next(validate).call_next(transform)
    second = Pipeline(broker).call_next(validate).call_next(enrich)
    assert await value(first, -3) == 6
    assert await value(second, -3) == {"data": 3}
    assert await value(Pipeline(broker).call_next(first).call_next(second), -3) == {"data": 6}


async def test_a_task_may_remember_what_it_has_done(broker: InMemoryBroker) -> None:
    cache: dict[str, Any] = {}

    @broker.task
    @pipeline_task(output="user_processed")
    def process_user(user_id: str) -> dict[str, str]:
        if user_id in cache:
            return {"status": "already_done"}
        cache[user_id] = True
        return {"status": "done"}

    pipeline = DataflowPipeline.from_tasks(broker, [process_user])
    statuses = [(await pipeline.kiq_dataflow(user_id="u1"))["user_processed"]["status"] for _ in range(2)]
    assert statuses == ["done", "already_done"]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_progress_of_a_pipeline(broker: InMemoryBroker, value: Any, kind: str) -> None:
    @broker.task
    async def in_a_loop(items: list[int], progress_callback: Any = None) -> str:
        for number, _ in enumerate(items):
            if progress_callback:
                await progress_callback(number / len(items))
        return "done"

    @broker.task
    def in_a_thread(items: list[int], progress_callback: Any = None) -> str:
        for number, _ in enumerate(items):
            if progress_callback:
                progress_callback(number / len(items))
        return "done"

    task: Any = in_a_loop if kind == "async" else in_a_thread
    handle = await Pipeline(broker, task).kiq([1, 2, 3, 4])
    assert await handle.result(timeout=20) == "done"
    assert [event.progress async for event in handle.events() if hasattr(event, "progress")] == [
        0.0,
        0.25,
        0.5,
        0.75,
    ]
    progress = await handle.get_progress()
    assert progress is not None
    assert progress.meta == 1.0


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_progress_of_a_task_on_its_own(broker: InMemoryBroker, kind: str) -> None:
    Flow(broker)

    @broker.task
    async def in_a_loop(items: list[int], progress_callback: Any = None) -> bool:
        await progress_callback(items[0] / items[1])
        return True

    @broker.task
    def in_a_thread(items: list[int], progress_callback: Any = None) -> bool:
        progress_callback(items[0] / items[1])
        return True

    task: Any = in_a_loop if kind == "async" else in_a_thread
    sent = await task.kiq([3, 4])
    assert (await sent.wait_result(timeout=20)).return_value is True
    progress = await sent.get_progress()
    assert progress is not None
    assert progress.meta == 0.75


async def test_a_callback_that_was_given_is_not_replaced(broker: InMemoryBroker) -> None:
    @broker.task
    async def long_task(items: list[int], progress_callback: Any = None) -> str:
        return repr(progress_callback)

    Flow(broker)
    assert await long_task([], progress_callback=None) == "None"
    sent = await long_task.kiq([], progress_callback="mine")
    assert (await sent.wait_result(timeout=20)).return_value == "'mine'"


# 10: side effects


async def test_side_effects_stand_beside_the_value(broker: InMemoryBroker, value: Any) -> None:
    seen: list[str] = []

    @broker.task
    def compute(x: int) -> int:
        return x * 2

    @broker.task
    async def notify(text: str, result: int | None = None) -> str:
        seen.append(f"{text} {result}")
        return "ignored"

    pipeline = Pipeline(broker, compute).call_after(notify, text="done").call_next(compute)
    assert await value(pipeline, 2) == 8
    assert seen == ["done None"]
    assert await value(Pipeline(broker, compute).call_after(notify, "result", text="got"), 2) == 4
    assert seen == ["done None", "got 4"]


@pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
async def test_the_next_step_waits_for_a_side_effect(broker: InMemoryBroker, value: Any, fails: bool) -> None:
    seen: list[str] = []

    @broker.task
    def compute(x: int) -> int:
        seen.append("compute")
        return x

    @broker.task
    async def notify() -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        seen.append("notify")
        if fails:
            raise OSError("nobody listens")

    pipeline = Pipeline(broker, compute).call_after(notify).call_next(compute)
    if fails:
        with pytest.raises(OSError, match="nobody listens"):
            await value(pipeline, 2)
        assert seen == ["compute", "notify"]
    else:
        assert await value(pipeline, 2) == 2
        assert seen == ["compute", "notify", "compute"]


def test_decisions_of_policies_are_public() -> None:
    assert Retry(delay=2.0, reason="busy").delay == 2.0
    assert GiveUp(reason="hopeless").reason == "hopeless"
