"""The one place that decides how an attempt of an embedded flow is executed: directly, or by a message.

A message is the way for everything that leaves the process, and for everything that somebody else has to see: another
middleware, a formatter or serializer that was set, a dependency or a label of taskiq's. Whatever is left is executed
without taskiq's receiver, which would do nothing for it that we do not do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskiq import AsyncBroker, InMemoryBroker
from taskiq.formatters.proxy_formatter import ProxyFormatter
from taskiq.receiver import Receiver
from taskiq.serializers import JSONSerializer

from taskiq_flow.messages.unknown_tasks import UnknownTaskFormatter
from taskiq_flow.worker.decorated import FlowTask
from taskiq_flow.worker.functions import TaskFunction, task_function_of

__all__ = ["direct_function", "needs_messages", "speaks_json"]

_KICK, _CALLBACK, _RUN_TASK = InMemoryBroker.kick, Receiver.callback, Receiver.run_task
_REPLACED = frozenset({"callback", "run_task"})
# By these labels taskiq's receiver executes a message otherwise.
_READ_BY_TASKIQ = frozenset({"ack_type", "timeout"})


def needs_messages(broker: AsyncBroker) -> bool:
    """Whether somebody besides us looks at the messages of a broker, or at how they are executed."""
    own = broker.__dict__
    receiver = own.get("receiver")
    return (
        type(broker).kick is not _KICK
        or len(broker.middlewares) != 1
        or not speaks_json(broker)
        or type(receiver) is not Receiver
        or Receiver.callback is not _CALLBACK
        or Receiver.run_task is not _RUN_TASK
        or "kick" in own
        or not _REPLACED.isdisjoint(receiver.__dict__)
    )


def direct_function(broker: AsyncBroker, task: str, labels: Mapping[str, Any]) -> TaskFunction | None:
    """Give the function of a task that needs nothing of taskiq's; ``None`` where it does, or is not there.

    :param broker: A broker that does not need messages.
    :param labels: The labels that a message would have.
    """
    found = broker.local_task_registry.get(task) or broker.find_task(task)
    if type(found) is not FlowTask or not found.is_bare:
        return None
    function = task_function_of(found)
    if function.injected or (labels and not _READ_BY_TASKIQ.isdisjoint(labels)):
        return None
    return function


def speaks_json(broker: AsyncBroker) -> bool:
    """Whether a broker's messages are the JSON that taskiq writes unless it is told otherwise."""
    formatter = broker.formatter
    if type(formatter) is UnknownTaskFormatter:
        # Not of any other: what somebody else's formatter does with the one inside is not for us to say.
        formatter = formatter.inner
    return type(formatter) is ProxyFormatter and type(broker.serializer) is JSONSerializer
