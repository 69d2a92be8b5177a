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

    ``name=value`` is JSON where the value is that, and text otherwise; for an input that is annotated as text it is
    text in any case. ``name:=value`` is always JSON.

    :param words: What was written.
    :param graph: What shall be run; whether it has inputs of these names is checked when it is submitted.
    :raises UsageError: words are no inputs; all of them are listed.
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
    """Check inputs as the run will, and as the tasks will, so that nothing runs for long before one proves wrong.

    :param inputs: A value for each name.
    :param graph: What shall be run.
    :param codec: Writes and reads values.
    :param serializer: The name of the serializer of inputs; ``None`` for that of the codec.
    :raises UsageError: inputs are missing or unknown, or do not fit what they are for; all of them are listed.
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
            continue  # whoever submits says so, and knows more of why
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
    # Python reads NaN and Infinity, which JSON does not have.
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
