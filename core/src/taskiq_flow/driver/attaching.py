"""What a flow puts around two methods of its broker, because taskiq has no event for what they do."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from taskiq import InMemoryBroker

from taskiq_flow.driver.host import Host
from taskiq_flow.worker.execution import CURRENT

__all__ = ["wait_for_runs_too"]


def wait_for_runs_too(broker: InMemoryBroker, host: Callable[[], Host]) -> None:
    """Let ``broker.wait_all()`` wait for runs as well as for tasks.

    :param host: Gives the host of the running event loop.
    """
    wait_for_tasks = broker.wait_all

    @functools.wraps(wait_for_tasks)
    async def wait_all() -> None:
        await wait_for_tasks()
        while (driving := host().driving) is not None:
            if CURRENT.get() is not None:
                raise RuntimeError(
                    "broker.wait_all() is called within a task, and would wait for the run of this very task; await "
                    "the results that it needs"
                )
            await asyncio.wait([driving])
            await wait_for_tasks()

    broker.wait_all = wait_all  # type: ignore[method-assign]
