"""Messages that never leave the process: an in-memory broker is handed the message, and not bytes to read again.

Arguments stay encoded as they are on a wire; what is saved is writing and reading what surrounds them. Where anybody
else could look at the bytes, or at the message before we do, there are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskiq import AsyncBroker, BrokerMessage, InMemoryBroker, TaskiqMessage
from taskiq.abc.formatter import TaskiqFormatter
from taskiq.formatters.proxy_formatter import ProxyFormatter
from taskiq.serializers import JSONSerializer

from taskiq_flow.envelope import ENVELOPE, Envelope
from taskiq_flow.worker.strangers import StrangerFormatter

__all__ = ["HandoverFormatter", "handed_over", "speaks_json"]


class _Handed(bytes):
    """Stands where a broker has the bytes of a message."""

    task: str
    envelope: Envelope
    labels: Mapping[str, Any]
    types: Mapping[str, int]


class HandoverFormatter(TaskiqFormatter):
    """Reads messages as the broker does, and gives those that are handed over.

    :ivar inner: The formatter that reads the others.
    """

    def __init__(self, inner: TaskiqFormatter) -> None:
        self.inner = inner

    @classmethod
    def install(cls, broker: AsyncBroker) -> None:
        """Put one around a broker's formatter, unless it has one."""
        if not isinstance(broker.formatter, cls):
            broker.formatter = cls(broker.formatter)

    def dumps(self, message: TaskiqMessage) -> BrokerMessage:
        """Write a message."""
        return self.inner.dumps(message)

    def loads(self, message: bytes) -> TaskiqMessage:
        """Read a message; what was handed over can be read more than once, as bytes can."""
        if type(message) is not _Handed:
            return self.inner.loads(message)
        envelope = message.envelope
        return TaskiqMessage(
            task_id=envelope.message_id,
            task_name=message.task,
            labels=dict(message.labels),
            labels_types=dict(message.types),
            args=[],
            kwargs={ENVELOPE: envelope},
        )


def handed_over(
    broker: AsyncBroker, task: str, envelope: Envelope, labels: Mapping[str, Any], types: Mapping[str, int]
) -> BrokerMessage | None:
    """Give a message to hand over; ``None`` where it has to be written.

    :param labels: The message's labels, as they would be written.
    :param types: What the labels were before.
    """
    if (
        type(broker).kick is not InMemoryBroker.kick
        or "kick" in broker.__dict__
        or type(broker.formatter) is not HandoverFormatter
        or not speaks_json(broker)
        or len(broker.middlewares) != 1
    ):
        return None
    handed = _Handed()
    handed.task, handed.envelope, handed.labels, handed.types = task, envelope, labels, types
    return BrokerMessage(task_id=envelope.message_id, task_name=task, message=handed, labels=dict(labels))


def speaks_json(broker: AsyncBroker) -> bool:
    """Whether a broker's messages are the JSON that taskiq writes unless it is told otherwise."""
    formatter = broker.formatter
    if type(formatter) is HandoverFormatter or type(formatter) is StrangerFormatter:
        # Not of any other: what somebody else's formatter does with the one inside is not for us to say.
        formatter = formatter.inner
    return type(formatter) is ProxyFormatter and type(broker.serializer) is JSONSerializer
