"""Random graphs for property tests.

Every graph that :func:`graphs` gives was built and checked. Names tell what they hold: data whose name begins with
``list`` are lists, and maps go over nothing else; other data are single values. Whoever runs these graphs gives such
outputs and inputs lists (:func:`is_list`), and all others what it likes; guards compare with ``True``, ``False``, or
small numbers. Node names repeat in bodies (``n0``, ``n1``, …), as people's do; task names are ``task0`` to ``task3``.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from hypothesis import strategies as st

from taskiq_flow.graph import (
    DEFAULT_OPTIONS,
    Conditional,
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
    build_graph,
    leaves,
)
from taskiq_flow.graph.order import sources

__all__ = ["graphs", "is_list", "plain_values"]

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)

_node_options = st.builds(
    NodeOptions,
    timeout=st.none() | st.floats(0.5, 60),
    retry=st.none() | st.fixed_dictionaries({"max_retries": st.integers(0, 3), "delay": st.floats(0, 5)}),
    queue=st.none() | st.sampled_from(["fast", "slow"]),
    priority=st.integers(-2, 2),
    resources=st.dictionaries(st.sampled_from(["cpu", "ram_mb"]), st.integers(0, 4).map(float)),
    labels=st.dictionaries(st.sampled_from(["team", "cost"]), plain_values, max_size=2),
    on_error=st.sampled_from([None, "stop", "continue"]),
)


def is_list(name: str) -> bool:
    """Tell whether data of this name must be a list."""
    return name.startswith("list")


@define
class _Scope:
    """What can be referred to so far in one graph."""

    values: list[Source] = field(factory=list)
    lists: list[Source] = field(factory=list)

    def add(self, name: str, source: Source) -> None:
        (self.lists if is_list(name) else self.values).append(source)


@st.composite
def graphs(
    draw: st.DrawFn, *, max_nodes: int = 6, max_depth: int = 2, options: bool = True, shuffled: bool = True
) -> Graph:
    """Give graphs.

    :param max_nodes: Of each graph; bodies have at most three.
    :param max_depth: How deep maps nest; 0 for graphs without maps.
    :param options: Whether nodes have options (timeouts, retries, resources, error modes …) and graphs error modes.
    :param shuffled: Whether nodes may be declared in another order than they can run in.
    """
    return draw(_graph(max_nodes=max_nodes, depth=max_depth, options=options, shuffled=shuffled, body=False))


@st.composite
def _graph(
    draw: st.DrawFn, *, max_nodes: int, depth: int, options: bool, shuffled: bool, body: bool
) -> Graph:
    scope = _Scope()
    inputs = {"item": InputSpec()} if body else {}
    for name in draw(st.lists(st.sampled_from(["x_in", "y_in", "list_in"]), unique=True)):
        inputs[name] = InputSpec(required=draw(st.booleans()))
    for name in inputs:
        scope.add(name, Input(name))
    nodes: list[Node] = []
    for index in range(draw(st.integers(0 if body else 1, max_nodes))):
        node = draw(_node(scope, index, [it.name for it in nodes], depth, options, shuffled))
        nodes.append(node)
        for name in node.outputs:
            scope.add(name, Output(node.name, name))
    answers = {f"out{i}": s for i, s in enumerate(draw(_some(scope.values, 2)))}
    answers |= {f"list_out{i}": s for i, s in enumerate(draw(_some(scope.lists, 2)))}
    if body and not draw(st.booleans()):
        answers["joined"] = draw(_value(scope))
    read = {
        leaf.name
        for source in (*answers.values(), *(it for node in nodes for it in sources(node)))
        for leaf in leaves(source)
        if isinstance(leaf, Input)
    }
    if body and "item" not in read:
        answers["echo"] = Input("item")
        read.add("item")
    return build_graph(
        draw(st.permutations(nodes)) if shuffled and draw(st.booleans()) else nodes,
        inputs={name: spec for name, spec in inputs.items() if name in read},
        outputs=answers,
        name=draw(st.sampled_from(["", "graph"])),
        on_error=draw(st.sampled_from(["stop", "continue"])) if options else "stop",
    )


def _some(pool: list[Any], most: int) -> st.SearchStrategy[Any]:
    if not pool:
        return st.just([])
    return st.lists(st.sampled_from(pool), max_size=most, unique_by=id)


@st.composite
def _value(draw: st.DrawFn, scope: _Scope) -> Source:
    """Give the source of a single value, or of anything where that is as good."""
    kind = draw(st.sampled_from(["one", "one", "one", "any", "literal", "first", "list", "conditional"]))
    if kind == "literal" or not scope.values:
        return Literal(draw(plain_values))
    if kind == "first":
        return FirstOf(tuple(draw(st.lists(st.sampled_from(scope.values), min_size=1, max_size=3))))
    if kind == "conditional":
        return Conditional(draw(st.sampled_from(scope.values)), draw(st.sampled_from(scope.values)))
    if kind == "list":
        return draw(_listed(scope))
    if kind == "any":
        return draw(st.sampled_from([*scope.values, *scope.lists]))
    # The latest first, so that there are long ways through the graph and not just wide ones.
    return draw(st.sampled_from(scope.values[::-1]))


@st.composite
def _listed(draw: st.DrawFn, scope: _Scope) -> Source:
    """Give the source of a list."""
    if scope.lists and draw(st.booleans()):
        one = st.sampled_from(scope.lists)
        return draw(one | st.lists(one, min_size=1, max_size=2).map(lambda some: FirstOf(tuple(some))))
    if scope.values and draw(st.booleans()):
        return ListOf(tuple(draw(st.lists(st.sampled_from(scope.values), max_size=3))))
    return Literal(draw(st.lists(st.integers(0, 3), max_size=3)))


@st.composite
def _node(
    draw: st.DrawFn, scope: _Scope, index: int, earlier: list[str], depth: int, options: bool, shuffled: bool
) -> Node:
    guards = st.builds(Guard, _value(scope), st.sampled_from([True, False, 1, 0]))
    common: dict[str, Any] = {
        "name": f"n{index}",
        "after": tuple(draw(_some(earlier, 2))),
        "when": draw(guards) if scope.values and draw(st.integers(0, 3)) == 0 else None,
        "options": draw(_node_options) if options and draw(st.integers(0, 3)) == 0 else DEFAULT_OPTIONS,
        "description": draw(st.sampled_from(["", "something"])),
    }
    if depth > 0 and draw(st.integers(0, 2)) == 0:
        body = draw(_graph(max_nodes=3, depth=depth - 1, options=options, shuffled=shuffled, body=True))
        return _map(draw, scope, index, body, common)
    params = {name: draw(_value(scope)) for name in "abc"[: draw(st.sampled_from([1, 2, 0, 3]))]}
    kinds = draw(st.sampled_from([["x"], ["list"], ["x", "list"], ["x", "x"], [], ["list", "x", "x"]]))
    return TaskNode(
        task=draw(st.sampled_from(["task0", "task1", "task2", "task3"])),
        params=params,
        optional=frozenset(draw(_some(sorted(params), 2))),
        outputs=tuple(f"{kind}{index}_{place}" for place, kind in enumerate(kinds)),
        **common,
    )


def _map(draw: st.DrawFn, scope: _Scope, index: int, body: Graph, common: dict[str, Any]) -> MapNode:
    params: dict[str, Source] = {}
    for name, spec in body.inputs.items():
        if name != "item" and (spec.required or draw(st.booleans())):
            params[name] = draw(_listed(scope) if is_list(name) else _value(scope))
    keep: Any = draw(st.sampled_from(["values", "values", "items"])) if body.outputs else "values"
    if keep == "items":
        collects = (draw(st.sampled_from(sorted(body.outputs))),)
    else:
        collects = tuple(draw(_some(sorted(body.outputs), 2)))
    loose = [name for name in params if not body.inputs[name].required]
    return MapNode(
        body=body,
        items=draw(_listed(scope)),
        params=params,
        optional=frozenset(draw(_some(loose, 2))),
        outputs=tuple(f"list{index}_{place}" for place in range(len(collects))),
        collects=collects,
        keep=keep,
        max_parallel=draw(st.none() | st.integers(1, 3)),
        skip_errors=draw(st.booleans()),
        **common,
    )
