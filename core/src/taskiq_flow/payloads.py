"""Encoded values, and failures as data: what travels and what is stored.

Nothing in here is decoded by looking at it: a :class:`Payload` says which serializer wrote
it, and a :class:`Failure` keeps an exception as text and plain arguments.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, Union

from attrs import field

from taskiq_flow._light import light

__all__ = [
    "ClaimCheck",
    "Failure",
    "FailureKind",
    "ListedValue",
    "Payload",
    "Value",
    "has_claim_checks",
    "size_of_value",
]


@light
class Payload:
    """One encoded value.

    :param serializer: The id of the serializer that wrote it.
    :param data: The bytes.
    """

    serializer: str
    data: bytes


@light
class ClaimCheck:
    """A payload that stands for a blob, because its data is large.

    :param serializer: The id of the serializer that wrote the blob.
    :param key: The blob's key in the store.
    :param size: Length of the blob in bytes.
    """

    serializer: str
    key: str
    size: int


@light
class ListedValue:
    """A list that is kept as its elements, so that collecting and mapping copy nothing.

    :param parts: One value per element, in order.
    """

    parts: tuple[Value, ...]

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.parts)


Value = Union[Payload, ClaimCheck, ListedValue]


def has_claim_checks(value: Value) -> bool:
    """Whether some of a value is kept as blobs."""
    if type(value) is Payload:
        return False
    return not isinstance(value, ListedValue) or any(map(has_claim_checks, value.parts))


def size_of_value(value: Value) -> int:
    """Give how many bytes a value has, blobs included."""
    if isinstance(value, Payload):
        return len(value.data)
    return value.size if isinstance(value, ClaimCheck) else sum(map(size_of_value, value.parts))


class FailureKind(str, enum.Enum):
    """Why an attempt did not succeed."""

    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    WORKER_LOST = "worker_lost"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


@light(kw_only=True)
class Failure:
    """What went wrong in an attempt, as data that is safe to store and to read back.

    :param kind: The kind of failure.
    :param type: ``module:qualname`` of the exception's class; empty where there was no exception.
    :param message: The exception's text, or a sentence.
    :param traceback: The formatted traceback; empty where there was none.
    :param args: The exception's arguments where they are plain JSON values, otherwise ``None``.
    """

    kind: FailureKind
    message: str
    type: str = ""
    traceback: str = field(default="", repr=False)
    args: tuple[Any, ...] | None = field(default=None, repr=False)

    @property
    def summary(self) -> str:
        """The class and the text in one line, as a traceback's last line says them."""
        name = self.type.rpartition(":")[2].rpartition(".")[2]
        if name and self.message:
            return f"{name}: {self.message}"
        return name or self.message
