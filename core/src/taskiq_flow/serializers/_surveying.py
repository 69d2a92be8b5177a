"""What a value is made of: plain data, containers of it, and objects, of which each must prove that it comes back."""

from __future__ import annotations

import functools
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, MappingView
from enum import Enum
from types import MappingProxyType
from typing import Any

from taskiq_flow.serializers._lowering import SECRET_ADVICE, SECRETS
from taskiq_flow.serializers._records import is_row, is_spelled, open_fields
from taskiq_flow.serializers._trusting import are_trusted

__all__ = ["LEAVES", "Survey", "is_plain"]

#: Types whose values come back by their own type from every format.
LEAVES = frozenset({str, int, float, bool, type(None), bytes})
_TEXT = frozenset({str})
_TRUSTED_KEYS = frozenset({str, int, bool})
# Formats give up at some depth; what is nested deeper than this is read back to see.
_DEEPEST = 100
_DICTIONARIES = (OrderedDict, Counter, defaultdict, MappingProxyType, ChainMap, UserDict)
_LISTS = (deque, UserList)
_BUILT_IN = (list, tuple, dict, set, frozenset, Mapping)


def is_plain(value: Any) -> bool:
    """Whether a value is text, numbers and bytes in lists, tuples and dictionaries with text as keys, not very deep."""
    if type(value) in LEAVES:
        return True
    level = [value]
    for depth in range(_DEEPEST):
        below: list[Any] = []
        for current in level:
            kind = type(current)
            if kind is dict:
                if not _TEXT.issuperset(map(type, current)):
                    return False
                inside = current.values()
            elif kind is list or kind is tuple:
                inside = current
            else:
                return False
            # Most containers hold only plain values; this check needs no Python loop.
            if not LEAVES.issuperset(map(type, inside)):
                below.extend(inside)
        if not below:
            return True
        # A container that stands in itself many times would double the level each time.
        level = [
            each for each in (below if not depth else _without_repetitions(below)) if type(each) not in LEAVES
        ]
    return False


def _without_repetitions(values: list[Any]) -> Iterator[Any]:
    return iter({id(each): each for each in values}.values())


class Survey:
    """Takes a value apart into containers and objects.

    :param carries: Whether the format has an exact form of its own for a value.
    :ivar objects: What must prove that it comes back, by class and identity.
    :ivar keys: The same for keys of dictionaries.
    :ivar deep: Whether containers are nested so deeply that a reader might give up.
    """

    def __init__(self, carries: Callable[[Any], bool]) -> None:
        self._carries = carries
        self.objects: dict[type[Any], dict[int, Any]] = {}
        self.keys: dict[type[Any], dict[int, Any]] = {}
        self.deep = False

    def settle(self, value: Any, depth: int = 0) -> Any:
        """Return the value with plain containers in place of others; iterators are read here, once.

        :raises TypeError: a container could not be made again from what would be written, or there is a secret.
        """
        kind: Any = type(value)
        if kind in LEAVES:
            return value
        if depth > _DEEPEST:
            self.deep = True
        if kind is list or kind is tuple:
            return value if self._is_settled(value, depth) else kind(self._settle_each(value, depth))
        if kind is dict:
            return self._dictionary(value, depth)
        if kind is set or kind is frozenset:
            return kind([self.settle(each, depth + 1) for each in value])
        if self._carries(value):
            return value
        role = _role(kind)
        if role is _Role.DICTIONARY:
            return self._dictionary(value, depth)
        if role is _Role.LIST:
            return [self.settle(each, depth + 1) for each in value]
        if role is _Role.CONTAINER:
            return self.settle(_take_apart(value), depth)
        if role is _Role.SECRET:
            raise TypeError(SECRET_ADVICE)
        if role is _Role.FIELDS and are_trusted(kind, (value,), depth):
            return value
        self.objects.setdefault(kind, {})[id(value)] = value
        for name in open_fields(kind):
            self.settle(getattr(value, name, None), depth + 1)
        return value

    def _settle_each(self, value: Any, depth: int) -> list[Any]:
        return [self.settle(each, depth + 1) for each in value]

    def _is_settled(self, value: Any, depth: int) -> bool:
        """Whether a list has only plain values, or only objects of one class, which are trusted."""
        kinds = set(map(type, value))
        if LEAVES.issuperset(kinds):
            return True
        kind: Any = kinds.pop()
        return (
            not kinds
            and depth < _DEEPEST
            and _role(kind) is _Role.FIELDS
            and not any(map(self._carries, value))
            and are_trusted(kind, value, depth + 1)
        )

    def _dictionary(self, value: Any, depth: int) -> dict[Any, Any]:
        return {self._key(key, depth): self.settle(each, depth + 1) for key, each in value.items()}

    def _key(self, key: Any, depth: int) -> Any:
        kind = type(key)
        if kind in _TRUSTED_KEYS:
            return key
        if kind is tuple or kind is frozenset:
            return self.settle(key, depth + 1)
        self.keys.setdefault(kind, {})[id(key)] = key
        return key


class _Role(Enum):
    DICTIONARY = "dictionary"
    LIST = "list"
    CONTAINER = "container"
    SECRET = "secret"
    FIELDS = "fields"
    OBJECT = "object"


@functools.lru_cache(maxsize=2048)
def _role(kind: Any) -> _Role:
    if kind in _DICTIONARIES:
        return _Role.DICTIONARY
    if issubclass(kind, SECRETS):
        return _Role.SECRET
    if issubclass(kind, Enum) or is_row(kind):
        return _Role.OBJECT
    if is_spelled(kind):
        return _Role.FIELDS
    if kind in _LISTS or issubclass(kind, (Iterator, MappingView)):
        return _Role.LIST
    return _Role.CONTAINER if issubclass(kind, _BUILT_IN) else _Role.OBJECT


def _take_apart(value: Any) -> Any:
    """Return the plain container of a container of another class.

    :raises TypeError: the class does not make an equal one from it.
    """
    kind = type(value)
    base: Any = next((each for each in _BUILT_IN[:-1] if isinstance(value, each)), dict)
    plain = base(value)
    try:
        again = kind(plain)
        equal = type(again) is kind and bool(again == value) and _state(again) == _state(value)
    except Exception as error:
        raise TypeError(f"it cannot be made again from a {base.__name__} ({error})") from error
    if not equal:
        raise TypeError(f"made again from a {base.__name__}, it is not equal to what it was")
    return plain


def _state(value: Any) -> Any:
    return getattr(value, "__dict__", None)
