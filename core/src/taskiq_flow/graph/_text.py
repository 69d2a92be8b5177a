"""Graphs as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from taskiq_flow.graph._drawing import as_text, limits
from taskiq_flow.graph.model import (
    Conditional,
    FirstOf,
    Graph,
    Input,
    Literal,
    MapNode,
    Node,
    Output,
    Source,
    TaskNode,
)
from taskiq_flow.graph.order import topological_order
from taskiq_flow.terminal import printable

__all__ = ["write_text"]


def write_text(graph: Graph) -> str:
    """Write a graph as a list: each node after those it waits for, the body of a map indented below it."""
    return "\n".join([_headline(graph), *_indent(_graph(graph, "inputs"))]) + "\n"


def _headline(graph: Graph) -> str:
    facts = [_count(len(graph.nodes), "node")]
    if graph.on_error == "continue":
        facts.append("goes on after errors")
    if graph.timeout is not None:
        facts.append(f"timeout {graph.timeout:g} s")
    return f"{printable(graph.name) or 'pipeline'} ({', '.join(facts)})"


def _graph(graph: Graph, inputs_title: str) -> Iterator[str]:
    if graph.inputs:
        yield inputs_title
        for name, spec in graph.inputs.items():
            yield f"  {printable(name)}" + ("" if spec.required else "  (optional)")
    for name in topological_order(graph):
        yield from _node(graph.nodes[name], graph)
    if graph.outputs:
        yield "outputs"
        for name, source in graph.outputs.items():
            yield f"  {printable(name)} <- {_source(source, graph)}"


def _node(node: Node, graph: Graph) -> Iterator[str]:
    head = f"{printable(node.name)}: "
    if isinstance(node, MapNode):
        word = {"items": "filter over", "one": "reduce in a tree"}.get(node.keep, "map over")
        lists = [_source(source, graph) for source in (node.items, *node.also.values())]
        head += f"{word} {(' x ' if node.join == 'product' else ' and ').join(lists)}"
    else:
        head += printable(node.task)
    if node.outputs:
        head += f" -> {', '.join(map(printable, node.outputs))}"
    yield head
    if node.description:
        yield f"  # {printable(node.description)}"
    tolerated = node.tolerates if isinstance(node, TaskNode) else ()
    for param, source in node.params.items():
        yield f"  {printable(param)} <- {_source(source, graph)}" + (
            " (or its default)"
            if param in node.optional
            else " (or its failure)"
            if param in tolerated
            else ""
        )
    if node.when is not None:
        yield f"  only if {_source(node.when.source, graph)} is {printable(as_text(node.when.equals))}"
    follows = node.follows if isinstance(node, TaskNode) else None
    if follows is not None and follows.nodes:
        yield f"  follows {', '.join(map(printable, follows.nodes))}"
    if follows is not None and follows.failure:
        yield f"  {printable(follows.failure)} <- the failure"
    if node.after:
        yield f"  after {', '.join(map(printable, node.after))}"
    options = limits(node)
    if options:
        yield f"  {printable('; '.join(options))}"
    if isinstance(node, MapNode):
        each = "item" if node.chunk is None else "part"
        yield f"  for each {each}, as {', '.join(map(printable, (node.item, *node.also)))}:"
        yield from _indent(_body(node), "    ")


def _body(node: MapNode) -> Iterator[str]:
    body = node.body
    for name in topological_order(body):
        yield from _node(body.nodes[name], body)
    for name, collected in zip(node.outputs, node.collects, strict=True):
        source = _source(body.outputs[collected], body)
        yield f"keep the item if {source}" if node.keep == "items" else f"{printable(name)} collects {source}"


def _source(source: Source, graph: Graph) -> str:
    if isinstance(source, Input):
        return f"input {printable(source.name)}"
    if isinstance(source, Output):
        # Most nodes have a single output with the node's name, which is written once.
        producer = graph.nodes.get(source.node)
        alone = producer is not None and producer.outputs == (source.name,) and source.name == source.node
        return printable(source.node) if alone else f"{printable(source.node)}.{printable(source.name)}"
    if isinstance(source, Literal):
        return printable(as_text(source.value))
    if isinstance(source, Conditional):
        return f"{_source(source.source, graph)} if {_source(source.given, graph)} ran"
    parts = [_source(one, graph) for one in source.sources]
    return f"first of ({', '.join(parts)})" if isinstance(source, FirstOf) else f"[{', '.join(parts)}]"


def _indent(lines: Iterator[str], margin: str = "  ") -> Iterator[str]:
    for line in lines:
        yield margin + line


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
