"""A broker with a queue between client and worker, as brokers of several processes have, within one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from taskiq import AsyncBroker, BrokerMessage
from taskiq.brokers.inmemory_broker import InmemoryResultBackend

__all__ = ["QueueBroker"]


class QueueBroker(AsyncBroker):
    """Messages wait in a queue of this event loop until somebody listens.

    :ivar kicks: How many it has taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.kicks = 0
        self.result_backend = InmemoryResultBackend()

    async def kick(self, message: BrokerMessage) -> None:
        """Put a message into the queue."""
        self.kicks += 1
        await self.queue.put(message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """Take messages out of it."""
        while True:
            yield await self.queue.get()
