"""The guide's statements about tasks and what may be said of them, each on its own."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from pydantic import BaseModel
from taskiq import Context, InMemoryBroker, TaskiqDepends

import taskiq_flow
from taskiq_flow import (
    CPUProfile,
    DataflowPipeline,
    Flow,
    GraphError,
    Pipeline,
    PluginError,
    RAMProfile,
    TaskInfo,
    pipeline_task,
    pipeline_task_multi_output,
)
from taskiq_flow import _metadata as metadata
from taskiq_flow.graph import NodeOptions

OPTIONS: dict[str, Any] = {
    "timeout": 30,
    "retry_policy": None,
    "queue": "default",
    "labels": {"type": "cpu"},
}


class AudioFeatures(BaseModel):
    duration: float
    tempo: float
    key: str


# 1: what a task is


async def test_a_task_is_a_decorated_coroutine(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    async def my_task(value: int) -> int:
        return value * 2

    assert await my_task(4) == 8
    assert await value(Pipeline(broker, my_task), 4) == 8


async def test_a_task_is_a_decorated_function(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    def add(a: int, b: int) -> int:
        return a + b

    assert add(1, 2) == 3
    assert await value(Pipeline(broker, add), 1, b=2) == 3


@pytest.mark.parametrize(
    "given", [None, True, 3, -0.5, "text", [1, [2]], {"key": {"deep": None}}], ids=lambda given: str(given)
)
async def test_values_of_json_go_in_and_out(broker: InMemoryBroker, value: Any, given: Any) -> None:
    @broker.task
    async def echo(parameter: Any) -> Any:
        return parameter

    assert await value(Pipeline(broker, echo).call_next(echo), given) == given


# 2: decorators and options


async def labels_of(context: Context = TaskiqDepends()) -> dict[str, Any]:  # noqa: B008
    """What a task's message carries."""
    return dict(context.message.labels)


@pytest.mark.parametrize("early", [True, False], ids=["decorated before the flow", "after"])
async def test_options_are_honoured(broker: InMemoryBroker, value: Any, early: bool) -> None:
    if not early:
        Flow(broker)
    task = broker.task(**OPTIONS)(labels_of)
    if early:
        Flow(broker)
    sent = await task.kiq()
    alone = (await sent.wait_result(timeout=20)).return_value
    assert (alone["timeout"], alone["queue"], alone["queue_name"], alone["type"]) == (
        30,
        "default",
        "default",
        "cpu",
    )
    piped = await value(Pipeline(broker, task))
    assert (piped["queue_name"], piped["type"]) == ("default", "cpu")
    assert "labels" not in alone.keys() | piped.keys()
    assert "retry_policy" not in alone.keys() | piped.keys()


@pytest.mark.parametrize("early", [True, False], ids=["decorated before the flow", "after"])
@pytest.mark.parametrize("installed", [True, False], ids=["flow", "bare broker"])
async def test_a_name_replaces_that_of_the_function(
    broker: InMemoryBroker, value: Any, early: bool, installed: bool
) -> None:
    if installed and not early:
        Flow(broker)

    @broker.task(name="process_audio_track", labels={"category": "audio_processing", "priority": "high"})
    async def process_track(track_id: str, context: Context = TaskiqDepends()) -> dict[str, Any]:  # noqa: B008
        return {"track": track_id, "task": context.message.task_name, **context.message.labels}

    if installed and early:
        Flow(broker)
    pipeline = Pipeline(broker, process_track)
    assert "process_track" in pipeline.render()
    found = await value(pipeline, "t1")
    assert (found["track"], found["task"]) == ("t1", "process_audio_track")
    assert (found["category"], found["priority"]) == ("audio_processing", "high")
    assert process_track.task_name == "process_audio_track"
    assert broker.find_task("process_audio_track") is not None
    sent = (await (await process_track.kiq("t2")).wait_result(timeout=20)).return_value
    assert (sent["track"], sent["task"], sent["category"]) == (
        "t2",
        "process_audio_track",
        "audio_processing",
    )


