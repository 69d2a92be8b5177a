"""The wire form of values, failures and events, for stores and plugins that hold text.

Each is a JSON object with the version of the form under ``v``. An event has its class's name under
``event`` beside its fields; fields at their default are left out. A payload that is UTF-8 text stays
readable, other bytes are base64. Decoding builds only these plain classes, and refuses unknown names,
so that a log from a newer version is never read in part.

::

    {"v": 1, "event": "CellStarted", "cell": "tracks[3]/features", "attempt": 2, "worker": "w1", "at": 12.5}
    {"v": 1, "s": "json", "text": "[1, 2]"}          a payload
    {"v": 1, "s": "pickle", "b64": "gAQu"}           a payload that is not text
    {"v": 1, "s": "json", "blob": "k7", "size": 9}   a claim check
    {"v": 1, "list": [{"s": "json", "text": "1"}]}   a list stored as its elements; a dictionary has keys too
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar, get_args

from taskiq_flow._wire_forms import Known, Misfit, WireForm, wire_form
from taskiq_flow.errors import StoreError
from taskiq_flow.machine.events import Event
from taskiq_flow.payloads import Chosen, ClaimCheck, Failure, ListedValue, Payload, Value

__all__ = [
    "EVENT",
    "KNOWN",
    "VALUE",
    "WIRE_VERSION",
    "decode_event",
    "decode_failure",
    "decode_value",
    "decode_values",
    "encode_event",
    "encode_failure",
    "encode_value",
    "encode_values",
    "read_document",
    "write_document",
]

WIRE_VERSION = 1
"""The version of the form that is written, and the only one that is read."""

T = TypeVar("T")


def _write_value(value: Value) -> dict[str, Any]:
    if isinstance(value, ListedValue):
        parts = [_write_value(part) for part in value.parts]
        if value.keys is None:
            return {"list": parts}
        return {"list": parts, "keys": [_write_value(key) for key in value.keys]}
    if isinstance(value, Chosen):
        return {"of": value.index, "value": _write_value(value.value)}
    if isinstance(value, ClaimCheck):
        return {"s": value.serializer, "blob": value.key, "size": value.size}
    try:
        text = value.data.decode()
    except UnicodeDecodeError:
        text = "\0"
    # Databases refuse the zero character in text; such a payload is stored as base64.
    if "\0" in text:
        return {"s": value.serializer, "b64": base64.b64encode(value.data).decode()}
    return {"s": value.serializer, "text": text}


def _read_value(data: Any) -> Value:
    if isinstance(data, dict):
        found = {name: type(each) for name, each in data.items()}
        if found == {"s": str, "text": str}:
            return Payload(data["s"], data["text"].encode())
        if found == {"s": str, "b64": str}:
            return Payload(data["s"], base64.b64decode(data["b64"], validate=True))
        if found == {"s": str, "blob": str, "size": int}:
            return ClaimCheck(data["s"], data["blob"], data["size"])
        if found == {"list": list}:
            return ListedValue(tuple(map(_read_value, data["list"])))
        if found == {"of": int, "value": dict}:
            return Chosen(data["of"], _read_value(data["value"]))
        if found == {"list": list, "keys": list} and len(data["list"]) == len(data["keys"]):
            return ListedValue(tuple(map(_read_value, data["list"])), tuple(map(_read_value, data["keys"])))
    raise Misfit("a value (s with text, b64, or blob and size; or list)", data)


def _write_event(event: Event) -> dict[str, Any]:
    kind: Any = type(event)
    if kind not in _EVENTS.values():
        raise StoreError(f"expected an event of taskiq_flow.machine.events, found {kind.__name__}")
    fields: dict[str, Any] = _form(kind).write(event)
    return {"event": kind.__name__, **fields}


def _read_event(data: Any) -> Event:
    if not isinstance(data, dict) or not isinstance(data.get("event"), str):
        raise Misfit("an object with the name of an event under 'event'", data)
    name, fields = data["event"], {key: each for key, each in data.items() if key != "event"}
    kind: Any = _EVENTS.get(name)
    if kind is None:
        near = get_close_matches(name, _EVENTS, n=2)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise Misfit(f"an event that this version of taskiq-flow-core knows{hint}", name)
    event: Event = _form(kind).read(fields)
    return event


_EVENTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}

VALUE = WireForm(_write_value, _read_value)
"""The form of a value inside another document."""

EVENT = WireForm(_write_event, _read_event)
"""The form of an event inside another document."""

KNOWN: Known = ((Value, VALUE), (Event, EVENT))
"""The wire forms that are not derived from fields."""


@cache
def _form(annotation: Any) -> WireForm:
    return wire_form(annotation, KNOWN)


def write_document(subject: str, write: Callable[[T], dict[str, Any]], value: T) -> str:
    """Write an object as a versioned JSON document.

    :param subject: The noun for errors, such as ``an event``.
    :param write: Callback that returns the JSON object.
    :raises StoreError: a part of it is no JSON data.
    """
    try:
        data = {"v": WIRE_VERSION, **write(value)}
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                # Only the escape of a lone surrogate can be stored; undecodable file names have them.
                text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError, AttributeError) as error:
        raise StoreError(f"cannot write {subject}: {error}; it must hold plain JSON data only") from error
    return text


def read_document(subject: str, read: Callable[[Any], T], text: str | bytes) -> T:
    """Read a document that :func:`write_document` wrote.

    :param subject: The noun for errors, such as ``an event``.
    :param read: Callback that reads the JSON object; raises ``Misfit``.
    :raises StoreError: the text is damaged, of another version, or another document.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"cannot read {subject}: expected JSON, found something else: {error}") from error
    try:
        if not isinstance(data, dict) or "v" not in data:
            raise Misfit("a JSON object with a version under 'v'", data)
        version = data.pop("v")
        if version != WIRE_VERSION or type(version) is not int:
            raise StoreError(
                f"cannot read {subject}: it is in form {version!r}, and this version of taskiq-flow-core reads "
                f"form {WIRE_VERSION}; install the version that wrote it"
            )
        return read(data)
    except (Misfit, ValueError, RecursionError) as error:
        raise StoreError(f"cannot read {subject}: {error}") from error


