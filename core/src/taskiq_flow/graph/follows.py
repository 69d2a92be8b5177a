"""Nodes that run after a failure, or always: what they follow, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from attrs import evolve

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.graph.model import (
    FirstOf,
    Follows,
    Graph,
    Input,
    ListOf,
    Literal,
    Node,
    Output,
    Source,
    TaskNode,
)

__all__ = ["find_followers", "find_watched", "follow_problems", "keep_followers"]


def find_followers(graph: Graph) -> dict[str, Follows]:
    """Return what follows others in a graph, by the name of the node."""
    return {
        name: node.follows
        for name, node in graph.nodes.items()
        if isinstance(node, TaskNode) and node.follows is not None
    }


def find_watched(graph: Graph, name: str) -> tuple[str, ...]:
    """Return the names of the nodes that a node follows.

    What follows the whole graph after a failure also follows what follows single nodes; what follows it always comes
    behind everything else.
    """
    node = graph.nodes[name]
    follows = node.follows if isinstance(node, TaskNode) else None
    if follows is None or follows.nodes:
        return () if follows is None else follows.nodes
    followers = find_followers(graph)
    rank = _rank(follows)
    return tuple(each for each in graph.nodes if each not in followers or _rank(followers[each]) < rank)


def _rank(follows: Follows) -> int:
    return 0 if follows.nodes else 1 if follows.when == "failure" else 2


def keep_followers(graph: Graph, kept: Collection[str]) -> dict[str, Node]:
    """Return what follows the nodes that are left of a graph, and takes nothing from others.

    :param kept: The names of the nodes that are left.
    """
    found: dict[str, Node] = {}
    for name, follows in find_followers(graph).items():
        node = graph.nodes[name]
        assert isinstance(node, TaskNode)
        watched = tuple(each for each in follows.nodes if each in kept)
        if (watched or not follows.nodes) and all(each in kept for each in _producers(node)):
            found[name] = evolve(node, follows=evolve(follows, nodes=watched))
    return found


def _producers(node: Node) -> Iterator[str]:
    stack: list[Source] = list(node.params.values())
    while stack:
        top = stack.pop()
        if isinstance(top, (FirstOf, ListOf)):
            stack.extend(top.sources)
        elif isinstance(top, Output):
            yield top.node
        elif not isinstance(top, (Input, Literal)):
            stack += [top.source, top.given]


def follow_problems(graph: Graph) -> Iterator[str]:
    """Find contradictions of nodes that follow others."""
    followers = find_followers(graph)
    if not followers:
        return
    like = Suggestions(graph.nodes)
    for name, follows in followers.items():
        node = graph.nodes[name]
        if follows.when not in ("failure", "always"):
            yield f"node {name!r} follows others with when={follows.when!r}; it must be 'failure' or 'always'"
        for each in follows.nodes:
            if each not in graph.nodes:
                yield f"node {name!r} follows {each!r}, which is not in the graph; add that node{like.hint(each)}"
            elif each in followers and not followers[each].nodes:
                yield (
                    f"node {name!r} follows {each!r}, which waits for everything else to end, and so for {name!r}; "
                    "let it follow a step, or the whole pipeline"
                )
        if not find_watched(graph, name):
            yield f"node {name!r} follows everything else in its graph, where nothing else is; add a task"
        if node.when is not None or node.after:
            yield f"node {name!r} follows others, so it can have neither a guard nor others before it; remove these"
        if node.outputs:
            yield f"node {name!r} follows others, so nobody can take what it returns; remove its outputs"
        if follows.failure in node.params:
            yield f"parameter {follows.failure!r} of node {name!r} takes the failure, and a source too; give it one"
    taken = [
        f"{node.name!r} waits for {quote(sorted(found))}"
        for node in graph.nodes.values()
        if (found := followers.keys() & {*node.after, *_producers(node)})
    ]
    for each in taken:
        yield f"node {each}, which runs only after others have ended; wait for those"
