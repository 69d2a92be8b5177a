"""A broker of each kind that the guide's readers use."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def value() -> Any:
    """Run a pipeline and give its value, or raise what its task raised."""

    async def run(pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        return await (await pipeline.kiq(*args, **kwargs)).result(timeout=20)

    return run


@pytest.fixture(autouse=True)
def _both_ways(way: str) -> None:
    """Run everything here both ways."""
