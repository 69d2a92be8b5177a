"""Fixtures for every test of the repository."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from taskiq import InMemoryBroker
from taskiq.abc.broker import AsyncBroker

# The fixtures that stand beside helpers which tests use as well.
pytest_plugins = ["fake_distributions", "installed_packages"]

SCALE = float(os.environ.get("TASKIQ_FLOW_TEST_SCALE", "0.05"))

settings.register_profile(
    "scaled",
    deadline=None,
    max_examples=max(10, round(200 * SCALE)),
    # CI answers the same question the same way; who looks for new examples runs the tests without CI=true.
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("scaled")


@pytest.fixture(autouse=True)
def _fresh_task_registry() -> Iterator[None]:
    """Keep shared tasks of one test out of the next: taskiq's registry belongs to the class."""
    registry = AsyncBroker.global_task_registry
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


@pytest.fixture
def small_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``claim_check`` be as low as a test likes, so that small values become blobs.

    It is for tests of how values are carried. Guards and filters take every blob for true, so a test in which they
    decide needs values that are large in truth.
    """
    monkeypatch.setattr("taskiq_flow.values.sizes.LEAST_CLAIM_CHECK", 0)


@pytest.fixture(params=[True, False], ids=["inplace", "background"])
def inplace(request: pytest.FixtureRequest) -> bool:
    """How the broker executes: within ``kick``, or in tasks of the event loop."""
    return bool(request.param)


@pytest.fixture
def broker_class() -> type[InMemoryBroker]:
    """What the broker is; a module may say something else."""
    return InMemoryBroker


@pytest.fixture
async def broker(broker_class: type[InMemoryBroker], inplace: bool) -> AsyncIterator[InMemoryBroker]:
    """A broker of each kind in memory, without a flow."""
    made = broker_class(await_inplace=inplace)
    yield made
    await made.shutdown()


# Both ways take twice as long, so a small load has only the usual one.
@pytest.fixture(params=["called", "sent"] if SCALE >= 0.2 else ["called"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How cells of an in-memory broker are executed: where they are driven, or by messages."""
    if request.param == "sent":
        monkeypatch.setattr("taskiq_flow.driver.delivery.needs_messages", lambda _: True)
    return str(request.param)


@pytest.fixture(scope="session")
def scaled() -> Callable[[int], int]:
    """How many rounds a random or simulated test makes, of the number at full load."""
    return lambda full: max(1, round(full * SCALE))


@pytest.fixture(scope="session")
def require_service() -> Callable[[str, int], None]:
    """Skip the test when a server does not answer, or fail where servers are required."""

    def require(name: str, port: int, host: str = "localhost") -> None:
        try:
            socket.create_connection((host, port), timeout=2).close()
        except OSError as error:
            reason = f"no {name} answers on {host}:{port} ({error}); start one"
            if os.environ.get("TASKIQ_FLOW_REQUIRE_SERVICES") == "1":
                pytest.fail(reason)
            pytest.skip(f"{reason}, or leave it: TASKIQ_FLOW_REQUIRE_SERVICES is not 1")

    return require
