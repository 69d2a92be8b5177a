"""The envelope that a message carries for a worker: the attempt, its cell, and the encoded arguments.

On the wire it is a list, which is short, because every message has one: version, pool, run, cell, attempt, arguments,
names of the outputs, and a mapping of the extras that differ from their default.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from attrs import field

from taskiq_flow._light import light
from taskiq_flow.errors import PayloadError
from taskiq_flow.payloads import ClaimCheck, ListedValue, Payload, Value, bare

__all__ = ["ENVELOPE", "Envelope", "address_of"]

ENVELOPE = "taskiq_flow"
"""The keyword argument of the taskiq message that holds the envelope."""

_VERSION = 1
_IS_PLAIN = re.compile(r"[A-Za-z0-9_-]*").fullmatch
_EXTRAS = frozenset(
    {
        "serializer",
        "retry",
        "retry_on_error",
        "requeues",
        "resources",
        "first_started_at",
        "makers",
        "nesting",
        "sender",
    }
)


@light
class Envelope:
    """The part of a message that belongs to Taskiq-Flow.

    :param pool: The pool whose inbox gets the notices.
    :param run: The run's id.
    :param cell: The cell's path.
    :param attempt: The number of the attempt, counted from 1.
    :param arguments: The encoded arguments, by parameter name.
    :param outputs: The names of the outputs to unpack the result into.
    :param extras: Fields that differ from their default: ``serializer`` of the outputs, options for ``retry``,
        ``retry_on_error``, which says no to any, ``requeues``, how often the task has requeued its message,
        ``resources`` that the attempt occupies, ``first_started_at``, the start of the cell's first attempt,
        ``makers`` of arguments that may be of several classes, and
        ``sender``, the id of the taskiq message that this run was started for.
    """

    pool: str
    run: str
    cell: str
    attempt: int
    arguments: Mapping[str, Value] = field(factory=dict)
    outputs: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(factory=dict)

    @property
    def message_id(self) -> str:
        """The id of the message, for people and for what goes by ids; of letters, digits and ``-_.~`` alone."""
        return f"{_plain(self.run)}.{_plain(self.cell)}.{self.attempt}"

    @property
    def nesting(self) -> int:
        """How many tasks are around the run: it was started within a task, whose run was started within another."""
        nesting: int = self.extras.get("nesting", 0)
        return nesting

    def to_wire(self) -> list[Any]:
        """Return the envelope as plain JSON data."""
        arguments = {}
        for name, value in self.arguments.items():
            arguments[name] = _argument_to_wire(value)
        return [
            _VERSION, self.pool, self.run, self.cell, self.attempt, arguments, self.outputs, self.extras
        ]  # fmt: skip

    @classmethod
    def from_wire(cls, wire: Any) -> Envelope:
        """Read the output of :meth:`to_wire`.

        :raises PayloadError: the data is damaged, or of another version.
        """
        try:
            version, pool, run, cell, attempt, arguments, outputs, extras = wire
            if version != _VERSION:
                raise PayloadError(
                    f"the message's envelope has version {version!r}, expected {_VERSION}; "
                    "clients and workers must run versions of taskiq-flow that fit"
                )
            decoded = {}
            for name, value in arguments.items():
                decoded[name] = _argument_from_wire(value)
            if type(attempt) is not int or type(extras) is not dict or not extras.keys() <= _EXTRAS:
                raise ValueError(f"found {wire!r:.200}")
            return cls(pool, run, cell, attempt, decoded, tuple(outputs), extras)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise PayloadError(f"the message's envelope is damaged: {error}") from error


def _plain(text: str) -> str:
    """Write other characters than letters, digits, ``-`` and ``_`` as ``~`` and two hexadecimal digits for each byte.

    Ids stand in URLs, file names and keys. Different texts stay different, and a dot separates parts.
    """
    if _IS_PLAIN(text) is not None:
        return text
    return quote(text, safe="").replace("~", "%7E").replace(".", "%2E").replace("%", "~")


def _argument_to_wire(value: Value) -> list[Any]:
    value = bare(value)
    if isinstance(value, ListedValue):
        parts = [_argument_to_wire(part) for part in value.parts]
        keys = value.keys
        return [None, parts] if keys is None else [None, parts, [_argument_to_wire(key) for key in keys]]
    if isinstance(value, ClaimCheck):
        return [value.serializer, None, value.key, value.size]
    try:
        return [value.serializer, value.data.decode()]
    except UnicodeDecodeError:
        return [value.serializer, base64.b64encode(value.data).decode(), "base64"]


def _argument_from_wire(wire: list[Any]) -> Value:
    if wire[0] is None:
        keys = tuple([_argument_from_wire(key) for key in wire[2]]) if len(wire) > 2 else None
        return ListedValue(tuple([_argument_from_wire(part) for part in wire[1]]), keys)
    if len(wire) == 2:
        return Payload(wire[0], wire[1].encode())
    if wire[1] is None:
        return ClaimCheck(wire[0], wire[2], wire[3])
    try:
        return Payload(wire[0], base64.b64decode(wire[1], validate=True))
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def address_of(worker: str) -> str:
    """Return the name of a worker's own inbox."""
    return f"worker:{worker}"
