"""Tasks as the guide declares them, in a module that other processes can import."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from taskiq import InMemoryBroker

from taskiq_flow import CPUProfile, RAMProfile, RetryException, pipeline_task, pipeline_task_multi_output

broker = InMemoryBroker()


class AudioFeatures(BaseModel):
    key: str
    process: int


@broker.task(name="extract_features", labels={"category": "audio"}, timeout=30, queue="default")
@CPUProfile(cpu_units=1)
@RAMProfile(ram_mb=64)
@pipeline_task(output="features")
def extract(path: str, tonality: str = "C") -> AudioFeatures:
    return AudioFeatures(key=tonality, process=os.getpid())


@pipeline_task_multi_output(outputs=["key", "processes"])
@broker.task
def split(features: AudioFeatures) -> tuple[str, list[int]]:
    assert isinstance(features, AudioFeatures)
    return features.key, [features.process, os.getpid()]


@broker.task
@pipeline_task(output="report")
async def report(processes: list[int]) -> list[int]:
    return [*processes, os.getpid()]


@broker.task(retry_policy={"max_retries": 2, "delay": 0.01})
def flaky(calls: str) -> int:
    with Path(calls).open("a") as file:
        file.write("x")
    if len(Path(calls).read_text()) < 3:
        raise OSError("the line is busy")
    return os.getpid()


@broker.task
def conditional(calls: str) -> int:
    with Path(calls).open("a") as file:
        file.write("x")
    if len(Path(calls).read_text()) < 3:
        raise RetryException("the line is busy", delay=0.01)
    return os.getpid()


@broker.task
def long_task(items: list[int], progress_callback: Any = None) -> str:
    for number, _ in enumerate(items):
        if progress_callback:
            progress_callback(number / len(items))
    return "done"


@broker.task(timeout=0.3)
def slow_task() -> str:
    time.sleep(5)
    return "done"
