"""Findings about an application: its store, its broker, its workers, and their tasks."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from traceback import print_exception

from taskiq_flow import DataflowPipeline, Flow, FlowError, Pipeline
from taskiq_flow.discovery import origin_of
from taskiq_flow.errors import StoreError, UsageError
from taskiq_flow.graph import task_nodes
from taskiq_flow.store import WorkerInfo
from taskiq_flow.targets import find_flow, find_object, graph_of
from taskiq_flow_cli.doctor.findings import Finding, fine, note, problem
from taskiq_flow_cli.plugins import without_password

__all__ = ["application_findings"]

_SECONDS = 10.0
_TTL_SECONDS = 5.0
_MOST_NAMES = 5
_START = "start `taskiq worker MODULE:BROKER`"


async def application_findings(
    target: str, app_dir: str | None = None, traceback: bool = False
) -> AsyncIterator[Finding]:
    """Examine an application from outside, without starting a run.

    :param target: ``MODULE:NAME`` of a flow, a broker or a pipeline.
    :param app_dir: A folder that is searched before the working directory.
    :param traceback: Write the traceback to the standard error where it cannot be imported.
    """
    try:
        flow = find_flow(target, app_dir)
        tasks = _tasks(target, app_dir, flow)
    except UsageError as error:
        if traceback and error.__cause__ is not None:
            print_exception(type(error.__cause__), error.__cause__, error.__cause__.__traceback__)
        yield problem("application", target, str(error), "correct the name, or the error in the module")
        return
    missing = sorted(name for name in tasks if flow.broker.find_task(name) is None)
    if missing:
        yield problem(
            "tasks",
            target,
            f"needs {_join_names(missing)}, which its broker does not have",
            "import the modules",
        )
    else:
        yield fine("tasks", target, f"its broker has {_tasks_of(tasks)}")
    try:
        store = await _try("store", _name_of(flow), lambda: _round_trip(flow), _STORE_ADVICE)
        yield store
        yield await _try("broker", type(flow.broker).__name__, lambda: _start(flow), _BROKER_ADVICE)
        if store.state.value != "fine":
            return
        if flow.in_memory:
            yield fine("pool", flow.pool, "is in this process, because the broker is in memory")
        else:
            if not flow.store.shared_by_processes:
                yield note(
                    "store",
                    type(flow.store).__name__,
                    f"is of one process alone, and {type(flow.broker).__name__} hands tasks to others, which do not "
                    "find its runs",
                    "name a store that all processes reach, unless this process both starts runs and listens",
                )
            async for finding in _pool(flow, tasks):
                yield finding
    finally:
        await _leave(flow)


_STORE_ADVICE = (
    "see that its server runs and that the URL is right (TASKIQ_FLOW_STORE, or where the flow is made)"
)
_BROKER_ADVICE = "see that its server runs, and that the address is right where the broker is made"


def _tasks(target: str, app_dir: str | None, flow: Flow) -> Sequence[str]:
    """Return the names of a pipeline's tasks, or else of all tasks of the broker."""
    found = find_object(target, app_dir)
    if isinstance(found, (DataflowPipeline, Pipeline)):
        return sorted({node.task for _, node in task_nodes(graph_of(found, ()))})
    return sorted(flow.broker.get_all_tasks())


def _name_of(flow: Flow) -> str:
    url = flow.plugins.selection("store").name
    scheme = url.partition("://")[0]
    # A store that was given as an object does not know its URL.
    return without_password(url) if scheme in type(flow.store).schemes else type(flow.store).__name__


async def _try(area: str, subject: str, attempt: Callable[[], Awaitable[str]], advice: str) -> Finding:
    try:
        return fine(area, subject, await asyncio.wait_for(attempt(), _SECONDS))
    except asyncio.TimeoutError:
        return problem(area, subject, f"does not answer within {_SECONDS:g} s", advice)
    except Exception as error:  # noqa: BLE001 - the client of a server may raise anything
        text = str(error) if isinstance(error, FlowError) else f"{type(error).__name__}: {error}"
        return problem(area, subject, f"cannot be used: {text}", advice)


