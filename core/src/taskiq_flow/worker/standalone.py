"""Tasks that somebody sent on their own: taskiq's business, unless they fail and a policy wants a retry."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any, NamedTuple, Optional

from taskiq_flow.worker.execution import CURRENT, Current, Execution
from taskiq_flow.worker.sent import KeptArguments

__all__ = ["StandaloneExecution", "StandaloneMessage", "find_begun"]


class StandaloneMessage(NamedTuple):
    """What is kept of a message while taskiq executes it. Every message pays for one, so it is a tuple.

    :ivar task_id: The id of the message.
    :ivar sent: The arguments as they came.
    :ivar started_at: When it came, in seconds since the epoch.
    :ivar previous: What was executed in the same task of the event loop when this began.
    """

    task_id: str
    sent: KeptArguments
    started_at: float
    previous: Optional[Current]

    def abandon(self) -> None:
        """Let what was current before be so again."""
        CURRENT.set(self.previous)


class StandaloneExecution(Execution):
    """The execution of such a message where something comes between taskiq and the function after all.

    :param message: What is kept of the message.
    :param executor: Where a synchronous function runs.
    :param arguments: What the function gets that was not sent.
    """

    def __init__(self, message: StandaloneMessage, executor: Executor, arguments: Mapping[str, Any]) -> None:
        self.message = message
        self.executor = executor
        self.arguments = arguments


def find_begun(current: Current | None, task_id: str) -> StandaloneMessage | None:
    """Give what is kept of a message; ``None`` where nothing is.

    It is the current one, unless its task has executed others in place and something around them has failed. Where a
    middleware has changed the id, it is taken for the current one.
    """
    nearest: StandaloneMessage | None = None
    while current is not None:
        message = current.message if isinstance(current, StandaloneExecution) else current
        if isinstance(message, StandaloneMessage):
            if message.task_id == task_id:
                return message
            nearest = nearest or message
        current = current.previous
    return nearest
