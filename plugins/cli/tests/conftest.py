"""A folder with pipelines, and the command as a user would call it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SHOP = """
import asyncio
import sys
import time

from taskiq import InMemoryBroker
from taskiq_flow import DataflowPipeline, Flow, Pipeline, pipeline_task

broker = InMemoryBroker()
print("imported")


@broker.task
@pipeline_task(output="words", inputs=["text"])
def split(text: str) -> list[str]:
    print("splitting")
    return text.split()


@broker.task
@pipeline_task(output="first", inputs=["words"])
def first(words: list[str]) -> str:
    return words[0]


@broker.task
async def measure(word: str) -> int:
    if word == "bad":
        raise ValueError("bad word")
    return len(word)


@broker.task
@pipeline_task(output="total")
def add_up(sizes: list[int]) -> int:
    return sum(sizes)


def make():
    pipeline = DataflowPipeline.from_tasks(broker, [split, first, add_up], name="shop")
    return pipeline.map(measure, over="words", output="sizes")


pipeline = make()
forgiving = make().on_error("continue")


@broker.task
async def sleep(x: str) -> str:
    await asyncio.sleep(3600)
    return x


@broker.task
def block(x: str) -> str:
    time.sleep(3600)
    return x


@broker.task
async def deafen() -> None:
    print("deaf ears", flush=True)
    time.sleep(3600)


@broker.task
async def stay(x: int) -> None:
    while True:
        try:
            await asyncio.sleep(0.05)
        except BaseException:
            continue


@broker.task
def count(counts: list[int]) -> int:
    return len(counts)


class Unreachable(InMemoryBroker):
    async def startup(self):
        raise ConnectionRefusedError("nobody there")


class Clinging(InMemoryBroker):
    async def shutdown(self):
        raise OSError("still here")


def alone(broker):
    @broker.task
    def one() -> int:
        return 1

    Flow(broker)
    return Pipeline(broker, one)


foreign = Pipeline(broker, count).with_serializer("of-nobody")
typed, deaf = Pipeline(broker, count), Pipeline(broker, deafen)
unreachable, clinging = alone(Unreachable()), alone(Clinging())
endless, stuck, stubborn = Pipeline(broker, sleep), Pipeline(broker, block), Pipeline(broker, stay)
number = 3


def broken():
    raise RuntimeError("no pipeline today")


async def later():
    return pipeline
"""

RunFlow = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the module ``shop`` in it."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "faulty.py").write_text("import nowhere_to_be_found\n")
    (tmp_path / "raising.py").write_text("1 / 0\n")
    (tmp_path / "leaving.py").write_text('class Left(BaseException): ...\nraise Left("for good")\n')
    return tmp_path


@pytest.fixture
def command() -> list[str]:
    return [sys.executable, "-m", "taskiq", "flow"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment without what would change what is tested."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TASKIQ_FLOW_")}
    return {**kept, "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}


@pytest.fixture
def taskiq_flow(shop: Path, command: list[str], environment: dict[str, str]) -> RunFlow:
    """Call ``taskiq flow`` in the folder, and give what it wrote."""

    def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            cwd=shop,
            env={**environment, **more},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=100,
            check=False,
        )

    return call
