"""What exceptions carry, as JSON data: a value that is data comes back as it was, another one as its text.

Nothing is unpickled or imported. JSON has no place for most types, so an object with the key ``~`` names the type::

    [1, "two", {"~": "tuple", "of": [3]}]    a list: 1, "two", (3,)
    {"~": "bytes", "of": "Y2Fm6Q=="}         bytes
    {"~": "text", "of": ["Response", "<Response [503]>", ""]}
"""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import reprlib
import sys
import uuid
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from attrs import frozen

__all__ = ["LONGEST_TEXT", "NotKept", "find_loaded", "full_name", "read_plain", "shorten", "write_plain"]

LONGEST_TEXT = 20_000
"""The most characters of an exception's text, and of all of its arguments or attributes together."""

_TAG, _OF = "~", "of"
_DEEPEST = 50
_LONGEST_SHORT = 500
# Longer numbers take quadratic time to write, and Python refuses them.
_MOST_BITS = 10_000


@frozen(repr=False, str=False)
class NotKept:
    """Stands for a value of an exception that is no data: it has that value's texts, and nothing else of it.

    :param type: The name of the value's class.
    :param text: What ``str()`` gave for it.
    :param shown: What ``repr()`` gave for it; empty if that is the same.
    """

    type: str
    text: str
    shown: str = ""

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.shown or self.text

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"{name!r} of a {self.type} that stayed where the task ran; only its text is here: {self.text}"
        )


class _TooMuch(Exception):
    """A value is too large, or too deep."""


class _NoData(Exception):
    """A value is no data."""


