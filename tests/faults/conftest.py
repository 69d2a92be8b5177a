"""Brokers, and gates that keep tasks from returning until the test is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from taskiq import InMemoryBroker


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What synchronous tasks wait for that never return; at the end of the test they may."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def broker(broker: InMemoryBroker, gate: threading.Event) -> Iterator[InMemoryBroker]:
    """The broker; it is shut down when the gate is open."""
    yield broker
    gate.set()


@pytest.fixture
def value() -> Any:
    """Run a pipeline and give its value, or raise what its task raised."""

    async def run(pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        return await (await pipeline.kiq(*args, **kwargs)).result(timeout=20)

    return run


@pytest.fixture(autouse=True)
def _both_ways(way: str) -> None:
    """Run everything here both ways."""
