"""Retries of tasks that run in other processes: what the exception says gets through to the policy."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from taskiq_flow import Flow, Pipeline


@pytest.fixture
async def tasks() -> AsyncIterator[Any]:
    sys.modules.pop("retry_tasks", None)
    module = importlib.import_module("retry_tasks")
    flow = Flow(module.broker, processes=2)
    yield module
    await flow.shutdown()
    sys.modules.pop("retry_tasks", None)


async def reasons(handle: Any) -> list[str]:
    return [event.reason async for event in handle.events() if type(event).__name__ == "AttemptFailed"]


async def test_what_the_exception_says_gets_through(tasks: Any, tmp_path: Path) -> None:
    async def run(task: Any, *args: Any) -> tuple[int, list[str]]:
        calls = tmp_path / f"{task.task_name}{args}"
        handle = await Pipeline(tasks.broker, task).kiq(str(calls), *args)
        return await handle.result(timeout=50), await reasons(handle)

    assert await run(tasks.flaky) == (3, ["retry 1 of 2 in 0 s", "retry 2 of 2 in 0 s"])
    assert await run(tasks.asks) == (2, ["retry 1 of 3 in 0 s, as the exception asks"])
    assert await run(tasks.unavailable, 503) == (2, ["retry 1 of 3 in 0 s, as the exception asks"])
    assert await run(tasks.busy) == (2, ["retry 1 of 1 in 0 s, as the exception asks"])
    assert await run(tasks.clumsy) == (2, ["retry 1 of 1 in 0 s"])
    assert await run(tasks.die, 2) == (3, ["retry 1 of 3 in 0 s", "retry 2 of 3 in 0 s"])


async def test_what_is_raised_in_the_end_is_what_the_task_raised(tasks: Any, tmp_path: Path) -> None:
    handle = await Pipeline(tasks.broker, tasks.unavailable).kiq(str(tmp_path / "calls"), 404)

    with pytest.raises(tasks.Unavailable, match="try later"):
        await handle.result(timeout=50)
    assert await reasons(handle) == ["gave up: retry_if says no to Unavailable"]