def encode_value(value: Value) -> str:
    """Write a value."""
    return write_document("a value", _write_value, value)


def decode_value(text: str | bytes) -> Value:
    """Read a value.

    :raises StoreError: the text is no value.
    """
    return read_document("a value", _read_value, text)


def encode_values(values: Mapping[str, Value]) -> str:
    """Write values by name, such as a run's inputs."""
    form = _form(Mapping[str, Value])
    return write_document("values", lambda each: {"values": form.write(each)}, values)


def decode_values(text: str | bytes) -> dict[str, Value]:
    """Read values by name.

    :raises StoreError: the text is no such document.
    """
    form = _form(Mapping[str, Value])

    def read(data: dict[str, Any]) -> dict[str, Value]:
        if list(data) != ["values"]:
            raise Misfit("an object with values and nothing else", data)
        values: dict[str, Value] = form.read(data["values"])
        return values

    return read_document("values", read, text)


def encode_failure(failure: Failure) -> str:
    """Write a failure."""
    return write_document("a failure", _form(Failure).write, failure)


def decode_failure(text: str | bytes) -> Failure:
    """Read a failure.

    :raises StoreError: the text is no failure.
    """
    failure: Failure = read_document("a failure", _form(Failure).read, text)
    return failure


def encode_event(event: Event) -> str:
    """Write an event.

    :raises StoreError: it is no event, or a part of it is no JSON data.
    """
    return write_document("an event", _write_event, event)


def decode_event(text: str | bytes) -> Event:
    """Read an event.

    :raises StoreError: the text is no event, or an event that this version does not know.
    """
    return read_document("an event", _read_event, text)
