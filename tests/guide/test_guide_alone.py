"""Tasks that are sent on their own, before a broker has a flow and after, and decorators in any order."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

import pytest
from pydantic import BaseModel
from taskiq import InMemoryBroker
from taskiq.depends.progress_tracker import TaskProgress

from taskiq_flow import (
    CPUProfile,
    DataflowPipeline,
    Flow,
    Pipeline,
    RAMProfile,
    TaskInfo,
    pipeline_task,
    pipeline_task_multi_output,
)
from taskiq_flow.machine.events import CellProgressed


class AudioFeatures(BaseModel):
    duration: float
    key: str


async def alone(task: Any, *args: Any, **kwargs: Any) -> Any:
    """Send a task on its own, and give what it returned."""
    result = await (await task.kiq(*args, **kwargs)).wait_result(check_interval=0.01, timeout=20)
    if result.error is not None:
        raise result.error
    return result.return_value


@pytest.mark.parametrize("installed", [True, False], ids=["flow", "bare broker"])
async def test_with_every_option_of_the_guide(broker: InMemoryBroker, value: Any, installed: bool) -> None:
    if installed:
        Flow(broker)

    @broker.task(timeout=30, retry_policy=None, max_retries=3, queue="default", labels={"type": "cpu"})
    async def slow_task() -> str:
        return "done"

    assert await alone(slow_task) == "done"
    assert await value(Pipeline(broker, slow_task)) == "done"
    assert await alone(slow_task) == "done"


@pytest.mark.parametrize("installed", [True, False], ids=["flow", "bare broker"])
async def test_what_goes_in_and_what_comes_out(broker: InMemoryBroker, installed: bool) -> None:
    if installed:
        Flow(broker)

    @broker.task
    async def process(text: str, max_length: int = 3, *, strict: bool = False) -> dict[str, Any]:
        return {"processed": text[:max_length], "strict": strict}

    @broker.task
    async def extract(path: str) -> AudioFeatures:
        return AudioFeatures(duration=180.0, key=path)

    @broker.task
    def transpose(features: AudioFeatures) -> str:
        return features.key.lower()

    @broker.task
    @pipeline_task(outputs=["head", "tail"])
    def split(data: str) -> tuple[str, str]:
        return data[:10], data[10:]

    assert await alone(process, "abcdef") == {"processed": "abc", "strict": False}
    assert await alone(process, "abcdef", 2, strict=True) == {"processed": "ab", "strict": True}
    features = AudioFeatures(duration=180.0, key="C")
    assert await alone(extract, "C") == features
    assert await alone(transpose, features) == "c"
    assert await alone(split, "a" * 10 + "b") == ("a" * 10, "b")


@pytest.mark.parametrize("early", [True, False], ids=["decorated before the flow", "after"])
@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("above", range(5))
async def test_decorators_stand_in_any_order(
    broker: InMemoryBroker, kind: str, early: bool, above: int
) -> None:
    """:param above: How many of them stand above ``@broker.task``."""
    info = TaskInfo(name="extract", description="what a text is made of")
    said = [pipeline_task(output="features"), CPUProfile(cpu_units=2), RAMProfile(ram_mb=512), info]
    if not early:
        Flow(broker)
    for number, order in enumerate(permutations(said)):

        async def extract(data: list[str]) -> dict[str, int]:
            return {"features": len(data)}

        def extract_in_a_thread(data: list[str]) -> dict[str, int]:
            return {"features": len(data)}

        task: Any = extract if kind == "async" else extract_in_a_thread
        for decorate in order[above:]:
            task = decorate(task)
        task = broker.task(f"extract-{number}", labels={"type": "cpu"})(task)
        for decorate in order[:above]:
            task = decorate(task)
        pipeline = DataflowPipeline.from_tasks(broker, [task])
        (node,) = pipeline.graph.nodes.values()
        assert node.options.resources == {"cpu": 2, "ram_mb": 512}
        assert node.description == "what a text is made of"
        if number % 8 == 0:  # all of them would say no more
            assert await pipeline.kiq_dataflow(data=["a", "b"]) == {"features": {"features": 2}}
            assert await alone(task, ["a"]) == {"features": 1}
        called = task(["a"])
        assert (await called if kind == "async" else called) == {"features": 1}


async def test_the_alternative_for_several_outputs_takes_the_same_words(broker: InMemoryBroker) -> None:
    said: dict[str, Any] = {"outputs": ["x", "y"], "inputs": ["value"], "description": "halves"}
    for declare in (pipeline_task, pipeline_task_multi_output):

        @broker.task
        @declare(**said)
        def split(value: int, offset: int = 0) -> tuple[int, int]:
            return value // 2 + offset, value % 2

        pipeline = DataflowPipeline.from_tasks(broker, [split])
        assert pipeline.graph.nodes["split"].description == "halves"
        assert list(pipeline.graph.inputs) == ["value"]
        assert await pipeline.kiq_dataflow(value=7) == {"x": 3, "y": 1}


@pytest.mark.parametrize("returned", [(1,), (1, 2, 3), "xy", {"x": 1, "y": 2}, None], ids=str)
async def test_another_number_of_values_fails_the_cell(broker: InMemoryBroker, returned: Any) -> None:
    @broker.task
    @pipeline_task(outputs=["x", "y"])
    def split() -> Any:
        return returned

    handle = await DataflowPipeline.from_tasks(broker, [split]).kiq()
    assert (await handle.wait_result(timeout=20)).is_err
    (failure,) = await handle.failures()
    assert (failure.node, failure.kind, await handle.outputs()) == ("split", "rejected", {})
    assert "outputs 'x', 'y'" in str(failure)


def test_profiles_have_defaults() -> None:
    broker = InMemoryBroker()

    @broker.task
    @CPUProfile()
    @RAMProfile()
    def light(data: int) -> int: ...

    assert Pipeline(broker, light).graph.nodes["light"].options.resources == {"cpu": 1, "ram_mb": 0}


async def test_the_description_of_a_task_info_can_be_handed_on(broker: InMemoryBroker) -> None:
    info = TaskInfo(
        name="extract_spectrogram",
        description="Spectrogram of a wave form",
        parameters={"sample_rate": {"type": "int", "default": 22050}},
        outputs=["spectrogram", "sample_rate"],
    )

    @broker.task
    @pipeline_task(output="spectrogram", description=info.description)
    def extract_spectrogram(audio: list[float], sample_rate: int = 22050, n_mels: int = 128) -> list[float]:
        return [*audio, sample_rate, n_mels]

    pipeline = DataflowPipeline.from_tasks(broker, [extract_spectrogram])
    assert pipeline.graph.nodes["extract_spectrogram"].description == "Spectrogram of a wave form"
    assert await pipeline.kiq_dataflow(audio=[0.5]) == {"spectrogram": [0.5, 22050, 128]}


# Progress


async def test_without_a_flow_nobody_listens_to_progress(broker: InMemoryBroker) -> None:
    @broker.task
    async def long_task(items: list[int], progress_callback: Any = None) -> str:
        return "listened to" if progress_callback else "done"

    assert await alone(long_task, [1, 2]) == "done"
    Flow(broker)
    assert await alone(long_task, [1, 2]) == "listened to"


async def test_a_callback_need_not_have_a_default(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    async def long_task(items: list[int], progress_callback: Any) -> str:
        for number, _ in enumerate(items):
            await progress_callback(number / len(items))
        return "done"

    assert await value(Pipeline(broker, long_task), [1, 2]) == "done"
    assert await alone(long_task, [1, 2]) == "done"
    assert await DataflowPipeline.from_tasks(broker, [long_task]).kiq_dataflow(items=[1]) == {
        "long_task": "done"
    }


async def test_each_item_of_a_map_reports_its_own_progress(broker: InMemoryBroker) -> None:
    @broker.task
    def work(number: int, progress_callback: Any = None) -> int:
        progress_callback(number / 4)
        return number

    handle = await Pipeline(broker).map(work).kiq([1, 2, 3])
    assert await handle.result(timeout=20) == [1, 2, 3]
    told = {event.cell: event.progress async for event in handle.events() if hasattr(event, "progress")}
    assert told == {f"work[{number}]/work": (number + 1) / 4 for number in range(3)}


async def test_progress_is_there_while_a_task_runs(broker: InMemoryBroker) -> None:
    Flow(broker)
    kept: list[TaskProgress[float] | None] = []

    @broker.task
    async def long_task(progress_callback: Any = None) -> str:
        await progress_callback(0.5)
        kept.append(await broker.result_backend.get_progress("mine"))
        return "done"

    sent = await long_task.kicker().with_task_id("mine").kiq()
    assert (await sent.wait_result(timeout=20)).return_value == "done"
    (progress,) = kept
    assert progress is not None
    assert progress.meta == 0.5


async def test_a_progress_callback_that_is_given_by_position_is_the_senders(broker: InMemoryBroker) -> None:
    Flow(broker)

    @broker.task
    async def steps(items: list[int], progress_callback: Any = None) -> bool:
        return progress_callback is None

    assert await alone(steps, [1], None) is True
    assert await alone(steps, [1]) is False


async def test_what_a_retry_reports_is_seen_by_the_sender(broker: InMemoryBroker) -> None:
    Flow(broker)
    calls: list[int] = []

    @broker.task(retry_policy={"max_retries": 1, "delay": 0.01}, labels={"type": "cpu"})
    async def steps(progress_callback: Any) -> str:
        calls.append(len(calls))
        await progress_callback(0.25 if len(calls) == 1 else 0.75)
        if len(calls) == 1:
            raise ValueError("not yet")
        return "done"

    sent = await steps.kiq()
    result = await sent.wait_result(check_interval=0.01, timeout=20)

    assert (result.return_value, result.labels) == ("done", {"type": "cpu"})
    progress = await sent.get_progress()
    assert progress is not None
    assert progress.meta == 0.75


async def test_the_progress_of_a_run_counts_what_its_cells_report(broker: InMemoryBroker) -> None:
    go_on = asyncio.Event()

    @broker.task
    async def first() -> int:
        return 1

    @broker.task
    async def second(value: int, progress_callback: Any) -> int:
        await progress_callback(0.5)
        await go_on.wait()
        return value

    handle = await Pipeline(broker, first).call_next(second, param_name="value").kiq()
    async for event in handle.events():
        if isinstance(event, CellProgressed):
            break
    progress = await handle.get_progress()
    go_on.set()

    assert progress is not None
    assert progress.meta == 0.75
    assert await handle.result(timeout=20) == 1
    assert (await handle.get_progress()).meta == 1.0  # type: ignore[union-attr]
