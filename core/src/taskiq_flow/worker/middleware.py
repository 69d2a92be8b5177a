"""The worker's half of a flow's taskiq middleware: it surrounds what the broker executes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from taskiq import TaskiqMessage, TaskiqMiddleware, TaskiqResult

if TYPE_CHECKING:
    from taskiq_flow._runtime import Runtime
    from taskiq_flow.worker.worker import Worker

__all__ = ["WorkerMiddleware"]


class WorkerMiddleware(TaskiqMiddleware):
    """Hands what taskiq executes to the worker of the running event loop.

    :ivar runtime: The parts of the flow that it belongs to; ``None`` until there is one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runtime: Runtime | None = None
        self._worker_here: Callable[[], Worker] | None = None

    def serve(self, runtime: Runtime, worker_here: Callable[[], Worker]) -> None:
        """Begin to belong to a flow.

        :param runtime: Its parts.
        :param worker_here: Gives the worker of the running event loop.
        """
        self.runtime = runtime
        self._worker_here = worker_here

    def stand_first(self) -> None:
        """Go before the other middlewares, first in and last out: what they raise happens within the attempt then."""
        there = self.broker.middlewares
        if not there or there[0] is not self:
            # A list of its own: taskiq may be going through the old one.
            self.broker.middlewares = [self, *(each for each in there if each is not self)]

    def pre_execute(self, message: TaskiqMessage) -> Coroutine[Any, Any, TaskiqMessage]:
        """Claim the attempt that a message is about."""
        assert self._worker_here is not None, "taskiq sets the broker before it runs anything"
        return self._worker_here().begin(message)

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> Coroutine[Any, Any, None]:
        """Report the outcome of the attempt."""
        assert self._worker_here is not None, "taskiq sets the broker before it runs anything"
        return self._worker_here().conclude(message, result)
