"""Running a pipeline from a script that has no event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from taskiq import AsyncBroker, InMemoryBroker, TaskiqEvents
from taskiq.utils import maybe_awaitable

if TYPE_CHECKING:
    from taskiq_flow.builders.builder import Builder
    from taskiq_flow.builders.kicker import StartOptions

__all__ = ["run_to_the_end"]


def run_to_the_end(
    builder: Builder, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: StartOptions
) -> Any:
    """Run a pipeline in an event loop made for it, with the broker started and shut down around the run.

    :raises RuntimeError: an event loop runs in this thread already; the text has the line to write instead.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_run(builder, args, kwargs, options))
    raise RuntimeError(
        "run() makes an event loop of its own, and one is running here already; "
        "write: value = await (await pipeline.kiq(...)).result()"
    )


async def _run(
    builder: Builder, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: StartOptions
) -> Any:
    broker = builder.broker
    await broker.startup()
    try:
        return await (await builder.start(args, kwargs, options)).result()
    finally:
        await _shut_down(broker)


async def _shut_down(broker: AsyncBroker) -> None:
    if type(broker).shutdown is not InMemoryBroker.shutdown:
        await broker.shutdown()
        return
    # Its own shutdown also ends its threads for good, and a script may run a pipeline again.
    for handler in broker.event_handlers.get(TaskiqEvents.WORKER_SHUTDOWN, []):
        await maybe_awaitable(handler(broker.state))
    await AsyncBroker.shutdown(broker)
