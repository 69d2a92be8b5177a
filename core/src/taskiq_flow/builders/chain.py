"""Compiles the steps of a hand-chained pipeline to a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import evolve, frozen

from taskiq_flow._words import quote
from taskiq_flow.builders.arguments import arguments, check_arguments, check_predicate
from taskiq_flow.builders.graph_steps import enter, open_extra, sources_of
from taskiq_flow.builders.lists import takers_problem
from taskiq_flow.builders.steps import (
    BranchStep,
    CallStep,
    Chain,
    EachStep,
    GraphStep,
    GroupStep,
    InlineStep,
    Runnable,
    Step,
)
from taskiq_flow.builders.uses import TaskUse, TaskUses
from taskiq_flow.errors import GraphError
from taskiq_flow.graph._depth_checks import depth_problems
from taskiq_flow.graph.build import build_graph
from taskiq_flow.graph.model import (
    DEFAULT_OPTIONS,
    ErrorMode,
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
from taskiq_flow.graph.order import leaves
from taskiq_flow.graph.tolerance import tolerant_parameters
from taskiq_flow.tasks.annotations import name_of
from taskiq_flow.wiring.inlining import Inlining
from taskiq_flow.wiring.joins import alternatives, first_of, only_after
from taskiq_flow.wiring.naming import Names, is_data_name
from taskiq_flow.wiring.options import graph_with_defaults
from taskiq_flow.wiring.values import input_annotations

if TYPE_CHECKING:
    from taskiq import AsyncBroker

__all__ = ["Compiled", "compile_chain"]

_NONE: frozenset[str] = frozenset()
_VALUE, _ITEMS, _ITEM = "value", "items", "item"


@frozen(kw_only=True)
class Compiled:
    """A graph, and the order of its inputs.

    :param graph: The graph; it has one output.
    :param positional: Names of the inputs that may be given by position, in order.
    """

    graph: Graph
    positional: tuple[str, ...]


@frozen
class _Defaults:
    """Settings for some of the steps: those of one pipeline, or of one side of a branch."""

    retry: Mapping[str, Any] | None = None
    serializer: str | None = None
    on_error: ErrorMode | None = None
    when: Guard | None = None


class _Tail(NamedTuple):
    """The end of the chain so far. Every step makes one, so it is a tuple.

    :param value: The source of the value.
    :param after: Side effects that the next step waits for.
    """

    value: Source
    after: tuple[str, ...] = ()


class _GraphDraft:
    """One graph while it is made; the body of a map has a draft of its own."""

    def __init__(self, uses: TaskUses) -> None:
        self.uses = uses
        self.nodes: list[Node] = []
        self.inputs: dict[str, InputSpec] = {}
        self.positional: list[str] = []
        self._names = Names()

    def take(self, name: str, spec: InputSpec, *, by_position: bool = True) -> Source:
        """Declare an input."""
        self._names.give(name)
        self.inputs[name] = spec
        if by_position:
            self.positional.append(name)
        return Input(name)

    def begin(self, chain: Chain, defaults: _Defaults) -> _Tail:
        """Walk a chain from its first step, which decides the inputs."""
        first = chain.steps[0]
        if isinstance(first, InlineStep) and first.chain.steps:
            inner = first.chain.taking(first.param_name, first.extra)
            tail = self.begin(inner, self._inside(inner, defaults))
        elif isinstance(first, CallStep) and not first.aside:
            tail = self._first(first, defaults)
        elif isinstance(first, GraphStep):
            tail = self._first_graph(first, defaults)
        elif isinstance(first, EachStep) and first.lists is not None:
            tail = self._each(first, _Tail(Literal(None)), defaults)
        else:
            name = _ITEMS if isinstance(first, EachStep) else _VALUE
            tail = self.walk((first,), _Tail(self.take(name, InputSpec())), defaults)
        return self.walk(chain.steps[1:], tail, defaults)

    def walk(self, steps: Sequence[Step], tail: _Tail, defaults: _Defaults) -> _Tail:
        """Add steps that follow a value."""
        for step in steps:
            if isinstance(step, CallStep):
                tail = self._call(step, tail, defaults)
            elif isinstance(step, InlineStep):
                tail = self.apply(step.chain.taking(step.param_name, step.extra), tail, defaults)
            elif isinstance(step, GraphStep):
                tail = self._graph(step, tail, defaults)
            elif isinstance(step, EachStep):
                tail = self._each(step, tail, defaults)
            elif isinstance(step, GroupStep):
                tail = self._group(step, tail, defaults)
            else:
                tail = self._branch(step, tail, defaults)
        return tail

    def apply(self, runnable: Runnable, tail: _Tail, defaults: _Defaults) -> _Tail:
        """Pass the value to a task or to a whole pipeline."""
        if isinstance(runnable, Chain):
            return self.walk(runnable.steps, tail, self._inside(runnable, defaults))
        if isinstance(runnable, GraphStep):
            return self._graph(runnable, tail, defaults)
        return self._call(runnable, tail, defaults)

    def _inside(self, chain: Chain, defaults: _Defaults) -> _Defaults:
        if not chain.steps:
            self.uses.problems.append("a pipeline that is a step of this one has no steps; give it one")
        if chain.timeout is not None:
            self.uses.problems.append(
                f"a pipeline that is a step of this one has a time limit ({chain.timeout} seconds), which holds for "
                "runs; set it on the outer pipeline, or set the timeout of its tasks"
            )
        return _Defaults(
            defaults.retry if chain.retry is None else chain.retry,
            defaults.serializer if chain.serializer is None else chain.serializer,
            defaults.on_error if chain.on_error is None else chain.on_error,
            defaults.when,
        )

    def _first(self, step: CallStep, defaults: _Defaults) -> _Tail:
        """Add the first task, whose parameters are the inputs of the pipeline."""
        use = self.uses.of(step.task)
        check_arguments(use, step, self.uses.problems)
        params: dict[str, Source] = dict(step.extra)
        for parameter in use.signature.parameters:
            if parameter.name not in params:
                annotation = use.signature.accepts.get(parameter.name)
                spec = InputSpec(required=not parameter.has_default, annotation=annotation)
                params[parameter.name] = self.take(
                    parameter.name, spec, by_position=not parameter.keyword_only
                )
        return _Tail(self._node(use, step, params, _optional(use, step, params), (), defaults))

    def _call(self, step: CallStep, tail: _Tail, defaults: _Defaults) -> _Tail:
        use = self.uses.of(step.task)
        params: dict[str, Source]
        if not step.extra and step.param_name is None and not step.aside and use.first is not None:
            # The most frequent case by far, so it takes the short way.
            params, unfed = {use.first: tail.value}, use.unfed_behind_first
            optional, after = use.optional_first, tail.after
        else:
            params, unfed = arguments(use, step, tail.value, self.uses.problems)
            optional, after = _optional(use, step, params), tail.after
            if tail.value not in params.values():
                after = (*after, *_nodes_of(tail.value))
        if unfed:
            self.uses.problems.append(
                f"task {use.name!r} requires {quote(unfed)}, which the step does not give; "
                "add it as an extra argument of the step"
            )
        output = self._node(use, step, params, optional, after, defaults)
        return _Tail(tail.value, (output.node,)) if step.aside else _Tail(output)

    def _node(
        self,
        use: TaskUse,
        step: CallStep,
        params: dict[str, Source],
        optional: frozenset[str],
        after: tuple[str, ...],
        defaults: _Defaults,
    ) -> Output:
        name = self._names.give(use.name)
        output = Output(name, name)
        self.nodes.append(
            TaskNode(
                name=name,
                task=use.task,
                params=params,
                optional=optional,
                outputs=(name,),
                after=after,
                when=defaults.when,
                options=self.uses.options(step.task, defaults.retry, defaults.on_error, defaults.serializer),
                description=use.description,
                accepts=use.signature.accepts,
                tolerates=tolerant_parameters(params, use.signature.accepts) if use.takes_failures else _NONE,
                returns=use.returns,
                free=_free(use, params),
            )
        )
        return output

    def _first_graph(self, step: GraphStep, defaults: _Defaults) -> _Tail:
        """Add a compiled pipeline whose inputs are those of the whole."""
        graph = open_extra(step, self.uses.problems)
        sources: dict[str, Source] = dict(step.extra)
        for name, spec in graph.inputs.items():
            if name not in sources:
                sources[name] = self.take(name, spec)
        return self._insert(step, graph, sources, (), defaults)

    def _graph(self, step: GraphStep, tail: _Tail, defaults: _Defaults) -> _Tail:
        """Add a compiled pipeline that follows a value."""
        before = len(self.uses.problems)
        graph, entry = enter(step, self.uses.problems)
        sources = sources_of(step, graph, tail.value, entry, self.uses.problems)
        if len(self.uses.problems) > before:
            return tail
        after = tail.after if entry is not None else (*tail.after, *_nodes_of(tail.value))
        return self._insert(step, graph, sources, after, defaults)

    def _insert(
        self,
        step: GraphStep,
        graph: Graph,
        sources: Mapping[str, Source],
        after: tuple[str, ...],
        defaults: _Defaults,
    ) -> _Tail:
        result = self._names.give(step.result)
        part = Inlining(
            graph=graph_with_defaults(graph, defaults.retry, defaults.on_error, defaults.serializer),
            prefix=self._names.give(step.name) if is_data_name(step.name) else result,
            data={step.result: result},
        )
        try:
            self.nodes.extend(part.nodes(sources.get, when=defaults.when, after=after))
            return _Tail(part.output(step.result, sources.get))
        except GraphError as error:
            self.uses.problems.extend(error.problems)
            return _Tail(Literal(None))

    def _each(self, step: EachStep, tail: _Tail, defaults: _Defaults) -> _Tail:
        inner = _GraphDraft(self.uses)
        inside = evolve(defaults, when=None)
        items: Sequence[str] = (_ITEM,)
        sources: Sequence[Source] = (tail.value,)
        if step.lists is not None:
            sources = [self._source_of(name) for name in step.lists.names]
        if step.lists is None or (len(sources) == 1 and not step.lists.takers):
            result = inner.apply(step.body, _Tail(inner.take(_ITEM, InputSpec())), inside)
        else:
            result = inner.open(step.body, inside)
            items = step.lists.takers or tuple(inner.inputs)[: len(sources)]
            problem = takers_problem(_name_body(step.body), step.lists, inner.inputs)
            if problem:
                self.uses.problems.append(problem)
                return tail
        after = tail.after if tail.value in sources else (*tail.after, *_nodes_of(tail.value))
        body = inner.finish(
            result.value, name=_name_body(step.body), on_error=defaults.on_error or self.uses.on_error
        )
        if body is None:
            return tail
        collected = next(iter(body.outputs))
        name = self._names.give(_name_body(step.body))
        self.nodes.append(
            MapNode(
                name=name,
                body=body,
                items=sources[0],
                item=items[0],
                also=dict(zip(items[1:], sources[1:], strict=True)),
                join="product" if step.product else "zip",
                strict=step.strict,
                chunk=step.chunk,
                outputs=(name,),
                collects=(collected,),
                keep=step.keep,
                max_parallel=step.max_parallel,
                skip_errors=step.skipping.skip_errors,
                fills=step.skipping.fills,
                after=after,
                when=defaults.when,
                options=NodeOptions(on_error=defaults.on_error) if defaults.on_error else DEFAULT_OPTIONS,
            )
        )
        return _Tail(Output(name, name))

    def open(self, runnable: Runnable, defaults: _Defaults) -> _Tail:
        """Begin with a task or a whole pipeline, whose parameters are the inputs."""
        if isinstance(runnable, Chain):
            inside = self._inside(runnable, defaults)
            return self.begin(runnable, inside) if runnable.steps else _Tail(Literal(None))
        if isinstance(runnable, GraphStep):
            return self._first_graph(runnable, defaults)
        return _Tail(self._first(runnable, defaults).value)

    def _source_of(self, name: str) -> Source:
        """Return the result of the step of a name, or else the input of that name."""
        producer = next((node.name for node in self.nodes if name in node.outputs), None)
        if producer is not None:
            return Output(producer, name)
        return Input(name) if name in self.inputs else self.take(name, InputSpec())

    def _group(self, step: GroupStep, tail: _Tail, defaults: _Defaults) -> _Tail:
        results = [self.apply(member, tail, defaults) for member in step.members]
        return _Tail(ListOf(tuple(result.value for result in results)), _together(results))

    def _branch(self, step: BranchStep, tail: _Tail, defaults: _Defaults) -> _Tail:
        answer = self._call(step.predicate, tail, defaults)
        judge = self.uses.of(step.predicate.task)
        check_predicate(judge.name, judge.signature.returns, self.uses.problems)
        # The predicate waits for all side effects before the branch, so the sides need not.
        start, first = _Tail(tail.value), len(self.nodes)
        then = self.apply(step.then, start, evolve(defaults, when=Guard(answer.value, True)))
        side = tuple(self.nodes[first:])
        other = start
        if step.otherwise is not None:
            other = self.apply(step.otherwise, start, evolve(defaults, when=Guard(answer.value, False)))
        free = frozenset(() if step.otherwise else alternatives(tail.value))
        return _Tail(first_of(*only_after(side, then.value, free), other.value), _together((then, other)))

    def finish(
        self, value: Source, *, name: str, on_error: ErrorMode, timeout: float | None = None
    ) -> Graph | None:
        """Check and return the graph; ``None`` after adding to the problems."""
        if self.uses.problems:
            return None
        unknown = any(spec.annotation is None for spec in self.inputs.values())
        annotations = input_annotations(self.nodes) if unknown else {}
        inputs = {
            each: spec if spec.annotation is not None else evolve(spec, annotation=annotations.get(each))
            for each, spec in self.inputs.items()
        }
        output = value.name if isinstance(value, (Output, Input)) else "result"
        try:
            return build_graph(
                self.nodes,
                inputs=inputs,
                outputs={output: value},
                name=name,
                on_error=on_error,
                timeout=timeout,
            )
        except GraphError as error:
            self.uses.problems.extend(error.problems)
            return None


def compile_chain(broker: AsyncBroker, chain: Chain) -> Compiled:
    """Compile a pipeline.

    :raises GraphError: with every problem of the graph.
    """
    if not chain.steps:
        raise GraphError("the pipeline has no steps; add one with call_next, map, filter, group or branch")
    on_error = chain.on_error or "stop"
    draft = _GraphDraft(TaskUses(broker, on_error))
    # The graph carries the error mode of the outermost pipeline; nodes carry only modes that differ from it.
    try:
        tail = draft.begin(chain, _Defaults(chain.retry, chain.serializer))
        graph = draft.finish(tail.value, name=chain.name, on_error=on_error, timeout=chain.timeout)
    except RecursionError as error:
        raise GraphError(
            "pipelines are nested too deep in each other; take steps out of the inner ones"
        ) from error
    if graph is None:
        raise GraphError(draft.uses.problems)
    if too_deep := list(depth_problems(graph)):
        raise GraphError(too_deep)
    return Compiled(graph=graph, positional=tuple(draft.positional))


def _name_body(body: Runnable) -> str:
    if isinstance(body, CallStep):
        return name_of(body.task)
    if isinstance(body, GraphStep):
        return body.name or body.result
    return body.name or next((_name_body(step) for step in body.steps if isinstance(step, CallStep)), "each")


def _optional(use: TaskUse, step: CallStep, params: Mapping[str, Source]) -> frozenset[str]:
    """Return the parameters that fall back to their default; one with an argument never does."""
    return use.optional.intersection(params) - step.extra.keys()


def _free(use: TaskUse, params: Mapping[str, Source]) -> Mapping[str, str]:
    """Return the parameters that stay at their default."""
    if len(params) == 1 and use.first in params:
        return use.free_behind_first  # one mapping for all such nodes
    return {each: each for each in use.signature.names if each in use.optional and each not in params}


def _nodes_of(source: Source) -> tuple[str, ...]:
    return tuple(dict.fromkeys(leaf.node for leaf in leaves(source) if isinstance(leaf, Output)))


def _together(results: Sequence[_Tail]) -> tuple[str, ...]:
    """Return the side effects of several results, each once."""
    return tuple(dict.fromkeys(name for result in results for name in result.after))
