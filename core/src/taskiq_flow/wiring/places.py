"""Places in a dataflow before it is compiled: their needs, their outputs, and the nodes they become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union
from typing import Literal as OneOf

from attrs import evolve, field, frozen

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.build import build_graph
from taskiq_flow.graph.model import Graph, Input, InputSpec, Literal, MapNode, Output, Source, TaskNode
from taskiq_flow.graph.tolerance import tolerant_parameters
from taskiq_flow.tasks.annotations import signature_of
from taskiq_flow.wiring.binding import Need, needs_of, rename_needs
from taskiq_flow.wiring.given import free_inputs, graph_given
from taskiq_flow.wiring.naming import Names, is_data_name
from taskiq_flow.wiring.options import find_registered_name, graph_with_defaults, node_options
from taskiq_flow.wiring.values import literal

__all__ = ["MapPlace", "Retry", "TaskPlace", "Wiring", "body_of_task"]

Retry = Union[Mapping[str, Any], None]
"""The retry options of a pipeline."""

Wiring = Mapping[str, Source]
"""A source for each name of data that exists."""


@frozen(kw_only=True)
class TaskPlace:
    """A task at a node.

    :param name: The node's name.
    :param task: A task or a kicker.
    :param outputs: Names of the data that it produces.
    :param needs: The data that it takes.
    :param description: For people.
    :param other_names: Names for parameters with a default that are no needs, by parameter.
    :param bound: Fixed values, by parameter.
    """

    name: str
    task: Any
    outputs: tuple[str, ...]
    needs: tuple[Need, ...]
    description: str = ""
    other_names: Mapping[str, str] = field(factory=dict)
    bound: Mapping[str, Literal] = field(factory=dict)

    @classmethod
    def of(
        cls,
        task: Any,
        *,
        name: str,
        outputs: tuple[str, ...],
        inputs: tuple[str, ...] | None,
        given: Mapping[str, str] | None = None,
        description: str = "",
    ) -> TaskPlace:
        """Make a place, binding the inputs.

        :param given: Data for some of the parameters, by parameter.
        :raises GraphError: inputs or outputs do not fit the task.
        """
        signature = signature_of(task)
        _check_arity(name, outputs, task)
        needs = needs_of(name, signature, inputs, given)
        return cls(name=name, task=task, outputs=outputs, needs=needs, description=description)

    def node(self, wiring: Wiring, retry: Retry, serializer: str | None = None) -> TaskNode:
        """Return the node, wired to the data that exists."""
        signature = signature_of(self.task)
        params = {
            **{need.parameter: wiring[need.data] for need in self.needs if need.data in wiring},
            **self.bound,
        }
        return TaskNode(
            name=self.name,
            task=find_registered_name(self.task),
            params=params,
            tolerates=tolerant_parameters(params, signature.accepts),
            optional=frozenset(
                need.parameter for need in self.needs if not need.required and need.data in wiring
            ),
            outputs=self.outputs,
            options=node_options(self.task, retry=retry, serializer=serializer),
            description=self.description,
            accepts=signature.accepts,
            returns=signature.returns_for(self.outputs),
            free={
                parameter: data
                for parameter, data in self._defaults().items()
                if data not in wiring and data not in self.outputs
            },
        )

    def wire(self, data: Mapping[str, str], values: Mapping[str, Any]) -> TaskPlace:
        """Return the place with its own data, or fixed values, for some parameters.

        :param data: Names of data, by parameter.
        :param values: Values, by parameter.
        :raises GraphError: there is no such parameter, one has both, or a value has no JSON form.
        """
        signature = signature_of(self.task)
        parameters, like = signature.by_name, Suggestions(signature.names)
        problems = [
            f"node {self.name!r} has no parameter {name!r}; its parameters are {quote(parameters) or '(none)'}"
            f"{like.hint(str(name))}"
            for name in (*data, *values)
            if name not in parameters and not signature.extra_keywords
        ]
        problems += [
            f"parameter {name!r} of node {self.name!r} has data and a value; give it one of them"
            for name in data
            if name in values
        ]
        problems += [
            f"parameter {parameter!r} of node {self.name!r} takes {name!r}; give the name of data, such as 'raw'"
            for parameter, name in data.items()
            if not is_data_name(name)
        ]
        if problems:
            raise GraphError(problems)
        needs = {need.parameter: need for need in self.needs if need.parameter not in values}
        for name, each in data.items():
            required = name in parameters and not parameters[name].has_default
            needs[name] = Need(name, each, required, declared=True)
        bound = {name: literal(value, parameter=name, task=self.name) for name, value in values.items()}
        return evolve(self, needs=tuple(needs.values()), bound={**self.bound, **bound})

    @property
    def defaults(self) -> tuple[Need, ...]:
        """Nothing: parameters with a default are among the needs."""
        return ()

    def list_names(self) -> tuple[str, ...]:
        """Return the names of all data that it can take, and of what it produces."""
        return (*(need.data for need in self.needs), *self._defaults().values(), *self.outputs)

    def rename(self, names: Mapping[str, str]) -> TaskPlace:
        """Return the place with other names for data.

        :param names: New names by the old ones.
        """
        return evolve(
            self,
            outputs=tuple(names.get(name, name) for name in self.outputs),
            needs=rename_needs(self.needs, names),
            other_names={parameter: names.get(name, name) for parameter, name in self._defaults().items()},
        )

    def _defaults(self) -> dict[str, str]:
        """Return the parameters with a default, each with the name of the data that replaces it."""
        data = {**self.other_names, **{need.parameter: need.data for need in self.needs}}
        parameters = signature_of(self.task).parameters
        return {
            each.name: data.get(each.name, each.name)
            for each in parameters
            if each.has_default and each.name not in self.bound
        }


@frozen(kw_only=True)
class MapPlace:
    """A body graph that is applied to each item of a list, or of several.

    :param name: The node's name.
    :param body: The graph for one item.
    :param lists: The name of each list, by the body's input that takes its items.
    :param outputs: Names of the lists that are produced.
    :param collects: For each list the body's output that it collects.
    :param declared: The body's inputs that the user has named.
    :param keep: As in :class:`~taskiq_flow.graph.MapNode`.
    :param names: Names of data for what the body takes, where they differ from its own.
    :param fills: What stands in the place of an item that failed; empty for nothing.
    """

    name: str
    body: Graph
    lists: Mapping[str, str]
    outputs: tuple[str, ...]
    collects: tuple[str, ...]
    declared: frozenset[str] = frozenset()
    product: bool = False
    strict: bool = True
    chunk: int | None = None
    keep: OneOf["values", "items", "one"] = "values"
    max_parallel: int | None = None
    skip_errors: bool = False
    fills: OneOf["", "none", "failure"] = ""
    description: str = ""
    names: Mapping[str, str] = field(factory=dict)
    needs: tuple[Need, ...] = field(init=False)

    @needs.default
    def _needs(self) -> tuple[Need, ...]:
        # The map's own outputs do not replace the default of an input.
        shared = (
            Need(
                name,
                data,
                required=spec.required,
                declared=name in self.declared and data not in self.outputs,
            )
            for name, spec in self.body.inputs.items()
            if name not in self.lists
            for data in (self.names.get(name, name),)
        )
        return (*(Need(item, over, declared=True) for item, over in self.lists.items()), *shared)

    @property
    def defaults(self) -> tuple[Need, ...]:
        """What the body leaves at a default, which takes an input of that name as a parameter of a task does."""
        return tuple(Need(name, data, required=False) for name, data in self._free_names().items())

    def node(self, wiring: Wiring, retry: Retry, serializer: str | None = None) -> MapNode:
        """Return the node, wired to the data that exists."""
        opened = [need.parameter for need in self.defaults if isinstance(wiring.get(need.data), Input)]
        needs = (*self.needs[len(self.lists) :], *self.defaults)
        shared = [
            need
            for need in needs
            if need.data in wiring and (need.parameter in self.body.inputs or need.parameter in opened)
        ]
        body = graph_given(self.body, opened, tuple(self.body.outputs)) if opened else self.body
        (item, over), *also = self.lists.items()
        return MapNode(
            name=self.name,
            body=graph_with_defaults(body, retry, None, serializer),
            items=wiring[over],
            item=item,
            also={each: wiring[name] for each, name in also},
            join="product" if self.product else "zip",
            strict=self.strict,
            chunk=self.chunk,
            params={need.parameter: wiring[need.data] for need in shared},
            optional=frozenset(need.parameter for need in shared if not need.required),
            outputs=self.outputs,
            collects=self.collects,
            keep=self.keep,
            max_parallel=self.max_parallel,
            skip_errors=self.skip_errors,
            fills=self.fills,
            description=self.description,
            free={name: data for name, data in self.names.items() if data not in wiring},
        )

    def list_names(self) -> tuple[str, ...]:
        """Return the names of all data that it can take, and of what it produces."""
        return (*(need.data for need in self.needs), *self._free_names().values(), *self.outputs)

    def rename(self, names: Mapping[str, str]) -> MapPlace:
        """Return the place with other names for data.

        :param names: New names by the old ones.
        """
        data = {**{need.parameter: need.data for need in self.needs[len(self.lists) :]}, **self._free_names()}
        return evolve(
            self,
            lists={item: names.get(over, over) for item, over in self.lists.items()},
            outputs=tuple(names.get(name, name) for name in self.outputs),
            names={inner: names.get(name, name) for inner, name in data.items()},
        )

    def _free_names(self) -> dict[str, str]:
        return {name: self.names.get(name, name) for name in free_inputs(self.body)}


def _check_arity(name: str, outputs: tuple[str, ...], task: object) -> None:
    """Compare the number of outputs with the task's return annotation.

    :raises GraphError: they contradict each other.
    """
    try:
        signature_of(task).returns_for(outputs)
    except ValueError as error:
        raise GraphError(
            f"node {name!r} produces {len(outputs)} outputs ({quote(outputs)}), but its task returns {error}; "
            "let it return one element for each output"
        ) from None


def body_of_task(place: TaskPlace) -> Graph:
    """Return a graph that applies one task, with an input for each of the task's needs."""
    signature = signature_of(place.task)
    specs = {
        need.data: InputSpec(required=need.required, annotation=signature.accepts.get(need.parameter))
        for need in place.needs
    }
    names = Names(specs)
    renamed = TaskPlace(
        name=place.name,
        task=place.task,
        outputs=tuple(names.give(output) for output in place.outputs),
        needs=place.needs,
        description=place.description,
    )
    node = renamed.node({name: Input(name) for name in specs}, None)
    outputs: dict[str, Source] = {name: Output(node.name, name) for name in node.outputs}
    return build_graph([node], inputs=specs, outputs=outputs, name=place.name)
