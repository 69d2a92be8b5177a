"""What a run must come to: a naive evaluator of graphs, beside the machine and without any of its parts.

It walks through a graph recursively, knows no time, no attempts and no events, and keeps plain values.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from graph_strategies import is_list
from taskiq_flow.graph import (
    Conditional,
    FirstOf,
    Graph,
    Input,
    ListOf,
    Literal,
    MapNode,
    Node,
    Output,
    Source,
    TaskNode,
)
from taskiq_flow.payloads import ListedValue, Payload, Value, bare

__all__ = ["ABSENT", "Expected", "encode", "evaluate", "input_values", "plain", "task_outputs"]

ABSENT = object()
VALUES = (True, False, 0, 1, 2, None, "text", 1.5)


def encode(value: Any) -> Payload:
    return Payload("json", json.dumps(value).encode())


def plain(value: Value) -> Any:
    value = bare(value)
    if isinstance(value, ListedValue):
        return [plain(part) for part in value.parts]
    assert isinstance(value, Payload)
    return json.loads(value.data)


def _derived(name: str, seed: str) -> Any:
    number = zlib.crc32(f"{name}|{seed}".encode())
    if is_list(name):
        return [(number >> place) % 3 for place in range(number % 4)]
    return VALUES[number % len(VALUES)]


def task_outputs(node: TaskNode, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the task of a node returns: always the same for the same arguments."""
    seed = f"{node.task}|{json.dumps(params, sort_keys=True)}"
    return tuple(_derived(name, seed) for name in node.outputs)


def input_values(graph: Graph, seed: int) -> dict[str, Any]:
    """Values for the inputs of a graph; some optional ones are not given."""
    return {
        name: _derived(name, str(seed))
        for name, spec in graph.inputs.items()
        if spec.required or zlib.crc32(f"{name}{seed}".encode()) % 3
    }


@define
class Expected:
    """What an evaluation came to.

    :ivar states: The final state of each cell, by path, as a word.
    :ivar failures: The paths of failed cells that count.
    :ivar suppressed: Those of failed cells in maps that skip errors.
    :ivar stoppers: Those of failed cells and maps that would stop the run.
    :ivar outputs: Of the graph, by name.
    :ivar failed: Whether a cell of the outermost graph failed.
    """

    states: dict[str, str] = field(factory=dict)
    failures: set[str] = field(factory=set)
    suppressed: set[str] = field(factory=set)
    stoppers: set[str] = field(factory=set)
    outputs: dict[str, Any] = field(factory=dict)
    failed: bool = False


def evaluate(graph: Graph, inputs: Mapping[str, Any], fails: Callable[[str], bool]) -> Expected:
    """Evaluate a graph as if every error mode were ``continue``.

    :param fails: Whether the cell of a path fails for good.
    """
    expected = Expected()
    walk = _Walk(graph, inputs, "", graph.on_error, False, fails, expected)
    walk.run()
    expected.outputs = {
        name: walk.answers[name] for name in graph.outputs if walk.answers[name] is not ABSENT
    }
    expected.failed = walk.failed
    return expected


class _Walk:
    def __init__(
        self,
        graph: Graph,
        inputs: Mapping[str, Any],
        prefix: str,
        mode: str,
        tolerant: bool,
        fails: Callable[[str], bool],
        expected: Expected,
    ) -> None:
        self.graph, self.inputs, self.prefix, self.mode = graph, inputs, prefix, mode
        self.tolerant, self.fails, self.expected = tolerant, fails, expected
        self.states: dict[str, str] = {}
        self.values: dict[tuple[str, str], Any] = {}
        self.answers: dict[str, Any] = {}
        self.failed = False

    def run(self) -> None:
        for name in self.graph.nodes:
            self.state(name)
        for name, source in self.graph.outputs.items():
            good = all(self.states[node] in ("succeeded", "skipped") for node in _nodes(source))
            self.answers[name] = self.value(source) if good else ABSENT

    def state(self, name: str) -> str:
        if name not in self.states:
            node = self.graph.nodes[name]
            self.states[name] = state = self.decide(node)
            self.expected.states[self.prefix + name] = state
            if state == "failed":
                self.failed = True
                if not self.tolerant and (node.options.on_error or self.mode) == "stop":
                    self.expected.stoppers.add(self.prefix + name)
        return self.states[name]

    def decide(self, node: Node) -> str:
        found = [node.params[name] for name in node.params]
        found += [node.items] if isinstance(node, MapNode) else []
        found += [node.when.source] if node.when is not None else []
        names = [*node.after, *(name for source in found for name in _nodes(source))]
        if any(self.state(name) in ("failed", "cancelled") for name in names):
            return "cancelled"
        if node.when is not None:
            condition = self.value(node.when.source)
            wanted = node.when.equals
            if condition is ABSENT or (bool(condition) if isinstance(wanted, bool) else condition) != wanted:
                return "skipped"
        params = {name: self.value(source) for name, source in node.params.items()}
        if any(params[name] is ABSENT and name not in node.optional for name in params):
            return "skipped"
        params = {name: value for name, value in params.items() if value is not ABSENT}
        if isinstance(node, MapNode):
            items = self.value(node.items)
            return "skipped" if items is ABSENT else self.map(node, items, params)
        if self.fails(self.prefix + node.name):
            self.note_failure(self.prefix + node.name)
            return "failed"
        for name, value in zip(node.outputs, task_outputs(node, params), strict=True):
            self.values[(node.name, name)] = value
        return "succeeded"

    def map(self, node: MapNode, items: Any, params: Mapping[str, Any]) -> str:
        path = self.prefix + node.name
        if not isinstance(items, list):
            self.note_failure(path)
            return "failed"
        mode = node.options.on_error or self.mode
        tolerant = self.tolerant or node.skip_errors
        walks = []
        for number, item in enumerate(items):
            inputs = {**params, node.item: item}
            walk = _Walk(node.body, inputs, f"{path}[{number}]/", mode, tolerant, self.fails, self.expected)
            walk.run()
            walks.append((item, walk))
        if any(walk.failed for _, walk in walks) and not node.skip_errors:
            return "failed"
        rows = [
            (item, [None if walk.answers[name] is ABSENT else walk.answers[name] for name in node.collects])
            for item, walk in walks
            if not walk.failed
        ]
        if node.keep == "items":
            self.values[(node.name, node.outputs[0])] = [item for item, row in rows if row[0]]
        else:
            for place, name in enumerate(node.outputs):
                self.values[(node.name, name)] = [row[place] for _, row in rows]
        return "succeeded"

    def note_failure(self, path: str) -> None:
        (self.expected.suppressed if self.tolerant else self.expected.failures).add(path)

    def value(self, source: Source) -> Any:
        if isinstance(source, Literal):
            return json.loads(json.dumps(source.value))
        if isinstance(source, Input):
            return self.inputs.get(source.name, ABSENT)
        if isinstance(source, Output):
            return self.values.get((source.node, source.name), ABSENT)
        if isinstance(source, Conditional):
            return ABSENT if self.value(source.given) is ABSENT else self.value(source.source)
        values = [self.value(each) for each in source.sources]
        if isinstance(source, FirstOf):
            return next((value for value in values if value is not ABSENT), ABSENT)
        assert isinstance(source, ListOf)
        return ABSENT if ABSENT in values else values


def _nodes(source: Source) -> list[str]:
    if isinstance(source, Output):
        return [source.node]
    if isinstance(source, (FirstOf, ListOf)):
        return [name for each in source.sources for name in _nodes(each)]
    if isinstance(source, Conditional):
        return [*_nodes(source.source), *_nodes(source.given)]
    return []
