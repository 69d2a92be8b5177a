"""Graphs, which builders compile and runs execute.

Nodes, sources and the graph itself are in :mod:`~taskiq_flow.graph.model`; make graphs with :func:`build_graph`,
which checks them.
"""

from __future__ import annotations

from taskiq_flow.graph.build import build_graph, check_inputs
from taskiq_flow.graph.extents import count_items
from taskiq_flow.graph.model import (
    DEFAULT_OPTIONS,
    Conditional,
    ErrorMode,
    FirstOf,
    Follows,
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
)
from taskiq_flow.graph.order import (
    find_before,
    leaves,
    predecessors,
    subgraph_for,
    task_nodes,
    topological_order,
)
from taskiq_flow.graph.ranks import node_path, upward_ranks
from taskiq_flow.graph.render import FORMATS, render
from taskiq_flow.graph.types import can_fit
from taskiq_flow.graph.wire import digest, from_json, to_data, to_json

__all__ = [
    "DEFAULT_OPTIONS",
    "FORMATS",
    "Conditional",
    "ErrorMode",
    "FirstOf",
    "Follows",
    "Graph",
    "Guard",
    "Input",
    "InputSpec",
    "ListOf",
    "Literal",
    "MapNode",
    "Node",
    "NodeOptions",
    "Output",
    "Source",
    "TaskNode",
    "build_graph",
    "can_fit",
    "check_inputs",
    "count_items",
    "digest",
    "find_before",
    "from_json",
    "leaves",
    "node_path",
    "predecessors",
    "render",
    "subgraph_for",
    "task_nodes",
    "to_data",
    "to_json",
    "topological_order",
    "upward_ranks",
]
