"""Maps: the lists that they go over, the body, the inputs that take the items, and the names of the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.builders.builder import Builder
from taskiq_flow.builders.lists import Lists, check_sizes
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Graph
from taskiq_flow.tasks.annotations import name_of, signature_of, spec_of
from taskiq_flow.wiring.places import MapPlace, TaskPlace, body_of_task

__all__ = ["Body", "map_outputs", "read_body", "tree_place"]


@frozen(kw_only=True)
class Body:
    """The graph that a map applies to each item.

    :param name: The default name of the map's node.
    :param graph: The graph for one item.
    :param items: The inputs of the graph that take the items, one for each list.
    :param outputs: The default names of the lists.
    :param declared: The inputs that the user has named; optional ones among them are inputs of the whole graph too.
    :param description: For people.
    """

    name: str
    graph: Graph
    items: tuple[str, ...]
    outputs: tuple[str, ...]
    declared: frozenset[str]
    description: str = ""


def read_body(body: Any, lists: Lists, *, silent: bool) -> Body:
    """Read the body that a user gave to a map.

    :param body: A task, a kicker, or a pipeline.
    :param lists: The lists, and what takes their items.
    :param silent: Whether a task without a result has no output.
    :raises GraphError: there are no such inputs, or others could take the items.
    """
    if isinstance(body, Builder):
        return _of_pipeline(body, lists)
    name, spec, signature = name_of(body), spec_of(body), signature_of(body)
    outputs = spec.outputs or (() if silent and signature.returns is type(None) else (name,))
    place = TaskPlace.of(body, name=name, outputs=outputs, inputs=spec.inputs, description=spec.description)
    data = {need.parameter: need.data for need in place.needs}
    if not lists.takers and len(data) < len(lists.names):
        over = lists.names[len(data)]
        raise GraphError(f"task {name!r} has no parameter that could take an item of {over!r}; give it one")
    parameters = lists.takers or tuple(data)[: len(lists.names)]
    for parameter in parameters:
        if parameter not in data:
            raise GraphError(_no_input(f"task {name!r}", parameter, data))
    return Body(
        name=name,
        graph=body_of_task(place),
        items=tuple(data[parameter] for parameter in parameters),
        outputs=outputs,
        declared=frozenset(need.data for need in place.needs if need.declared),
        description=spec.description,
    )


def _of_pipeline(body: Builder, lists: Lists) -> Body:
    graph = body.body()
    over = quote(lists.names)
    if graph.timeout is not None:
        raise GraphError(
            f"the pipeline for the items of {over} has a time limit, which holds for runs and not for items; "
            "set it on the outer pipeline, or set the timeout of its tasks"
        )
    required = [name for name, spec in graph.inputs.items() if spec.required]
    candidates = required or list(graph.inputs)
    if not lists.takers and len(candidates) != len(lists.names):
        which = "which one takes the item" if len(lists.names) == 1 else "which ones take the items"
        raise GraphError(
            f"the pipeline for the items of {over} has the inputs {quote(candidates) or '(none)'}; "
            f"say with item_param {which}"
        )
    items = lists.takers or tuple(candidates)
    for item in items:
        if item not in graph.inputs:
            raise GraphError(_no_input(f"the pipeline for the items of {over}", item, graph.inputs))
    return Body(
        name=body.name or f"map_{'_'.join(lists.names)}",
        graph=graph,
        items=items,
        outputs=tuple(graph.outputs),
        declared=frozenset(graph.inputs),
    )


def _no_input(whose: str, name: str, names: Mapping[str, Any]) -> str:
    takes = f"it takes {quote(names)}" if names else "it takes nothing"
    return f"{whose} has no parameter {name!r} for the item; {takes}{Suggestions(names).hint(name)}"


def map_outputs(body: Body, wanted: tuple[str, ...] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the lists, and for each the output of the body that it collects.

    :param wanted: Names from the user: some of the body's own names in any order, or a new one for each output.
    :raises GraphError: the names fit neither way.
    """
    own = tuple(body.graph.outputs)
    if wanted is None:
        return body.outputs, own
    if wanted and set(wanted) <= set(own):
        return wanted, wanted
    if len(wanted) == len(own) and not set(wanted) & set(own):
        return wanted, own
    raise GraphError(
        f"map {body.name!r} shall produce {quote(wanted)}, but its body produces {quote(own) or 'nothing'}; "
        "give one name for each of these, or choose among them"
    )


def tree_place(
    task: Any, node: str, over: str, taker: str, fan_in: int | None, outputs: tuple[str, ...]
) -> MapPlace:
    """Return the place of a reduction in a tree.

    :param node: The node's name.
    :param over: The name of the list.
    :param taker: The parameter that takes parts of the list.
    :param fan_in: How many values are combined at once; ``None`` for pairs.
    :param outputs: The name of the result.
    :raises GraphError: the number is impossible, or there are several outputs.
    """
    check_sizes(fan_in=fan_in)
    if len(outputs) != 1:
        raise GraphError(
            f"node {node!r} reduces in a tree, and produces {quote(outputs)}; let the task return one value, such as a "
            "tuple, under one name"
        )
    body = read_body(task, Lists((over,), (taker,)), silent=False)
    _, collects = map_outputs(body, outputs)
    return MapPlace(
        name=node,
        body=body.graph,
        lists={body.items[0]: over},
        outputs=outputs,
        collects=collects,
        declared=body.declared,
        chunk=2 if fan_in is None else fan_in,
        keep="one",
        description=body.description,
    )
