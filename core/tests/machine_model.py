"""What a run must come to: a naive evaluator of graphs, beside the machine and without any of its parts.

It walks through a graph recursively, knows no time, no attempts and no events, and keeps plain values.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field

from graph_strategies import is_list
from taskiq_flow.graph import (
    Conditional,
    FirstOf,
    Follows,
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
from taskiq_flow.graph.order import sources
from taskiq_flow.payloads import FAILURES, Failure, ListedValue, Payload, Value, bare

__all__ = ["ABSENT", "Expected", "encode", "evaluate", "input_values", "plain", "task_outputs"]

ABSENT = object()
FAILURE = "<failure>"
VALUES = (True, False, 0, 1, 2, None, "text", 1.5)


def encode(value: Any) -> Payload:
    return Payload("json", json.dumps(value).encode())


def plain(value: Value) -> Any:
    value = bare(value)
    if isinstance(value, ListedValue):
        parts = [plain(part) for part in value.parts]
        return parts if value.keys is None else dict(zip(map(plain, value.keys), parts, strict=True))
    assert isinstance(value, Payload)
    if value.serializer == FAILURES:
        return FAILURE
    return json.loads(value.data)


def _derived(name: str, seed: str) -> Any:
    number = zlib.crc32(f"{name}|{seed}".encode())
    if is_list(name):
        return [(number >> place) % 3 for place in range(number % 4)]
    return VALUES[number % len(VALUES)]


def _stand_in(value: Any) -> str:
    assert isinstance(value, Failure)
    return FAILURE


def task_outputs(node: TaskNode, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the task of a node returns: always the same for the same arguments."""
    seed = f"{node.task}|{json.dumps(params, sort_keys=True, default=_stand_in)}"
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
            self.answers[name] = ABSENT if self.is_dead(source) else self.value(source)

    def state(self, name: str) -> str:
        if name not in self.states:
            node = self.graph.nodes[name]
            self.states[name] = state = self.decide(node)
            self.expected.states[self.prefix + name] = state
            if state == "failed" and not self.handles(name):
                self.failed = True
                followed = isinstance(node, TaskNode) and node.follows is not None
                if not followed and not self.tolerant and (node.options.on_error or self.mode) == "stop":
                    self.expected.stoppers.add(self.prefix + name)
        return self.states[name]

    def decide(self, node: Node) -> str:
        if isinstance(node, TaskNode) and node.follows is not None:
            return self.follow(node, node.follows)
        found = [node.params[name] for name in node.params]
        found += [node.items, *node.also.values()] if isinstance(node, MapNode) else []
        found += [node.when.source] if node.when is not None else []
        names = [*node.after, *(name for source in found for name in _nodes(source))]
        if isinstance(node, TaskNode):
            for name in names:
                self.state(name)
            names = self.without_tolerated(node, names)
        if any(self.state(name) in ("failed", "cancelled") for name in names):
            return "cancelled"
        if node.when is not None:
            condition = self.value(node.when.source)
            wanted = node.when.equals
            if condition is ABSENT or (bool(condition) if isinstance(wanted, bool) else condition) != wanted:
                return "skipped"
        tolerates = node.tolerates if isinstance(node, TaskNode) else ()
        params = {name: self.value(source, name in tolerates) for name, source in node.params.items()}
        if any(params[name] is ABSENT and name not in node.optional for name in params):
            return "skipped"
        params = {name: value for name, value in params.items() if value is not ABSENT}
        if isinstance(node, MapNode):
            lists = [self.value(source) for source in (node.items, *node.also.values())]
            return "skipped" if ABSENT in lists else self.map(node, lists, params)
        if self.fails(self.prefix + node.name):
            self.note_failure(self.prefix + node.name)
            return "failed"
        for name, value in zip(node.outputs, task_outputs(node, params), strict=True):
            self.values[(node.name, name)] = value
        return "succeeded"

    def follow(self, node: TaskNode, follows: Follows) -> str:
        ranks = {
            name: 0
            if each.follows is None or each.follows.nodes
            else 1
            if each.follows.when == "failure"
            else 2
            for name, each in self.graph.nodes.items()
            if isinstance(each, TaskNode)
        }
        rank = ranks[node.name]
        watched = follows.nodes or [
            name for name, each in self.graph.nodes.items() if ranks.get(name, 0) < rank or _is_ordinary(each)
        ]
        ends = [self.state(name) for name in watched]
        for source in node.params.values():
            for name in _nodes(source):
                self.state(name)
        if follows.when == "failure" and "failed" not in ends:
            return "skipped"
        if any(self.value(source) is ABSENT for source in node.params.values()):
            return "skipped"
        if self.fails(self.prefix + node.name):
            self.note_failure(self.prefix + node.name)
            return "failed"
        return "succeeded"

    def map(self, node: MapNode, lists: list[Any], params: Mapping[str, Any]) -> str:
        path = self.prefix + node.name
        keys = list(lists[0]) if isinstance(lists[0], dict) else None
        if keys is not None and len(lists) == 1 and node.chunk is None:
            lists = [list(lists[0].values())]
        lengths = {len(each) for each in lists if isinstance(each, list)}
        if not all(isinstance(each, list) for each in lists) or (
            node.join == "zip" and node.strict and len(lengths) > 1
        ):
            self.note_failure(path)
            return "failed"
        if node.join == "product":
            rows = list(itertools.product(*lists))
        elif node.chunk is None:
            rows = list(zip(*lists, strict=False))
        else:
            shortest = [each[: min(lengths)] for each in lists]
            rows = list(zip(*(_chunks(each, node.chunk) for each in shortest), strict=True))
        if node.keep == "one":
            return self.tree(node, rows or [([],)], params)
        walks = [(row[0], self.item(node, number, row, params)) for number, row in enumerate(rows)]
        if any(walk.failed for _, walk in walks) and not node.skip_errors:
            return "failed"
        found = [
            (
                place,
                item,
                [
                    None if walk.failed or walk.answers[name] is ABSENT else walk.answers[name]
                    for name in node.collects
                ],
            )
            for place, (item, walk) in enumerate(walks)
            if not walk.failed or node.fills
        ]
        if node.keep == "items":
            columns = [[(place, item) for place, item, row in found if row[0]]]
        else:
            columns = [
                [(place, row[number]) for place, _, row in found] for number in range(len(node.outputs))
            ]
        for name, column in zip(node.outputs, columns, strict=True):
            values = [value for _, value in column]
            self.values[(node.name, name)] = (
                values
                if keys is None
                else dict(zip([keys[place] for place, _ in column], values, strict=True))
            )
        return "succeeded"

    def item(self, node: MapNode, number: int, row: Sequence[Any], params: Mapping[str, Any]) -> _Walk:
        inputs = {**params, **dict(zip((node.item, *node.also), row, strict=True))}
        mode = node.options.on_error or self.mode
        tolerant = self.tolerant or node.skip_errors or self.handles(node.name)
        prefix = f"{self.prefix}{node.name}[{number}]/"
        walk = _Walk(node.body, inputs, prefix, mode, tolerant, self.fails, self.expected)
        walk.run()
        return walk

    def tree(self, node: MapNode, groups: Sequence[Sequence[Any]], params: Mapping[str, Any]) -> str:
        count, first, failed = 0, True, False
        while True:
            level = []
            for row in groups:
                if len(row[0]) == 1 and not first:
                    level.append(row[0][0])
                    continue
                walk = self.item(node, count, row, params)
                count += 1
                level.append(None if walk.failed else walk.answers[node.collects[0]])
                level[-1] = None if level[-1] is ABSENT else level[-1]
                failed = failed or walk.failed
            if failed:
                return "failed"
            if len(level) == 1:
                self.values[(node.name, node.outputs[0])] = level[0]
                return "succeeded"
            first = False
            groups = [(each,) for each in _chunks(level, node.chunk)]

    def value_or_failure(self, source: Source) -> Any:
        if isinstance(source, Output):
            found = self.value(source)
            dead = found is ABSENT and self.states[source.node] in ("failed", "cancelled")
            return FAILURE if dead else found
        if isinstance(source, Conditional):
            return (
                ABSENT
                if self.value_or_failure(source.given) is ABSENT
                else self.value_or_failure(source.source)
            )
        if isinstance(source, (FirstOf, ListOf)):
            values = [self.value_or_failure(each) for each in source.sources]
            if isinstance(source, ListOf):
                return ABSENT if ABSENT in values else values
            return next((value for value in values if value is not ABSENT), ABSENT)
        return self.value(source)

    def is_dead(self, source: Source) -> bool:
        """Whether what would be taken has failed, or was cancelled."""
        if isinstance(source, Output):
            return self.states[source.node] in ("failed", "cancelled")
        if isinstance(source, Conditional):
            absent = self.value(source.given) is ABSENT
            return self.is_dead(source.given if absent else source.source)
        if isinstance(source, ListOf):
            return any(map(self.is_dead, source.sources))
        if isinstance(source, FirstOf):
            for each in source.sources:
                if self.is_dead(each) or self.value(each) is not ABSENT:
                    return self.is_dead(each)
        return False

    def note_failure(self, path: str) -> None:
        tolerant = self.tolerant or self.handles(path[len(self.prefix) :])
        (self.expected.suppressed if tolerant else self.expected.failures).add(path)

    def without_tolerated(self, node: TaskNode, names: list[str]) -> list[str]:
        """The nodes that it needs to succeed."""
        loose = {each for name in node.tolerates for each in _nodes(node.params[name])}
        needed = [
            each
            for name, source in node.params.items()
            if name not in node.tolerates
            for each in _nodes(source)
        ]
        needed += [*node.after, *(_nodes(node.when.source) if node.when is not None else ())]
        return [name for name in names if name not in loose or name in needed]

    def handles(self, name: str) -> bool:
        """Whether the failure of a node only goes on as a value."""
        waiting = []
        for other in self.graph.nodes.values():
            if isinstance(other, TaskNode) and other.follows is not None:
                continue
            found = [*other.after, *(each for source in sources(other) for each in _nodes(source))]
            if name in found:
                taken = isinstance(other, TaskNode) and name not in self.without_tolerated(other, found)
                waiting.append(taken or self.handles(other.name))
        outputs = [each for source in self.graph.outputs.values() for each in _nodes(source)]
        return bool(waiting) and all(waiting) and (self.prefix == "" or name not in outputs)

    def value(self, source: Source, tolerant: bool = False) -> Any:
        if tolerant:
            return self.value_or_failure(source)
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


def _chunks(values: list[Any], size: int | None) -> list[list[Any]]:
    assert size is not None
    return [values[start : start + size] for start in range(0, len(values), size)]


def _is_ordinary(node: Node) -> bool:
    return not isinstance(node, TaskNode) or node.follows is None


def _nodes(source: Source) -> list[str]:
    if isinstance(source, Output):
        return [source.node]
    if isinstance(source, (FirstOf, ListOf)):
        return [name for each in source.sources for name in _nodes(each)]
    if isinstance(source, Conditional):
        return [*_nodes(source.source), *_nodes(source.given)]
    return []
