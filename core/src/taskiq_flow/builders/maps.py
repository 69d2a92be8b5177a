"""Maps of a dataflow: the body, the input that takes the item, and the names of the lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.builders.builder import Builder
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Graph
from taskiq_flow.tasks.annotations import name_of, signature_of, spec_of
from taskiq_flow.wiring.places import TaskPlace, body_of_task

__all__ = ["Body", "map_outputs", "read_body"]


@frozen(kw_only=True)
class Body:
    """The graph that a map applies to each item.

    :param name: The default name of the map's node.
    :param graph: The graph for one item.
    :param item: The input of the graph that takes the item.
    :param outputs: The default names of the lists.
    :param declared: The inputs that the user has named; optional ones among them are inputs of the whole graph too.
    :param description: For people.
    """

    name: str
    graph: Graph
    item: str
    outputs: tuple[str, ...]
    declared: frozenset[str]
    description: str = ""


def read_body(body: Any, *, over: str, item_param: str | None, silent: bool) -> Body:
    """Read the body that a user gave to a map.

    :param body: A task, a kicker, or a pipeline.
    :param over: The name of the list.
    :param item_param: The parameter or input that takes the item; ``None`` for the default.
    :param silent: Whether a task without a result has no output.
    :raises GraphError: there is no such input, or several could take the item.
    """
    if isinstance(body, Builder):
        return _of_pipeline(body, over, item_param)
    name, spec, signature = name_of(body), spec_of(body), signature_of(body)
    outputs = spec.outputs or (() if silent and signature.returns is type(None) else (name,))
    place = TaskPlace.of(body, name=name, outputs=outputs, inputs=spec.inputs, description=spec.description)
    data = {need.parameter: need.data for need in place.needs}
    if item_param is None and not data:
        raise GraphError(f"task {name!r} has no parameter that could take an item of {over!r}; give it one")
    parameter = next(iter(data)) if item_param is None else item_param
    if parameter not in data:
        raise GraphError(_no_input(f"task {name!r}", parameter, data))
    return Body(
        name=name,
        graph=body_of_task(place),
        item=data[parameter],
        outputs=outputs,
        declared=frozenset(need.data for need in place.needs if need.declared),
        description=spec.description,
    )


def _of_pipeline(body: Builder, over: str, item_param: str | None) -> Body:
    graph = body.body()
    if graph.timeout is not None:
        raise GraphError(
            f"the pipeline for the items of {over!r} has a time limit, which holds for runs and not for items; "
            "set it on the outer pipeline, or set the timeout of its tasks"
        )
    required = [name for name, spec in graph.inputs.items() if spec.required]
    candidates = required or list(graph.inputs)
    if item_param is None and len(candidates) != 1:
        raise GraphError(
            f"the pipeline for the items of {over!r} has the inputs {quote(candidates) or '(none)'}; "
            "say with item_param which one takes the item"
        )
    item = candidates[0] if item_param is None else item_param
    if item not in graph.inputs:
        raise GraphError(_no_input(f"the pipeline for the items of {over!r}", item, graph.inputs))
    return Body(
        name=body.name or f"map_{over}",
        graph=graph,
        item=item,
        outputs=tuple(graph.outputs),
        declared=frozenset(graph.inputs),
    )


def _no_input(whose: str, name: str, names: Mapping[str, Any]) -> str:
    takes = f"it takes {quote(names)}" if names else "it takes nothing"
    return f"{whose} has no parameter {name!r} for the item; {takes}{Suggestions(names).hint(name)}"


def map_outputs(body: Body, wanted: tuple[str, ...] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the lists, and for each the output of the body that it collects.

    :param wanted: Names from the user: one for each output of the body, or some of the body's own names.
    :raises GraphError: the names fit neither way.
    """
    own = tuple(body.graph.outputs)
    if wanted is None:
        return body.outputs, own
    if len(wanted) == len(own):
        return wanted, own
    if wanted and set(wanted) <= set(own):
        return wanted, wanted
    raise GraphError(
        f"map {body.name!r} shall produce {quote(wanted)}, but its body produces {quote(own) or 'nothing'}; "
        "give one name for each of these, or choose among them"
    )
