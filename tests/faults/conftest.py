"""Brokers, and gates that keep tasks from returning until the test is over."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from taskiq import InMemoryBroker


@pytest.fixture(params=[True, False], ids=["inplace", "background"])
def inplace(request: pytest.FixtureRequest) -> bool:
    """How the broker executes: within ``kick``, or in tasks of the event loop."""
    return bool(request.param)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What synchronous tasks wait for that never return; at the end of the test they may."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
async def broker(inplace: bool, gate: threading.Event) -> AsyncIterator[InMemoryBroker]:
    """A broker without a flow; it is shut down when the gate is open."""
    made: InMemoryBroker = InMemoryBroker(await_inplace=inplace)
    yield made
    gate.set()
    await made.shutdown()


@pytest.fixture
def value() -> Any:
    """Run a pipeline and give its value, or raise what its task raised."""

    async def run(pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        return await (await pipeline.kiq(*args, **kwargs)).result(timeout=20)

    return run
