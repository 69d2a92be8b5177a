"""The common part of the drawings: boxes inside boxes, and arrows between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal as OneOf
from typing import Union

from attrs import define, field, frozen

from taskiq_flow.graph.model import (
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
)

__all__ = ["Arrow", "Box", "Drawing", "Group", "as_text", "draw", "follow_words", "limits", "map_word"]

Style = OneOf["data", "guard", "order"]

_LONGEST_VALUE = 40


@frozen
class Box:
    """A box without anything inside.

    :param id: Unique in the drawing; letters and digits.
    :param lines: The text in the box.
    :param kind: The part of the graph that it stands for.
    :param path: The path of its node; empty for an input or an output.
    """

    id: str
    lines: tuple[str, ...]
    kind: OneOf["task", "input", "output"]
    path: str = ""


@frozen
class Group:
    """A box with boxes inside: a map and its body."""

    id: str
    lines: tuple[str, ...]
    parts: tuple[Part, ...]
    path: str = ""


Part = Union[Box, Group]


@frozen
class Arrow:
    """An arrow; sources with the same two ends share one.

    :param labels: The data that flows, or the condition.
    """

    start: str
    end: str
    style: Style
    labels: tuple[str, ...]


@define
class Drawing:
    """A whole drawing."""

    parts: list[Part] = field(factory=list)
    arrows: list[Arrow] = field(factory=list)


_SKIPPED = {
    "": "skips failed items",
    "none": "null for failed items",
    "failure": "the failure for failed items",
}


def as_text(value: object) -> str:
    """Return a value as JSON, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def limits(node: Node) -> list[str]:
    """Return the options of a node that differ from the defaults, in a few words each."""
    options, words = node.options, []
    if isinstance(node, MapNode):
        if node.chunk is not None:
            words.append(f"up to {node.chunk} at a time")
        if not node.strict and node.also:
            words.append("ends with the shortest list")
        if node.max_parallel is not None:
            words.append(f"at most {node.max_parallel} at once")
        if node.skip_errors:
            words.append(_SKIPPED[node.fills])
    elif node.follows is not None:
        words.append(follow_words(node.follows))
    if options.timeout is not None:
        words.append(f"timeout {options.timeout:g} s")
    if options.retry is not None:
        words.append(
            "retry " + ", ".join(f"{name} {as_text(value)}" for name, value in options.retry.items())
        )
    if options.resources:
        words.append("needs " + ", ".join(f"{name} {amount:g}" for name, amount in options.resources.items()))
    if options.queue is not None:
        words.append(f"queue {options.queue}")
    if options.priority:
        words.append(f"priority {options.priority}")
    if options.on_error is not None:
        words.append(
            "stops the run on error" if options.on_error == "stop" else "the run goes on after an error"
        )
    return words


def follow_words(follows: Follows) -> str:
    """Return when a node runs that follows others."""
    if follows.when == "failure":
        return f"after a failure{'' if follows.nodes else ' of the run'}"
    return "always, after their end" if follows.nodes else "always, at the end of the run"


def map_word(node: MapNode) -> str:
    """Return what a map does, in a word or a few."""
    if node.keep == "one":
        return "reduce in a tree"
    if node.keep == "items":
        return "filter"
    return "map over combinations" if node.join == "product" else "map"


def draw(graph: Graph) -> Drawing:
    """Lay out the boxes and arrows of a graph."""
    drawing = Drawing()
    pen = _Pen(drawing)
    drawing.parts.extend(pen.scope(graph, {}))
    pen.finish()
    return drawing


