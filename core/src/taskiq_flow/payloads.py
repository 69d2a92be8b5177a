"""Encoded values, and failures as data, for messages and stores.

Nothing in here is decoded on reading: a :class:`Payload` names the serializer that wrote
it, and a :class:`Failure` keeps an exception as text and plain arguments.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, Union

from attrs import field

from taskiq_flow._light import light

__all__ = [
    "FAILURES",
    "NULL",
    "Chosen",
    "ClaimCheck",
    "Failure",
    "FailureKind",
    "ListedValue",
    "Payload",
    "Value",
    "bare",
    "has_claim_checks",
    "size_of_value",
]


FAILURES = "failure"
"""The id of the serializer of failures that stand in the place of values; every process has it."""


@light
class Payload:
    """One encoded value.

    :param serializer: The id of the serializer that wrote it.
    :param data: The bytes.
    """

    serializer: str
    data: bytes


NULL = Payload("json", b"null")
"""Stands in lists for what was skipped, and for failed items where a map wants that."""


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
    """A list or a dictionary that is stored as its elements, so that collecting and mapping copy nothing.

    :param parts: One value per element, in order.
    :param keys: For a dictionary the encoded key of each element; ``None`` for a list.
    """

    parts: tuple[Value, ...]
    keys: tuple[Value, ...] | None = None

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.parts)


@light
class Chosen:
    """A value that came from one of several places; whoever reads it learns from the place who made it.

    :param index: The place: that of the source in a join, or that of the member in a group whose items are mapped over.
    :param value: The value.
    """

    index: int
    value: Value


Value = Union[Payload, ClaimCheck, ListedValue, Chosen]


def bare(value: Value) -> Payload | ClaimCheck | ListedValue:
    """Return a value without the places that it and its elements came from."""
    while isinstance(value, Chosen):
        value = value.value
    if type(value) is ListedValue and not _PLAIN_PARTS.issuperset(map(type, value.parts)):
        return ListedValue(tuple(map(bare, value.parts)), value.keys)
    return value


_PLAIN_PARTS = frozenset({Payload, ClaimCheck})


def has_claim_checks(value: Value) -> bool:
    """Whether a part of a value is stored as a blob."""
    if type(value) is Payload:
        return False
    if type(value) is Chosen:
        return has_claim_checks(value.value)
    return not isinstance(value, ListedValue) or any(map(has_claim_checks, value.parts))


def size_of_value(value: Value) -> int:
    """Return the size of a value in bytes, blobs included."""
    if isinstance(value, Payload):
        return len(value.data)
    if isinstance(value, Chosen):
        return size_of_value(value.value)
    return value.size if isinstance(value, ClaimCheck) else sum(map(size_of_value, value.parts))


class FailureKind(str, enum.Enum):
    """The kinds of failure of an attempt."""

    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    WORKER_LOST = "worker_lost"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


@light(kw_only=True)
class Failure:
    """The failure of an attempt, as data that is safe to store and to read back.

    A task gets one in the place of a value that is not there, where its annotation has a place for it, such as
    ``list[int | Failure]``.

    :param kind: The kind of failure.
    :param type: ``module:qualname`` of the exception's class; empty if there was no exception.
    :param message: The exception's text, or a sentence.
    :param traceback: The formatted traceback, with the exceptions that it came from; empty if there was none.
    :param args: The exception's arguments, as :mod:`taskiq_flow.values.plain` writes them; ``None`` if they cannot be
        kept.
    :param attributes: The exception's attributes, written in the same way.
    :param notes: The notes that were added to the exception.
    :param members: The exceptions of a group of exceptions.
    :param cell: The path of the cell that failed; empty within an event, which names the cell itself.
    :param attempt: The number of the attempt that failed, counted from 1; 0 within an event.
    """

    kind: FailureKind
    message: str
    type: str = ""
    traceback: str = field(default="", repr=False)
    args: tuple[Any, ...] | None = field(default=None, repr=False)
    attributes: Mapping[str, Any] = field(factory=dict, repr=False, hash=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    members: tuple[Failure, ...] = field(default=(), repr=False)
    cell: str = ""
    attempt: int = 0

    @property
    def summary(self) -> str:
        """The class and the text in one line, like the last line of a traceback."""
        name = self.type.rpartition(":")[2].rpartition(".")[2]
        if name and self.message:
            return f"{name}: {self.message}"
        return name or self.message
