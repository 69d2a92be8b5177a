"""Scopes and cells: a scope is one application of a graph, and a cell is one node in it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from taskiq_flow.graph.extents import count_items
from taskiq_flow.graph.model import ErrorMode, MapNode, Node
from taskiq_flow.machine.plan import Each, First, OnlyIf, Place, Plan, Slot, resolve
from taskiq_flow.machine.transitions import CellState
from taskiq_flow.machine.wire import encode_failure
from taskiq_flow.payloads import FAILURES, NULL, Failure, ListedValue, Payload, Value, bare

__all__ = ["Cell", "Items", "RunTimer", "Scope"]


@define(eq=False)
class Cell:
    """A cell that is neither pending nor final.

    :ivar path: The key path and the node's name.
    :ivar scope: Its scope.
    :ivar position: The position of its node in the scope's plan.
    :ivar node: That node.
    :ivar state: Its state.
    :ivar attempt: The current attempt, counted from 1.
    :ivar placed: The worker of the pool that the current attempt was placed on, and whose resources it occupies;
        empty if any worker may take it.
    :ivar worker: The worker that has claimed the current attempt; empty while that is unknown.
    :ivar resources: The resources that the current attempt occupies, or will occupy.
    :ivar queue: The demanded queue; empty for none.
    :ivar sent_to: The queue that the current attempt was sent to; empty for the default.
    :ivar priority: Higher goes first.
    :ivar first_started_at: When its first attempt started, in seconds since the epoch.
    :ivar timers: The timers that run for it.
    :ivar undecided: What the retry policy was asked about and has not answered: the failure of the current
        attempt, and whether the worker's slot may still be occupied.
    :ivar slot_free: Whether the current attempt is known to occupy no worker any more.
    :ivar story: Its states so far, a byte for each, for error messages.
    :ivar params: The values of its parameters.
    :ivar items: The progress of a map; ``None`` for a task.
    :ivar requeues: How many of its attempts have ended because the task has requeued its message.
    """

    path: str
    scope: Scope
    position: int
    node: Node
    state: CellState
    attempt: int = 1
    placed: str = ""
    worker: str = ""
    resources: Mapping[str, float] = field(factory=dict)
    queue: str = ""
    sent_to: str = ""
    priority: int = 0
    first_started_at: float | None = None
    timers: set[str] | None = None
    undecided: tuple[Failure, bool] | None = None
    slot_free: bool = False
    story: bytearray = field(factory=lambda: bytearray([CellState.PENDING]))
    params: Mapping[str, Value] = field(factory=dict)
    items: Items | None = None
    requeues: int = 0

    @property
    def holder(self) -> str:
        """The worker that claimed the current attempt, or else the one that it was placed on."""
        return self.worker or self.placed

    @property
    def depth(self) -> int:
        """The number of maps around the cell whose item has begun."""
        depth = 0
        scope, begun = self.scope, self.attempt > 1
        while scope.parent is not None:
            begun = begun or scope.left < len(scope.plan.nodes)
            depth += begun
            scope = scope.parent.scope
        return depth


@define(eq=False)
class Scope:
    """One application of a graph: the run itself, or one item of a map.

    :ivar plan: The prepared graph.
    :ivar prefix: The part of a cell's path before the node's name.
    :ivar inputs: The values of the graph's inputs.
    :ivar parent: The map's cell this is an item of; ``None`` for the run itself.
    :ivar number: The number of the item, counted from 0.
    :ivar on_error: The error mode of nodes without one of their own.
    :ivar tolerant: Whether a failure in here stays in here (a map that skips errors).
    :ivar states: One state per node; that of a cell which has an object is in the object.
    :ivar missing: How many predecessors are not final yet, per node.
    :ivar outputs: The outputs of succeeded cells, by position.
    :ivar left: How many nodes are not final yet; -1 once the end of the scope was handled.
    :ivar failed: Whether a cell in here failed.
    :ivar failure: The first failure in here, or in a map in here.
    """

    plan: Plan
    prefix: str
    inputs: Mapping[str, Value]
    parent: Cell | None
    number: int
    on_error: ErrorMode
    tolerant: bool
    states: bytearray
    missing: array[int]
    outputs: dict[int, tuple[Value, ...]]
    left: int
    failed: bool = False
    failure: Failure | None = None

    def hands_on(self, position: int) -> bool:
        """Whether the failure of a node only goes on as a value. An item of a map has to give its outputs as well."""
        if not self.plan.handled or position not in self.plan.handled:
            return False
        return self.parent is None or not any(position in each for each in self.plan.producers.values())

    @classmethod
    def open(
        cls,
        plan: Plan,
        inputs: Mapping[str, Value],
        *,
        prefix: str = "",
        parent: Cell | None = None,
        number: int = 0,
        on_error: ErrorMode = "stop",
        tolerant: bool = False,
    ) -> Scope:
        """Start an application of a graph; every cell is pending."""
        size = len(plan.nodes)
        return cls(
            plan=plan,
            prefix=prefix,
            inputs=inputs,
            parent=parent,
            number=number,
            on_error=on_error,
            tolerant=tolerant,
            states=bytearray(size),
            missing=plan.indegree[:],
            outputs={},
            left=size,
        )

    def state_of_place(self, place: Place) -> CellState:
        """Return whether a value is there: ``SUCCEEDED``; not by intention: ``SKIPPED``; or not (yet): any other state.

        Of several places, the first one that was not skipped counts, as for the value itself.
        """
        if isinstance(place, Slot):
            return CellState(self.states[place.node])
        if isinstance(place, OnlyIf):
            given = self.state_of_place(place.given)
            return self.state_of_place(place.place) if given is CellState.SUCCEEDED else given
        if isinstance(place, First):
            states = map(self.state_of_place, place.places)
            return next((state for state in states if state is not CellState.SKIPPED), CellState.SKIPPED)
        if isinstance(place, Each):
            states = map(self.state_of_place, place.places)
            return next((state for state in states if state is not CellState.SUCCEEDED), CellState.SUCCEEDED)
        there = not isinstance(place, str) or place in self.inputs
        return CellState.SUCCEEDED if there else CellState.SKIPPED


@define(eq=False)
class Items:
    """The progress of a map.

    :ivar values: What is handed over for each number: items, or chunks of them.
    :ivar also: The same of the map's further lists, each with the input of the body that receives it.
    :ivar keys: The key of each item of a dictionary; ``None`` for a list.
    :ivar count: How many items there are to open; a reduction in a tree adds a level when one is finished.
    :ivar shared: The body's inputs that are the same for every item.
    :ivar limit: The map's own limit of open items; ``None`` if it has none.
    :ivar results: A column for each output of the map, with a value for each item, in item order; ``None`` for an item
        that failed, was left out by a filter, or is not finished.
    :ivar next: The first item that was not opened yet.
    :ivar open: The scopes of the items that are open, by number.
    :ivar failures: How many items failed.
    :ivar failure: The first failure of an item.
    :ivar starved: Whether it waits for other maps to finish items before it opens more.
    :ivar level: In a reduction in a tree, the number of the first item of the current level.
    :ivar carried: The last value of a level that is left for the next one, because it had no other beside it.
    """

    values: tuple[Value, ...]
    shared: Mapping[str, Value]
    limit: int | None
    results: tuple[list[Value | None], ...]
    count: int
    also: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    keys: tuple[Value, ...] | None = None
    next: int = 0
    open: dict[int, Scope] = field(factory=dict)
    failures: int = 0
    failure: Failure | None = None
    starved: bool = False
    level: int = 0
    carried: Value | None = None

    @classmethod
    def of(
        cls,
        node: MapNode,
        values: tuple[Value, ...],
        shared: Mapping[str, Value],
        also: tuple[tuple[Value, ...], ...] = (),
        keys: tuple[Value, ...] | None = None,
    ) -> Items:
        """Start with nothing opened.

        :param values: The items of the map's first list.
        :param also: Those of the further lists.
        :param keys: The keys of the items of a dictionary.
        """
        count = count_items(node, [len(values), *map(len, also)])
        if node.chunk is not None:
            length = min(len(values), *map(len, also), len(values))
            values = _chunks(values[:length], node.chunk)
            also = tuple(_chunks(each[:length], node.chunk) for each in also)
            if node.keep == "one":
                # The body is applied to an empty list as well, and a further level is added when this one is finished.
                values = values or (ListedValue(()),)
                count = len(values)
        columns: tuple[list[Value | None], ...] = tuple([None] * count for _ in node.outputs)
        return cls(
            values=values,
            shared=shared,
            limit=node.max_parallel,
            results=columns,
            count=count,
            also=tuple(zip(node.also, also, strict=True)),
            keys=keys,
        )

    @property
    def finished(self) -> bool:
        """Whether every item was opened and is done."""
        return not self.open and self.next == self.count

    def inputs_of(self, node: MapNode, number: int) -> dict[str, Value]:
        """Return the inputs of the body for one item of a map over several lists."""
        inputs = dict(self.shared)
        for name, values in reversed(self.also):
            place = number
            if node.join == "product":
                number, place = divmod(number, len(values))
            inputs[name] = values[place]
        inputs[node.item] = self.values[number]
        return inputs

    def climb(self, node: MapNode) -> bool:
        """Prepare the next level of a reduction in a tree, after one is finished.

        :returns: Whether there is one; otherwise :meth:`gather` gives the value that is left.
        """
        (column,) = self.results
        found = [value for value in column[self.level :] if value is not None]
        if self.carried is not None:
            found.append(self.carried)
            self.carried = None
        if len(found) == 1:
            self.carried = found[0]
            return False
        assert node.chunk is not None, "a reduction in a tree has a size of chunks"
        groups = _chunks(tuple(found), node.chunk)
        if len(groups[-1].parts) == 1:
            self.carried = groups[-1].parts[0]
            groups = groups[:-1]
        self.level = len(column)
        self.values += groups
        self.count = len(self.values)
        column.extend([None] * len(groups))
        return True

    def collect(self, node: MapNode, scope: Scope, read: Callable[[Value], Any]) -> None:
        """Keep the outputs of a finished item; a skipped output is null, so that lists stay aligned.

        :raises PayloadError: the output of a filter's body cannot be read.
        """
        places, number = scope.plan.outputs, scope.number
        given = [resolve(places[name], scope.inputs, scope.outputs) for name in node.collects]
        if node.keep == "items":
            if not read(NULL if given[0] is None else bare(given[0])):
                return
            given = [self.values[number]]
        for column, value in zip(self.results, given, strict=True):
            column[number] = NULL if value is None else value

    def fill(self, node: MapNode, scope: Scope) -> None:
        """Put into the place of a failed item what the map wants there."""
        if not node.fills:
            return
        value = NULL
        if node.fills == "failure" and scope.failure is not None:
            value = Payload(FAILURES, encode_failure(scope.failure).encode())
        for column in self.results:
            column[scope.number] = value

    def gather(self, node: MapNode) -> tuple[Value, ...]:
        """Give the map's outputs, in item order, without the items that failed or were left out."""
        if node.keep == "one":
            assert self.carried is not None, "the last level of a tree leaves one value"
            return (self.carried,)
        keys = self.keys
        if keys is None:
            return tuple(
                ListedValue(tuple([value for value in column if value is not None]))
                for column in self.results
            )
        return tuple(
            ListedValue(
                tuple([value for value in column if value is not None]),
                tuple([key for key, value in zip(keys, column, strict=True) if value is not None]),
            )
            for column in self.results
        )


def _chunks(values: tuple[Value, ...], size: int) -> tuple[ListedValue, ...]:
    return tuple(ListedValue(values[start : start + size]) for start in range(0, len(values), size))


@define(eq=False)
class RunTimer:
    """A running timer.

    :ivar due: Seconds since the epoch.
    :ivar cell: The cell it belongs to; ``None`` for the run itself.
    """

    due: float
    cell: Cell | None
