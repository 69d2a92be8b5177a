"""Checks of single nodes, and of a graph's own limits."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.graph.model import (
    DEFAULT_OPTIONS,
    Conditional,
    FirstOf,
    Graph,
    Input,
    ListOf,
    Literal,
    MapNode,
    Node,
    NodeOptions,
    Output,
    Source,
    TaskNode,
)

__all__ = ["graph_problems", "map_problems", "node_problems"]

_DEEPEST_LITERAL = 100
# A guard does not fetch blobs, so its literal must be shorter than any value that becomes a blob. Values up to 4 KiB
# never do, and a serializer with a codec such as encryption needs up to about three times the bytes of JSON.
_LONGEST_COMPARED = 1 << 10
_ERROR_MODES = ("stop", "continue")


def graph_problems(graph: Graph) -> Iterator[str]:
    """Find problems of the limits and the outputs of a graph."""
    if graph.timeout is not None and not _positive(graph.timeout):
        yield f"the pipeline's timeout is {graph.timeout!r}; it must be a positive number of seconds, or None"
    if graph.on_error not in _ERROR_MODES:
        yield f"the pipeline's on_error is {graph.on_error!r}; it must be 'stop' or 'continue'"
    for name, source in graph.outputs.items():
        if type(source) is not Output:
            yield from _source_problems(f"pipeline output {name!r}", source)


def node_problems(declared: Sequence[Node]) -> Iterator[str]:
    """Find problems of single nodes: options, values, the number of outputs, the bodies of maps."""
    for node in declared:
        if node.options is not DEFAULT_OPTIONS:
            yield from _option_problems(node.name, node.options)
        for param, source in node.params.items():
            if type(source) is not Output and type(source) is not Input:
                yield from _source_problems(f"parameter {param!r} of node {node.name!r}", source)
        if node.when is not None:
            yield from _source_problems(f"the guard of node {node.name!r}", node.when.source)
            yield from _comparison_problems(node.name, node.when.equals)
        if isinstance(node, TaskNode):
            if not node.task:
                yield f"node {node.name!r} names no task; give it a task's name"
            if node.returns and len(node.returns) != len(node.outputs) and node.outputs:
                yield (
                    f"node {node.name!r} declares {_count(len(node.outputs), 'output')} ({quote(node.outputs)}), but "
                    f"its task returns {_count(len(node.returns), 'value')}; name one output for each value"
                )
        else:
            yield from map_problems(node)


def map_problems(node: MapNode) -> Iterator[str]:
    """Find contradictions between a map and its body."""
    body, name = node.body, node.name
    yield from _source_problems(f"the items of map {name!r}", node.items)
    if len(node.collects) != len(node.outputs):
        yield (
            f"map {name!r} has {_count(len(node.outputs), 'output')} but collects {len(node.collects)} of its "
            "body's; name one output of the body for each output of the map"
        )
    if node.keep not in ("values", "items", "one"):
        yield f"map {name!r} keeps {node.keep!r}; it must be 'values', 'items' or 'one'"
    yield from _list_problems(node)
    if node.keep == "items" and len(node.collects) != 1:
        yield (
            f"map {name!r} keeps items but collects {_count(len(node.collects), 'output')} of its body; "
            "a filter collects exactly one, which says whether an item stays"
        )
    if node.fills and (node.keep != "values" or not node.skip_errors):
        yield (
            f"map {name!r} fills places of failed items with {node.fills!r}; that is for maps that keep values and "
            "skip errors"
        )
    if node.max_parallel is not None and (type(node.max_parallel) is not int or node.max_parallel < 1):
        yield f"map {name!r} has max_parallel={node.max_parallel!r}; it must be a whole number from 1, or None"
    if any(collected not in body.outputs for collected in node.collects):
        like = Suggestions(body.outputs)
        has = f"has the outputs {quote(body.outputs)}" if body.outputs else "has no outputs"
        for collected in dict.fromkeys(node.collects):
            if collected not in body.outputs:
                yield f"map {name!r} collects {collected!r}, but its body {has}{like.hint(collected)}"
    takes = f"takes {quote(body.inputs)}" if body.inputs else "takes no inputs"
    like = Suggestions(body.inputs)
    fed = (node.item, *node.also)
    for item in fed:
        if item not in body.inputs:
            yield f"map {name!r} hands each item to input {item!r}, but its body {takes}{like.hint(item)}"
        if item in node.params:
            yield f"map {name!r} binds input {item!r} of its body to a source, but the items go there; bind another"
    for param in node.params:
        if param not in body.inputs:
            yield f"map {name!r} binds input {param!r}, but its body {takes}{like.hint(param)}"
    missing = [
        input_
        for input_, spec in body.inputs.items()
        if spec.required and input_ not in fed and input_ not in node.params
    ]
    if missing:
        noun = "input" if len(missing) == 1 else "inputs"
        yield f"map {name!r} does not bind the {noun} {quote(missing)} of its body; give each a source in params"


def _list_problems(node: MapNode) -> Iterator[str]:
    """Find contradictions in the way in which a map goes over its lists."""
    name = node.name
    for item, source in node.also.items():
        yield from _source_problems(f"the items for {item!r} of map {name!r}", source)
    if node.item in node.also:
        yield f"map {name!r} hands the items of two lists to input {node.item!r} of its body; give each an input"
    if node.join not in ("zip", "product"):
        yield f"map {name!r} has join={node.join!r}; it must be 'zip' or 'product'"
    if node.chunk is not None and (type(node.chunk) is not int or node.chunk < 1):
        yield f"map {name!r} has chunk={node.chunk!r}; it must be a whole number from 1, or None"
    elif node.chunk is not None and node.join == "product":
        yield f"map {name!r} goes over a product in chunks; do one of the two"
    if node.keep == "items" and (node.also or node.chunk is not None):
        yield f"map {name!r} is a filter, which goes over the items of one list; leave the other lists and chunks out"
    if node.keep == "one":
        if node.chunk is None or node.chunk == 1:
            yield f"map {name!r} reduces in a tree with chunk={node.chunk!r}; it must be a whole number from 2"
        if len(node.collects) != 1 or node.also or node.skip_errors:
            yield (
                f"map {name!r} reduces in a tree, which takes one list, collects one output of its body, and cannot "
                "leave out what failed"
            )


def _option_problems(name: str, options: NodeOptions) -> Iterator[str]:
    if options.timeout is not None and not _positive(options.timeout):
        yield f"node {name!r} has the timeout {options.timeout!r}; it must be a positive number of seconds, or None"
    if options.on_error is not None and options.on_error not in _ERROR_MODES:
        yield f"node {name!r} has on_error={options.on_error!r}; it must be 'stop', 'continue' or None"
    for resource, amount in options.resources.items():
        if not (_positive(amount) or amount == 0):
            yield f"node {name!r} needs {amount!r} of {resource!r}; it must be a number from 0"
    if options.retry is not None:
        yield from _value_problems(f"option retry of node {name!r}", dict(options.retry))
    if options.labels:
        yield from _value_problems(f"option labels of node {name!r}", dict(options.labels))


def _source_problems(place: str, source: Source) -> Iterator[str]:
    stack = [source]
    while stack:
        top = stack.pop()
        if isinstance(top, Literal):
            yield from _value_problems(place, top.value)
        elif isinstance(top, (FirstOf, ListOf)):
            if isinstance(top, FirstOf) and not top.sources:
                yield f"{place} is the first of no sources; name one at least"
            stack.extend(reversed(top.sources))
        elif isinstance(top, Conditional):
            stack.extend((top.given, top.source))


def _comparison_problems(name: str, value: Any) -> Iterator[str]:
    place = f"the value that the guard of node {name!r} compares with"
    problems = list(_value_problems(place, value))
    yield from problems
    if not problems and _json_length(value) > _LONGEST_COMPARED:
        yield (
            f"{place} is longer than {_LONGEST_COMPARED} bytes as JSON; let a task compare, and guard the node by what "
            "it answers"
        )


def _json_length(value: Any) -> int:
    """Return the length of plain JSON data as text, in the longest of its equal forms."""
    kind = type(value)
    if kind in (list, tuple):
        return 2 * max(1, len(value)) + sum(map(_json_length, value))
    if kind is dict:
        pairs = sum(_json_length(key) + 2 + _json_length(element) for key, element in value.items())
        return 2 * max(1, len(value)) + pairs
    if kind is float and value.is_integer():
        # 1e300 equals a whole number of 301 digits.
        value = int(value)
    if type(value) is int and value.bit_length() > 4 * _LONGEST_COMPARED:
        # Python refuses to write very long numbers as text; this one exceeds the limit anyway.
        return value.bit_length() // 3
    return len(json.dumps(value))


def _value_problems(place: str, value: Any) -> Iterator[str]:
    found = _not_plain(value, 0)
    if found is not None:
        culprit, path = found
        yield (
            f"{place} is not plain JSON: found {culprit}{f' at {path}' if path else ''}; use texts, finite numbers, "
            "booleans, None, lists, and dictionaries with texts as keys"
        )


def _not_plain(value: Any, depth: int) -> tuple[str, str] | None:
    """Return the first part of a value that is not plain JSON, and its path; ``None`` when there is none."""
    kind = type(value)
    if kind in (str, int, bool) or value is None:
        return None
    if kind is float:
        return None if math.isfinite(value) else (repr(value), "")
    if depth > _DEEPEST_LITERAL:
        return f"more than {_DEEPEST_LITERAL} levels", ""
    if kind in (list, tuple):
        for index, element in enumerate(value):
            found = _not_plain(element, depth + 1)
            if found is not None:
                return found[0], f"[{index}]{found[1]}"
        return None
    if kind is not dict:
        return kind.__name__, ""
    for key, element in value.items():
        if type(key) is not str:
            return f"the key {key!r}", ""
        found = _not_plain(element, depth + 1)
        if found is not None:
            return found[0], f"[{key!r}]{found[1]}"
    return None


def _positive(number: Any) -> bool:
    return (
        isinstance(number, (int, float))
        and not isinstance(number, bool)
        # Not math.isfinite(), which raises for a whole number that is too large.
        and 0 < number <= sys.float_info.max
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