class _Pen:
    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing
        self._count = 0
        self._arrows: dict[tuple[str, str, Style], dict[str, None]] = {}

    def _id(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def finish(self) -> None:
        for (start, end, style), labels in self._arrows.items():
            self._drawing.arrows.append(Arrow(start, end, style, tuple(label for label in labels if label)))

    def _arrow(self, start: str, end: str, style: Style, label: str) -> None:
        self._arrows.setdefault((start, end, style), {})[label] = None

    def scope(self, graph: Graph, inputs: dict[str, str], *, prefix: str = "") -> list[Part]:
        """Draw a graph.

        :param inputs: Filled with the id of the box of each input.
        :param prefix: The part of the nodes' paths before their names.
        """
        parts: list[Part] = []
        for name, spec in graph.inputs.items():
            inputs[name] = self._id()
            parts.append(Box(inputs[name], (name,) if spec.required else (name, "(optional)"), "input"))
        ids = {name: self._id() for name in graph.nodes}
        for name, node in graph.nodes.items():
            if isinstance(node, MapNode):
                parts.append(self._map(node, ids, inputs, prefix))
            else:
                parts.append(
                    Box(
                        ids[name],
                        (name, *_task_line(node), *_literals(node), *limits(node)),
                        "task",
                        prefix + name,
                    )
                )
                for param, source in node.params.items():
                    self._sources(source, ids[name], ids, inputs, param)
            self._conditions(node, ids[name], ids, inputs)
        for name, source in graph.outputs.items():
            end = self._id()
            literal = (as_text(source.value),) if isinstance(source, Literal) else ()
            parts.append(Box(end, (name, *literal), "output"))
            self._sources(source, end, ids, inputs, name)
        return parts

    def _map(self, node: MapNode, ids: dict[str, str], inputs: dict[str, str], prefix: str) -> Group:
        inner: dict[str, str] = {}
        # The body comes before the group, so that its boxes exist when arrows from outside lead to them.
        path = prefix + node.name
        parts = self.scope(node.body, inner, prefix=f"{path}[]/")
        parts = parts or [Box(self._id(), ("(empty)",), "task")]
        for item, source in ((node.item, node.items), *node.also.items()):
            self._sources(source, inner.get(item, ids[node.name]), ids, inputs, "", each=True)
        for param, source in node.params.items():
            self._sources(source, inner.get(param, ids[node.name]), ids, inputs, param)
        title = f"{node.name}: {map_word(node)}"
        # A literal list has no box, so no arrow shows it; the title does.
        title += f" over {as_text(node.items.value)}" if isinstance(node.items, Literal) else ""
        return Group(ids[node.name], (title, *_literals(node), *limits(node)), tuple(parts), path)

    def _conditions(self, node: Node, end: str, ids: dict[str, str], inputs: dict[str, str]) -> None:
        if node.when is not None:
            for start, label in _ends(node.when.source, ids, inputs):
                self._arrow(start, end, "guard", f"if {label} is {as_text(node.when.equals)}")
        follows = None if isinstance(node, MapNode) else node.follows
        if follows is not None:
            label = "after a failure" if follows.when == "failure" else "always"
            for name in follows.nodes:
                self._arrow(ids[name], end, "order", label)
        for name in node.after:
            self._arrow(ids[name], end, "order", "")

    def _sources(
        self,
        source: Source,
        end: str,
        ids: dict[str, str],
        inputs: dict[str, str],
        param: str,
        *,
        each: bool = False,
    ) -> None:
        for start, label in _ends(source, ids, inputs):
            words = (
                f"each of {label}"
                if each
                else label
                if label == param or not param
                else f"{label} as {param}"
            )
            self._arrow(start, end, "data", words)


def _ends(
    source: Source, ids: dict[str, str], inputs: dict[str, str], remark: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield each box that a source comes from: its id and the label of its arrow."""
    if isinstance(source, Output):
        yield ids[source.node], source.name + remark
    elif isinstance(source, Input):
        yield inputs[source.name], source.name + remark
    elif isinstance(source, (FirstOf, ListOf)):
        word = "choice" if isinstance(source, FirstOf) else "part"
        for number, one in enumerate(source.sources, start=1):
            yield from _ends(one, ids, inputs, f"{remark}, {word} {number}")
    elif isinstance(source, Conditional):
        yield from _ends(source.source, ids, inputs, remark)


def _task_line(node: Node) -> tuple[str, ...]:
    task = getattr(node, "task", "")
    return () if task == node.name else (task,)


def _literals(node: Node) -> Iterator[str]:
    for param, source in node.params.items():
        if isinstance(source, Literal):
            yield f"{param} = {as_text(source.value)}"
