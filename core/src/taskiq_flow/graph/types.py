"""Compares a producer's return annotation with a consumer's parameter annotation."""

from __future__ import annotations

import enum
import functools
import inspect
import types
import typing
from typing import Annotated, Any, TypeVar, Union
from typing import Literal as OneOf

import typing_extensions
from typing_extensions import is_typeddict

from taskiq_flow._words import name_class
from taskiq_flow.graph._shapes import (
    JsonKind,
    is_listlike,
    is_mapping,
    kinds_accepted,
    kinds_of_value,
    kinds_produced,
)

__all__ = [
    "can_fit",
    "comparable_or_any",
    "describe",
    "dict_of",
    "is_union",
    "list_elements",
    "list_of",
    "members",
    "tuple_of",
    "union_of",
]

_Pairs = frozenset[tuple[int, int]]
_LONGEST_DESCRIPTION = 100
_LITERALS = (OneOf, typing_extensions.Literal)  # two things in early Python 3.10


def can_fit(produced: Any, accepted: Any) -> bool:
    """Whether a value of one annotation may fit another.

    ``False`` is certain: a missing annotation, ``Any``, a type variable, a protocol, a forward reference or an unknown
    class fits anything. Values travel encoded and are decoded by the consumer's annotation, so a tuple fits a list, a
    dictionary fits a model, and a text fits every type that is read from text, such as a number. The elements of lists
    and the values of mappings are compared if both annotations name them.

    :param produced: The producer's annotation; ``None`` or ``inspect.Parameter.empty`` when there is none.
    :param accepted: The consumer's annotation, or one of the same two.
    """
    if produced is accepted or accepted is Any or produced is Any or produced is None or accepted is None:
        return True
    try:
        return _look_up(produced, accepted)
    except TypeError:  # not hashable, such as ``Annotated`` with a list in it
        return _fits(produced, accepted, frozenset())


@functools.lru_cache(maxsize=4096)
def _look_up(produced: Any, accepted: Any) -> bool:
    return _fits(produced, accepted, frozenset())


def comparable_or_any(annotation: Any) -> Any:
    """Return an annotation without its wrappers, or ``Any`` if it cannot be compared."""
    while True:
        if annotation is None or annotation is inspect.Parameter.empty or annotation is object:
            return Any
        if isinstance(annotation, (str, typing.ForwardRef, TypeVar)):
            return Any
        if typing.get_origin(annotation) is Annotated:
            if any(map(_changes_reading, annotation.__metadata__)):
                return Any
            annotation = annotation.__origin__
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif getattr(typing.get_origin(annotation) or annotation, "_is_protocol", False):
            return Any
        else:
            return annotation


def _changes_reading(note: Any) -> bool:
    """Whether a note changes the kinds that an annotation is read from: a validator, or numbers as text."""
    notes = (note, *getattr(note, "metadata", ()))  # pydantic's Field() has notes of its own
    return hasattr(note, "__get_pydantic_core_schema__") or any(
        getattr(each, "coerce_numbers_to_str", False) for each in notes
    )


def union_of(annotations: typing.Iterable[Any]) -> Any:
    """Return the union of several annotations; ``Any`` when one of them cannot be compared."""
    known = tuple(comparable_or_any(annotation) for annotation in annotations)
    if Any in known or not known:
        return Any
    try:
        return Union[known]
    except TypeError:  # an annotation need not be a type
        return Any


def list_of(element: Any) -> Any:
    """Return the annotation of a list whose elements all have the same annotation."""
    return types.GenericAlias(list, (element,))


def dict_of(element: Any, key: Any = Any) -> Any:
    """Return the annotation of a dictionary whose values all have the same annotation."""
    return types.GenericAlias(dict, (key, element))


def tuple_of(elements: typing.Iterable[Any]) -> Any:
    """Return the annotation of a list with an annotation for each element."""
    return types.GenericAlias(tuple, tuple(elements))


