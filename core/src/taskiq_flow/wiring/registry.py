"""Tasks with their outputs and needs, and the graph that follows from the names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from typing_extensions import Self

from taskiq_flow._earlier_names import EarlierNames
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.build import build_graph
from taskiq_flow.graph.model import ErrorMode, Graph, Input, InputSpec, Node, Output, Source
from taskiq_flow.graph.order import subgraph_for
from taskiq_flow.tasks.annotations import name_of, signature_of, spec_of, task_of
from taskiq_flow.tasks.names import check_declared_names, normalise
from taskiq_flow.wiring.binding import Need
from taskiq_flow.wiring.parts import GraphPlace, Place
from taskiq_flow.wiring.places import TaskPlace
from taskiq_flow.wiring.renaming import check_new_names, check_values
from taskiq_flow.wiring.values import input_annotations

__all__ = ["DataflowRegistry", "read_outputs"]


class DataflowRegistry(EarlierNames):
    """Tasks that are wired by name: a parameter receives the data that is produced under its name.

    A task without a declared output produces its result under its node's name, unless it is annotated to return
    ``None``. A parameter with a default is wired when its name has a producer, or is an input for another reason.
    A required parameter without a producer makes an input of the graph::

        registry = DataflowRegistry()
        registry.register_task(process_data, output="processed", inputs=["raw"])
        registry.external_inputs  # ("raw",)
    """

    ATTRIBUTES_OF = "DataflowRegistry"

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}

    def register_task(
        self,
        task: Any,
        output: str | None = None,
        outputs: Iterable[str] | None = None,
        inputs: Iterable[str] | Mapping[str, str] | None = None,
        *,
        name: str | None = None,
        bind: Mapping[str, Any] | None = None,
        description: str = "",
    ) -> Self:
        """Add a task at a node of its own.

        Arguments take precedence over the task's decorators.

        :param task: A decorated task, or a kicker of one.
        :param output: The name of its output.
        :param outputs: Several names; the task's result is unpacked into them.
        :param inputs: Names of the data it needs, instead of those in its signature. A name without a parameter goes
            to a parameter by position, if that is unambiguous. Or data by parameter, for some of the parameters.
        :param name: The node's name, by default the function's; the same task may stand at several nodes.
        :param bind: Fixed values, by parameter.
        :param description: For people.
        :returns: The registry.
        :raises GraphError: names or inputs do not fit, a value has no JSON form, or the node's name is in use.
        """
        words: dict[str, Any] = {"output": output, "outputs": outputs, "inputs": inputs, "bind": bind}
        return self.add(self.make_place(task, name=name, description=description, **words))

    def make_place(
        self,
        task: Any,
        *,
        output: Any = None,
        outputs: Any = None,
        inputs: Any = None,
        name: str | None = None,
        bind: Mapping[str, Any] | None = None,
        description: str = "",
    ) -> TaskPlace:
        """Return the place that :meth:`register_task` adds.

        :raises GraphError: names or inputs do not fit, or a value has no JSON form.
        """
        data = inputs if isinstance(inputs, Mapping) else None
        names = check_declared_names(
            output=output, outputs=outputs, inputs=None if data is not None else inputs
        )
        spec = spec_of(task_of(task))
        node = name_of(task) if name is None else name
        default = () if signature_of(task).returns is type(None) else (node,)
        place = TaskPlace.of(
            task,
            name=node,
            outputs=names.get("outputs") or spec.outputs or default,
            inputs=names.get("inputs", spec.inputs),
            description=description or spec.description,
        )
        values = check_values(bind)
        return place.wire(data or {}, values) if data or values else place

    def register_task_from_object(self, task: Any, *, name: str | None = None) -> Self:
        """Add a task, wired by its decorators and its signature.

        :param task: A decorated task, or a kicker of one.
        :param name: The node's name, by default the function's.
        :returns: The registry.
        :raises GraphError: the task's inputs do not fit its parameters, or the node's name is in use.
        """
        return self.register_task(task, name=name)

    def add(self, place: Place) -> Self:
        """Add a place that a builder made.

        :returns: The registry.
        :raises GraphError: the node's name is in use.
        """
        if place.name in self._places:
            raise GraphError(
                f"node {place.name!r} is registered already; give the other place of the task a name of its own "
                "with name=..."
            )
        self._places[place.name] = place
        return self

    def copy(self) -> DataflowRegistry:
        """Return a registry with the same places."""
        other = DataflowRegistry()
        other._places = dict(self._places)
        return other

    def rename(self, names: Mapping[str, str]) -> DataflowRegistry:
        """Return a registry in which data has other names.

        :param names: New names by the old ones. Two things may get one name: then they are the same data.
        :raises GraphError: there is no data of an old name, or a new one is no name.
        """
        new = check_new_names(names, self.names)
        other = DataflowRegistry()
        other._places = {name: place.rename(new) for name, place in self._places.items()}
        return other

    @property
    def names(self) -> tuple[str, ...]:
        """The names of everything that the tasks produce and can take, parameters with a default among them."""
        return tuple(dict.fromkeys(name for place in self._places.values() for name in place.list_names()))

    @property
    def places(self) -> tuple[Place, ...]:
        """All places, in the order in which they were added."""
        return tuple(self._places.values())

    @property
    def tasks(self) -> Mapping[str, Any]:
        """The tasks, by the name of their node."""
        return MappingProxyType(
            {
                name: task_of(place.task)
                for name, place in self._places.items()
                if isinstance(place, TaskPlace)
            }
        )

    @property
    def producers(self) -> Mapping[str, str]:
        """The node that produces each name."""
        found: dict[str, str] = {}
        for place in self._places.values():
            for output in place.outputs:
                found.setdefault(output, place.name)
        return MappingProxyType(found)

    @property
    def consumers(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that take each name, in the order in which they were added."""
        found: dict[str, dict[str, None]] = {}
        for place, needs in self._wire():
            for need in needs:
                found.setdefault(need.data, {})[place.name] = None
        return MappingProxyType({data: tuple(nodes) for data, nodes in found.items()})

    @property
    def external_inputs(self) -> tuple[str, ...]:
        """The names that are needed and have no producer, in the order in which they are needed."""
        return tuple(self._inputs())

    @property
    def graph(self) -> Graph:
        """The graph; all data that any task produces is an output."""
        return self.build_graph()

    def build_graph(
        self,
        outputs: Iterable[str] | None = None,
        *,
        name: str = "",
        on_error: ErrorMode = "stop",
        timeout: float | None = None,
        retry: Mapping[str, Any] | None = None,
        serializer: str | None = None,
    ) -> Graph:
        """Compile to a graph.

        :param outputs: The outputs to produce; only tasks that they need are kept. By default everything that any
            task produces.
        :param name: For people.
        :param on_error: The effect of a final failure on the rest of the run.
        :param timeout: Seconds that a run may take.
        :param retry: Options of the retry policy for nodes whose task has none.
        :param serializer: The serializer of outputs for nodes whose task sets none.
        :raises GraphError: with every problem of the graph.
        """
        if not self._places:
            raise GraphError("there is no task to build a graph of; register one first")
        produced = self.producers
        inputs = self._inputs()
        wiring = self._find_sources(inputs)
        nodes: list[Node] = []
        for place, needs in self._wire():
            existing = {need.data: wiring[need.data] for need in needs}
            if isinstance(place, GraphPlace):
                nodes += place.nodes(existing.get, retry, serializer)
            else:
                nodes.append(place.node(existing, retry, serializer))
        annotations = input_annotations(nodes)
        graph = build_graph(
            nodes,
            inputs={
                data: InputSpec(required=required, annotation=annotations.get(data))
                for data, required in inputs.items()
            },
            outputs={data: wiring[data] for data in produced},
            name=name,
            on_error=on_error,
            timeout=timeout,
        )
        return graph if outputs is None else subgraph_for(graph, read_outputs(outputs))

    def _find_sources(self, inputs: Iterable[str]) -> dict[str, Source]:
        """Return the source of everything that exists, by name.

        :raises GraphError: a whole pipeline produces what something else produces too, or passes on its own output.
        """
        sources: dict[str, Source] = {data: Input(data) for data in inputs}
        parts: dict[str, GraphPlace] = {}
        owners: dict[str, Place] = {}
        problems: list[str] = []
        for place in self._places.values():
            for data in place.outputs:
                owner = owners.setdefault(data, place)
                if owner is not place and (isinstance(place, GraphPlace) or data in parts):
                    problems.append(
                        f"{data!r} is produced by {owner.name!r} and {place.name!r}; rename one of these outputs"
                    )
                elif isinstance(place, GraphPlace):
                    parts[data] = place
                else:
                    # Of two nodes that produce the same, the check of the graph tells.
                    sources.setdefault(data, Output(place.name, data))
        if problems:
            raise GraphError(problems)
        waiting: list[str] = []

        def find(data: str) -> Source | None:
            if data not in sources and data in parts:
                if data in waiting:
                    circle = " -> ".join([*waiting[waiting.index(data) :], data])
                    raise GraphError(f"data is passed on in a circle: {circle}; take one of these links out")
                waiting.append(data)
                sources[data] = parts[data].source(data, find)
                waiting.pop()
            return sources.get(data)

        for data in parts:
            find(data)
        return sources

    def _inputs(self) -> dict[str, bool]:
        """Return the graph's inputs, and whether each is required."""
        produced = self.producers
        found: dict[str, bool] = {}
        for place in self._places.values():
            for need in place.needs:
                if need.data not in produced and (need.required or need.declared):
                    found[need.data] = found.get(need.data, False) or need.required
        return found

    def _wire(self) -> Iterator[tuple[Place, tuple[Need, ...]]]:
        """Yield every place with those of its needs for which there is data."""
        exists = self.producers.keys() | self._inputs().keys()
        for place in self._places.values():
            yield (
                place,
                tuple(
                    need
                    for need in (*place.needs, *place.defaults)
                    if need.required
                    or need.declared
                    # The task's own outputs do not replace the default of a parameter.
                    or (need.data in exists and need.data not in place.outputs)
                ),
            )


def read_outputs(outputs: Iterable[str]) -> tuple[str, ...]:
    """Read the outputs that a user wants of a graph.

    :raises GraphError: it is no list of names, or an empty one.
    """
    if isinstance(outputs, str):
        raise GraphError(f"outputs is {outputs!r}; give a list of names, such as [{outputs!r}]")
    wanted = tuple(map(normalise, outputs)) if isinstance(outputs, Iterable) else ()
    if not wanted and isinstance(outputs, Iterable):
        raise GraphError("outputs is empty; name what is wanted, or leave outputs out to get everything")
    if not wanted or not all(isinstance(name, str) for name in wanted):
        raise GraphError(f"outputs is {outputs!r}; give a list of names, such as ['report']")
    return wanted
