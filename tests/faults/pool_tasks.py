"""Tasks of a module that other processes can import; what they run in is told by the process itself."""

from __future__ import annotations

import concurrent.futures
import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel
from taskiq import Context, InMemoryBroker, TaskiqDepends

broker = InMemoryBroker()


class Point(BaseModel):
    x: int
    y: int = 0


class OwnError(Exception):
    def __init__(self, name: str, code: int) -> None:
        super().__init__(name, code)
        self.code = code


@broker.task
def where(x: int) -> int:
    return os.getpid()


@broker.task
async def where_async(x: int) -> int:
    return os.getpid()


@broker.task
def double(x: int) -> int:
    return x * 2


@broker.task
def mirror(point: Point) -> Point:
    return Point(x=point.y, y=point.x)


@broker.task
def fail(x: int) -> int:
    raise OwnError("as expected", x)


@broker.task
def leave(x: int) -> int:
    raise SystemExit(x)


@broker.task
def odd(x: int) -> Any:
    return {"lock": os}


@broker.task
def die(folder: str, times: int) -> int:
    """Kill the process, as often as is asked for; then give the number of calls."""
    calls = len(list(Path(folder).iterdir()))
    Path(folder, f"call-{calls}").touch()
    if calls < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return calls + 1


@broker.task
def wait_for(path: str) -> int:
    while not Path(path).exists():
        time.sleep(0.01)
    return os.getpid()


@broker.task(timeout=0.5)
def never(path: str) -> int:
    while not Path(path).exists():
        time.sleep(0.01)
    return os.getpid()


@broker.task
def with_progress(x: int, progress_callback: Any = None) -> int:
    progress_callback(0.5)
    return os.getpid()


tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


@broker.task
def tell_tenant(x: int) -> str:
    return tenant.get()


@broker.task
def log(x: int) -> int:
    logger = logging.getLogger("pool_tasks.log")
    logger.debug("too quiet %d", x)
    try:
        raise ValueError(x)
    except ValueError:
        logger.exception("it is %d", x, extra={"order": x, "lock": threading.Lock()})
    return os.getpid()


def answer() -> dict[str, int]:
    return {"answer": 42}


@broker.task
def with_dependency(x: int, given: Annotated[dict[str, int], TaskiqDepends(answer)]) -> list[int]:
    return [os.getpid(), given["answer"] + x]


@broker.task
def with_context(x: int, context: Annotated[Context, TaskiqDepends()]) -> int:
    assert context.message.task_name
    return os.getpid()


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


@broker.task
@logged
async def wrapped(x: int) -> int:
    return os.getpid()


@broker.task(retry_policy={"max_retries": 2, "delay": 0.01})
def withdrawn(x: int) -> int:
    raise concurrent.futures.CancelledError("the pool was shut down")


@broker.task
def stop_iterating(x: int) -> int:
    raise StopIteration(x)


@broker.task
def leave_at_once(x: int) -> int:
    os._exit(x)


@broker.task
def fork_and_leave(path: str) -> int:
    """Leave somebody behind who has all that this process had open."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    Path(path).write_text(str(pid))
    os._exit(3)


@broker.task(timeout=0.5)
def hang(x: int) -> int:
    time.sleep(3600)
    return x


@broker.task(timeout=1)
def take_most_of_its_limit(x: int) -> int:
    time.sleep(0.6)
    return x


@broker.task
def touch_until_gone(path: str) -> None:
    while True:
        Path(path).write_text(f"{os.getpid()} {time.time()}")
        time.sleep(0.02)
