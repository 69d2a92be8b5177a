"""Synchronous tasks in processes of their own, and processes that die."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import CellFailed, Flow, Pipeline, PluginError
from taskiq_flow.worker import processes

pytestmark = pytest.mark.timeout(90)

if sys.platform == "win32":
    pytest.skip("processes are killed by signals here", allow_module_level=True)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the tasks, as fresh as the processes find it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    sys.modules.pop("pool_tasks", None)
    yield importlib.import_module("pool_tasks")
    sys.modules.pop("pool_tasks", None)


@pytest.fixture
async def tasks(module: Any) -> AsyncIterator[Any]:
    """The tasks, on a broker whose flow has two processes."""
    broker: InMemoryBroker = module.broker
    flow = Flow(broker, processes=2)
    assert flow.processes == 2
    yield module
    await broker.shutdown()


async def value_of(pipeline: Pipeline[Any, Any], *args: Any) -> Any:
    return await (await pipeline.kiq(*args)).result(timeout=60)


async def test_tasks_run_in_other_processes(tasks: Any) -> None:
    pids = await value_of(Pipeline(tasks.broker).map(tasks.where), list(range(8)))
    assert os.getpid() not in pids
    assert len(set(pids)) <= 2
    assert await value_of(Pipeline(tasks.broker, tasks.where_async), 1) == os.getpid()
    assert await value_of(Pipeline(tasks.broker).map(tasks.double), [1, 2, 3]) == [2, 4, 6]
    point = tasks.Point(x=1, y=2)
    assert await value_of(Pipeline(tasks.broker, tasks.mirror), point) == tasks.Point(x=2, y=1)


async def test_exceptions_keep_class_and_traceback(tasks: Any) -> None:
    handle = await Pipeline(tasks.broker, tasks.fail).kiq(7)
    with pytest.raises(tasks.OwnError) as caught:
        await handle.result(timeout=60)
    assert (caught.value.args, caught.value.code) == (("as expected", 7), 7)
    (failure,) = await handle.failures()
    assert (failure.node, failure.kind) == ("fail", "exception")
    assert "in fail" in failure.traceback_text
    assert "raise OwnError" in failure.traceback_text

    handle = await Pipeline(tasks.broker, tasks.leave).kiq(3)
    with pytest.raises(CellFailed, match="SystemExit"):
        await handle.result(timeout=60)
    handle = await Pipeline(tasks.broker, tasks.odd).kiq(3)
    assert (await handle.wait_result(timeout=60)).is_err
    (failure,) = await handle.failures()
    assert failure.kind == "rejected"
    handle = await Pipeline(tasks.broker, tasks.double).kiq("many")
    assert (await handle.wait_result(timeout=60)).is_err
    (failure,) = await handle.failures()
    assert (failure.kind, "parameter 'x'" in failure.failure.message) == ("rejected", True)


async def test_a_task_that_kills_its_process_gets_another_attempt(tasks: Any, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    handle = await Pipeline(tasks.broker, tasks.die).kiq(str(calls), 2)
    assert await handle.result(timeout=60) == 3
    told = [event async for event in handle.events() if type(event).__name__ == "AttemptFailed"]
    assert [(event.attempt, event.failure.kind.value) for event in told] == [
        (1, "worker_lost"),
        (2, "worker_lost"),
    ]
    assert all(event.retry_at is not None for event in told)


async def test_one_that_always_kills_its_process_fails_alone(tasks: Any, tmp_path: Path) -> None:
    calls, go = tmp_path / "calls", tmp_path / "go"
    calls.mkdir()
    doomed = await Pipeline(tasks.broker, tasks.die).kiq(str(calls), 99)
    other = await Pipeline(tasks.broker, tasks.wait_for).kiq(str(go))
    assert (await doomed.wait_result(timeout=60)).is_err
    (failure,) = await doomed.failures()
    assert (failure.kind, failure.attempt) == ("worker_lost", 3)
    assert len(list(calls.iterdir())) == 3
    go.touch()
    assert await other.result(timeout=60) != os.getpid()
    assert [event.attempt async for event in other.events() if hasattr(event, "attempt")] == [1, 1, 1]
    assert await value_of(Pipeline(tasks.broker).map(tasks.double), [1, 2, 3]) == [2, 4, 6]


async def test_a_process_that_cannot_be_replaced_is_a_lost_worker(
    tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn = processes._spawn
    assert await value_of(Pipeline(tasks.broker, tasks.double), 1) == 2

    def refuse(modules: tuple[str, ...]) -> Any:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(processes, "_spawn", refuse)
    # As many as there are processes die, and each has two attempts more.
    handles = [await Pipeline(tasks.broker, tasks.die).kiq(str(tmp_path), 99) for _ in range(2)]
    for handle in handles:
        assert (await handle.wait_result(timeout=60)).is_err
        (failure,) = await handle.failures()
        assert (failure.kind, failure.attempt) == ("worker_lost", 3)
    handle = await Pipeline(tasks.broker, tasks.double).kiq(1)
    assert (await handle.wait_result(timeout=60)).is_err
    (failure,) = await handle.failures()
    assert failure.failure.message == "no process could be started: no more processes"
    monkeypatch.setattr(processes, "_spawn", spawn)
    assert await value_of(Pipeline(tasks.broker).map(tasks.double), [1, 2, 3]) == [2, 4, 6]


LOSING = """
import asyncio, sys
import pool_tasks as tasks
from taskiq_flow import Flow, Pipeline

