"""Pipelines that are wired by the names of the data that tasks produce and take."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve
from typing_extensions import Never, Self

from taskiq_flow._earlier_names import explain_arguments
from taskiq_flow._words import Suggestions, quote
from taskiq_flow.builders.builder import Builder
from taskiq_flow.builders.kicker import StartOptions
from taskiq_flow.builders.lists import Lists, check_sizes
from taskiq_flow.builders.maps import map_outputs, read_body, tree_place
from taskiq_flow.builders.named import NamedTask
from taskiq_flow.builders.parts import DataflowParts
from taskiq_flow.builders.skipping import SkipErrors, Skipping
from taskiq_flow.errors import GraphError, PluginError
from taskiq_flow.graph.model import Graph
from taskiq_flow.tasks.annotations import name_of, signature_of, spec_of
from taskiq_flow.tasks.names import check_declared_names, normalise
from taskiq_flow.wiring.naming import Names, is_data_name
from taskiq_flow.wiring.options import broker_problem
from taskiq_flow.wiring.parts import Place
from taskiq_flow.wiring.places import MapPlace, TaskPlace
from taskiq_flow.wiring.registry import DataflowRegistry, read_outputs

if TYPE_CHECKING:
    from taskiq import AsyncBroker

    from taskiq_flow.discoverer import Discoverer
    from taskiq_flow.handle import RunHandle

__all__ = ["DataflowPipeline"]


class DataflowPipeline(DataflowParts):
    """A pipeline whose tasks find each other by the names of the data.

    A parameter receives the data that is produced under its name; a name without a producer is an input of the
    pipeline::

        pipeline = DataflowPipeline.from_tasks(broker, [list_tracks])
        pipeline.map(extract, over="tracks", output="features").reduce(summarise, over="features", output="summary")
        outputs = await pipeline.kiq_dataflow(folder="/music")

    :param broker: The broker whose tasks are used.
    :param outputs: The outputs to produce; tasks that they do not need are left out. By default everything that any
        task produces.
    :param name: For people.
    """

    def __init__(self, broker: AsyncBroker, *, outputs: Iterable[str] | None = None, name: str = "") -> None:
        super().__init__(broker, name=name)
        self._outputs = None if outputs is None else read_outputs(outputs)
        self._wants_what_is_added = False
        self._registry = DataflowRegistry()
        self._names = Names()
        self._foreign: list[str] = []

    @classmethod
    def from_tasks(
        cls,
        broker: AsyncBroker,
        tasks: Iterable[Any],
        *,
        outputs: Iterable[str] | None = None,
        name: str = "",
    ) -> Self:
        """Make a pipeline of tasks, wired by their decorators and signatures.

        :param broker: The broker whose tasks they are.
        :param tasks: Decorated tasks, kickers of them, whole pipelines, or what :func:`~taskiq_flow.name_task` returns,
            in any order.
        :param outputs: The outputs to produce; by default everything that any task produces.
        :param name: For people.
        :raises GraphError: with the problems of all tasks.
        """
        pipeline = cls(broker, outputs=outputs, name=name)
        if isinstance(tasks, str) or not isinstance(tasks, Iterable):
            raise GraphError(
                f"expected a list of tasks, found {type(tasks).__name__}; put the tasks into a list"
            )
        problems: list[str] = []
        for task in tasks:
            try:
                if isinstance(task, (NamedTask, Builder)):
                    pipeline.add(task)
                    continue
                pipeline._registry.register_task_from_object(task)
                pipeline._names.give(name_of(task))
                pipeline._check_broker(task)
            except GraphError as error:
                problems.extend(error.problems)
        if problems:
            raise GraphError(problems)
        return pipeline

    @classmethod
    def from_registry(
        cls,
        broker: AsyncBroker,
        registry: DataflowRegistry,
        outputs: Iterable[str] | None = None,
        *,
        name: str = "",
    ) -> Self:
        """Make a pipeline of the current content of a registry.

        :param broker: The broker whose tasks they are.
        :param registry: A registry, which is copied: later changes of it do not reach the pipeline.
        :param outputs: The outputs to produce; by default everything that any task produces.
        :param name: For people.
        :raises GraphError: it is no registry, or the outputs are no names.
        """
        if not isinstance(registry, DataflowRegistry):
            raise GraphError(
                f"expected a DataflowRegistry, found {type(registry).__name__}; give the broker first, and then the "
                "registry"
            )
        pipeline = cls(broker, outputs=outputs, name=name)
        pipeline._registry = registry.copy()
        for place in pipeline._registry.places:
            pipeline._names.give(place.name)
            if isinstance(place, TaskPlace):
                pipeline._check_broker(place.task)
        return pipeline

    @classmethod
    def from_installed(
        cls,
        broker: AsyncBroker | None = None,
        *,
        outputs: Iterable[str],
        prefer: Mapping[str, str] | None = None,
        discoverer: Discoverer | str | None = None,
        name: str = "",
    ) -> Self:
        """Make the smallest pipeline of tasks in installed distributions that produces the given outputs.

        Data that the tasks need and none of them produces is an input. The outputs of tasks that are added to the
        pipeline later are produced as well. The chosen tasks are registered with the broker; a worker process
        registers all discovered tasks if its flow was made with ``discover=True``.

        :param broker: The broker that runs them, by default the one that taskiq's shared tasks are sent with
            (``async_shared_broker.default_broker(…)``), or a new one in memory if there is none.
        :param outputs: The outputs to produce.
        :param prefer: For names that several tasks produce: the distribution or the task to choose, by name.
        :param discoverer: The discoverer of the tasks, by default that of the broker's flow, or the configured one.
        :param name: For people.
        :raises GraphError: an output has no producer or several; the error lists the searched distributions and
            those that cannot be used.
        :raises PluginError: there is no such discoverer.
        """
        from taskiq_flow.discovery import catalogue_for, usual_broker
        from taskiq_flow.discovery.choosing import choose

        wanted = read_outputs(outputs)
        broker = usual_broker() if broker is None else broker
        pipeline = cls(broker, outputs=wanted, name=name)
        problems: list[str] = []
        for task in choose(catalogue_for(broker, discoverer or True), wanted, prefer):
            try:
                place = evolve(task.place, name=pipeline._names.give(task.place.name), task=task.bind(broker))
                pipeline._registry.add(place)
            except GraphError as error:
                problems.extend(error.problems)
            except PluginError as error:
                problems.append(str(error))
        if problems:
            raise GraphError(problems)
        pipeline._wants_what_is_added = True
        return pipeline

    @explain_arguments
    def map(
        self,
        task: Any,
        over: str | Sequence[str] | Mapping[str, str],
        output: str | None = None,
        *,
        outputs: Iterable[str] | None = None,
        item_param: str | Sequence[str] | None = None,
        product: bool = False,
        strict: bool = True,
        chunk: int | None = None,
        max_parallel: int | None = None,
        skip_errors: SkipErrors = False,
        name: str | None = None,
    ) -> Self:
        """Apply a task or a whole pipeline to each element of a list, of a dictionary, or of several lists.

        The body's other inputs are found by name, and are the same for every element. A map over a dictionary gives a
        dictionary with the same keys.

        :param task: A task, a kicker, or a pipeline, whose current graph is used.
        :param over: The name of the list: an output of a task, or an input; or several names, whose lists are gone
            through together; or a dictionary of names by the parameter that takes the elements.
        :param output: The name of the list of results.
        :param outputs: Several names, when the body produces several things.
        :param item_param: The parameter that takes the element, by default the first one; for a pipeline the input
            that takes it, by default its only required one. For several lists, a name for each.
        :param product: Apply it to every combination of the elements of several lists; those of the last list change
            fastest.
        :param strict: Fail the map if several lists have different lengths; otherwise it ends with the shortest one.
        :param chunk: Hand over lists of up to so many elements instead of single ones; there is a result for each.
        :param max_parallel: How many elements may be worked on at once.
        :param skip_errors: ``True`` leaves out elements that failed, instead of failing; ``"none"`` puts ``None`` in
            their place, ``"failure"`` their :class:`~taskiq_flow.Failure`.
        :param name: The node's name.
        :returns: The pipeline.
        :raises GraphError: the names do not fit the body, or the node's name is in use.
        """
        wanted = check_declared_names(output=output, outputs=outputs).get("outputs")
        skipping = Skipping.read(skip_errors)
        lists = Lists.read(over, item_param, option="item_param")
        check_sizes(chunk=chunk)
        self._check_broker(task, ", ".join(lists.names))
        body = read_body(task, lists, silent=wanted is None)
        produced, collects = map_outputs(body, wanted)
        place = MapPlace(
            name=self._node_name(name, body.name),
            body=body.graph,
            lists=dict(zip(body.items, lists.names, strict=True)),
            outputs=produced,
            collects=collects,
            declared=body.declared,
            product=product,
            strict=strict,
            chunk=chunk,
            max_parallel=max_parallel,
            skip_errors=skipping.skip_errors,
            fills=skipping.fills,
            description=body.description,
        )
        return self._add(place)

    @explain_arguments
    def reduce(
        self,
        task: Any,
        over: str,
        output: str | None = None,
        *,
        outputs: Iterable[str] | None = None,
        param_name: str | None = None,
        tree: bool = False,
        fan_in: int | None = None,
        name: str | None = None,
    ) -> Self:
        """Apply a task or a whole pipeline to a whole list; for an associative one also in a tree, on many workers.

        In a tree the task gets lists of up to ``fan_in`` consecutive elements, then lists of what it returned for
        these, in order, until one value is left. It is applied at least once: to a list of one element, or to an empty
        one.

        :param task: A task, a kicker, or a pipeline.
        :param over: The name of the list: an output of a task, or an input.
        :param output: The name of the result, by default the one in the task's decorator, or the function's name.
        :param outputs: Several names; the result is unpacked into them.
        :param param_name: The parameter that takes the list, by default the one with the list's name, or the first; for
            a pipeline the input that takes it, by default its only required one.
        :param tree: Combine in a tree.
        :param fan_in: How many values are combined at once in a tree, 2 by default; giving it implies ``tree``.
        :param name: The node's name.
        :returns: The pipeline.
        :raises GraphError: the task has no such parameter, or the node's name is in use.
        """
        over, param_name = self._data_name(over), normalise(param_name)
        if isinstance(task, Builder):
            return self._add_taking(task, over, param_name, output=output, outputs=outputs, name=name)
        wanted = check_declared_names(output=output, outputs=outputs).get("outputs")
        self._check_broker(task)
        spec, signature = spec_of(task), signature_of(task)
        node = self._node_name(name, name_of(task))
        parameters = signature.by_name
        if param_name is not None and param_name not in parameters:
            raise GraphError(
                f"task {name_of(task)!r} has no parameter {param_name!r} for the list; its parameters are "
                f"{quote(parameters) or '(none)'}{Suggestions(parameters).hint(param_name)}"
            )
        given: dict[str, str] = {}
        if param_name is not None or not (over in (spec.inputs or ()) or over in parameters):
            if not parameters:
                raise GraphError(
                    f"task {name_of(task)!r} has no parameter that could take {over!r}; give it one"
                )
            given[param_name or next(iter(parameters))] = over
        default = () if signature.returns is type(None) else (node,)
        if tree or fan_in is not None:
            taker = next(iter(given), None) or over
            return self._add(tree_place(task, node, over, taker, fan_in, wanted or spec.outputs or (node,)))
        place = TaskPlace.of(
            task,
            name=node,
            outputs=wanted or spec.outputs or default,
            inputs=spec.inputs,
            given=given,
            description=spec.description,
        )
        return self._add(place)

    async def kiq(self, /, *unnamed: Never, **inputs: Any) -> RunHandle[dict[str, Any]]:
        """Start a run.

        :param inputs: A value for each input; those of parameters with a default may be left out. Data that a task
            would produce may be given too: then what only it needs is not run.
        :returns: A handle; its result is a dictionary of the outputs.
        :raises GraphError: the graph has problems, or inputs are missing or unknown.
        """
        handle: RunHandle[dict[str, Any]] = await self.start(unnamed, inputs, StartOptions())
        return handle

    async def kiq_dataflow(self, /, *unnamed: Never, **inputs: Any) -> dict[str, Any]:
        """Run the pipeline and wait for it.

        :param inputs: A value for each input; those of parameters with a default may be left out. Data that a task
            would produce may be given too: then what only it needs is not run.
        :returns: The outputs, by name.
        :raises GraphError: the graph has problems, or inputs are missing or unknown.
        :raises Exception: the exception of the failed task, if its class can be imported.
        """
        handle = await self.kiq(*unnamed, **inputs)
        outputs: dict[str, Any] = await handle.result()
        return outputs

    def run(self, /, *unnamed: Never, **inputs: Any) -> dict[str, Any]:
        """Run the pipeline from a script without an event loop, and return its outputs by name.

        The broker is started before and shut down after the run.

        :param inputs: A value for each input; those of parameters with a default may be left out.
        :raises GraphError: the graph has problems, or inputs are missing or unknown.
        :raises RuntimeError: an event loop runs in this thread.
        :raises Exception: the exception of the failed task, if its class can be imported.
        """
        outputs: dict[str, Any] = self.kicker().run(*unnamed, **inputs)
        return outputs

    def _prepare(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Graph, Mapping[str, Any], str | None]:
        if args:
            raise GraphError(
                f"a DataflowPipeline takes its inputs by name, found {len(args)} by position; "
                f"its inputs are {quote(self.graph.inputs) or '(none)'}"
            )
        return *self._read_inputs(kwargs), None

    def _detach(self) -> None:
        self._registry = self._registry.copy()
        self._names = copy.deepcopy(self._names)
        self._foreign = [*self._foreign]

    def _compile(self) -> Graph:
        if self._foreign:
            raise GraphError(self._foreign)
        return self._registry.build_graph(
            self._outputs,
            name=self.name,
            on_error=self._on_error or "stop",
            timeout=self._timeout,
            retry=self._retry,
            serializer=self._serializer,
        )

    def _name_wanted(self) -> tuple[str, ...] | None:
        return self._outputs

    def _rename(self, names: Mapping[str, str]) -> None:
        known = self._registry.names  # what follows others may take more
        self._registry = self._registry.rename({old: new for old, new in names.items() if old in known})
        if self._outputs is not None:
            self._outputs = tuple(names.get(name, name) for name in self._outputs)

    def _list_names(self) -> Iterable[str]:
        more = (name for step in self._follow_ups for name in step.list_defaults().values())
        return dict.fromkeys((*self._registry.names, *more))

    def _list_products(self) -> Iterable[str]:
        return self._registry.producers.keys()

    def _add(self, place: Place) -> Self:
        self._registry.add(place)
        if self._wants_what_is_added and self._outputs is not None:
            self._outputs += place.outputs
        return self._forget_graph()

    def _check_broker(self, task: Any, over: str = "") -> None:
        problem = None
        if not isinstance(task, Builder):
            problem = broker_problem(self.broker, task)
        elif task.broker is not self.broker:
            problem = f"the pipeline for the items of {over!r} has another broker; give both the same"
        if problem is not None:
            self._foreign.append(problem)

    def _node_name(self, given: str | None, base: str) -> str:
        name = self._names.give(given or base)
        # A name from the user is not changed; if it is in use, the registry raises the error.
        return name if given is None else given

    @staticmethod
    def _data_name(over: object) -> str:
        if isinstance(over, str) and is_data_name(over):
            return str(normalise(over))
        raise GraphError(f"over is {over!r}; give the name of the list")
