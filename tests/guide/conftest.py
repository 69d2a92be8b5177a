"""A broker of each kind that the guide's readers use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from taskiq import InMemoryBroker


@pytest.fixture(params=[True, False], ids=["inplace", "background"])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[InMemoryBroker]:
    """A broker that has no flow: pipelines install one."""
    made: InMemoryBroker = InMemoryBroker(await_inplace=request.param)
    yield made
    await made.shutdown()


@pytest.fixture
def value() -> Any:
    """Run a pipeline and give its value, or raise what its task raised."""

    async def run(pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        return await (await pipeline.kiq(*args, **kwargs)).result(timeout=20)

    return run
