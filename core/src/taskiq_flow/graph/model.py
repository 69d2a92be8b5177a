"""The graph: nodes joined by named data. It is immutable, and independent of taskiq and of time.

Mappings in here are read-only by contract: a builder passes dictionaries that only the graph
holds. They take no part in hashes, so equal objects hash alike and everything here can be a key.
Values from the user are compared as JSON: ``1``, ``1.0`` and ``True`` are three values, a
tuple and a list of the same elements are one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Union
from typing import Literal as OneOf

from attrs import field, frozen

__all__ = [
    "DEFAULT_OPTIONS",
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
]

ErrorMode = OneOf["stop", "continue"]

_NOTHING: Mapping[str, str] = {}


def _as_json(value: Any) -> str:
    """Return the text by which two plain values are compared."""
    try:
        return json.dumps(
            value, sort_keys=True, default=lambda it: dict(it) if isinstance(it, Mapping) else repr(it)
        )
    except (TypeError, ValueError, RecursionError):
        return repr(value)  # not plain JSON; ``build_graph`` refuses it


@frozen
class Input:
    """A source: an input of the graph, by name."""

    name: str


@frozen
class Output:
    """A source: an output of a node.

    :param node: The node's name.
    :param name: The output's name, one of the node's ``outputs``.
    """

    node: str
    name: str


@frozen
class Literal:
    """A source: a value known when the graph is built.

    :param value: Plain JSON data (builders convert every value that pydantic can).
    """

    value: Any = field(eq=_as_json)


@frozen
class FirstOf:
    """A source: the first of several that was not skipped; skipped when all of them were.

    It joins the two sides of a branch.
    """

    sources: tuple[Source, ...]


@frozen
class ListOf:
    """A source: a list of other sources, in order; skipped when one of them was.

    It passes the results of a group to the next step.
    """

    sources: tuple[Source, ...]


@frozen
class Conditional:
    """A source: another source, on the condition that a second one was not skipped.

    It lets a side of a branch pass on a value that was there before the branch.

    :param source: The source of the value.
    :param given: What must not have been skipped, such as an output of the side's first node.
    """

    source: Source
    given: Source


Source = Union[Input, Output, Literal, FirstOf, ListOf, Conditional]


@frozen
class Guard:
    """A condition: the node runs only when ``source`` has the value ``equals``.

    :param source: The source of the value.
    :param equals: Plain JSON data to compare with, 1 KiB at most. ``True`` and ``False`` match all values that are
        true or false in Python, so that one side of a branch always runs. A value that is stored as a blob is true,
        and equals no literal.
    """

    source: Source
    equals: Any = field(default=True, eq=_as_json)


@frozen
class Follows:
    """A condition on the end of other nodes; the node cleans up, tells somebody, or takes something back.

    :param when: ``"failure"`` for the final failure of one of them, or ``"always"``.
    :param nodes: The nodes that are followed; empty for everything else in the graph. What follows the whole graph also
        runs when its run is cancelled or takes too long.
    :param failure: The parameter that takes the :class:`~taskiq_flow.Failure`; empty for none. Without a failure it is
        null, or the parameter's default.
    """

    when: OneOf["failure", "always"]
    nodes: tuple[str, ...] = ()
    failure: str = ""


@frozen(kw_only=True)
class NodeOptions:
    """The options of a node's execution.

    :param timeout: Seconds that one attempt may take, from its start.
    :param retry: Options for the retry policy, such as ``{"max_retries": 3, "delay": 1.0}``.
    :param queue: The broker's queue.
    :param priority: Nodes with a higher one go first.
    :param resources: Amounts that an attempt occupies: ``cpu`` in cores, ``ram_mb`` in mebibytes, others by name.
    :param labels: Labels for the taskiq message.
    :param on_error: Overrides the graph's error mode for this node.
    :param serializer: The id of the serializer of the outputs.
    """

    timeout: float | None = None
    retry: Mapping[str, Any] | None = field(default=None, eq=_as_json)
    queue: str | None = None
    priority: int = 0
    resources: Mapping[str, float] = field(factory=dict, hash=False)
    labels: Mapping[str, Any] = field(factory=dict, eq=_as_json)
    on_error: ErrorMode | None = None
    serializer: str | None = None


DEFAULT_OPTIONS = NodeOptions()


@frozen(kw_only=True)
class TaskNode:
    """A place where a task is applied.

    :param name: Unique in its graph.
    :param task: The taskiq task's name.
    :param params: A source for each parameter that is wired.
    :param optional: Parameters that have a default; a skipped source leaves them at it.
    :param outputs: Names of its outputs; with more than one the return value is unpacked.
    :param after: Names of nodes that must finish first although no data flows from them.
    :param when: A guard, or ``None``.
    :param follows: Whose end it waits for instead of their success; ``None`` for an ordinary node.
    :param tolerates: Parameters that take a :class:`~taskiq_flow.Failure` in the place of what was not produced.
    :param options: The options of its execution.
    :param description: For people.
    :param accepts: Annotation of each annotated parameter; for build-time checks, not part of the graph's identity.
    :param returns: Annotation of each output, in order; empty if unknown.
    :param free: Parameters that stay at their default, each with the name under which a run can be given a value for
        it; not part of the graph's identity.
    """

    name: str
    task: str
    params: Mapping[str, Source] = field(factory=dict, hash=False)
    optional: frozenset[str] = frozenset()
    outputs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    when: Guard | None = None
    follows: Follows | None = None
    tolerates: frozenset[str] = frozenset()
    options: NodeOptions = DEFAULT_OPTIONS
    description: str = ""
    accepts: Mapping[str, Any] = field(factory=dict, eq=False, repr=False)
    returns: tuple[Any, ...] = field(default=(), eq=False, repr=False)
    free: Mapping[str, str] = field(default=_NOTHING, eq=False, repr=False)


@frozen(kw_only=True)
class MapNode:
    """A place where a body graph is applied once per item of a list, of a dictionary, or of several lists.

    :param name: Unique in its graph.
    :param body: The graph for one item.
    :param items: The source of the list, or of a dictionary: then its values are the items, and each output is a
        dictionary with the same keys.
    :param item: The input of the body that receives the item.
    :param also: Sources of further lists, each by the input of the body that receives its items.
    :param join: With ``"zip"`` the body is applied to the first items of all lists, then to the second ones, and so on;
        with ``"product"`` to every combination, in which the items of the last list change fastest.
    :param strict: Whether zipped lists of different lengths fail the map; otherwise the shortest list ends it.
    :param chunk: Hand over lists of so many consecutive items, the last of which may be shorter, instead of items.
    :param params: Sources in the outer graph for the body's other inputs; the same for every item.
    :param outputs: Names of the lists that it produces.
    :param collects: For each output the name of the body's output that is collected.
    :param keep: With ``"values"`` an output is the list of the body's outputs. With ``"items"`` the map is a filter:
        the output is the list of the items for which the body's (single) collected output was true. With ``"one"`` the
        map is a reduction in a tree: what the body gave for the chunks is put into chunks again, in order, until one
        value is left, which is the (single) output. A chunk of one such value is not worked on again.
    :param max_parallel: How many items may be open at once; ``None`` for the driver's window.
    :param skip_errors: Let items fail without failing the map.
    :param fills: What stands in the lists for an item that failed, with ``skip_errors``: nothing, null (``"none"``), or
        its :class:`~taskiq_flow.Failure` (``"failure"``).
    :param free: Other names for what the body leaves at a default, under which a run can be given a value for it; not
        part of the graph's identity.
    """

    name: str
    body: Graph
    items: Source
    item: str = "item"
    also: Mapping[str, Source] = field(factory=dict, hash=False)
    join: OneOf["zip", "product"] = "zip"
    strict: bool = True
    chunk: int | None = None
    params: Mapping[str, Source] = field(factory=dict, hash=False)
    optional: frozenset[str] = frozenset()
    outputs: tuple[str, ...] = ()
    collects: tuple[str, ...] = ()
    keep: OneOf["values", "items", "one"] = "values"
    max_parallel: int | None = None
    skip_errors: bool = False
    fills: OneOf["", "none", "failure"] = ""
    after: tuple[str, ...] = ()
    when: Guard | None = None
    options: NodeOptions = DEFAULT_OPTIONS
    description: str = ""
    free: Mapping[str, str] = field(default=_NOTHING, eq=False, repr=False)


Node = Union[TaskNode, MapNode]


@frozen(kw_only=True)
class InputSpec:
    """The description of an input of a graph.

    :param required: Whether a run needs a value for it.
    :param annotation: The annotation of the parameters it feeds; not part of the graph's identity.
    """

    required: bool = True
    annotation: Any = field(default=None, eq=False, repr=False)


@frozen(kw_only=True)
class Graph:
    """Nodes joined by named data; a DAG. Made with :func:`taskiq_flow.graph.build_graph`, which checks it.

    :param nodes: Nodes by name, in the order of declaration.
    :param inputs: The inputs of a run, by name.
    :param outputs: The outputs of a run: a source for each name.
    :param name: For people.
    :param on_error: The effect of a final failure on the rest of the run.
    :param timeout: Seconds that a run may take; ``None`` for no limit.
    """

    nodes: Mapping[str, Node] = field(hash=False)
    inputs: Mapping[str, InputSpec] = field(factory=dict, hash=False)
    outputs: Mapping[str, Source] = field(factory=dict, hash=False)
    name: str = ""
    on_error: ErrorMode = "stop"
    timeout: float | None = None
    _digest: str = field(default="", init=False, eq=False, repr=False)
    _plan: object = field(default=None, init=False, eq=False, repr=False)

    @property
    def digest(self) -> str:
        """The graph's identity in 64 hexadecimal digits; independent of the process and the order of declaration."""
        if not self._digest:
            from taskiq_flow.graph.wire import digest

            # A cache: it is computed once and never changes, so the graph stays immutable from outside.
            object.__setattr__(self, "_digest", digest(self))
        return self._digest

    def to_json(self) -> str:
        """Return the graph as text; :meth:`from_json` reads it."""
        from taskiq_flow.graph.wire import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """Read a graph that :meth:`to_json` wrote.

        :raises GraphError: the text is something else, or comes from a newer version.
        """
        from taskiq_flow.graph.wire import from_json

        return from_json(text)

    def render(self, format: str = "text") -> str:  # noqa: A002 - the word that people look for
        """Draw the graph.

        :param format: One of :data:`taskiq_flow.graph.FORMATS`.
        :raises GraphError: there is no such format.
        """
        from taskiq_flow.graph.render import render

        return render(self, format)

    def subgraph_for(self, outputs: Iterable[str]) -> Graph:
        """Keep only the nodes and inputs that the wanted outputs need.

        :param outputs: Names of outputs of the graph, or of outputs of its nodes.
        :raises GraphError: there is no output of such a name.
        """
        from taskiq_flow.graph.order import subgraph_for

        return subgraph_for(self, outputs)
