"""What a flow puts around two methods of its broker, because taskiq has no event for what they do."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable

from taskiq import AckableMessage, AsyncBroker, InMemoryBroker

from taskiq_flow._logs import open_log
from taskiq_flow.driver.contexts import create_clean_task
from taskiq_flow.driver.host import Host
from taskiq_flow.worker.execution import CURRENT

__all__ = ["serve_while_listening", "wait_for_runs_too"]

logger = open_log("taskiq_flow")


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


def serve_while_listening(
    broker: AsyncBroker, host: Callable[[], Host], start: Callable[[], Awaitable[None]]
) -> None:
    """Let whoever listens to a broker as a worker serve its pool, whether or not it has started the broker before.

    ``run_receiver_task`` does not start the broker, unless it is told to.

    :param host: Gives the host of the running event loop.
    :param start: Starts the flow in this process.
    """
    listen_alone = broker.listen

    async def start_flow() -> None:
        try:
            await start()
        except Exception:
            logger.exception("the flow cannot be started, so this worker takes no part in its pool")

    @functools.wraps(listen_alone)
    def listen() -> AsyncGenerator[bytes | AckableMessage, None]:
        here = host()
        if broker.is_worker_process and not here.serving:
            here.starting = create_clean_task(start_flow())
        return listen_alone()

    broker.listen = listen  # type: ignore[method-assign]
