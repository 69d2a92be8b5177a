"""What guards and filters see of large values.

Machines are asked to decide about values that they cannot fetch. So before an event goes to a machine, and into the
log, the claim checks in it that a guard or a filter may look at get a small value to be read in their place.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from attrs import evolve

from taskiq_flow.claim_checks import ClaimChecks
from taskiq_flow.codec import Codec
from taskiq_flow.errors import PayloadError, StoreError
from taskiq_flow.graph.model import Graph, Input, MapNode, Node, Output, Source
from taskiq_flow.graph.order import leaves
from taskiq_flow.graph.ranks import node_path
from taskiq_flow.machine import events as ev
from taskiq_flow.payloads import ClaimCheck, Payload, Value
from taskiq_flow.store import RunRecord

__all__ = ["Legible"]

logger = logging.getLogger("taskiq_flow")


class Legible:
    """Which values of a run its guards and filters look at, and what they see.

    :param record: The run.
    """

    def __init__(self, record: RunRecord, codec: Codec, checks: ClaimChecks) -> None:
        self._run = record.id
        self._graph = record.graph
        self._codec = codec
        self._checks = checks
        # By the prefix of a node's path: its graph, and the prefix and the node of the map around it.
        self._scopes: dict[str, tuple[Graph, str, MapNode | None]] = {}
        self._inputs: set[tuple[str, str]] = set()
        self._outputs: set[tuple[str, str]] = set()
        self._wanted: dict[str, Any] = {}

    async def prepare(self, event: ev.Event) -> ev.Event:
        """Give an event whose claim checks can be read where somebody will; never raises."""
        if type(event) is ev.CellSucceeded:
            if any(type(value) is ClaimCheck for value in event.outputs):
                node, path = self._node_of(event.cell)
                if node is not None and len(node.outputs) == len(event.outputs):
                    looked_at = [(path, name) in self._outputs for name in node.outputs]
                    return evolve(event, outputs=await self._read(event.outputs, looked_at))
        elif type(event) is ev.MapExpanded:
            if any(type(value) is ClaimCheck for value in event.items):
                node, path = self._node_of(event.cell)
                if isinstance(node, MapNode) and (f"{path}[]/", node.item) in self._inputs:
                    return evolve(event, items=await self._read(event.items, [True] * len(event.items)))
        elif type(event) is ev.RunStarted and any(
            type(value) is ClaimCheck for value in event.inputs.values()
        ):
            self._look_around()
            looked_at = [("", name) in self._inputs for name in event.inputs]
            read = await self._read(event.inputs.values(), looked_at)
            return evolve(event, inputs=dict(zip(event.inputs, read, strict=True)))
        return event

    async def _read(self, values: Iterable[Value], looked_at: Iterable[bool]) -> tuple[Value, ...]:
        pairs = zip(values, looked_at, strict=True)
        return tuple([await self._read_one(value) if wanted else value for value, wanted in pairs])

    async def _read_one(self, value: Value) -> Value:
        if not isinstance(value, ClaimCheck) or value.reads_as is not None:
            return value
        try:
            found = self._codec.read(await self._checks.redeem(self._run, value))
            return evolve(value, reads_as=self._instead(found, value.size))
        except (PayloadError, StoreError) as error:
            # The guard, or the filter, fails its cell, now and whenever the log is replayed.
            logger.warning("what a guard or a filter of run %s looks at cannot be read: %s", self._run, error)
            return value

    def _instead(self, value: Any, size: int) -> Payload:
        """Give a small value that is as true as another one, and equal to the same ones of those asked for."""
        asked_for = list(self._wanted.values())
        for wanted in asked_for:
            if bool(value == wanted):
                return self._codec.encode(wanted, "json")
        stand_ins: tuple[Any, ...] = (None, "", [], {}, 0)
        if value:
            stand_ins = ({"size of a large value": size}, [["size of a large value", size]])
        stand_in = next((each for each in stand_ins if each not in asked_for), stand_ins[-1])
        return self._codec.encode(stand_in, "json")

    # Which values are looked at

    def _look_around(self) -> None:
        if not self._scopes:
            self._enter("", self._graph, "", None)
            for prefix, (graph, _, _) in self._scopes.items():
                self._look(prefix, graph)

    def _node_of(self, cell: str) -> tuple[Node | None, str]:
        """Give the node of a cell and the node's path; no node where the graph has none such."""
        self._look_around()
        path = node_path(cell)
        cut = path.rfind("/") + 1
        scope = self._scopes.get(path[:cut])
        return None if scope is None else scope[0].nodes.get(path[cut:]), path

    def _enter(self, prefix: str, graph: Graph, outer: str, map_node: MapNode | None) -> None:
        self._scopes[prefix] = (graph, outer, map_node)
        for node in graph.nodes.values():
            if isinstance(node, MapNode):
                self._enter(f"{prefix}{node.name}[]/", node.body, prefix, node)

    def _look(self, prefix: str, graph: Graph) -> None:
        for node in graph.nodes.values():
            if node.when is not None:
                self._want(node.when.equals)
                self._mark(prefix, node.when.source)
            if isinstance(node, MapNode) and node.keep == "items":
                self._mark(f"{prefix}{node.name}[]/", node.body.outputs[node.collects[0]])

    def _want(self, value: Any) -> None:
        text = json.dumps(value)
        # As the machine compares it, after a way through JSON.
        value = self._wanted[text] = json.loads(text)
        if isinstance(value, list):
            # Of a list that is kept as its elements, each element is read by itself.
            for element in value:
                self._want(element)

    def _mark(self, prefix: str, source: Source) -> None:
        """Follow a value that is looked at back to the events that bring it, or its elements."""
        for leaf in leaves(source):
            if isinstance(leaf, Output) and (prefix + leaf.node, leaf.name) not in self._outputs:
                self._outputs.add((prefix + leaf.node, leaf.name))
                node = self._scopes[prefix][0].nodes[leaf.node]
                if isinstance(node, MapNode) and node.keep == "items":
                    self._mark(f"{prefix}{node.name}[]/", Input(node.item))
                elif isinstance(node, MapNode):
                    collected = node.collects[node.outputs.index(leaf.name)]
                    self._mark(f"{prefix}{node.name}[]/", node.body.outputs[collected])
            elif isinstance(leaf, Input) and (prefix, leaf.name) not in self._inputs:
                self._inputs.add((prefix, leaf.name))
                _, outer, map_node = self._scopes[prefix]
                if map_node is not None and leaf.name == map_node.item:
                    self._mark(outer, map_node.items)
                elif map_node is not None and leaf.name in map_node.params:
                    self._mark(outer, map_node.params[leaf.name])
