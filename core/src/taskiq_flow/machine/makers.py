"""Who made the value of a parameter: for parameters whose annotation allows several classes.

A maker is plain data, so that a message can carry it: ``[task, outputs, position]`` for an output of a task,
``{"each": maker}`` for a list of such, ``{"list": makers}`` for a list with a maker for each element, and
``{"item": maker}`` for an element of what a task gave.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from taskiq_flow.graph.model import MapNode, TaskNode
from taskiq_flow.machine.plan import Each, First, OnlyIf, Place, Slot, resolve
from taskiq_flow.machine.scope import Cell, Scope
from taskiq_flow.payloads import Chosen

__all__ = ["makers_of"]


def makers_of(cell: Cell, names: Collection[str]) -> dict[str, Any]:
    """Return the makers of the values of some parameters, as far as they are known.

    :param cell: A cell whose predecessors are final.
    :param names: The parameters' names.
    """
    scope = cell.scope
    found = {
        param.name: _find_maker(param.place, scope)
        for param in scope.plan.params[cell.position]
        if param.name in names
    }
    return {name: maker for name, maker in found.items() if maker is not None}


def _find_maker(place: Place, scope: Scope) -> Any:
    if isinstance(place, OnlyIf):
        return _find_maker(place.place, scope)
    if isinstance(place, First):
        chosen = resolve(place, scope.inputs, scope.outputs)
        return _find_maker(place.places[chosen.index], scope) if isinstance(chosen, Chosen) else None
    if isinstance(place, Each):
        makers = [_find_maker(each, scope) for each in place.places]
        return None if None in makers else {"list": makers}
    if isinstance(place, str):
        return _find_given(place, scope)
    return _find_producer(place, scope) if isinstance(place, Slot) else None


def _find_producer(slot: Slot, scope: Scope) -> Any:
    node = scope.plan.nodes[slot.node]
    if isinstance(node, TaskNode):
        return [node.task, list(node.outputs), slot.output]
    if node.keep != "values" or node.fills:
        return None
    # The scopes of the items are gone, so only what is the same for all of them is known.
    body = scope.plan.bodies[slot.node]
    place = body.outputs[node.collects[slot.output]]
    if not isinstance(place, Slot) or not isinstance(body.nodes[place.node], TaskNode):
        return None
    made = body.nodes[place.node]
    return {"each": [made.task, list(made.outputs), place.output]}  # type: ignore[union-attr]


def _find_given(name: str, scope: Scope) -> Any:
    """Find the maker of an input: the item of a map, or what a map hands to all of its items."""
    owner = scope.parent
    if owner is None or not isinstance(owner.node, MapNode):
        return None
    node, around = owner.node, owner.scope
    if name != node.item:
        places = {param.name: param.place for param in around.plan.params[owner.position]}
        return _find_maker(places[name], around) if name in places else None
    if node.also or node.chunk is not None or node.keep == "one":
        return None
    listed = _find_maker(around.plan.items[owner.position][0], around)
    if isinstance(listed, dict):
        return listed["list"][scope.number] if "list" in listed else listed.get("each")
    return None if listed is None else {"item": listed}
