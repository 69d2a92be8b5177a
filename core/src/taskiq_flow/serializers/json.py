"""Values as JSON, read back by their annotations."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, get_args

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers._annotations import Adapters, is_missing
from taskiq_flow.serializers._finding import holds_set, offender, with_sorted_sets

__all__ = ["JsonSerializer"]

_SCALARS = frozenset({str, int, float, bool, type(None)})
_SHOWN = 5

# NaN and the infinities are written as these words, as Python's own json does.
_encode = partial(to_json, inf_nan_mode="constants", bytes_mode="base64")
_decode = partial(from_json, allow_inf_nan=True)


class JsonSerializer(Serializer):
    """JSON by pydantic: text that other languages read, types by annotation.

    What JSON itself lacks (tuples, sets, bytes, dates, decimals, enumerations, dataclasses, typed dictionaries,
    pydantic models …) comes back as the consumer's annotation says, and as plain lists, dictionaries and text where
    there is none. Numbers and text are taken for each other only as pydantic's lax mode does. Sets are written in
    the order of their encoded elements. A pydantic model is written and read by its own configuration.
    """

    name: ClassVar[str] = "json"

    def __init__(self) -> None:
        self._adapters = Adapters()

    def dumps(self, value: Any) -> bytes:
        """Encode a value.

        :raises PayloadError: the value cannot be encoded; the message names the offending type and where it is.
        """
        # Any exception: models bring serializers and validators of their own, here and in loads.
        try:
            data = _encode(value)
            if type(value) not in _SCALARS and holds_set(value):
                data = _encode(with_sorted_sets(value, _encode))
        except Exception as error:
            raise _cannot_encode(value, error) from error
        return data

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        """Decode what :meth:`dumps` wrote.

        :param type_: The annotation to decode by; :data:`typing.Any` when there is none.
        :raises PayloadError: the data is damaged, or does not fit the annotation.
        """
        if is_missing(type_):
            try:
                return _decode(data)
            except ValueError as error:
                raise PayloadError(f"cannot decode as json: {error}") from error
        try:
            adapter = self._adapters.get(type_)
        except Exception as error:
            raise _cannot_read_by(type_, _first_line(error)) from error
        try:
            return adapter.validator.validate_json(data)
        except ValidationError as error:
            raise _does_not_fit(type_, error) from error
        except Exception as error:
            raise _cannot_read_by(type_, _first_line(error)) from error

    def split(self, data: bytes) -> list[bytes]:
        """Give the encoded elements of an encoded list.

        :raises PayloadError: the data is not a list.
        """
        value = self.loads(data)
        if type(value) is not list:
            raise PayloadError(f"expected a list, found {_called(value)}")
        return [_encode(element) for element in value]

    def join(self, parts: Iterable[bytes]) -> bytes:
        """Give the encoded list of encoded elements."""
        return b"[" + b",".join(parts) + b"]"


def _cannot_encode(value: Any, error: Exception) -> PayloadError:
    found, path, reason = offender(value, _encode)
    place = f" (at {path})" if path != "result" else ""
    why = _first_line(reason or error)
    # pydantic's own words for a type that it does not know say nothing more than the sentence already does.
    told = "" if why.startswith("unable to serialize unknown type") else f": {why}"
    return PayloadError(
        f"cannot encode a value of type {_called(found)}{place} as json{told}; "
        "give plain data, a dataclass or a pydantic model, or choose a serializer that carries it"
    )


def _does_not_fit(annotation: Any, error: ValidationError) -> PayloadError:
    details = error.errors(include_url=False, include_context=False, include_input=True)
    if any(each["type"] in ("needs_python_object", "is_instance_of", "callable_type") for each in details):
        return _cannot_read_by(annotation, "json has no such values")
    if details[0]["type"] == "json_invalid":
        return PayloadError(f"cannot decode as json: {details[0]['msg'].removeprefix('Invalid JSON: ')}")
    told = [
        f"{_place(each['loc'])}{each['msg'].lower()}, found {_shown(each['input'])}"
        for each in details[:_SHOWN]
    ]
    if len(details) > _SHOWN:
        told.append(f"and {len(details) - _SHOWN} more")
    return PayloadError(f"the value does not fit {_named(annotation)}: {'; '.join(told)}")


def _cannot_read_by(annotation: Any, why: str) -> PayloadError:
    return PayloadError(
        f"cannot decode json as {_named(annotation)}: {why}; annotate plain data, a dataclass or a pydantic model, or "
        "choose a serializer that carries it"
    )


def _place(location: tuple[int | str, ...]) -> str:
    return f"at {''.join(f'[{step!r}]' for step in location)}: " if location else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}… (a {_called(value)})"


def _named(annotation: Any) -> str:
    return (
        annotation.__qualname__
        if isinstance(annotation, type) and not get_args(annotation)
        else str(annotation)
    )


def _called(value: Any) -> str:
    return type(value).__qualname__


def _first_line(error: Exception) -> str:
    line = (
        str(error).partition("\n")[0].removeprefix("Error serializing to JSON: ").removeprefix("ValueError: ")
    )
    line = line.removeprefix("PydanticSerializationError: ").removeprefix("Invalid JSON: ")
    # Class names keep their capitals.
    head = line.partition(" ")[0]
    return (line[0].lower() + line[1:] if head.istitle() else line) or type(error).__name__
