"""Values as CBOR (RFC 8949), with registered tags for types that its core lacks."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from decimal import Decimal
from email.mime.text import MIMEText
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Any, ClassVar

import cbor2

from taskiq_flow.errors import PayloadError
from taskiq_flow.typed import TypedSerializer, lower
from taskiq_flow_serializers._words import KEY_AT_RISK, MOST_DIGITS, check_bounds

__all__ = ["CborSerializer"]

_SET = 258
_DECIMAL = 4
# An upper bound of the bits of an integer with so many decimal digits; 3.33 is a little above log2(10).
_MOST_BITS = int(3.33 * MOST_DIGITS)
# Refused tags: references can make cycles and bombs; patterns and messages make objects that are never written here.
_REFUSED = {
    5: "big float",
    25: "string reference",
    28: "shared value",
    29: "shared reference",
    35: "pattern",
    36: "message",
}


class CborSerializer(TypedSerializer):
    """CBOR: like MessagePack, but a standard, with tags for dates, decimals, UUIDs, sets and large integers.

    Types with a tag come back without an annotation too; all others by annotation. Equal values have equal bytes:
    lengths are definite, integers as short as possible, floats 64 bit, maps in their own order, sets in the order of
    their encoded elements.
    """

    name: ClassVar[str] = "cbor"

    def write(self, value: Any) -> bytes:
        """Encode a value.

        :raises Exception: it cannot be encoded.
        """
        keys_at_risk: dict[type, None] = {}
        data = _pack(value, keys_at_risk)
        if keys_at_risk:
            # A frozen record may be a key. It is written as a map, which could not be read back as the record there.
            try:
                _unpack(data, object_hook=_no_key)
            except Exception as error:
                raise TypeError(
                    KEY_AT_RISK.format(", ".join(kind.__name__ for kind in keys_at_risk))
                ) from error
        return data

    def read(self, data: bytes) -> Any:
        """Decode plain data.

        :raises Exception: it is damaged.
        """
        return _unpack(data)

    def split(self, data: bytes) -> list[bytes]:
        """Return the encoded elements of an encoded list.

        :raises PayloadError: the data is not a list.
        """
        value = self.loads(data)
        if type(value) is not list:
            raise PayloadError(f"expected a list, found {type(value).__name__}")
        return [self.dumps(element) for element in value]

    def join(self, parts: Iterable[bytes]) -> bytes:
        """Return the encoded list of encoded elements."""
        elements = list(parts)
        stream = io.BytesIO()
        cbor2.CBOREncoder(stream).encode_length(4, len(elements))
        return stream.getvalue() + b"".join(elements)


def _pack(value: Any, keys_at_risk: dict[type, None]) -> bytes:
    def default(encoder: Any, value: Any) -> None:
        plainer = lower(value)
        if type(plainer) is dict and type(value).__hash__ is not None:
            keys_at_risk[type(value)] = None
        encoder.encode(plainer)

    def set_(encoder: Any, value: Any) -> None:
        encoder.encode_length(6, _SET)
        encoder.encode_length(4, len(value))
        for part in sorted(_pack(each, keys_at_risk) for each in value):
            encoder.write(part)

    return cbor2.dumps(value, default=default, encoders={**_ENCODERS, set: set_, frozenset: set_})


def _unpack(data: bytes, object_hook: Any = None) -> Any:
    stream = io.BytesIO(data)
    value = cbor2.CBORDecoder(
        stream, tag_hook=_unknown, object_hook=object_hook, semantic_decoders=_DECODERS
    ).decode()
    if stream.tell() != len(data):
        raise ValueError("there is more behind the value")
    return value


def _no_key(value: Any, immutable: bool) -> Any:
    if immutable:
        raise TypeError("a record cannot be read back as a key")
    return value


def _as_text(encoder: Any, value: Any) -> None:
    encoder.encode(lower(value))


def _at(encoder: Any, value: datetime) -> None:
    if value.utcoffset() is None:
        # The tag is for moments; a datetime without a zone is written as text, and read by its annotation.
        encoder.encode(value.isoformat())
    else:
        encoder.encode_datetime(value)


def _decimal(encoder: Any, value: Decimal) -> None:
    # The tag cannot express a negative zero either.
    if value.is_finite() and (value or not value.is_signed()):
        encoder.encode_decimal(check_bounds(value))
    else:
        encoder.encode(str(value))


def _refuse(encoder: Any, value: Any) -> None:
    raise TypeError("it would come back as something else")


_ENCODERS: dict[type, Any] = {
    datetime: _at,
    Decimal: _decimal,
    complex: _as_text,
    re.Pattern: _as_text,
    time: _as_text,
    timedelta: _as_text,
    memoryview: lambda encoder, value: encoder.encode(bytes(value)),
    **dict.fromkeys(
        (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network), _as_text
    ),
    **dict.fromkeys((range, MIMEText, cbor2.CBORTag, cbor2.CBORSimpleValue, type(cbor2.undefined)), _refuse),
}


def _set(value: Any, immutable: bool) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ValueError("a set is written as an array")
    try:
        found = frozenset(map(_freeze, value))
    except TypeError:
        # Records, which the annotation turns into hashable objects.
        return value
    return found if immutable else set(found)


def _freeze(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_freeze, value))
    return frozenset(value) if isinstance(value, set) else value


def _decimal_fraction(value: Any, immutable: bool) -> Decimal:
    exponent, mantissa = value
    if type(exponent) is not int or type(mantissa) is not int:
        raise ValueError("a decimal is written as two integers")
    if mantissa.bit_length() > _MOST_BITS:
        # Checked before it becomes a decimal, because that takes time quadratic in its length.
        raise ValueError(f"a decimal has more than {MOST_DIGITS} digits")
    sign, digits, _ = Decimal(mantissa).as_tuple()
    return check_bounds(Decimal((sign, digits, exponent)))


def _refuse_tag(tag: int) -> Any:
    def refuse(value: Any, immutable: bool) -> Any:
        raise ValueError(f"tag {tag} ({_REFUSED[tag]}) is never written by this serializer")

    return refuse


def _unknown(tag: Any, immutable: bool) -> Any:
    raise ValueError(f"tag {tag.tag} is never written by this serializer")


_DECODERS: dict[int, Any] = {
    _DECIMAL: _decimal_fraction,
    _SET: _set,
    **{tag: _refuse_tag(tag) for tag in _REFUSED},
}
