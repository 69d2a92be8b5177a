"""Values as MessagePack, with extensions for types of the standard library that it lacks."""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import msgpack  # type: ignore[import-untyped]

from taskiq_flow.errors import PayloadError
from taskiq_flow.typed import TypedSerializer, lower
from taskiq_flow_serializers._words import KEY_AT_RISK, check_bounds

__all__ = ["MsgpackSerializer"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_NATIVE = frozenset(
    {type(None), bool, float, str, bytes, bytearray, list, dict, msgpack.ExtType, msgpack.Timestamp}
)

# The codes of the extensions are part of the format: never change the meaning of one.
DATETIME, DATE, TIME, DURATION, DECIMAL, IDENTIFIER, INTEGER, SET, FROZEN_SET, COMPLEX = range(1, 11)


class MsgpackSerializer(TypedSerializer):
    """MessagePack: small and quick, bytes as they are, types by annotation.

    Dates, times, durations, decimals, UUIDs, sets, complex numbers and integers of any size are extensions, and come
    back without an annotation too. Tuples, enumerations, dataclasses, attrs classes and pydantic models need one.
    """

    name: ClassVar[str] = "msgpack"

    def write(self, value: Any) -> bytes:
        """Encode a value.

        :raises Exception: it cannot be encoded.
        """
        keys_at_risk: dict[type, None] = {}
        data = self._pack(value, keys_at_risk)
        if keys_at_risk:
            # A frozen record may be a key. It is written as a map, which cannot be read as a key.
            try:
                self.read(data)
            except Exception as error:
                raise TypeError(
                    KEY_AT_RISK.format(", ".join(kind.__name__ for kind in keys_at_risk))
                ) from error
        return data

    def write_plain(self, value: Any) -> bytes | None:
        """Encode a value in which everything comes back by its own type.

        :returns: ``None`` where it may have anything else in it.
        """
        try:
            data: bytes = msgpack.packb(value, strict_types=True)
        except Exception:  # noqa: BLE001 - a type that it does not know, or what is refused with more words below
            return None
        return data

    def read(self, data: bytes) -> Any:
        """Decode plain data.

        :raises Exception: it is damaged.
        """
        try:
            return self._unpack(data)
        except TypeError:
            # A key is a list, so it was a tuple.
            return _thaw(self._unpack(data, hashable=True))

    def split(self, data: bytes) -> list[bytes]:
        """Return the encoded elements of an encoded list, none of them decoded.

        :raises PayloadError: the data is not a list.
        """
        unpacker = msgpack.Unpacker(max_buffer_size=max(1, len(data)))
        unpacker.feed(data)
        try:
            count = unpacker.read_array_header()
            ends = [unpacker.tell()]
            for _ in range(count):
                unpacker.skip()
                ends.append(unpacker.tell())
        except Exception as error:
            raise PayloadError(f"expected a list, found {type(self.loads(data)).__name__}") from error
        if ends[-1] != len(data):
            raise PayloadError(f"cannot decode as {self.name}: there is more behind the list")
        return [data[begin:end] for begin, end in itertools.pairwise(ends)]

    def join(self, parts: Iterable[bytes]) -> bytes:
        """Return the encoded list of encoded elements."""
        elements = list(parts)
        return _header(len(elements)) + b"".join(elements)

    def extension(self, value: Any) -> tuple[int, bytes] | None:
        """Return the code and the data of an object's extension; ``None`` where the format has none for it."""
        found = _EXTENSIONS.get(type(value))
        if found is None and isinstance(value, _BASES) and not isinstance(value, Enum):
            found = next(each for kind, each in _EXTENSIONS.items() if isinstance(value, kind))
        if found is None:
            return None
        code, write = found
        return code, write(value)

    def object(self, code: int, data: bytes) -> Any:
        """Return the object of an extension.

        :raises ValueError: there is no such extension, or its data is damaged.
        """
        read = _OBJECTS.get(code)
        if read is None:
            raise ValueError(f"there is no extension {code} in {self.name}")
        return read(data)

    def _pack(self, value: Any, keys_at_risk: dict[type, None]) -> bytes:
        default = functools.partial(self._plainer, keys_at_risk)
        data: bytes = msgpack.packb(value, default=default, strict_types=True)
        return data

    def _plainer(self, keys_at_risk: dict[type, None], value: Any) -> Any:
        """Return a value that MessagePack can write, in place of one that it cannot."""
        while True:
            kind = type(value)
            if kind is tuple:
                return list(value)
            if kind is set or kind is frozenset:
                parts = sorted(self._pack(each, keys_at_risk) for each in value)
                return msgpack.ExtType(SET if kind is set else FROZEN_SET, self.join(parts))
            if kind is datetime and value.utcoffset() == timedelta():
                since = value - _EPOCH
                return msgpack.Timestamp(since.days * 86400 + since.seconds, since.microseconds * 1000)
            if (extension := self.extension(value)) is not None:
                return msgpack.ExtType(*extension)
            if kind in _NATIVE:
                return value
            if kind is int:
                return value if -(2**63) <= value < 2**64 else msgpack.ExtType(INTEGER, _integer(value))
            plainer = lower(value)
            if type(plainer) is dict and kind.__hash__ is not None:
                keys_at_risk[kind] = None
            value = plainer

    def _unpack(self, data: bytes, hashable: bool = False) -> Any:
        return msgpack.unpackb(
            data,
            use_list=not hashable,
            strict_map_key=False,
            timestamp=3,
            ext_hook=functools.partial(self._object, hashable),
        )

    def _object(self, hashable: bool, code: int, data: bytes) -> Any:
        if code not in (SET, FROZEN_SET):
            return self.object(code, data)
        elements = self._unpack(data, hashable=True)
        if type(elements) is not tuple:
            raise ValueError("a set is written as an array")
        try:
            if code == FROZEN_SET:
                return frozenset(elements)
            return _HashableSet(elements) if hashable else set(elements)
        except TypeError:
            # Records, which the annotation turns into hashable objects.
            return elements if hashable else [_thaw(each) for each in elements]


class _HashableSet(frozenset[Any]):
    """Stands for a set within a key, because a set cannot be a key."""


def _thaw(value: Any) -> Any:
    """Return lists in place of tuples, and sets in place of hashable ones, except in keys."""
    if type(value) is tuple or type(value) is list:
        return [_thaw(each) for each in value]
    if type(value) is dict:
        return {key: _thaw(each) for key, each in value.items()}
    return set(value) if type(value) is _HashableSet else value


def _header(length: int) -> bytes:
    header: bytes = msgpack.Packer().pack_array_header(length)
    return header


def _integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _from_integer(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


_EXTENSIONS: dict[type[Any], tuple[int, Callable[[Any], bytes]]] = {
    datetime: (DATETIME, lambda value: datetime.isoformat(value).encode()),
    date: (DATE, lambda value: date.isoformat(value).encode()),
    time: (TIME, lambda value: time.isoformat(value).encode()),
    timedelta: (DURATION, lambda value: _integer(value // _MICROSECOND)),
    Decimal: (DECIMAL, lambda value: str(check_bounds(value)).encode()),
    UUID: (IDENTIFIER, lambda value: value.bytes),
    complex: (COMPLEX, lambda value: struct.pack(">dd", value.real, value.imag)),
}
_BASES = tuple(_EXTENSIONS)

_OBJECTS: dict[int, Callable[[bytes], Any]] = {
    DATETIME: lambda data: datetime.fromisoformat(data.decode("ascii")),
    DATE: lambda data: date.fromisoformat(data.decode("ascii")),
    TIME: lambda data: time.fromisoformat(data.decode("ascii")),
    DURATION: lambda data: _from_integer(data) * _MICROSECOND,
    DECIMAL: lambda data: check_bounds(Decimal(data.decode("ascii"))),
    IDENTIFIER: lambda data: UUID(bytes=data),
    INTEGER: _from_integer,
    COMPLEX: lambda data: complex(*struct.unpack(">dd", data)),
}
