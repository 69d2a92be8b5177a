"""Tasks of a module that other processes can import; what they run in is told by the process itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from taskiq import InMemoryBroker

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
