"""The worker's half of a flow's taskiq middleware: it surrounds what the broker executes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from taskiq import AsyncTaskiqDecoratedTask, TaskiqMessage, TaskiqMiddleware, TaskiqResult

from taskiq_flow.messages.envelope import ENVELOPE
from taskiq_flow.tasks.labels import keep_from_middlewares
from taskiq_flow.tasks.signatures import PROGRESS_PARAMETER
from taskiq_flow.worker.adoption import asks_policy
from taskiq_flow.worker.arguments import is_given
from taskiq_flow.worker.attempts import Attempt
from taskiq_flow.worker.decorated import FlowTask
from taskiq_flow.worker.execution import CURRENT
from taskiq_flow.worker.functions import task_function_of
from taskiq_flow.worker.sent import NO_ARGUMENTS, keep_arguments
from taskiq_flow.worker.standalone import StandaloneExecution, StandaloneMessage, find_begun

if TYPE_CHECKING:
    from taskiq_flow._runtime import Runtime
    from taskiq_flow.worker.worker import Worker

__all__ = ["WorkerMiddleware"]

# A tuple of its class, without the function that would name the fields again for every message.
_new = tuple.__new__


class WorkerMiddleware(TaskiqMiddleware):
    """Hands what taskiq executes to the worker of the running event loop.

    Tasks that somebody sent on their own come through here too, and are to cost what they cost without a flow. The
    hooks are coroutine functions, because taskiq is slower with those that are not.

    :ivar runtime: The parts of the flow that it belongs to; ``None`` until there is one.
    """

    _worker_here: Callable[[], Worker]
    _now: Callable[[], float]
    _always_asked: bool

    def __init__(self) -> None:
        super().__init__()
        self.runtime: Runtime | None = None

    def serve(self, runtime: Runtime, worker_here: Callable[[], Worker]) -> None:
        """Begin to belong to a flow.

        :param runtime: Its parts.
        :param worker_here: Gives the worker of the running event loop.
        """
        self.runtime = runtime
        self._worker_here = worker_here
        self._now = runtime.clock.now
        self._always_asked = runtime.policies.configured is not None

    def stand_first(self) -> None:
        """Go before the other middlewares, first in and last out: what they raise happens within the attempt then."""
        there = self.broker.middlewares
        if not there or there[0] is not self:
            # A list of its own: taskiq may be going through the old one.
            self.broker.middlewares = [self, *(each for each in there if each is not self)]

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """Claim the attempt that a message is about; of one that is about none, keep what a retry needs."""
        if ENVELOPE in message.kwargs:
            await self._worker_here().begin(message)
            return message
        args, kwargs = message.args, message.kwargs
        sent = keep_arguments(args, kwargs) if args or kwargs else NO_ARGUMENTS
        begun = _new(StandaloneMessage, (message.task_id, sent, self._now(), CURRENT.get()))
        CURRENT.set(begun)
        task = self.broker.find_task(message.task_name)
        if self._always_asked or not getattr(task, "is_plain", False):
            assert task is not None, "taskiq drops messages of unknown tasks before it asks middlewares"
            self._prepare(begun, message, task)
        return message

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        """Report the outcome of the attempt; see about a retry of what was sent on its own and has failed."""
        current = CURRENT.get()
        if type(current) is StandaloneMessage and current.task_id == message.task_id:
            begun: StandaloneMessage | None = current
        elif isinstance(current, Attempt):
            await self._worker_here().conclude(current, result)
            return
        else:
            begun = find_begun(current, message.task_id)
        if begun is not None:
            CURRENT.set(begun.previous)
            if result.error is not None:
                await self._worker_here().adopt(begun, message, result)

    def _prepare(
        self, begun: StandaloneMessage, message: TaskiqMessage, task: AsyncTaskiqDecoratedTask[Any, Any]
    ) -> None:
        """Do what only some tasks need, and find out which do not."""
        function = task_function_of(task)
        is_bare = not isinstance(task, FlowTask) or task.is_bare
        if isinstance(task, FlowTask):
            task.is_plain = is_bare and not (function.asks_policy or function.reports_progress)
        if (function.asks_policy or self._always_asked) and asks_policy(
            function, message, self.broker, always=self._always_asked
        ):
            keep_from_middlewares(message)
        arguments: dict[str, Any] = {}
        if function.reports_progress and not is_given(PROGRESS_PARAMETER, function.function, message):
            arguments = self._worker_here().preparation.progress(function, message.task_id, None)
        if arguments or not is_bare:
            StandaloneExecution(begun, self._worker_here().seating.threads.executor, arguments).enter()
