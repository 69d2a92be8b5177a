"""The taskiq middleware: the worker's side of a flow, said the taskiq way."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from taskiq import AsyncBroker, TaskiqMessage, TaskiqMiddleware, TaskiqResult

if TYPE_CHECKING:
    from taskiq_flow.flow import Flow

__all__ = ["PipelineMiddleware"]


class PipelineMiddleware(TaskiqMiddleware):
    """Makes a broker run pipelines; ``broker.add_middlewares(PipelineMiddleware(...))`` is ``Flow(broker, ...)``.

    :param options: What :class:`~taskiq_flow.Flow` takes besides the broker.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.flow: Flow | None = None
        self._options = options

    @classmethod
    def of(cls, flow: Flow) -> PipelineMiddleware:
        """Give the middleware of a flow that exists already."""
        middleware = cls()
        middleware.flow = flow
        return middleware

    def set_broker(self, broker: AsyncBroker) -> None:
        """Learn the broker, and make the flow if there is none yet."""
        from taskiq_flow.flow import Flow

        super().set_broker(broker)
        if self.flow is None:
            self.flow = Flow(broker, middleware=self, **self._options)

    def stand_first(self) -> None:
        """Go before the other middlewares, first in and last out: what they raise happens within the attempt then."""
        there = self.broker.middlewares
        if not there or there[0] is not self:
            # A list of its own: taskiq may be going through the old one.
            self.broker.middlewares = [self, *(each for each in there if each is not self)]

    async def startup(self) -> None:
        """Start the flow's part in this process."""
        if self.flow is not None:
            await self.flow.startup()

    async def shutdown(self) -> None:
        """End the flow's part in this process."""
        if self.flow is not None:
            await self.flow.shutdown()

    def pre_execute(self, message: TaskiqMessage) -> Coroutine[Any, Any, TaskiqMessage]:
        """Claim the attempt that a message is about."""
        assert self.flow is not None, "taskiq sets the broker before it runs anything"
        return self.flow.worker.begin(message)

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> Coroutine[Any, Any, None]:
        """Report the outcome of the attempt."""
        assert self.flow is not None, "taskiq sets the broker before it runs anything"
        return self.flow.worker.conclude(message, result)
