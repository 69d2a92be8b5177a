"""Brokers and flows whose time is ours."""

from __future__ import annotations

import pytest
from retry_cases import Make
from taskiq import InMemoryBroker

from taskiq_flow import Flow, MemoryStore
from taskiq_flow.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def flow(broker: InMemoryBroker, clock: FakeClock) -> Make:
    """Make a flow whose time is ours."""
    return lambda **options: Flow(broker, clock=clock, store=MemoryStore(clock), **options)