async def _round_trip(flow: Flow) -> str:
    """Start the flow, and store a lease and a blob for a moment."""
    await flow.startup()
    began = time.perf_counter()
    mark = f"doctor-{uuid.uuid4().hex}"
    lease = await flow.store.leases.acquire("doctor", mark, _TTL_SECONDS)
    if lease is not None:
        # None means that another doctor holds the lease right now; that is an answer too.
        await flow.store.leases.release(lease)
    try:
        await flow.store.blobs.put(mark, "look", b"well")
        if await flow.store.blobs.get(mark, "look") != b"well":
            raise StoreError("it gives back other bytes than it was given")
    finally:
        await flow.store.blobs.delete_run(mark)
    took = f"answers; a lease and a blob there and back took {1000 * (time.perf_counter() - began):.0f} ms"
    keeps = flow.store.describe_keeping()
    return f"{took}; {keeps}" if keeps else took


async def _start(flow: Flow) -> str:
    await flow.broker.startup()
    return "can be started"


async def _leave(flow: Flow) -> None:
    """Shut down the flow; a server that cannot be reached cannot be left either."""
    for part in (flow.broker.shutdown, flow.shutdown):
        try:
            await asyncio.wait_for(part(), _SECONDS)
        except Exception:  # noqa: BLE001 - the start has reported it
            continue


async def _pool(flow: Flow, tasks: Sequence[str]) -> AsyncIterator[Finding]:
    now = flow.clock.now()
    workers = await flow.store.workers.list(flow.pool)
    live = [each for each in workers if each.expires_at > now]
    lost = [each for each in workers if each.expires_at <= now]
    waiting = len(await flow.store.runs.list(pool=flow.pool, active=True, limit=1000))
    driven = await _is_driven(flow)
    if lost:
        yield note(
            "workers", _join_names([each.id for each in lost]), "not heard of in time", "see whether it died"
        )
    if live:
        yield fine("workers", flow.pool, f"{len(live)} alive: {_join_names([each.id for each in live])}")
    else:
        text = (
            f"no worker of pool {flow.pool!r} is alive, and {_runs(waiting, 'waits', 'wait')}"
            if waiting
            else "none is alive"
        )
        yield (problem if waiting else note)("workers", flow.pool, text, _START)
    if driven:
        yield fine("pool", flow.pool, f"it has a driver; {_runs(waiting, 'is active', 'are active')}")
    elif waiting:
        yield problem("pool", flow.pool, f"it has no driver, and {_runs(waiting, 'waits', 'wait')}", _START)
    else:
        yield note("pool", flow.pool, "it has no driver, and no run waits", _START)
    if live:
        for finding in _check_workers(flow, tasks, live):
            yield finding


async def _is_driven(flow: Flow) -> bool:
    """Whether a driver holds the pool's lease: only a free lease can be acquired."""
    lease = await flow.store.leases.acquire(f"pool:{flow.pool}", f"doctor-{uuid.uuid4().hex}", 1.0)
    if lease is None:
        return True
    await flow.store.leases.release(lease)
    return False


def _check_workers(flow: Flow, tasks: Sequence[str], live: Sequence[WorkerInfo]) -> Iterator[Finding]:
    wrong = False
    for name in tasks:
        lacking = [each.id for each in live if each.tasks is not None and name not in each.tasks]
        others = _other_versions(flow, name, live)
        if lacking:
            wrong = True
            whom = "every live worker" if len(lacking) == len(live) else _join_names(lacking)
            yield problem(
                "tasks",
                name,
                f"is not known to {whom}",
                "import the module where the workers start, or install its distribution there; then start them again",
            )
        for worker, version in others.items():
            wrong = True
            here = _release(flow, name)
            text = f"is of {version} on {worker}, and of {here} here"
            yield problem("tasks", name, text, "install the same version on both sides")
    if not wrong:
        yield fine("tasks", flow.pool, f"every live worker has {_tasks_of(tasks)}")


def _other_versions(flow: Flow, name: str, live: Sequence[WorkerInfo]) -> Mapping[str, str]:
    here = _release(flow, name)
    announced = {each.id: each.versions.get(name) for each in live} if here else {}
    return {worker: version for worker, version in announced.items() if version not in (None, here)}


def _release(flow: Flow, name: str) -> str:
    """Return the distribution and version of a discovered task; empty for a task of the application."""
    task = flow.broker.find_task(name)
    origin = None if task is None else origin_of(task)
    return "" if origin is None else origin.release


def _tasks_of(names: Sequence[str]) -> str:
    return "all of its tasks" if len(names) != 1 else f"its task {names[0]}"


def _runs(count: int, one: str, many: str) -> str:
    return f"{count} runs {many}" if count > 1 else f"{count or 'no'} run {one}"


def _join_names(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown
