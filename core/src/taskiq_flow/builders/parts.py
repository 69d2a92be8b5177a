"""Parts of a dataflow that are more than a task: whole pipelines, filters, branches, groups."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve
from typing_extensions import Self

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.builders.arguments import check_predicate
from taskiq_flow.builders.builder import Builder
from taskiq_flow.builders.graph_steps import describe_pipeline, read_graph
from taskiq_flow.builders.lists import Lists
from taskiq_flow.builders.maps import read_body
from taskiq_flow.builders.named import NamedTask
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Graph
from taskiq_flow.tasks.annotations import name_of, signature_of, spec_of
from taskiq_flow.tasks.names import check_declared_names
from taskiq_flow.wiring.binding import Need
from taskiq_flow.wiring.given import free_inputs, graph_given
from taskiq_flow.wiring.inlining import find_last_outputs
from taskiq_flow.wiring.naming import is_data_name
from taskiq_flow.wiring.parts import GraphPlace, Member, Place, branch_graph, group_graph
from taskiq_flow.wiring.places import MapPlace, TaskPlace
from taskiq_flow.wiring.registry import DataflowRegistry
from taskiq_flow.wiring.renaming import check_values, graph_bound
from taskiq_flow.wiring.values import literal

__all__ = ["DataflowParts"]


class DataflowParts(Builder):
    """The methods of a dataflow that add more than one node, or other nodes than those of tasks."""

    _registry: DataflowRegistry

    def add(
        self,
        task: Any,
        output: str | None = None,
        *,
        outputs: Iterable[str] | Mapping[str, str] | None = None,
        inputs: Iterable[str] | Mapping[str, str] | None = None,
        bind: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Self:
        """Add a task, or the tasks of a whole pipeline, wired by name.

        The tasks of a pipeline see nothing of this one but its inputs, and only its outputs are seen here. Its options
        stay its own. A pipeline is copied at that moment.

        :param task: A task, a kicker, or a pipeline.
        :param output: The name of the output; for a pipeline with several outputs, of the one that none of its tasks
            takes.
        :param outputs: Several names; for a pipeline also names by those that it has.
        :param inputs: Names of data by parameter, or by input of the pipeline; for a task also a list.
        :param bind: Fixed values, by parameter or by input.
        :param name: The node's name, or the word before the names of the pipeline's nodes.
        :returns: The pipeline.
        :raises GraphError: names do not fit, a value has no JSON form, or the pipeline cannot be a part of this one.
        """
        if isinstance(task, NamedTask):
            given = {"output": output, "outputs": outputs, "inputs": inputs, "bind": bind}
            wiring = {**task.wiring, **{word: value for word, value in given.items() if value is not None}}
            return self.add(task.task, name=name or task.name, **wiring)
        if isinstance(task, Builder):
            part = self._read_pipeline(task, name, output, outputs, inputs, bind)
            return self._add(part)
        self._check_broker(task)
        node = self._node_name(name, name_of(task))
        place = self._registry.make_place(
            task, output=output, outputs=outputs, inputs=inputs, bind=bind, name=node
        )
        return self._add(place)

    def filter(
        self,
        task: Any,
        over: str,
        output: str | None = None,
        *,
        item_param: str | None = None,
        max_parallel: int | None = None,
        skip_errors: bool = False,
        name: str | None = None,
    ) -> Self:
        """Keep the elements of a list for which a task or a whole pipeline returns something true.

        :param task: A task, a kicker, or a pipeline, whose current graph is used.
        :param over: The name of the list: an output of a task, or an input.
        :param output: The name of the list of elements that are kept, by default the node's name.
        :param item_param: The parameter that takes the element, by default the first one; for a pipeline the input
            that takes it, by default its only required one.
        :param max_parallel: How many elements may be tested at once.
        :param skip_errors: Leave out elements whose test failed, instead of failing.
        :param name: The node's name.
        :returns: The pipeline.
        :raises GraphError: the names do not fit the body, or the node's name is in use.
        """
        wanted = check_declared_names(output=output).get("outputs")
        over = self._data_name(over)
        self._check_broker(task, over)
        body = read_body(task, Lists.read(over, item_param, option="item_param"), silent=False)
        last = find_last_outputs(body.graph)
        if len(last) != 1:
            raise GraphError(
                f"filter {body.name!r} needs one answer for each item, and its body produces {quote(last)}; choose one "
                "of them where that pipeline is made"
            )
        node = self._node_name(name, body.name)
        place = MapPlace(
            name=node,
            body=body.graph,
            lists={body.items[0]: over},
            outputs=wanted or (node,),
            collects=last,
            keep="items",
            declared=body.declared,
            max_parallel=max_parallel,
            skip_errors=skip_errors,
            description=body.description,
        )
        return self._add(place)

    def branch(
        self,
        predicate: Any,
        then: Any,
        otherwise: Any = None,
        output: str | None = None,
        *,
        outputs: Iterable[str] | None = None,
        name: str | None = None,
    ) -> Self:
        """Let a task decide which of two sides runs; the output is that of the side that ran.

        Each side takes what it needs by name. Where no side is for an answer, there is no output: tasks that require it
        are skipped.

        :param predicate: A task that returns a bool.
        :param then: A task, a kicker, a pipeline, or the name of data that is passed on, for ``True``.
        :param otherwise: The same for ``False``.
        :param output: The name of the output, by default that of both sides if they agree.
        :param outputs: Several names, when the sides produce several things.
        :param name: A word before the names of the nodes.
        :returns: The pipeline.
        :raises GraphError: the names do not fit, or both sides pass data on.
        """
        if isinstance(getattr(predicate, "task", predicate), Builder):
            raise GraphError("the predicate of a branch is a task, found a pipeline; let one task decide")
        sides = {True: then} if otherwise is None else {True: then, False: otherwise}
        if all(isinstance(side, str) for side in sides.values()):
            raise GraphError(f"the sides of a branch are {quote(sides.values())}; let one of them be a task")
        wanted = check_declared_names(output=output, outputs=outputs).get(
            "outputs"
        ) or self._find_common_outputs(sides)
        judge = self._member(predicate, ("",), wanted)
        assert isinstance(judge, TaskPlace)
        problems: list[str] = []
        check_predicate(name_of(judge.task), signature_of(judge.task).returns, problems)
        if problems:
            raise GraphError(problems)
        members = {
            answer: self._data_name(side) if isinstance(side, str) else self._member(side, wanted, wanted)
            for answer, side in sides.items()
        }
        graph, needs = branch_graph(judge, members, wanted)
        return self._add_graph(name, judge.name, graph, needs)

    def group(self, *members: Any, output: str, name: str | None = None) -> Self:
        """Run several tasks or pipelines side by side; the output is the list of their results, in this order.

        :param members: Tasks, kickers, or pipelines; each takes what it needs by name.
        :param output: The name of the list.
        :param name: A word before the names of the nodes.
        :returns: The pipeline.
        :raises GraphError: there are no members, or something is no task.
        """
        wanted: tuple[str, ...] = check_declared_names(output=output)["outputs"]
        if not members:
            raise GraphError("the group has no members; give it tasks or pipelines")
        places = [self._member(member, ("",), wanted) for member in members]
        graph, needs = group_graph(places, output)
        return self._add_graph(name, places[0].name, graph, needs)

    def _add_taking(self, pipeline: Builder, over: str, param_name: str | None, **words: Any) -> Self:
        """Add a pipeline one of whose inputs is some data.

        :param over: The name of the data.
        :param param_name: The input; ``None`` for the only required one.
        """
        inputs = read_graph(pipeline, self.broker).inputs
        required = [name for name, spec in inputs.items() if spec.required]
        candidates = required or list(inputs)
        if param_name is None and len(candidates) != 1:
            raise GraphError(
                f"{describe_pipeline(pipeline.name)} has the inputs {quote(candidates) or '(none)'}; say with "
                f"param_name which one takes {over!r}"
            )
        return self.add(pipeline, inputs={param_name or candidates[0]: over}, **words)

    def _add_graph(self, name: str | None, default: str, graph: Graph, needs: tuple[Need, ...]) -> Self:
        return self._add(
            GraphPlace(
                name=name or default,
                graph=graph,
                data={each: each for each in graph.outputs},
                needs=needs,
                prefix=name or "",
            )
        )

    def _find_common_outputs(self, sides: Mapping[bool, Any]) -> tuple[str, ...]:
        """Return the outputs that all sides of a branch have.

        :raises GraphError: they differ.
        """
        found = {
            tuple(find_last_outputs(side.graph)) if isinstance(side, Builder) else _own_outputs(side)
            for side in sides.values()
            if not isinstance(side, str)
        }
        if len(found) != 1:
            names = " and ".join(quote(each) or "nothing" for each in sorted(found))
            raise GraphError(
                f"the sides of the branch produce {names}; name what the branch produces with output=..."
            )
        return found.pop()

    def _member(self, member: Any, wanted: tuple[str, ...], taken: tuple[str, ...]) -> Member:
        """Return the place of a part of a branch or a group.

        :param wanted: As many names as it has to have outputs; what they are called inside does not matter.
        :param taken: Names that the outputs cannot have.
        """
        options = dict(member.wiring) if isinstance(member, NamedTask) else {}
        task = member.task if isinstance(member, NamedTask) else member
        name = member.name if isinstance(member, NamedTask) else None
        if isinstance(task, Builder):
            inner = self._read_pipeline(
                task, name, None, options.get("outputs"), options.get("inputs"), options.get("bind")
            )
            chosen = tuple(inner.data)
            if len(chosen) != len(wanted) and len(wanted) == 1:
                chosen = find_last_outputs(inner.graph)
            if len(chosen) != len(wanted):
                raise GraphError(
                    f"{describe_pipeline(task.name)} has the outputs {quote(inner.data) or '(none)'}, and "
                    f"{len(wanted)} {'is' if len(wanted) == 1 else 'are'} needed here; choose with outputs=[...]"
                )
            return evolve(inner, data={each: f"{inner.prefix}.{each}" for each in chosen})
        self._check_broker(task)
        node = self._node_name(name, name_of(task))
        plain = node if node not in taken else f"{node}_result"
        own = (plain,) if len(wanted) == 1 else tuple(f"{node}_{each}" for each in wanted)
        return self._registry.make_place(
            task, outputs=own or None, inputs=options.get("inputs"), bind=options.get("bind"), name=node
        )

    def _read_pipeline(
        self,
        pipeline: Builder,
        name: str | None,
        output: str | None,
        outputs: Iterable[str] | Mapping[str, str] | None,
        inputs: Iterable[str] | Mapping[str, str] | None,
        bind: Mapping[str, Any] | None,
    ) -> GraphPlace:
        """Return the place of a whole pipeline."""
        who = describe_pipeline(pipeline.name)
        if inputs is not None and not isinstance(inputs, Mapping):
            raise GraphError(
                f"inputs of {who} is {inputs!r}; give names of data by the pipeline's inputs, such as "
                "{'raw': 'audio'}"
            )
        data, fixed = dict(inputs or {}), check_values(bind)
        graph = read_graph(pipeline, self.broker)
        _check_known(who, graph, [*data, *fixed])
        problems = [
            f"input {each!r} of {who} takes {other!r}; give the name of data, such as 'raw'"
            for each, other in data.items()
            if not is_data_name(other)
        ]
        problems += [
            f"input {each!r} of {who} has data and a value; give it one of them"
            for each in data
            if each in fixed
        ]
        if problems:
            raise GraphError(problems)
        values = {each: literal(value, parameter=each, task=who) for each, value in fixed.items()}
        graph = graph_bound(graph_given(graph, data), values)
        exported = _export(who, graph, output, outputs)
        last = [exported[each] for each in find_last_outputs(graph) if each in exported] or [
            *exported.values()
        ]
        base = pipeline.name if is_data_name(pipeline.name) else (last or ["pipeline"])[0]
        prefix = self._node_name(name, base)
        needs = tuple(
            Need(each, data.get(each, each), required=spec.required, declared=each in data)
            for each, spec in graph.inputs.items()
        )
        return GraphPlace(name=prefix, graph=graph, data=exported, needs=needs, prefix=prefix)

    @abstractmethod
    def _add(self, place: Place) -> Self: ...

    @abstractmethod
    def _check_broker(self, task: Any, over: str = "") -> None: ...

    @abstractmethod
    def _node_name(self, given: str | None, base: str) -> str: ...

    @staticmethod
    @abstractmethod
    def _data_name(over: object) -> str: ...


def _own_outputs(task: Any) -> tuple[str, ...]:
    if isinstance(task, NamedTask):
        declared = check_declared_names(output=task.wiring.get("output"), outputs=task.wiring.get("outputs"))
        return declared.get("outputs") or _own_outputs(task.task)
    return spec_of(task).outputs or (() if signature_of(task).returns is type(None) else (name_of(task),))


def _check_known(who: str, graph: Graph, names: Iterable[str]) -> None:
    known = {**graph.inputs, **free_inputs(graph)}
    takes = f"it takes {quote(known)}" if known else "it takes no inputs"
    like = Suggestions(known)
    problems = [
        f"{who} has no input {name!r}; {takes}{like.hint(str(name))}" for name in names if name not in known
    ]
    if problems:
        raise GraphError(problems)


def _export(
    who: str, graph: Graph, output: str | None, outputs: Iterable[str] | Mapping[str, str] | None
) -> dict[str, str]:
    """Return the names in the dataflow, by the names of the pipeline's outputs.

    :raises GraphError: the names do not fit.
    """
    own = tuple(graph.outputs)
    if isinstance(outputs, Mapping):
        like = Suggestions(own)
        problems = [
            f"{who} has no output {name!r}; it has {quote(own)}{like.hint(str(name))}"
            for name in outputs
            if name not in own
        ]
        if problems:
            raise GraphError(problems)
        check_declared_names(output=output, outputs=outputs.values())
        return dict(outputs)
    wanted = check_declared_names(output=output, outputs=outputs).get("outputs")
    if wanted is None:
        return {name: name for name in own}
    if set(wanted) <= set(own):
        return {name: name for name in wanted}
    if not set(wanted) & set(own):
        for known in (own, find_last_outputs(graph)):
            if len(wanted) == len(known):
                return dict(zip(known, wanted, strict=True))
    raise GraphError(
        f"{who} shall produce {quote(wanted)}, but it has the outputs {quote(own)}; give one name for each of "
        "these, or choose with outputs={...}, by its own names"
    )
