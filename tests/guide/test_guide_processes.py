"""What the guide says of synchronous tasks, where they run in processes of their own."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from taskiq_flow import DataflowPipeline, Flow, Pipeline

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
async def tasks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """The tasks, on a broker whose flow has two processes."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    sys.modules.pop("guide_tasks", None)
    module = importlib.import_module("guide_tasks")
    Flow(module.broker, processes=2)
    yield module
    await module.broker.shutdown()
    sys.modules.pop("guide_tasks", None)


async def value_of(pipeline: Any, *args: Any) -> Any:
    return await (await pipeline.kiq(*args)).result(timeout=60)


async def test_names_models_and_several_outputs(tasks: Any) -> None:
    pipeline = DataflowPipeline.from_tasks(tasks.broker, [tasks.report, tasks.split, tasks.extract])
    outputs = await (await pipeline.kiq(path="a.wav")).result(timeout=60)
    assert isinstance(outputs["features"], tasks.AudioFeatures)
    assert outputs["key"] == "C"
    *elsewhere, here = outputs["report"]
    assert here == os.getpid()
    assert here not in elsewhere
    assert len(elsewhere) == 2


@pytest.mark.parametrize("task", ["flaky", "conditional"])
async def test_retries(tasks: Any, tmp_path: Path, task: str) -> None:
    calls = tmp_path / "calls"
    assert await value_of(Pipeline(tasks.broker, getattr(tasks, task)), str(calls)) != os.getpid()
    assert calls.read_text() == "xxx"
    calls.unlink()
    sent = await getattr(tasks, task).kiq(str(calls))
    assert not (await sent.wait_result(timeout=60)).is_err
    assert calls.read_text() == "xxx"


async def test_progress_and_time_limits(tasks: Any) -> None:
    handle = await Pipeline(tasks.broker, tasks.long_task).kiq([1, 2])
    assert await handle.result(timeout=60) == "done"
    assert [event.progress async for event in handle.events() if hasattr(event, "progress")] == [0.0, 0.5]
    slow = await Pipeline(tasks.broker, tasks.slow_task).kiq()
    assert (await slow.wait_result(timeout=60)).is_err
    (failure,) = await slow.failures()
    assert (failure.node, failure.kind) == ("slow_task", "timeout")
