"""Classes that formats write as plainer values, made from those again: enumerations, subclasses of built-in ones."""

from __future__ import annotations

import functools
import typing
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin
from uuid import UUID

from pydantic import AfterValidator, AllowInfNan, BeforeValidator, GetCoreSchemaHandler
from pydantic_core import core_schema
from typing_extensions import is_typeddict

from taskiq_flow.serializers._records import field_names, is_row

__all__ = ["Instances", "is_odd", "is_odd_literal", "read_literal", "read_odd"]

_TIMES = (datetime, date, time, timedelta)
#: Subclasses of these are written as they are, and made from them again.
_BASES: tuple[Any, ...] = (
    str,
    bytes,
    int,
    float,
    complex,
    *_TIMES,
    Decimal,
    Fraction,
    UUID,
    list,
    tuple,
    dict,
    set,
    frozenset,
)
# pydantic reads these itself.
_KNOWN = frozenset({bool, datetime, OrderedDict, Counter, defaultdict})
_LITERALS = (str, int, bool, type(None))
_WRAPPERS: dict[Any, Any] = {
    bytearray: bytes,
    memoryview: bytes,
    MappingProxyType: dict,
    ChainMap: dict,
    UserDict: dict,
    UserList: list,
}


class Instances:
    """Accepts instances of a class as they are, where pydantic validates objects and not text."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        inner = handler(source)

        def pass_(value: Any, read: Any) -> Any:
            return value if isinstance(value, self._kind) else read(value)

        return core_schema.json_or_python_schema(
            inner, core_schema.no_info_wrap_validator_function(pass_, inner)
        )


def is_odd(kind: Any) -> bool:
    """Whether pydantic cannot always read a class from what is written for its values, and :func:`read_odd` can."""
    return isinstance(kind, type) and _is_odd(kind)


@functools.lru_cache(maxsize=2048)
def _is_odd(kind: Any) -> bool:
    if issubclass(kind, Enum):
        return not all(type(each.value) is str for each in kind)
    if kind is Decimal or kind in _WRAPPERS:
        return True
    return (
        _base(kind) is not None
        and kind not in _KNOWN
        and not hasattr(kind, "__get_pydantic_core_schema__")
        and not is_typeddict(kind)
        and not is_row(kind)
        and field_names(kind) is None
    )


def _base(kind: Any) -> Any:
    if kind in _BASES:
        return None
    return next((each for each in _BASES if issubclass(kind, each)), None)


def read_odd(annotation: Any, echo: Callable[[Any], Any], rewrite: Callable[[Any], Any]) -> Any:
    """Return the annotation to read an odd class by.

    :param echo: Writes a value and reads it again, without an annotation.
    :param rewrite: Rewrites an annotation within this one.
    """
    kind = get_origin(annotation) or annotation
    if issubclass(kind, Enum):
        return Annotated[annotation, BeforeValidator(_Members(kind, tuple(kind), echo))]
    if kind is Decimal:
        return Annotated[annotation, AllowInfNan(True)]
    arguments = get_args(annotation)
    if (base := _WRAPPERS.get(kind)) is not None:
        if base in (list, dict) and arguments:
            base = base[arguments]
        return Annotated[rewrite(base), AfterValidator(functools.partial(_make, kind)), Instances(kind)]
    base = _base(kind)
    if base in (list, tuple, dict, set, frozenset):
        bases = getattr(kind, "__orig_bases__", ())
        base = next((each for each in bases if get_origin(each) is base and not each.__parameters__), base)
    make = functools.partial(_make_time if base in _TIMES else _make, kind)
    return Annotated[rewrite(base), AfterValidator(make), Instances(kind)]


def _make(kind: Any, value: Any) -> Any:
    # pydantic looks at the signature of a validator, and classes have all kinds of them.
    return kind(value)


def _make_time(kind: Any, value: Any) -> Any:
    if isinstance(value, timedelta):
        return kind(days=value.days, seconds=value.seconds, microseconds=value.microseconds)
    return kind.fromisoformat(value.isoformat())


def is_odd_literal(annotation: Any) -> bool:
    """Whether an annotation is a literal of which some values are no plain data."""
    return get_origin(annotation) is typing.Literal and not all(
        type(each) in _LITERALS for each in get_args(annotation)
    )


def read_literal(annotation: Any, echo: Callable[[Any], Any]) -> Any:
    """Return the annotation to read an odd literal by."""
    plain = {each for each in get_args(annotation) if type(each) in _LITERALS}
    odd = tuple(each for each in get_args(annotation) if type(each) not in _LITERALS)
    return Annotated[annotation, BeforeValidator(_Members(None, odd, echo, frozenset(plain)))]


class _Members:
    """Finds the member of an enumeration, or of a literal, that is written as a value."""

    def __init__(
        self,
        kind: type[Enum] | None,
        members: tuple[Any, ...],
        echo: Callable[[Any], Any],
        others: frozenset[Any] = frozenset(),
    ) -> None:
        self._kind = kind
        self._others = others
        self._values: list[tuple[Any, Any]] = []
        keys: list[tuple[Any, Any]] = []
        for member in members:
            for table, written in ((self._values, member), (keys, {member: None})):
                try:
                    found = echo(written)
                except Exception:  # noqa: BLE001 - a format need not have words for every value
                    continue
                table.append((found if table is self._values else next(iter(found), None), member))
        # A key may be written as another text than the value.
        self._values += keys

    def __call__(self, value: Any) -> Any:
        if self._kind is not None and isinstance(value, self._kind):
            return value
        for written, member in self._values:
            if type(written) is type(value) and written == value:
                return value if self._is_other(value) else member
        if self._kind is not None and issubclass(self._kind, Flag) and isinstance(value, str):
            try:
                return int(value)
            except ValueError:
                return value
        return value

    def _is_other(self, value: Any) -> bool:
        try:
            return value in self._others
        except TypeError:
            return False
