"""Values as JSON, decoded by annotations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializers._annotations import is_missing
from taskiq_flow.serializers._finding import needs_care, with_care
from taskiq_flow.serializers._lowering import lower
from taskiq_flow.serializers._surveying import is_plain
from taskiq_flow.serializers._telling import cannot_read_by, damage_error, does_not_fit, first_line, type_name
from taskiq_flow.serializers._typed import TypedSerializer

__all__ = ["JsonSerializer"]

# A number that is too long has a digit at each of so many places that are _STRIDE apart; hardly any other value has.
_MOST_DIGITS = 4300
_STRIDE = 32
_MANY_DIGITS = re.compile(b"[0-9]{%d}" % (_MOST_DIGITS // _STRIDE - 1))
_SCALARS = frozenset({str, int, float, bool, type(None)})

# "constants" writes NaN and the infinities as the words that Python's own json uses.
_encode = partial(
    to_json, inf_nan_mode="constants", bytes_mode="base64", round_trip=True, by_alias=True, fallback=lower
)
_decode = partial(from_json, allow_inf_nan=True)


class JsonSerializer(TypedSerializer):
    """JSON by pydantic: text that other languages read, types by annotation.

    Types that JSON lacks (tuples, sets, bytes, dates, decimals, enumerations, dataclasses, attrs classes, typed
    dictionaries, pydantic models …) are decoded by the consumer's annotation, and become plain lists, dictionaries and
    text where there is none. Numbers and text are converted as in pydantic's lax mode. Sets are written in the order
    of their encoded elements. A pydantic model is written and read by its own configuration.
    """

    name: ClassVar[str] = "json"

    def write(self, value: Any) -> bytes:
        """Encode a value.

        :raises Exception: it cannot be encoded.
        """
        data = _encode(value)
        if type(value) not in _SCALARS and needs_care(value):
            data = _encode(with_care(value, _encode))
        return _check_numbers(data)

    def write_plain(self, value: Any) -> bytes | None:
        """Encode a value in which everything comes back by its own type.

        :returns: ``None`` where it may have anything else in it.
        :raises Exception: it cannot be encoded.
        """
        return _check_numbers(_encode(value)) if is_plain(value) else None

    def read(self, data: bytes) -> Any:
        """Decode plain data.

        :raises ValueError: the data is damaged.
        """
        return _decode(data)

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        """Decode the output of :meth:`dumps`.

        :param type_: The annotation to decode by; :data:`typing.Any` when there is none.
        :raises PayloadError: the data is damaged, or does not fit the annotation.
        """
        if is_missing(type_):
            try:
                return _decode(data)
            except ValueError as error:
                raise damage_error(error, self.name) from error
        adapter = self._adapter(type_)
        try:
            # Validate the JSON text itself: there even a strict model accepts a string as bytes or a date.
            return adapter.validator.validate_json(data, by_alias=True, by_name=True)
        except ValidationError as error:
            raise does_not_fit(type_, error, self.name) from error
        except Exception as error:
            raise cannot_read_by(type_, first_line(error), self.name) from error

    def reader(self, type_: Any) -> Callable[[bytes], Any] | None:
        """Return a faster form of :meth:`loads`, for data that fits."""
        if is_missing(type_):
            return _decode
        return partial(self._adapter(type_).validator.validate_json, by_alias=True, by_name=True)

    def split(self, data: bytes) -> list[bytes]:
        """Return the encoded elements of an encoded list.

        :raises PayloadError: the data is not a list.
        """
        value = self.loads(data)
        if type(value) is not list:
            raise PayloadError(f"expected a list, found {type_name(value)}")
        return [_encode(element) for element in value]

    def join(self, parts: Iterable[bytes]) -> bytes:
        """Return the encoded list of encoded elements."""
        return b"[" + b",".join(parts) + b"]"

    def join_mapping(self, keys: Iterable[bytes], values: Iterable[bytes]) -> bytes:
        """Return the encoded dictionary of encoded keys and values."""
        pairs = zip(keys, values, strict=True)
        return b"{" + b",".join([key + b":" + value for key, value in pairs]) + b"}"


def _check_numbers(data: bytes) -> bytes:
    """Return the data, unless it has an integer with so many digits that readers refuse it.

    :raises ValueError: it has one.
    """
    if len(data) > _MOST_DIGITS and _MANY_DIGITS.search(data[::_STRIDE]):
        _decode(data)
    return data