def describe(annotation: Any) -> str:
    """Return an annotation as a person would write it."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        name = name_class(annotation)
        # A class that is called like a built-in one needs its module; of others the name alone says enough.
        return (
            "None"
            if annotation is type(None)
            else annotation.__name__
            if name == annotation.__qualname__
            else name
        )
    text = str(annotation).replace("typing_extensions.", "").replace("typing.", "")
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[:_LONGEST_DESCRIPTION]}…"


def _fits(produced: Any, accepted: Any, open_: _Pairs) -> bool:
    produced, accepted = comparable_or_any(produced), comparable_or_any(accepted)
    if produced is accepted or produced is Any or accepted is Any:
        return True
    pair = (id(produced), id(accepted))
    if pair in open_:
        return True  # a recursive alias, which is being compared already
    open_ |= {pair}
    if is_union(produced) or is_union(accepted):
        return any(_fits(one, other, open_) for one in members(produced) for other in members(accepted))
    origin, target = typing.get_origin(produced), typing.get_origin(accepted)
    if origin in _LITERALS and target in _LITERALS:
        taken = _travelling(accepted)
        return any(value in taken for value in _travelling(produced))
    if origin is None and target is None and _are_related(produced, accepted):
        return True
    common = _kinds_when_produced(produced, origin) & _kinds_when_accepted(accepted, target)
    if common is JsonKind.LIST:
        return _elements_fit(produced, accepted, open_)
    if common is JsonKind.OBJECT:
        given, wanted = _value_type(produced), _value_type(accepted)
        return _fits(given, wanted, open_)
    return bool(common)


def is_union(annotation: Any) -> bool:
    """Whether an annotation is a union, however it was written."""
    # ``int | str`` has another class than ``Union[int, str]`` up to Python 3.13.
    return typing.get_origin(annotation) in (Union, getattr(types, "UnionType", Union))


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union; any other annotation is the only one."""
    return typing.get_args(annotation) if is_union(annotation) else (annotation,)


def _are_related(one: Any, other: Any) -> bool:
    if not isinstance(one, type) or not isinstance(other, type) or is_typeddict(one) or is_typeddict(other):
        return False
    try:
        return issubclass(one, other) or issubclass(other, one)
    except TypeError:  # a class whose metaclass refuses the question
        return True


def _kinds_when_produced(annotation: Any, origin: Any) -> JsonKind:
    return _kinds_of_literals(annotation) if origin in _LITERALS else kinds_produced(origin or annotation)


def _kinds_when_accepted(annotation: Any, origin: Any) -> JsonKind:
    return _kinds_of_literals(annotation) if origin in _LITERALS else kinds_accepted(origin or annotation)


def _travelling(annotation: Any) -> list[Any]:
    """Return the values of a literal as they travel; a list, so that values compare as equal, such as 1 and True."""
    return [value.value if isinstance(value, enum.Enum) else value for value in annotation.__args__]


def _kinds_of_literals(annotation: Any) -> JsonKind:
    kinds = JsonKind(0)
    for value in annotation.__args__:
        kinds |= kinds_of_value(value)
    return kinds


def _elements_fit(produced: Any, accepted: Any, open_: _Pairs) -> bool:
    given, wanted = list_elements(produced), list_elements(accepted)
    if isinstance(given, tuple) and isinstance(wanted, tuple):
        return len(given) == len(wanted) and all(
            _fits(one, other, open_) for one, other in zip(given, wanted, strict=True)
        )
    if isinstance(given, tuple):
        return all(_fits(one, wanted, open_) for one in given)
    if isinstance(wanted, tuple):
        return all(_fits(given, other, open_) for other in wanted)
    return _fits(given, wanted, open_)


def list_elements(annotation: Any) -> Any:
    """Return the annotation of a list's elements; for a tuple of fixed length, a tuple of annotations."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if not args or not is_listlike(origin):
        return Any
    if origin is not tuple:
        return args[0]
    if len(args) == 2 and args[1] is Ellipsis:
        return args[0]
    return (
        args if all(comparable_or_any(arg) is not Ellipsis and not _is_unpacked(arg) for arg in args) else Any
    )


def _is_unpacked(annotation: Any) -> bool:
    return bool(
        getattr(annotation, "__unpacked__", False)
        or getattr(annotation, "__typing_is_unpacked_typevartuple__", False)
        or "Unpack[" in str(annotation)
    )


def _value_type(annotation: Any) -> Any:
    args = typing.get_args(annotation)
    return args[1] if len(args) == 2 and is_mapping(typing.get_origin(annotation)) else Any
