"""Abstract collections, read so that a task can use them as Python says: several times, and with a length."""

from __future__ import annotations

import collections.abc as abc
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, Discriminator, Tag

__all__ = ["TAGS", "is_iterable", "read_iterable"]

_LIST, _OTHER = "<list>", "<other>"
TAGS = frozenset({_LIST, _OTHER})
"""Steps that pydantic adds to the place of a problem, and that say nothing to a user."""

_SEVERAL_TIMES = (abc.Iterable, abc.Collection, abc.Container, abc.Reversible, abc.Sized)
_ONCE = (abc.Iterator, abc.Generator)


def is_iterable(kind: Any) -> bool:
    """Whether pydantic reads an abstract class late, only once, or not at all."""
    return kind in _SEVERAL_TIMES or kind in _ONCE


def read_iterable(annotation: Any, rewrite: Callable[[Any], Any]) -> Any:
    """Return the annotation to read such a class by: a list; a text or a mapping as it is.

    :param rewrite: Rewrites the annotation of the elements.
    """
    kind = get_origin(annotation) or annotation
    element = rewrite((get_args(annotation) or (Any,))[0])
    listed: Any = list.__class_getitem__(element)
    found = Annotated[
        Union[
            Annotated[listed, Tag(_LIST)],
            Annotated[Any, AfterValidator(partial(_check, kind)), Tag(_OTHER)],
        ],
        Discriminator(_sort),
    ]
    return Annotated[found, AfterValidator(iter)] if kind in _ONCE else found


def _sort(value: Any) -> str:
    return _LIST if isinstance(value, (list, tuple, set, frozenset)) else _OTHER


def _check(kind: Any, value: Any) -> Any:
    wanted = abc.Iterable if kind in _ONCE else kind
    if not isinstance(value, wanted):
        raise ValueError(f"input should be a valid {kind.__name__}")
    return value
