"""Tasks of many shapes, for tests of graphs that are built and never run."""

from __future__ import annotations

from typing import Any

from taskiq import Context, InMemoryBroker, TaskiqDepends

from taskiq_flow.graph.model import Output
from taskiq_flow.tasks.annotations import pipeline_task

broker = InMemoryBroker()


@broker.task
async def load(path: str, limit: int = 10, *, strict: bool = False) -> list[int]: ...


@broker.task
async def inc(x: int, by: int = 1) -> int: ...


@broker.task
def is_even(x: int) -> bool: ...


@broker.task
def total(xs: list[int]) -> int: ...


@broker.task
def log(message: str, *, value: int = 0) -> None: ...


@broker.task
@pipeline_task(outputs=["half", "rest"])
def split(x: int) -> tuple[int, int]: ...


@broker.task
def pair(first: int, second: int) -> int: ...


@broker.task
def lonely() -> int: ...


@broker.task
def helped(ctx: Context = TaskiqDepends(), value: Any = None, progress_callback: Any = None) -> int: ...  # noqa: B008


@broker.task
def keywords(**values: int) -> int: ...


@broker.task
def untyped(x):  # type: ignore[no-untyped-def]
    ...


def out(name: str) -> Output:
    """Give the source of a step's value."""
    return Output(name, name)
