"""From objects to plainer values, one step at a time."""

from __future__ import annotations

import os
import types
from collections import deque
from collections.abc import Mapping
from enum import Enum
from fractions import Fraction
from typing import Any

from pydantic import Secret, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from taskiq_flow.serializers._records import ABSENT, field_names, fields_of

__all__ = ["SECRETS", "SECRET_ADVICE", "lower", "spell"]

_TEXT = (str, int, float)
#: Classes of pydantic whose values are written as stars.
SECRETS = (Secret, SecretStr, SecretBytes)
SECRET_ADVICE = "a secret is written as stars; give what get_secret_value() gives, or encrypt values"


def lower(value: Any) -> Any:
    """Return a plainer value for an object: the dictionary of its fields, its elements, its value, or its text.

    Only the object itself is lowered; values inside it stay as they are.

    :raises TypeError: the object has no plainer form.
    """
    kind = type(value)
    names = field_names(kind)
    if names is not None:
        return {name: getattr(value, name) for name in names}
    if isinstance(value, SECRETS):
        raise TypeError(SECRET_ADVICE)
    serializer = getattr(kind, "__pydantic_serializer__", None)
    if serializer is not None:
        plainer = serializer.to_python(value, mode="python", by_alias=True, round_trip=True)
        if plainer is not value:
            return plainer
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple, deque, types.GeneratorType)):
        return list(value)
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, type):
        text = to_jsonable_python(value)
        if isinstance(text, _TEXT):
            return text
    raise TypeError(f"unable to serialize unknown type {kind.__qualname__}")


def spell(value: Any) -> Any:
    """Return the fields of a record or model under their own names, and of those in it, whatever it is written as.

    :raises TypeError: there is a secret in it.
    """
    if isinstance(value, SECRETS):
        raise TypeError(SECRET_ADVICE)
    if (fields := fields_of(value)) is not None:
        if getattr(type(value), "__pydantic_root_model__", False):
            return spell(fields["root"])
        return {name: spell(part) for name, part in fields.items() if part is not ABSENT}
    kind = type(value)
    if kind is dict:
        return {key: spell(part) for key, part in value.items()}
    if kind is list or (isinstance(value, tuple) and not isinstance(value, Enum)):
        return [spell(part) for part in value]
    return value
