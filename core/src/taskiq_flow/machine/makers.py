"""Who made the value of a parameter: for parameters whose annotation allows several classes.

A maker is found by following the sources of the graph in step with the value, which says of each of its parts which of
several places it came from. What is found is plain data, so that a message can carry it:

- ``[task, outputs, position]`` for an output of a task, and ``[task, outputs, position, depth, row]`` for an element
  of it: ``depth`` says how many lists deep it lies, and ``row`` is its place in the outermost, where that is known;
- ``{"each": maker}`` for a list of such, and ``{"list": makers, "order": numbers}`` for a list whose elements come from
  several makers; ``"keys"`` stands beside it where it is a dictionary, with the maker of the dictionary that has had
  those keys first;
- ``"filler"`` for what stands in the place of an item that failed.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any

from attrs import frozen

from taskiq_flow.graph.model import MapNode, TaskNode
from taskiq_flow.machine.plan import Each, First, OnlyIf, Place, Plan, Slot, resolve
from taskiq_flow.machine.scope import Cell, Scope
from taskiq_flow.payloads import FAILURES, NULL, Chosen, ClaimCheck, ListedValue, Payload, Value

__all__ = ["makers_of"]

_FILLER = "filler"


def makers_of(cell: Cell, names: Collection[str], params: Mapping[str, Value]) -> dict[str, Any]:
    """Return the makers of the values of some parameters, as far as they are known.

    :param cell: A cell whose predecessors are final.
    :param names: The parameters' names.
    :param params: The values of the cell's parameters.
    """
    scope, found = cell.scope, {}
    for param in scope.plan.params[cell.position]:
        if param.name not in names or param.name not in params:
            continue
        # What a task gets does not say any more which place it came from.
        value = resolve(param.place, scope.inputs, scope.outputs)
        source = _source_of(scope.plan, param.place, _givers(scope))
        maker = _find(source, params[param.name] if value is None else value)
        if maker is not None:
            found[param.name] = maker
    return found


class _Source(ABC):
    """Where a value comes from."""

    @abstractmethod
    def find(self, value: Value) -> Any:
        """Return the maker of a value that came from here; ``None`` where it is unknown."""

    @abstractmethod
    def of_element(self) -> _Source:
        """Return where an element of the value comes from."""

    def find_keys(self) -> Any:
        """Return the maker of the dictionary that has had the keys first; ``None`` where it is unknown."""
        return None


@frozen
class _Unknown(_Source):
    def find(self, value: Value) -> Any:
        return None

    def of_element(self) -> _Source:
        return self


@frozen
class _Made(_Source):
    """An output of a task, or what lies some lists deep in it."""

    output: tuple[Any, ...]
    depth: int = 0

    def find(self, value: Value) -> Any:
        if not self.depth:
            return list(self.output)
        return [*self.output, self.depth, value.index if type(value) is Chosen else None]

    def of_element(self) -> _Source:
        return _Made(self.output, self.depth + 1)

    def find_keys(self) -> Any:
        return [*self.output, self.depth, None]


@frozen
class _OneOf(_Source):
    """One of several places."""

    places: tuple[_Source, ...]

    def find(self, value: Value) -> Any:
        if type(value) is Chosen and value.index < len(self.places):
            return _find(self.places[value.index], value.value)
        return None

    def of_element(self) -> _Source:
        return _OneOf(tuple([each.of_element() for each in self.places]))


@frozen
class _Row(_Source):
    """A list with an element from each of several places."""

    places: tuple[_Source, ...]

    def find(self, value: Value) -> Any:
        there = _without_place(value)
        if type(there) is not ListedValue or len(there.parts) != len(self.places):
            return None
        return _join([_find(each, part) for each, part in zip(self.places, there.parts, strict=True)])

    def of_element(self) -> _Source:
        return _OneOf(self.places)


@frozen
class _Many(_Source):
    """A list, or a dictionary, whose elements come from the same place."""

    element: _Source
    keys: Any = None

    def find(self, value: Value) -> Any:
        there = _without_place(value)
        if type(there) is not ListedValue:
            return None
        found = _join([_find(self.element, part) for part in there.parts])
        return found if found is None or there.keys is None else {**found, "keys": self.keys}

    def of_element(self) -> _Source:
        return self.element

    def find_keys(self) -> Any:
        return self.keys


@frozen
class _Filled(_Source):
    """What a map gives that fills the places of items that have failed."""

    result: _Source

    def find(self, value: Value) -> Any:
        return _FILLER if _without_place(value) == NULL else _find(self.result, value)

    def of_element(self) -> _Source:
        return self.result.of_element()


_UNKNOWN = _Unknown()

_Givers = Callable[[str], _Source]


def _find(source: _Source, value: Value) -> Any:
    there = _without_place(value)
    return _FILLER if type(there) is Payload and there.serializer == FAILURES else source.find(value)


def _without_place(value: Value) -> Payload | ClaimCheck | ListedValue:
    while isinstance(value, Chosen):
        value = value.value
    return value


def _join(makers: list[Any]) -> Any:
    """Return the maker of a list, from those of its elements."""
    if not makers or None in makers:
        return None
    if all(each == makers[0] for each in makers):
        return {"each": makers[0]}
    texts = list(map(json.dumps, makers))
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return {"list": list(map(json.loads, numbers)), "order": [numbers[text] for text in texts]}


def _source_of(plan: Plan, place: Place, given: _Givers) -> _Source:
    """Return where the value of a place comes from.

    :param given: Says where the inputs of the plan's graph come from.
    """
    if isinstance(place, Slot):
        node = plan.nodes[place.node]
        if isinstance(node, TaskNode):
            return _Made((node.task, list(node.outputs), place.output))
        return _source_of_map(plan, place, node, given) if isinstance(node, MapNode) else _UNKNOWN
    if isinstance(place, OnlyIf):
        return _source_of(plan, place.place, given)
    if isinstance(place, (First, Each)):
        places = tuple([_source_of(plan, each, given) for each in place.places])
        return _OneOf(places) if isinstance(place, First) else _Row(places)
    return given(place) if isinstance(place, str) else _UNKNOWN


def _source_of_map(plan: Plan, slot: Slot, node: MapNode, given: _Givers) -> _Source:
    lists = _source_of(plan, plan.items[slot.node][0], given)
    keys = None if node.also or node.chunk is not None else lists.find_keys()
    if node.keep == "items":
        return _Many(lists.of_element(), keys)
    if node.keep == "one":
        return _source_of_level(plan, slot.node, node, given)
    body = plan.bodies[slot.node]
    place = body.outputs[node.collects[slot.output]]
    element = _source_of(body, place, lambda name: _source_in_item(plan, slot.node, node, name, given))
    return _Many(_Filled(element) if node.fills else element, keys)


def _source_of_level(plan: Plan, position: int, node: MapNode, given: _Givers) -> _Source:
    """Return where a result of a reduction in a tree comes from; on later levels its body gets such results."""
    body = plan.bodies[position]

    def give(name: str) -> _Source:
        return _UNKNOWN if name == node.item else _source_in_item(plan, position, node, name, given)

    return _source_of(body, body.outputs[node.collects[0]], give)


def _source_in_item(plan: Plan, position: int, node: MapNode, name: str, given: _Givers) -> _Source:
    """Return where an input of a map's body comes from: an element, a part of a list, or what all items get."""
    for item, place in zip((node.item, *node.also), plan.items[position], strict=True):
        if item == name:
            element = _source_of(plan, place, given).of_element()
            return element if node.chunk is None else _Many(element)
    found = (param.place for param in plan.params[position] if param.name == name)
    return next((_source_of(plan, place, given) for place in found), _UNKNOWN)


def _givers(scope: Scope) -> _Givers:
    """Return what says where the inputs of a scope come from; nobody knows what the client has given."""

    def give(name: str) -> _Source:
        owner = scope.parent
        if owner is None or not isinstance(owner.node, MapNode):
            return _UNKNOWN
        plan, node, around = owner.scope.plan, owner.node, _givers(owner.scope)
        if node.keep == "one" and name == node.item and owner.items is not None and owner.items.level:
            return _Many(_source_of_level(plan, owner.position, node, around))
        return _source_in_item(plan, owner.position, node, name, around)

    return give
