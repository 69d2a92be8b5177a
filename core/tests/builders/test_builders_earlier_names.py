"""Code for other projects gets errors in our words, and words that only look like ours get warnings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from taskiq import InMemoryBroker

import taskiq_flow
from again import Again
from taskiq_flow import (
    AbortPipeline,
    DataflowPipeline,
    DataflowRegistry,
    Flow,
    GraphError,
    Pipeline,
    PipelineError,
)
from taskiq_flow.middleware import PipelineMiddleware
from taskiq_flow.plugins.config import FlowConfig

broker = InMemoryBroker()


@broker.task
async def double(number: int) -> int:
    return 2 * number


PIPELINES: list[Any] = [Pipeline(broker, double), DataflowPipeline.from_tasks(broker, [double])]


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("print_dag", r"print\(pipeline\.render\(\)\)"),
        ("visualize_dot", r'pipeline\.render\("dot"\)'),
        ("with_tracking", "handle.events"),
        ("with_options", "with_retry"),
        ("kiq_map_reduce", "kiq_dataflow"),
        ("dumpb", "to_json"),
    ],
)
def test_methods_of_other_projects_are_told_in_our_words(pipeline: Any, name: str, said: str) -> None:
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'; .*{said}"):
        getattr(pipeline, name)
    assert not hasattr(pipeline, name)


def test_other_names_are_missing_as_usual() -> None:
    with pytest.raises(AttributeError, match=r"^'Pipeline' object has no attribute 'nothing'$"):
        getattr(PIPELINES[0], "nothing")  # noqa: B009 - a type checker would find it


@pytest.mark.parametrize(
    "name", ["get_producer", "get_consumers", "get_external_inputs", "get_outputs", "build_dag"]
)
def test_the_registry_tells_its_properties(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"'{name}'; write .*registry\."):
        getattr(DataflowRegistry(), name)


@pytest.mark.parametrize("name", ["DAGBuilder", "MapReduce", "PipelineTrackingManager", "get_task_by_output"])
def test_names_of_the_earlier_package_are_told_at_the_import(name: str) -> None:
    with pytest.raises(ImportError, match=f"taskiq_flow has no '{name}'; "):
        getattr(taskiq_flow, name)


def test_arguments_are_told_in_our_words() -> None:
    dataflow: Any = DataflowPipeline(broker)
    for call, said in (
        (
            lambda: dataflow.reduce(double, input_name="xs", output="y"),
            "reduce.. has no argument 'input_name'; write over=",
        ),
        (lambda: dataflow.map(double, items=[1], output="y"), "'items'; write over="),
        (lambda: Pipeline(broker, double).group([double, double]), r"write group\(\*tasks\)"),
        (
            lambda: Pipeline(broker, double).call_next(double, retry_delay=3).graph,
            r"'retry_delay'.*with_retry\(delay=…\)",
        ),
        (lambda: Pipeline(broker, double).call_next(double, retries=3).graph, r"'retries'.*max_retries"),
    ):
        with pytest.raises((TypeError, GraphError), match=said):
            call()
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        dataflow.reduce(double, over="xs", nonsense=1)


async def test_inputs_by_position_are_told_by_name() -> None:
    pipeline: Any = PIPELINES[1]
    for start in (pipeline.kiq, pipeline.kiq_dataflow):
        with pytest.raises(
            GraphError, match="takes its inputs by name, found 1 by position; its inputs are 'number'"
        ):
            await start(3)


async def test_an_aborted_pipeline_is_not_tried_again() -> None:
    own = InMemoryBroker().with_middlewares(PipelineMiddleware(retry=Again()))
    calls = []

    @own.task
    def stop(number: int) -> int:
        calls.append(number)
        raise AbortPipeline(reason=f"{number} is enough")

    result = await (await Pipeline(own, stop).call_next(double_on(own)).kiq(1)).wait_result(timeout=20)
    assert isinstance(result.error, PipelineError)
    assert type(result.error) is AbortPipeline
    assert result.error.reason == "1 is enough"
    assert "1 is enough" in result.error.args[0]
    assert calls == [1]


def double_on(own: InMemoryBroker) -> Any:
    return own.register_task(double.original_func, task_name="double")


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "taskiq_flow"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("timout", "timeout=…"),
        ("max_retrys", "max_retries=…"),
        ("retry_delay", "retry_policy={'delay': …}"),
        ("retries", "max_retries=…"),
        ("resources", "@ResourceProfile(…)"),
    ],
)
def test_words_of_a_task_that_look_like_options_are_warned_of(
    caplog: pytest.LogCaptureFixture, word: str, meant: str
) -> None:
    own = InMemoryBroker()
    Flow(own)
    with caplog.at_level(logging.WARNING, "taskiq_flow"):
        own.task(**{word: 3})(double.original_func)
        own.task(labels={word: 3}, task_name="other")(double.original_func)
        own.task(retry_on_error=True, schedule=[], queue_name="q", tenant="a", task_name="third")(
            double.original_func
        )
    (warning,) = messages(caplog)
    assert f"{word}=… is a label" in warning
    assert f"write {meant}" in warning


def test_settings_that_look_like_ours_are_warned_of_once(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskiq_flow.plugins.config._WARNED", set())
    (tmp_path / "pyproject.toml").write_text("[tool.taskiq_flow]\nscheduler = 'fifo'\n[tool.taskiq]\nx = 1\n")
    environment = {
        "TASKIQ_FLOW_SCHEDULR": "fifo",
        "TASKIQ_FLOW_ACME_TOKEN": "x",
        "TASKIQ_FLOW_SCHEDULER": "fifo",
    }
    with caplog.at_level(logging.WARNING, "taskiq_flow"):
        for _ in range(2):
            config = FlowConfig.load(environment=environment, directory=tmp_path)
    assert config.scheduler == "fifo"
    assert messages(caplog) == [
        "environment variable TASKIQ_FLOW_SCHEDULR is not read by anything here; write TASKIQ_FLOW_SCHEDULER",
        f"[tool.taskiq_flow] of {tmp_path / 'pyproject.toml'} is not read by anything here; write [tool.taskiq-flow]",
    ]
