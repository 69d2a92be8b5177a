"""From ``name=value`` to the inputs of a run."""

from __future__ import annotations

import datetime
import json
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Union, get_args, get_origin
from uuid import UUID

from taskiq_flow import Graph
from taskiq_flow.errors import GraphError, PayloadError, UsageError
from taskiq_flow.graph import check_inputs

if TYPE_CHECKING:
    from taskiq_flow.values.codec import Codec

__all__ = ["check_inputs_fit", "names_of", "read_inputs"]


def names_of(words: Iterable[str]) -> list[str]:
    """Return the names in words of the form ``name=value``; what has another form is left to :func:`read_inputs`."""
    return [word.partition("=")[0].removesuffix(":") for word in words]


_TEXTS = (str, PurePath)
# JSON has no values of these types, and its numbers would lose digits, or stand for seconds.
_WRITTEN_AS_TEXT = (
    *_TEXTS,
    Decimal,
    UUID,
    datetime.date,
    datetime.time,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DAY = re.compile(r"(\d{4})(\d\d)(\d\d)")


def read_inputs(words: Iterable[str], graph: Graph) -> Mapping[str, Any]:
    """Read inputs.

    The value of ``name=value`` is JSON where it can be read as that, and text otherwise; for an input whose annotation
    is that of a text, or of something that is written as one (decimal numbers, moments, ids, addresses), it is always
    text. ``name:=value`` is always JSON.

    :param words: The words of the command line.
    :param graph: The graph of the run; submitting it checks the names of inputs.
    :raises UsageError: words are not inputs; all of them are listed.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for word in words:
        name, sign, text = word.partition("=")
        exact = name.endswith(":")
        name = name.removesuffix(":")
        if not sign or not all(part.isidentifier() for part in name.split(".")):
            problems.append(f"expected name=value, found {word!r}")
        elif name in values:
            problems.append(f"input {name!r} is given twice; give it once")
        else:
            annotation = graph.inputs[name].annotation if name in graph.inputs else None
            try:
                values[name] = (_json if exact else _value)(text, annotation)
            except ValueError as error:
                problems.append(
                    f"input {name!r} is no JSON: {error}; write {name}=… for text"
                    if exact
                    else f"input {name!r} {error}; for JSON write {name}:=…"
                )
    if problems:
        raise UsageError("\n".join(problems))
    return values


def check_inputs_fit(
    inputs: Mapping[str, Any],
    graph: Graph,
    codec: Codec,
    serializer: str | None,
    known: Iterable[str] = (),
) -> None:
    """Check inputs as the run and its tasks will, so that a wrong one is found before anything runs.

    :param inputs: A value for each name.
    :param graph: The graph of the run.
    :param codec: The codec for values.
    :param serializer: The name of the serializer of inputs; ``None`` for that of the codec.
    :param known: Further names that may be given.
    :raises UsageError: inputs are missing or unknown, or do not fit their annotations; all of them are listed.
    """
    problems: list[str] = []
    try:
        check_inputs(graph, inputs, others=known)
    except GraphError as error:
        problems.append(str(error))
    for name, value in inputs.items():
        if name not in graph.inputs or graph.inputs[name].annotation is None:
            continue
        try:
            written = codec.encode(value, serializer)
        except PayloadError:
            continue  # submitting reports it, and knows more about the reason
        try:
            codec.decode(written, graph.inputs[name].annotation)
        except PayloadError as error:
            problems.append(f"input {name!r}: {error}")
    if problems:
        raise UsageError("\n".join(problems))


def _value(text: str, annotation: Any) -> Any:
    kinds = [*_kinds_of(annotation)]
    if not all(map(_is_written_as_text, kinds)):
        try:
            return _json(text, annotation)
        except ValueError:
            return text
    if text == "null" and type(None) in kinds and not any(issubclass(kind, _TEXTS) for kind in kinds):
        return None
    if any(issubclass(kind, (datetime.date, datetime.time)) for kind in kinds) and _NUMBER.fullmatch(text):
        return _day(text, kinds)
    return text


def _day(text: str, kinds: Iterable[type]) -> str:
    """Write a day of digits alone with hyphens; the same digits would be read as seconds since the epoch.

    :raises ValueError: they are no day.
    """
    digits = _DAY.fullmatch(text)
    if digits is None or not any(issubclass(kind, datetime.date) for kind in kinds):
        raise ValueError(f"is {text}, which is a day or a time only with its signs, such as 2024-01-31T09:30")
    return "-".join(digits.groups())


def _json(text: str, annotation: Any) -> Any:
    parse_float: Callable[[str], Any] = Decimal if Decimal in _kinds_within(annotation) else float
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=parse_float)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    # Python's parser accepts NaN and Infinity, which are not JSON.
    raise ValueError(f"{constant} is not JSON")


def _is_written_as_text(kind: type) -> bool:
    return issubclass(kind, (*_WRITTEN_AS_TEXT, type(None)))


def _kinds_of(annotation: Any) -> Iterator[type]:
    """Yield the classes of the values that fit an annotation, :class:`object` where that is anything."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _kinds_of(args[0])
    elif origin is Literal:
        yield from map(type, args)
    elif origin in (Union, types.UnionType):
        for each in args:
            yield from _kinds_of(each)
    elif isinstance(annotation, type) and not args:
        yield annotation
    else:
        yield object


def _kinds_within(annotation: Any) -> Iterator[type]:
    """Yield the classes that an annotation names, at any depth."""
    if isinstance(annotation, type):
        yield annotation
    for each in get_args(annotation):
        yield from _kinds_within(each)
