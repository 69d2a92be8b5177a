"""Checks of the names by which nodes, inputs and outputs refer to each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.graph.model import Graph, Input, Literal, Node, Output, Source
from taskiq_flow.graph.order import arrange, leaves, sources

__all__ = [
    "ambiguous_names",
    "circular_waits",
    "superfluous_inputs",
    "unknown_references",
    "unusable_names",
]

_LONGEST_CYCLE = 12


def unusable_names(declared: Sequence[Node], graph: Graph) -> Iterator[str]:
    """Find names that are empty or cannot stand in a cell's path."""
    for number, node in enumerate(declared, start=1):
        name = node.name
        if not name:
            yield f"node number {number} has an empty name; every node needs one"
        elif "/" in name or "[" in name or "]" in name:
            yield f"node name {name!r} has '/', '[' or ']' in it, which separate the parts of a cell's path; rename it"
        if "" in node.outputs:
            yield f"node {name!r} has an output with an empty name; every output needs one"
    if "" in graph.inputs:
        yield "a pipeline input has an empty name; every input needs one"
    if "" in graph.outputs:
        yield "a pipeline output has an empty name; every output needs one"


def ambiguous_names(declared: Sequence[Node], graph: Graph) -> Iterator[str]:
    """Find names that several nodes share, and data with several producers."""
    counts: dict[str, int] = {}
    if len(graph.nodes) < len(declared):
        for node in declared:
            counts[node.name] = counts.get(node.name, 0) + 1
        for name, count in counts.items():
            if count > 1:
                yield f"{count} nodes are named {name!r}; give each node a name of its own"
    producers: dict[str, str] = {}
    clashes: dict[str, list[str]] = {}
    for node in declared:
        for output in node.outputs:
            if output in producers:
                clashes.setdefault(output, [producers[output]]).append(node.name)
            else:
                producers[output] = node.name
    for output, names in clashes.items():
        if len(set(names)) > 1:
            yield (
                f"{output!r} is produced by the nodes {quote(dict.fromkeys(names))}; "
                "rename all but one of these outputs"
            )
        elif counts.get(names[0], 1) == 1:
            yield f"node {names[0]!r} has {len(names)} outputs named {output!r}; rename all but one of them"
    for name in graph.inputs:
        if name in producers:
            yield f"{name!r} is a pipeline input and also produced by node {producers[name]!r}; rename one of them"


def _consumers(graph: Graph) -> Iterator[tuple[str, Source]]:
    """Yield every source with the name of the node that reads it, or with ``/`` and the name of an output."""
    for node in graph.nodes.values():
        for source in sources(node):
            yield node.name, source
    for name, source in graph.outputs.items():
        yield f"/{name}", source  # no node has such a name


def _subject(consumers: Sequence[str], verb: str) -> str:
    """Return the subject and the verb of an error: ``nodes 'b', 'd' wait``."""
    unique = dict.fromkeys(consumers)
    nodes = [name for name in unique if not name.startswith("/")]
    outputs = [name[1:] for name in unique if name.startswith("/")]
    parts = []
    if nodes:
        parts.append(f"node{'s' if len(nodes) > 1 else ''} {quote(nodes)}")
    if outputs:
        parts.append(f"pipeline output{'s' if len(outputs) > 1 else ''} {quote(outputs)}")
    return f"{' and '.join(parts)} {verb}{'s' if len(unique) == 1 else ''}"


def unknown_references(graph: Graph) -> Iterator[str]:
    """Find sources and ``after`` that refer to something missing, grouped by the missing name."""
    nodes, inputs = graph.nodes, graph.inputs
    missing: dict[str, list[str]] = {}
    nowhere: dict[tuple[str, str], list[str]] = {}
    for consumer, source in _consumers(graph):
        for leaf in (source,) if type(source) in (Input, Output, Literal) else leaves(source):
            if isinstance(leaf, Input):
                if leaf.name not in inputs:
                    missing.setdefault(leaf.name, []).append(consumer)
            elif isinstance(leaf, Output):
                producer = nodes.get(leaf.node)
                if producer is None or leaf.name not in producer.outputs:
                    nowhere.setdefault((leaf.node, leaf.name), []).append(consumer)
    missing_predecessors: dict[str, list[str]] = {}
    for node in nodes.values():
        for name in node.after:
            if name not in nodes:
                missing_predecessors.setdefault(name, []).append(node.name)
    if not missing and not nowhere and not missing_predecessors:
        return
    produced = {name: node.name for node in nodes.values() for name in node.outputs}
    like_data, like_nodes = Suggestions({**inputs, **produced}), Suggestions(nodes)
    for name, consumers in missing.items():
        if name in produced:
            yield (
                f"{_subject(consumers, 'wait')} for the pipeline input {name!r}, which is not one but is produced "
                f"by node {produced[name]!r}; take it from there"
            )
        else:
            yield (
                f"{_subject(consumers, 'wait')} for {name!r}, which no node produces; produce it, or declare it as "
                f"a pipeline input{like_data.hint(name)}"
            )
    for (producer_name, name), consumers in nowhere.items():
        start = f"{_subject(consumers, 'wait')} for {name!r} of node {producer_name!r}"
        producer = nodes.get(producer_name)
        if producer is None:
            yield f"{start}, which is not in the graph; add that node{like_nodes.hint(producer_name)}"
        elif producer.outputs:
            close = Suggestions(producer.outputs).hint(name)
            yield f"{start}, which produces {quote(producer.outputs)}; take one of these{close}"
        else:
            yield f"{start}, which declares no outputs; declare {name!r} there"
    for name, consumers in missing_predecessors.items():
        yield (
            f"{_subject(consumers, 'come')} after {name!r}, which is not in the graph; add that "
            f"node{like_nodes.hint(name)}"
        )


def circular_waits(graph: Graph) -> Iterator[str]:
    """Find nodes that wait for each other, one cycle for each group of them."""
    for cycle in arrange(graph.nodes).cycles:
        path = list(cycle)
        if len(cycle) > _LONGEST_CYCLE:
            half = _LONGEST_CYCLE // 2
            path = [*cycle[:half], f"({len(cycle) - 2 * half} more)", *cycle[-half:]]
        yield f"nodes wait for each other in a circle: {' -> '.join(path)}; take one of these links out"


def superfluous_inputs(graph: Graph) -> Iterator[str]:
    """Find declared inputs that no node and no output reads."""
    left = dict.fromkeys(graph.inputs)
    if not left:
        return
    for _, source in _consumers(graph):
        for leaf in leaves(source):
            if isinstance(leaf, Input):
                left.pop(leaf.name, None)
        if not left:
            return
    wished = {
        leaf.name for _, source in _consumers(graph) for leaf in leaves(source) if isinstance(leaf, Input)
    }
    likely = Suggestions(wished - set(graph.inputs))
    others = Suggestions({param: None for node in graph.nodes.values() for param in node.params})
    for name in left:
        yield (
            f"pipeline input {name!r} is needed by no node; remove it, or name it as the parameter that it is "
            f"meant for{likely.hint(name) or others.hint(name)}"
        )