@pytest.mark.parametrize("early", [True, False], ids=["decorated before the flow", "after"])
async def test_a_timeout_ends_a_task_that_was_sent_on_its_own(broker: InMemoryBroker, early: bool) -> None:
    if not early:
        Flow(broker)

    @broker.task(timeout=0.05)
    async def slow_task() -> str:
        await asyncio.Event().wait()
        return "done"

    if early:
        Flow(broker)
    result = await (await slow_task.kiq()).wait_result(timeout=20)
    assert isinstance(result.error, TimeoutError)


async def test_a_timeout_ends_a_task_of_a_pipeline(broker: InMemoryBroker, value: Any) -> None:
    @broker.task(timeout=0.05)
    async def slow_task() -> str:
        await asyncio.Event().wait()
        return "done"

    handle = await Pipeline(broker, slow_task).kiq()
    result = await handle.wait_result(timeout=20)
    (failure,) = await handle.failures()
    assert (result.is_err, failure.node, failure.kind) == (True, "slow_task", "timeout")
    assert "0.05" in str(failure)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timeout": "soon"}, "timeout is 'soon'; give a number of seconds above 0, or None"),
        ({"timeout": 0}, "timeout is 0; give a number of seconds above 0, or None"),
        ({"timeout": float("inf")}, "timeout is inf; give a number of seconds above 0, or None"),
        ({"timeout": 10**400}, "give a number of seconds above 0, or None"),
        ({"max_retries": -1}, "max_retries is -1; give a whole number, 0 or more"),
        ({"retry_policy": 3}, "retry_policy is 3; give a mapping of options, or a RetryPolicy"),
        ({"labels": "cpu"}, "labels is 'cpu'; give a mapping from words to values"),
        ({"labels": {1: "cpu"}}, "labels is {1: 'cpu'}; give a mapping from words to values"),
        ({"name": 5}, "name is 5; give a word, or leave it out"),
        ({"priority": 1.5}, "priority is 1.5; give a whole number"),
        ({"serializer": 7}, "serializer is 7; give the name of one, such as 'json', or leave it out"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_impossible_options_are_refused(options: dict[str, Any], problem: str) -> None:
    broker = InMemoryBroker()
    Flow(broker)
    with pytest.raises(GraphError, match="task ") as caught:
        broker.task(**options)(labels_of)
    assert problem in str(caught.value)


def test_what_is_none_was_not_said() -> None:
    broker = InMemoryBroker()
    words = ("timeout", "retry_policy", "max_retries", "queue", "labels", "name", "priority", "serializer")
    task = broker.task(**dict.fromkeys(words))(labels_of)
    assert Pipeline(broker, task).graph.nodes["labels_of"].options == NodeOptions()
    Flow(broker)
    assert task.labels == {}


async def test_an_output_is_found_by_name(broker: InMemoryBroker) -> None:
    @broker.task
    @pipeline_task(output="features", description="what a text is made of")
    def extract(data: list[str]) -> dict[str, int]:
        return {"features": len(data)}

    @broker.task
    @pipeline_task(output="tags")
    def tag(features: dict[str, int]) -> list[str]:
        return sorted(features)

    outputs = await DataflowPipeline.from_tasks(broker, [extract, tag]).kiq_dataflow(data=["a", "b"])
    assert outputs == {"features": {"features": 2}, "tags": ["features"]}


@pytest.mark.parametrize("declare", [pipeline_task, pipeline_task_multi_output])
async def test_several_outputs_are_unpacked(broker: InMemoryBroker, declare: Any) -> None:
    @broker.task
    @declare(outputs=["x", "y"])
    def split(value: int) -> tuple[int, int]:
        return value // 2, value % 2

    @broker.task
    @pipeline_task(output="sum")
    async def add(x: int, y: int) -> int:
        return x + y

    pipeline = DataflowPipeline.from_tasks(broker, [add, split])
    assert await pipeline.kiq_dataflow(value=7) == {"x": 3, "y": 1, "sum": 4}


async def test_declared_inputs_go_over_the_signature(broker: InMemoryBroker) -> None:
    @broker.task
    @pipeline_task(output="size", inputs=["text"])
    async def measure(text: str, factor: int = 10) -> int:
        return len(text) * factor

    @broker.task
    @pipeline_task(output="factor")
    async def choose(text: str) -> int:
        return 1000

    outputs = await DataflowPipeline.from_tasks(broker, [measure, choose]).kiq_dataflow(text="abc")
    assert outputs == {"size": 30, "factor": 1000}


async def test_a_task_of_several_outputs_without_a_pipeline(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    def split(data: str) -> tuple[str, str]:
        return data[:3], data[3:]

    assert split("abcdef") == ("abc", "def")
    assert await value(Pipeline(broker, split), "abcdef") == ("abc", "def")


# 3 and 4: metadata and resources


def test_a_task_info_is_a_record() -> None:
    info = TaskInfo(
        name="extract_spectrogram",
        description="Spectrogram of a wave form",
        parameters={"rate": {"type": "int", "default": 22050}},
        outputs=["spectrogram", "rate"],
    )
    assert (info.name, info.description) == ("extract_spectrogram", "Spectrogram of a wave form")
    assert info.parameters["rate"]["default"] == 22050
    assert list(info.outputs) == ["spectrogram", "rate"]


@pytest.mark.parametrize("above", [True, False], ids=["above @broker.task", "below"])
async def test_resources_stand_in_the_graph(broker: InMemoryBroker, value: Any, above: bool) -> None:
    def heavy(data: int) -> int:
        return data + 1

    profile = CPUProfile(cpu_units=4)
    task = (
        profile(broker.task(RAMProfile(ram_mb=4096)(heavy)))
        if above
        else broker.task(profile(RAMProfile(ram_mb=4096)(heavy)))
    )
    pipeline = Pipeline(broker, task)
    assert pipeline.graph.nodes["heavy"].options.resources == {"cpu": 4, "ram_mb": 4096}
    assert task(1) == 2
    assert await value(pipeline, 1) == 2


async def test_the_default_scheduler_says_that_it_reads_no_resources(
    broker: InMemoryBroker, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @broker.task
    @CPUProfile(cpu_units=0.5)
    def light(data: int) -> int:
        return data

    with caplog.at_level(logging.WARNING, logger="taskiq_flow"):
        assert await value(Pipeline(broker, light), 1) == 1
    assert "taskiq-flow-resources" in caplog.text


def test_a_resource_scheduler_is_a_distribution_of_its_own() -> None:
    with pytest.raises(PluginError, match="install taskiq-flow-resources"):
        Flow(InMemoryBroker(), scheduler="best-fit", blocked=["resources"])


def test_the_pool_of_the_guide_names_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(taskiq_flow), "ResourceAwareWorkerPool", raising=False)
    monkeypatch.setattr(metadata, "find_entry_points", lambda group: ())
    with pytest.raises(ImportError, match="install taskiq-flow-resources"):
        from taskiq_flow import ResourceAwareWorkerPool  # noqa: F401


# 5: inputs and outputs


async def test_defaults_and_keywords(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    async def process(text: str, max_length: int = 3, *, strict: bool = False) -> dict[str, Any]:
        return {"processed": text[:max_length], "strict": strict}

    pipeline = Pipeline(broker, process)
    assert await value(pipeline, "abcdef") == {"processed": "abc", "strict": False}
    assert await value(pipeline, "abcdef", 2, strict=True) == {"processed": "ab", "strict": True}
    flow = DataflowPipeline.from_tasks(broker, [process])
    assert await flow.kiq_dataflow(text="abcdef") == {"process": {"processed": "abc", "strict": False}}


async def test_models_travel_as_models(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    async def extract(path: str) -> AudioFeatures:
        return AudioFeatures(duration=180.0, tempo=120.0, key=path)

    @broker.task
    def transpose(features: AudioFeatures, key: str) -> AudioFeatures:
        assert isinstance(features, AudioFeatures)
        return features.model_copy(update={"key": key})

    pipeline = Pipeline(broker, extract).call_next(transpose, key="D")
    assert await value(pipeline, "C") == AudioFeatures(duration=180.0, tempo=120.0, key="D")


def test_a_function_that_was_not_decorated_by_a_broker_is_no_task() -> None:
    @pipeline_task(outputs=["head", "tail"])
    def split(data: str) -> tuple[str, str]:
        return data[:1], data[1:]

    assert split("abc") == ("a", "bc")
    with pytest.raises(
        GraphError, match=r"'split' is a plain function; decorate it with @broker\.task first"
    ):
        DataflowPipeline.from_tasks(InMemoryBroker(), [split])
