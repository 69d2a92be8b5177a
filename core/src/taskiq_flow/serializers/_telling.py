"""Errors about values that a serializer cannot write or read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from pydantic import ValidationError

from taskiq_flow._words import name_class
from taskiq_flow.errors import PayloadError
from taskiq_flow.serializers._comparing import Unproven
from taskiq_flow.serializers._finding import offender
from taskiq_flow.serializers._iterables import TAGS

__all__ = ["cannot_encode", "cannot_read_by", "damage_error", "does_not_fit", "first_line", "type_name"]

_MOST_PROBLEMS = 5
_OBJECTS_ONLY = ("needs_python_object", "is_instance_of", "callable_type")
_NO_TEXT = "invalid utf-8 sequence"
_UNKNOWN = "unable to serialize unknown type"
_CHANGED = "let an annotation say what is there, or choose a serializer that carries it"
_ADVICE = "a dataclass or a pydantic model, or choose a serializer that carries it"


def cannot_encode(
    value: Any, error: Exception, encode: Callable[[Any], bytes], format_: str, advice: str = ""
) -> PayloadError:
    """Make the error that names the value that cannot be encoded, its place, and the reason."""
    found, path, reason = offender(value, encode)
    if isinstance(cause := reason or error, Unproven):
        path += cause.place
        advice = advice or _CHANGED
    place = f" (at {path})" if path != "result" else ""
    why = first_line(reason or error)
    # pydantic's words for an unknown type would only repeat the sentence.
    detail = "" if _UNKNOWN in why else f": {why}"
    if why.startswith(_NO_TEXT) and format_ == "json":
        # pydantic writes bytes in a model as text, unless the model is configured otherwise.
        advice = "let the model have ConfigDict(ser_json_bytes='base64', val_json_bytes='base64'), or choose msgpack"
    return PayloadError(
        f"cannot encode a value of type {type_name(found)}{place} as {format_}{detail}; "
        f"{advice or f'give plain data, {_ADVICE}'}"
    )


def damage_error(error: Exception, format_: str) -> PayloadError:
    """Make the error for bytes that are not of the format."""
    return PayloadError(f"cannot decode as {format_}: {first_line(error)}")


def does_not_fit(annotation: Any, error: ValidationError, format_: str) -> PayloadError:
    """Make the error that says where a value does not fit its annotation."""
    details = error.errors(include_url=False, include_context=False, include_input=True)
    if format_ == "json" and any(each["type"] in _OBJECTS_ONLY for each in details):
        return cannot_read_by(annotation, "json has no such values", format_)
    if details[0]["type"] == "json_invalid":
        return PayloadError(f"cannot decode as {format_}: {details[0]['msg'].removeprefix('Invalid JSON: ')}")
    problems = [
        f"{_place(each['loc'])}{each['msg'][:1].lower()}{each['msg'][1:]}, found {_short_repr(each['input'])}"
        for each in details[:_MOST_PROBLEMS]
    ]
    if len(details) > _MOST_PROBLEMS:
        problems.append(f"and {len(details) - _MOST_PROBLEMS} more")
    return PayloadError(f"the value does not fit {_name_annotation(annotation)}: {'; '.join(problems)}")


def cannot_read_by(annotation: Any, why: str, format_: str) -> PayloadError:
    """Make the error for an annotation that the format cannot decode by."""
    return PayloadError(
        f"cannot decode {format_} as {_name_annotation(annotation)}: {why}; annotate plain data, {_ADVICE}"
    )


def type_name(value: Any) -> str:
    """Return the name of a value's type, with its module where it is called like a built-in one."""
    return name_class(type(value))


def first_line(error: Exception) -> str:
    """Return the first line of an error, without the prefixes that pydantic adds."""
    line = (
        str(error).partition("\n")[0].removeprefix("Error serializing to JSON: ").removeprefix("ValueError: ")
    )
    line = line.removeprefix("PydanticSerializationError: ").removeprefix("Invalid JSON: ").rstrip(".")
    # Class names keep their capitals.
    head = line.partition(" ")[0]
    return (line[:1].lower() + line[1:] if head.istitle() else line) or type(error).__name__


def _place(location: tuple[int | str, ...]) -> str:
    steps = "".join(f"[{step!r}]" for step in location if step not in TAGS)
    return f"at {steps}: " if steps else ""


def _short_repr(value: Any) -> str:
    try:
        text = " ".join(repr(value).split()) if type(value) is not str else repr(value)
    except Exception:  # noqa: BLE001 - a number has too many digits, or the value's own code raises
        return f"a {type_name(value)}"
    return text if len(text) <= 60 else f"{text[:57]}… (a {type_name(value)})"


def _name_annotation(annotation: Any) -> str:
    return (
        name_class(annotation)
        if isinstance(annotation, type) and not get_args(annotation)
        else str(annotation)
    )
