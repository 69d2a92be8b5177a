"""Synchronous tasks in processes of their own, and processes that die."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import CellFailed, Flow, Pipeline, PluginError
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.worker import process
from taskiq_flow.worker.processes import Processes
from taskiq_flow.worker.references import Reference, reference_of

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
    start = process._open
    assert await value_of(Pipeline(tasks.broker, tasks.double), 1) == 2

    def refuse(handle: int) -> Any:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(process, "_open", refuse)
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
    monkeypatch.setattr(process, "_open", start)
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


async def test_what_another_process_cannot_find_runs_here(
    tasks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    @tasks.broker.task
    def closure(x: int) -> int:
        seen.append(x)
        return os.getpid()

    for _ in range(2):
        assert await value_of(Pipeline(tasks.broker, closure), 1) == os.getpid()
    assert seen == [1, 1]
    (line,) = [each.getMessage() for each in caplog.records if "runs in threads" in each.getMessage()]
    assert line.endswith(
        "not in one of the flow's own: no other process finds "
        "'test_what_another_process_cannot_find_runs_here.<locals>.closure'; define it on the level of its module"
    )


async def test_progress_is_reported_from_another_process(tasks: Any) -> None:
    handle = await Pipeline(tasks.broker, tasks.with_progress).kiq(1)
    assert await handle.result(timeout=60) != os.getpid()
    assert [event.progress async for event in handle.events() if hasattr(event, "progress")] == [0.5]


@pytest.mark.parametrize("processes", [1, None])
async def test_processes_and_threads_do_the_same(module: Any, processes: int | None) -> None:
    Flow(module.broker, processes=processes)
    try:
        told = []
        for task in (module.wrapped, module.withdrawn, module.stop_iterating, module.fail, module.odd):
            handle = await Pipeline(module.broker, task).kiq(1)
            result = await handle.wait_result(timeout=60)
            failures = await handle.failures()
            told.append(
                [result.is_err, *((each.attempt, each.kind, each.failure.message) for each in failures)]
            )
    finally:
        await module.broker.shutdown()
    assert told == [
        [False],
        [True, (3, "exception", "the pool was shut down")],
        [True, (1, "exception", "the task raised StopIteration")],
        [True, (1, "exception", "('as expected', 1)")],
        [True, (1, "rejected", told[-1][1][2])],
    ]


async def test_context_variables_go_along(tasks: Any) -> None:
    tasks.tenant.set("acme")
    assert await value_of(Pipeline(tasks.broker, tasks.tell_tenant), 1) == "acme"


async def test_log_records_go_to_the_handlers_of_this_process(
    tasks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pool_tasks"):
        pid = await value_of(Pipeline(tasks.broker, tasks.log), 7)
    (record,) = [each for each in caplog.records if each.name == "pool_tasks.log"]
    assert (record.getMessage(), record.levelname, record.process) == ("it is 7", "ERROR", pid)
    assert record.order == 7  # type: ignore[attr-defined]
    assert "ValueError: 7" in (record.exc_text or "")
    assert pid != os.getpid()


async def test_dependencies_go_along_where_they_can(tasks: Any, caplog: pytest.LogCaptureFixture) -> None:
    pid, value = await value_of(Pipeline(tasks.broker, tasks.with_dependency), 1)
    assert (pid != os.getpid(), value) == (True, 43)
    for _ in range(2):
        assert await value_of(Pipeline(tasks.broker, tasks.with_context), 1) == os.getpid()
    (line,) = [each.getMessage() for each in caplog.records if "runs in threads" in each.getMessage()]
    assert line.startswith(
        "task 'pool_tasks:with_context' runs in threads of this process, and not in one of the flow's own: what is "
        "injected as 'context' cannot be sent there: "
    )


async def test_an_exit_of_the_process_is_a_lost_worker_with_its_code(tasks: Any) -> None:
    handle = await Pipeline(tasks.broker, tasks.leave_at_once).kiq(3)
    assert (await handle.wait_result(timeout=60)).is_err
    (failure,) = await handle.failures()
    assert (failure.kind, failure.failure.message) == (
        "worker_lost",
        "the process that ran the attempt ended with exit code 3",
    )


async def test_a_process_that_leaves_others_behind_is_missed(tasks: Any, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    handle = await Pipeline(tasks.broker, tasks.fork_and_leave).kiq(str(path))
    failed = False
    async for event in handle.events():
        if type(event).__name__ == "AttemptFailed":
            failed = event.failure.message.endswith("ended with exit code 3")
            break
    left = int(path.read_text())
    assert (failed, is_alive(left)) == (True, True)
    await handle.cancel()
    await handle.wait_result(timeout=60)
    os.kill(left, signal.SIGKILL)
    assert await value_of(Pipeline(tasks.broker, tasks.double), 2) == 4


async def test_a_time_limit_begins_when_a_process_does(module: Any) -> None:
    """Neither the start of processes nor the wait for one counts; what hangs leaves its process to the next one."""
    Flow(module.broker, processes=1)
    try:
        pipeline = Pipeline(module.broker).map(module.take_most_of_its_limit)
        assert await value_of(pipeline, [1, 2, 3, 4]) == [1, 2, 3, 4]
        hanging = await Pipeline(module.broker, module.hang).kiq(1)
        assert (await hanging.wait_result(timeout=60)).is_err
        (failure,) = await hanging.failures()
        assert failure.kind == "timeout"
        assert await value_of(Pipeline(module.broker, module.take_most_of_its_limit), 5) == 5
    finally:
        await module.broker.shutdown()


async def test_cancel_ends_the_process(tasks: Any, tmp_path: Path) -> None:
    path = tmp_path / "sign"
    handle = await Pipeline(tasks.broker, tasks.touch_until_gone).kiq(str(path))
    while not (path.exists() and path.read_text()):
        await asyncio.sleep(0.01)
    pid = int(path.read_text().split()[0])
    await handle.cancel()
    await handle.wait_result(timeout=60)
    while is_alive(pid):
        await asyncio.sleep(0.01)
    assert await value_of(Pipeline(tasks.broker, tasks.double), 2) == 4


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet counts as ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout[:1] not in ("Z", "")


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
    flow = Flow(InMemoryBroker())
    with pytest.raises(PluginError, match="give a number of processes, 1 or more, or None"):
        flow.processes = count


async def test_a_codec_that_no_process_can_have_is_refused_at_once() -> None:
    class Locked(ByteCodec):
        name: ClassVar[str] = "locked"

        def __init__(self) -> None:
            self.lock = threading.Lock()

        def encode(self, data: bytes) -> bytes:
            return data

        def decode(self, data: bytes) -> bytes:
            return data

    flow = Flow(InMemoryBroker(), codecs=[Locked()])
    with pytest.raises(PluginError, match="cannot be sent to the processes of a flow"):
        flow.processes = 1


async def test_processes_of_a_flow_that_nobody_has_end(module: Any) -> None:
    pool = Processes(1)
    reference = reference_of(
        module.double.func if hasattr(module.double, "func") else module.double.original_func
    )
    assert isinstance(reference, Reference)
    seat = await pool.take(reference, Flow(InMemoryBroker()).codec.recipe())
    assert seat.process is not None
    pid = seat.process._popen.pid
    seat.give_back()
    del pool, seat
    gc.collect()
    while is_alive(pid):
        await asyncio.sleep(0.05)


async def test_threads_that_cannot_be_started_leave_no_cell_waiting(
    tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        handle = await Pipeline(tasks.broker, tasks.double).kiq(1)
        assert (await handle.wait_result(timeout=60)).is_err
    (failure,) = await handle.failures()
    assert (failure.kind, failure.failure.message) == ("worker_lost", "can't start new thread")
    assert await value_of(Pipeline(tasks.broker, tasks.double), 2) == 4
