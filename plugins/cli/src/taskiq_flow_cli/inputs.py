"""From ``name=value`` to the inputs of a run."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

from taskiq_flow import Graph
from taskiq_flow.errors import GraphError, PayloadError, UsageError
from taskiq_flow.graph import check_inputs

if TYPE_CHECKING:
    from taskiq_flow.values.codec import Codec

__all__ = ["check_inputs_fit", "read_inputs"]


def read_inputs(words: Iterable[str], graph: Graph) -> Mapping[str, Any]:
    """Read inputs.

    The value of ``name=value`` is JSON where it can be read as that, and text otherwise; for an input that is annotated
    as text it is always text. ``name:=value`` is always JSON.

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
        if not sign or not name.isidentifier():
            problems.append(f"expected name=value, found {word!r}")
        elif name in values:
            problems.append(f"input {name!r} is given twice; give it once")
        elif exact:
            try:
                values[name] = _json(text)
            except ValueError as error:
                problems.append(f"input {name!r} is no JSON: {error}; write {name}=… for text")
        else:
            values[name] = _value(text, graph.inputs[name].annotation if name in graph.inputs else None)
    if problems:
        raise UsageError("\n".join(problems))
    return values


def check_inputs_fit(inputs: Mapping[str, Any], graph: Graph, codec: Codec, serializer: str | None) -> None:
    """Check inputs as the run and its tasks will, so that a wrong one is found before anything runs.

    :param inputs: A value for each name.
    :param graph: The graph of the run.
    :param codec: The codec for values.
    :param serializer: The name of the serializer of inputs; ``None`` for that of the codec.
    :raises UsageError: inputs are missing or unknown, or do not fit their annotations; all of them are listed.
    """
    problems: list[str] = []
    try:
        check_inputs(graph, inputs)
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
    if _is_text(annotation):
        return text
    try:
        return _json(text)
    except ValueError:
        return text


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    # Python's parser accepts NaN and Infinity, which are not JSON.
    raise ValueError(f"{constant} is not JSON")


def _is_text(annotation: Any) -> bool:
    """Whether every value that fits an annotation is written as text."""
    if isinstance(annotation, type) and not get_args(annotation):
        return issubclass(annotation, (str, PurePath))
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_text(args[0])
    if origin is Literal:
        return all(isinstance(each, str) for each in args)
    if origin in (Union, types.UnionType):
        return all(_is_text(each) for each in args if each is not type(None))
    return False
