"""Annotations as Python means them: those of ``inspect.signature``, resolved where they were written.

One that cannot be resolved, such as a name that is imported under ``TYPE_CHECKING`` alone, counts as missing; the
others stay.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Union, get_args, get_origin

from typing_extensions import NotRequired, Required, Unpack, get_type_hints, is_typeddict

__all__ = ["hints_of_class", "hints_of_signature", "unpack_keywords"]

_UNPACK = (Unpack, getattr(typing, "Unpack", Unpack))
_REQUIRED = (Required, getattr(typing, "Required", Required))
_NOT_REQUIRED = (NotRequired, getattr(typing, "NotRequired", NotRequired))


def hints_of_signature(function: Callable[..., Any], signature: inspect.Signature) -> dict[str, Any]:
    """Return the annotations of a function's parameters by name, and that of its result as ``return``.

    A parameter whose default is ``None`` may be ``None``, whether its annotation says so or not.
    """
    written = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if parameter.annotation is not inspect.Parameter.empty
    }
    if signature.return_annotation is not inspect.Signature.empty:
        written["return"] = signature.return_annotation
    hints = _resolve(written, list(_namespaces(function)))
    for name, parameter in signature.parameters.items():
        if parameter.default is None and hints.get(name, Any) is not Any:
            hints[name] = _or_none(hints[name])
    return hints


def hints_of_class(cls: type) -> dict[str, Any]:
    """Return the annotations of a class's attributes that can be resolved."""
    try:
        return get_type_hints(cls, include_extras=True)
    except Exception:  # noqa: BLE001 - the evaluation of a user's annotation may raise anything
        module = inspect.getmodule(cls)
        written: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            written.update(inspect.get_annotations(base))
        return _resolve(written, [({} if module is None else vars(module), dict(vars(cls)))])


def unpack_keywords(annotation: Any) -> dict[str, tuple[Any, bool]] | None:
    """Return the keywords of ``**kwargs: Unpack[SomeTypedDict]``.

    :returns: For each its annotation, and whether it may be left out; ``None`` for any other annotation.
    """
    if get_origin(annotation) not in _UNPACK:
        return None
    (fields,) = get_args(annotation)
    kind = get_origin(fields) or fields
    if not is_typeddict(kind):
        return None
    keywords: dict[str, tuple[Any, bool]] = {}
    for name, each in hints_of_class(kind).items():
        optional = name in kind.__optional_keys__
        while get_origin(each) in (*_REQUIRED, *_NOT_REQUIRED):
            optional = get_origin(each) in _NOT_REQUIRED
            (each,) = get_args(each)
        keywords[name] = each, optional
    return keywords


def _resolve(
    written: Mapping[str, Any], namespaces: list[tuple[dict[str, Any], dict[str, Any]]]
) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for name, annotation in written.items():
        for around, within in namespaces:
            # Each on its own, so that one that cannot be resolved takes no other with it.
            single = types.SimpleNamespace(__annotations__={name: annotation})
            try:
                hints.update(get_type_hints(single, globalns=around, localns=within, include_extras=True))
                break
            except Exception:  # noqa: BLE001 - only this annotation stays unknown
                continue
    return hints


def _namespaces(function: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the names that annotations may use: of the innermost function first, then of what is around it."""
    layers: list[Any] = []
    while function is not None and len(layers) < 100:
        while isinstance(function, functools.partial):
            function = function.func
        function = getattr(function, "__func__", function)
        if not hasattr(function, "__globals__") and not isinstance(function, type):
            called = vars(type(function)).get("__call__")
            if hasattr(called, "__globals__") and not hasattr(function, "__wrapped__"):
                function = called
        layers.append(function)
        function = getattr(function, "__wrapped__", None)
    for layer in reversed(layers):
        around = getattr(layer, "__globals__", None)
        if around is None:
            around = vars(inspect.getmodule(layer) or types.ModuleType("unknown"))
        yield (
            around,
            {**_free_names(layer), **{each.__name__: each for each in getattr(layer, "__type_params__", ())}},
        )


def _free_names(function: Any) -> dict[str, Any]:
    """Return the names of enclosing functions that a function uses."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return found


def _or_none(annotation: Any) -> Any:
    if annotation is type(None) or type(None) in get_args(annotation):
        return annotation
    try:
        return Union[annotation, None]
    except TypeError:  # an annotation need not be a type
        return annotation
