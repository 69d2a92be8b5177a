"""Tasks and small pipelines for tests of pipelines within pipelines."""

from __future__ import annotations

from typing import Any

from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, pipeline_task

broker = InMemoryBroker()
calls: list[str] = []


@broker.task
@pipeline_task(output="words")
async def split(text: str, limit: int = 9) -> list[str]:
    calls.append("split")
    return text.split()[:limit]


@broker.task
@pipeline_task(output="count")
def count(words: list[str]) -> int:
    calls.append("count")
    return len(words)


@broker.task
@pipeline_task(outputs=["short", "long"])
def sort(words: list[str], width: int = 3) -> tuple[list[str], list[str]]:
    return [word for word in words if len(word) < width], [word for word in words if len(word) >= width]


@broker.task
def is_long(word: str, width: int = 3) -> bool:
    return len(word) >= width


@broker.task
def has_many(words: list[str]) -> bool:
    return len(words) > 2


@broker.task
def first(words: list[str]) -> str:
    calls.append("first")
    return words[0]


@broker.task
def glue(words: list[str], mark: str = "-") -> str:
    calls.append("glue")
    return mark.join(words)


@broker.task
def inc(number: int, by: int = 1) -> int:
    return number + by


@broker.task
def show(value: Any) -> Any:
    return value


@broker.task
def fail(words: list[str]) -> str:
    raise LookupError(f"no {words}")


@broker.task
async def note(text: str) -> None:
    calls.append(f"note {text}")


def counting(**options: Any) -> DataflowPipeline:
    return DataflowPipeline.from_tasks(broker, [split, count], **options)


def name_pair() -> DataflowPipeline:
    @broker.task(task_name="pair")
    def pair(one: int, two: int) -> int:
        return one + two

    return DataflowPipeline.from_tasks(broker, [pair], name="pair")
