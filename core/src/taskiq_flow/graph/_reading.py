"""Reading the data of :mod:`taskiq_flow.graph.codec` back, with the place of whatever is wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import (
    DEFAULT_OPTIONS,
    FirstOf,
    Graph,
    Guard,
    Input,
    InputSpec,
    ListOf,
    Literal,
    MapNode,
    Node,
    NodeOptions,
    Output,
    Source,
    TaskNode,
)

__all__ = ["read_graph"]

T = TypeVar("T")

_GRAPH = frozenset({"nodes", "inputs", "outputs", "name", "on_error", "timeout"})
_COMMON = {"name", "params", "optional", "outputs", "after", "when", "options", "description"}
_TASK = frozenset({*_COMMON, "task"})
_MAP = frozenset({*_COMMON, "body", "items", "item", "collects", "keep", "max_parallel", "skip_errors"})
_INPUT = frozenset({"required"})
_GUARD = frozenset({"source", "equals"})
_OPTIONS = frozenset(
    {"timeout", "retry", "queue", "priority", "resources", "labels", "on_error", "serializer"}
)
_MODES = ("stop", "continue")
_LONGEST_SHOWN = 60


class _FormError(Exception):
    """Something has another form than expected; the place is put together on the way out.

    Places would cost as much as reading, were they put together on the way in.
    """

    def __init__(self, place: str, expected: str, found: Any) -> None:
        self.place = place
        self.expected = expected
        self.found = found
        super().__init__(place, expected, found)

    def within(self, place: str) -> _FormError:
        self.place = f"{place}.{self.place}" if self.place else place
        return self

    def __str__(self) -> str:
        shown = repr(self.found)
        shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
        return f"cannot read a graph: {self.place or 'the graph'} is {shown}; expected {self.expected}"


def _text(value: Any, place: str) -> str:
    if type(value) is not str:
        raise _FormError(place, "a text", value)
    return value


def _flag(value: Any, place: str) -> bool:
    if type(value) is not bool:
        raise _FormError(place, "true or false", value)
    return value


def _whole(value: Any, place: str) -> int:
    if type(value) is not int:
        raise _FormError(place, "a whole number", value)
    return value


def _number(value: Any, place: str) -> float:
    if type(value) not in (int, float):
        raise _FormError(place, "a number", value)
    return float(value)


def _object(value: Any, place: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise _FormError(place, "an object", value)
    return value


def _record(value: Any, known: frozenset[str]) -> dict[str, Any]:
    data = _object(value, "")
    if not data.keys() <= known:
        raise _FormError("one of the keys", " or ".join(sorted(known)), min(data.keys() - known))
    return data


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if type(value) is not list or not all(type(one) is str for one in value):
        raise _FormError(place, "a list of texts", value)
    return tuple(value)


def _choice(value: Any, place: str, choices: tuple[str, ...]) -> Any:
    if value not in choices:
        raise _FormError(place, " or ".join(map(repr, choices)), value)
    return value


def _maybe(data: dict[str, Any], key: str, read: Callable[[Any, str], T]) -> T | None:
    found = data.get(key)
    return None if found is None else read(found, key)


def _within(value: Any, place: str, read: Callable[[Any], T]) -> T:
    try:
        return read(value)
    except _FormError as error:
        raise error.within(place) from None


def _named(data: dict[str, Any], key: str, read: Callable[[Any], T]) -> dict[str, T]:
    found = data.get(key)
    if found is None:
        return {}
    members = _object(found, key)
    result = {}
    name = ""
    try:
        for name, one in members.items():
            result[name] = read(one)
    except _FormError as error:
        raise error.within(f"{key}[{name!r}]") from None
    return result


def read_graph(value: Any) -> Graph:
    """Read a graph from dictionaries and lists.

    :param value: What ``to_data`` gave, without the envelope.
    :raises GraphError: it has another form; the place is named.
    """
    try:
        return _graph(value)
    except _FormError as error:
        raise GraphError(str(error.within("graph"))) from None


def _graph(value: Any) -> Graph:
    data = _record(value, _GRAPH)
    found = data.get("nodes")
    if type(found) is not list:
        raise _FormError("nodes", "a list", found)
    nodes: dict[str, Node] = {}
    try:
        for one in found:
            node = _node(one)
            if node.name in nodes:
                raise _FormError("name", "a name that no other node has", node.name)
            nodes[node.name] = node
    except _FormError as error:
        raise error.within(f"nodes[{len(nodes)}]") from None
    return Graph(
        nodes=nodes,
        inputs=_named(data, "inputs", _input),
        outputs=_named(data, "outputs", _source),
        name=_text(data.get("name", ""), "name"),
        on_error=_choice(data.get("on_error", "stop"), "on_error", _MODES),
        timeout=_maybe(data, "timeout", _number),
    )


def _input(value: Any) -> InputSpec:
    return InputSpec(required=_flag(_record(value, _INPUT).get("required", True), "required"))


def _node(value: Any) -> Node:
    is_map = type(value) is dict and "body" in value
    data = _record(value, _MAP if is_map else _TASK)
    when, options = data.get("when"), data.get("options")
    common: dict[str, Any] = {
        "name": _text(data.get("name"), "name"),
        "params": _named(data, "params", _source),
        "optional": frozenset(_texts(data.get("optional", []), "optional")),
        "outputs": _texts(data.get("outputs", []), "outputs"),
        "after": _texts(data.get("after", []), "after"),
        "when": None if when is None else _within(when, "when", _guard),
        "options": DEFAULT_OPTIONS if options is None else _within(options, "options", _options),
        "description": _text(data.get("description", ""), "description"),
    }
    if not is_map:
        return TaskNode(task=_text(data.get("task"), "task"), **common)
    return MapNode(
        body=_within(data["body"], "body", _graph),
        items=_within(data.get("items"), "items", _source),
        item=_text(data.get("item", "item"), "item"),
        collects=_texts(data.get("collects", []), "collects"),
        keep=_choice(data.get("keep", "values"), "keep", ("values", "items")),
        max_parallel=_maybe(data, "max_parallel", _whole),
        skip_errors=_flag(data.get("skip_errors", False), "skip_errors"),
        **common,
    )


def _guard(value: Any) -> Guard:
    data = _record(value, _GUARD)
    if "equals" not in data:
        raise _FormError("", "an object with 'equals'", data)
    return Guard(_within(data.get("source"), "source", _source), data["equals"])


def _options(value: Any) -> NodeOptions:
    data = _record(value, _OPTIONS)
    on_error = data.get("on_error")
    return NodeOptions(
        timeout=_maybe(data, "timeout", _number),
        retry=_maybe(data, "retry", _object),
        queue=_maybe(data, "queue", _text),
        priority=_whole(data.get("priority", 0), "priority"),
        resources=_named(data, "resources", lambda amount: _number(amount, "")),
        labels=_object(data.get("labels", {}), "labels"),
        on_error=None if on_error is None else _choice(on_error, "on_error", _MODES),
        serializer=_maybe(data, "serializer", _text),
    )


def _source(value: Any) -> Source:
    if type(value) is not dict or len(value) != 1:
        raise _FormError("", "a source", value)
    ((kind, content),) = value.items()
    if kind == "output":
        names = _texts(content, kind)
        if len(names) != 2:
            raise _FormError(kind, "the names of a node and of its output", content)
        return Output(*names)
    if kind == "input":
        return Input(_text(content, kind))
    if kind == "literal":
        return Literal(content)
    if kind not in ("first_of", "list_of") or type(content) is not list:
        raise _FormError("", "an input, an output, a literal, or a list as first_of or list_of", value)
    parts = tuple(_within(one, f"{kind}[{index}]", _source) for index, one in enumerate(content))
    return FirstOf(parts) if kind == "first_of" else ListOf(parts)