class _Room:
    """The characters that are left for the values of one exception."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> None:
        """Take some.

        :raises _TooMuch: there are fewer.
        """
        self.left -= size
        if self.left < 0:
            raise _TooMuch


def write_plain(values: Mapping[str, Any], *, whole: bool = False) -> dict[str, Any]:
    """Write values by name; never raises what their own code raises.

    :param whole: Whether the text of a value that is no data is kept at full length, because it is a part of the
        exception's own text.
    """
    room, written = _Room(LONGEST_TEXT), {}
    for name, value in values.items():
        left = room.left
        try:
            written[name] = _write(value, room, 0, whole)
        except _TooMuch:
            written[name] = _write_text(value, left if whole else _LONGEST_SHORT)
            room.left = max(0, left - _LONGEST_SHORT)
    return written


def read_plain(data: Any) -> Any:
    """Read what :func:`write_plain` wrote of one value.

    :raises Exception: it is damaged, or needs a class that is not loaded.
    """
    if isinstance(data, list):
        return [read_plain(each) for each in data]
    if not isinstance(data, dict):
        return data
    if _TAG not in data:
        return {name: read_plain(each) for name, each in data.items()}
    return _READERS[data[_TAG]](data[_OF])


def full_name(kind: type[Any]) -> str:
    """Return ``module:qualname`` of a class."""
    return f"{kind.__module__}:{kind.__qualname__}"


def find_loaded(name: str) -> Any:
    """Return the class of a full name; ``None`` where it is not loaded, or the name means another class here."""
    module_name, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module_name)
    for part in qualname.split("."):
        # Not by getattr(): a module's __getattr__ may import, and a property runs code.
        found = vars(found).get(part) if isinstance(found, (type, ModuleType)) else None
    return found if isinstance(found, type) and full_name(found) == name else None


def shorten(text: str, longest: int = LONGEST_TEXT) -> str:
    """Leave out the middle of a text that is too long."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _write(value: Any, room: _Room, depth: int, whole: bool) -> Any:
    kind = type(value)
    if kind is str:
        room.take(len(value) + 2)
        return value
    if value is None or kind is bool:
        room.take(5)
        return value
    if kind is int:
        room.take(value.bit_length() // 3 + 2)
        if value.bit_length() > _MOST_BITS:
            raise _TooMuch
        return value
    if kind is float and math.isfinite(value):
        room.take(20)
        return value
    if kind in _CONTAINERS:
        room.take(10)
        if depth >= _DEEPEST:
            raise _TooMuch
        if kind is dict:
            return _write_dict(value, room, depth + 1, whole)
        parts = [_write(each, room, depth + 1, whole) for each in value]
        return parts if kind is list else {_TAG: kind.__name__, _OF: parts}
    try:
        tag, form = ("enum", _write_enum(value)) if isinstance(value, enum.Enum) else _write_other(value)
    except _NoData:
        text = _write_text(value, room.left if whole else _LONGEST_SHORT)
        room.take(sum(map(len, text[_OF])))
        return text
    room.take(20 + (len(form) if isinstance(form, str) else 100))
    return {_TAG: tag, _OF: form}


def _write_dict(value: dict[Any, Any], room: _Room, depth: int, whole: bool) -> dict[str, Any]:
    if _TAG not in value and all(type(key) is str for key in value):
        room.take(sum(map(len, value)))
        return {key: _write(each, room, depth, whole) for key, each in value.items()}
    pairs = [
        [_write(key, room, depth, whole), _write(each, room, depth, whole)] for key, each in value.items()
    ]
    return {_TAG: "dict", _OF: pairs}


def _write_enum(value: enum.Enum) -> list[str]:
    if type(value)._member_map_.get(value._name_) is not value:  # such as a combination of flags
        raise _NoData
    return [full_name(type(value)), value._name_]


def _write_other(value: Any) -> tuple[str, Any]:
    kind = type(value)
    writer = _WRITERS.get(kind)
    if writer is None:
        raise _NoData
    return kind.__name__, writer(value)


def _write_text(value: Any, longest: int) -> dict[str, Any]:
    try:
        # The repr() of a long list is longer than anybody reads, and takes its time.
        is_short = longest <= _LONGEST_SHORT and type(value) in _CONTAINERS
        shown = reprlib.repr(value) if is_short else repr(value)
        text = shown if is_short else str(value)
        text, shown = shorten(text, longest), "" if text == shown else shorten(shown, longest)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as broken:  # noqa: BLE001 - the value's own code may raise anything
        text, shown = f"<a {type(value).__qualname__} whose text raises {type(broken).__qualname__}>", ""
    return {_TAG: "text", _OF: [type(value).__qualname__, text, shown]}


def _write_zoned(value: Any) -> str:
    if type(value.tzinfo) not in (type(None), datetime.timezone) or value.fold:
        raise _NoData
    text: str = value.isoformat()
    return text


def _read_enum(form: Any) -> Any:
    kind = find_loaded(form[0])
    if kind is None or not issubclass(kind, enum.Enum):
        raise _NoData
    return kind._member_map_[form[1]]


_CONTAINERS = (list, tuple, dict, set, frozenset)

_WRITERS: dict[type[Any], Callable[[Any], Any]] = {
    float: repr,
    bytes: lambda value: base64.b64encode(value).decode(),
    bytearray: lambda value: base64.b64encode(value).decode(),
    complex: lambda value: [repr(value.real), repr(value.imag)],
    decimal.Decimal: str,
    fractions.Fraction: str,
    uuid.UUID: str,
    datetime.datetime: _write_zoned,
    datetime.date: datetime.date.isoformat,
    datetime.time: _write_zoned,
    datetime.timedelta: lambda value: [value.days, value.seconds, value.microseconds],
    pathlib.PurePosixPath: str,
    pathlib.PureWindowsPath: str,
    pathlib.PosixPath: str,
    pathlib.WindowsPath: str,
}

_READERS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "bytes": base64.b64decode,
    "bytearray": lambda form: bytearray(base64.b64decode(form)),
    "complex": lambda form: complex(float(form[0]), float(form[1])),
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "UUID": uuid.UUID,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda form: datetime.timedelta(*form),
    "PurePosixPath": pathlib.PurePosixPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
    "PosixPath": pathlib.PosixPath,
    "WindowsPath": pathlib.WindowsPath,
    "tuple": lambda form: tuple(map(read_plain, form)),
    "set": lambda form: set(map(read_plain, form)),
    "frozenset": lambda form: frozenset(map(read_plain, form)),
    "dict": lambda form: {read_plain(key): read_plain(each) for key, each in form},
    "enum": _read_enum,
    "text": lambda form: NotKept(*form),
}