async def main():
    Flow(tasks.broker, processes=2)
    for _ in range(3):
        handle = await Pipeline(tasks.broker, tasks.die).kiq(sys.argv[1], 99)
        assert (await handle.wait_result(timeout=60)).is_err

asyncio.run(main())
print("done")
"""


def test_an_interpreter_that_has_lost_processes_ends(tmp_path: Path) -> None:
    """A pool that is collected by its own thread keeps the lock that it waits for, and the interpreter with it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", LOSING, str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.returncode) == ("done\n", 0), ended.stderr


async def test_a_task_that_does_not_return_is_given_up(tasks: Any, tmp_path: Path) -> None:
    go = tmp_path / "go"
    try:
        handle = await Pipeline(tasks.broker, tasks.never).kiq(str(go))
        assert (await handle.wait_result(timeout=60)).is_err
        (failure,) = await handle.failures()
        assert failure.kind == "timeout"
        # The other process works on.
        assert await value_of(Pipeline(tasks.broker, tasks.double), 2) == 4
    finally:
        go.touch()
    assert await value_of(Pipeline(tasks.broker).map(tasks.double), [1, 2, 3]) == [2, 4, 6]


async def test_what_another_process_cannot_find_runs_here(tasks: Any) -> None:
    seen: list[int] = []

    @tasks.broker.task
    def closure(x: int) -> int:
        seen.append(x)
        return os.getpid()

    assert await value_of(Pipeline(tasks.broker, closure), 1) == os.getpid()
    assert seen == [1]


async def test_what_reports_progress_runs_here(tasks: Any) -> None:
    handle = await Pipeline(tasks.broker, tasks.with_progress).kiq(1)
    assert await handle.result(timeout=60) == os.getpid()
    assert [event.progress async for event in handle.events() if hasattr(event, "progress")] == [0.5]


async def test_cancel_while_a_process_works(tasks: Any, tmp_path: Path) -> None:
    go = tmp_path / "go"
    try:
        handle = await Pipeline(tasks.broker, tasks.wait_for).kiq(str(go))
        async for event in handle.events():
            if type(event).__name__ == "CellStarted":
                break
        await handle.cancel()
        await asyncio.wait_for(handle.wait_result(), 60)
        assert (await handle.status()).value == "cancelled"
    finally:
        go.touch()
    assert await value_of(Pipeline(tasks.broker, tasks.double), 2) == 4


@pytest.mark.parametrize("count", [0, -1, True])
def test_impossible_numbers_of_processes(count: Any) -> None:
    with pytest.raises(PluginError, match="give a number of processes, 1 or more, or None"):
        Flow(InMemoryBroker(), processes=count)
