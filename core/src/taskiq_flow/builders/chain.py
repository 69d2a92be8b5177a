"""From the steps of a hand-chained pipeline to a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import evolve, frozen

from taskiq_flow._words import quote
from taskiq_flow.builders.arguments import arguments, check_arguments, check_predicate
from taskiq_flow.builders.steps import (
    BranchStep,
    CallStep,
    Chain,
    EachStep,
    GroupStep,
    InlineStep,
    Runnable,
    Step,
)
from taskiq_flow.builders.uses import TaskUse, TaskUses
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.build import build_graph
from taskiq_flow.graph.model import (
    DEFAULT_OPTIONS,
    ErrorMode,
    FirstOf,
    Graph,
    Guard,
    Input,
    InputSpec,
    ListOf,
    MapNode,
    Node,
    NodeOptions,
    Output,
    Source,
    TaskNode,
)
from taskiq_flow.graph.order import leaves
from taskiq_flow.tasks.annotations import name_of
from taskiq_flow.wiring.naming import Names
from taskiq_flow.wiring.values import input_annotations

if TYPE_CHECKING:
    from taskiq import AsyncBroker

__all__ = ["Compiled", "compile_chain"]

_VALUE, _ITEMS, _ITEM = "value", "items", "item"


@frozen(kw_only=True)
class Compiled:
    """A graph with what its builder knows beyond it.

    :param graph: The graph; it has one output.
    :param positional: Names of the inputs that may be given by position, in order.
    """

    graph: Graph
    positional: tuple[str, ...]


@frozen
class _Defaults:
    """What holds for some of the steps: those of one pipeline, or of one side of a branch."""

    retry: Mapping[str, Any] | None = None
    serializer: str | None = None
    on_error: ErrorMode | None = None
    when: Guard | None = None


class _Tail(NamedTuple):
    """Where the chain has come to; one is made for each step, so it is as light as can be.

    :param value: The source of the value.
    :param after: Side effects that the next step waits for.
    """

    value: Source
    after: tuple[str, ...] = ()


class _GraphDraft:
    """One graph while it is made; the body of a map is a scope of its own."""

    def __init__(self, uses: TaskUses) -> None:
        self.plans = uses
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
        """Walk a chain from its first step, which decides what the inputs are."""
        first = chain.steps[0]
        if isinstance(first, InlineStep) and first.chain.steps:
            inner = first.chain.taking(first.param_name, first.extra)
            flow = self.begin(inner, self._inside(inner, defaults))
        elif isinstance(first, CallStep) and not first.aside:
            flow = self._first(first, defaults)
        else:
            name = _ITEMS if isinstance(first, EachStep) else _VALUE
            flow = self.walk((first,), _Tail(self.take(name, InputSpec())), defaults)
        return self.walk(chain.steps[1:], flow, defaults)

    def walk(self, steps: Sequence[Step], flow: _Tail, defaults: _Defaults) -> _Tail:
        """Add steps behind a value."""
        for step in steps:
            if isinstance(step, CallStep):
                flow = self._call(step, flow, defaults)
            elif isinstance(step, InlineStep):
                flow = self.apply(step.chain.taking(step.param_name, step.extra), flow, defaults)
            elif isinstance(step, EachStep):
                flow = self._each(step, flow, defaults)
            elif isinstance(step, GroupStep):
                flow = self._group(step, flow, defaults)
            else:
                flow = self._branch(step, flow, defaults)
        return flow

    def apply(self, what: Runnable, flow: _Tail, defaults: _Defaults) -> _Tail:
        """Give the value to a task or to a whole pipeline."""
        if isinstance(what, Chain):
            return self.walk(what.steps, flow, self._inside(what, defaults))
        return self._call(what, flow, defaults)

    def _inside(self, chain: Chain, defaults: _Defaults) -> _Defaults:
        if not chain.steps:
            self.plans.problems.append("a pipeline that is a step of this one has no steps; give it one")
        if chain.timeout is not None:
            self.plans.problems.append(
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
        """The first task: its parameters are the inputs of the pipeline."""
        plan = self.plans.of(step.task)
        check_arguments(plan, step, self.plans.problems)
        params: dict[str, Source] = dict(step.extra)
        for parameter in plan.signature.parameters:
            if parameter.name not in params:
                annotation = plan.signature.accepts.get(parameter.name)
                spec = InputSpec(required=not parameter.has_default, annotation=annotation)
                params[parameter.name] = self.take(
                    parameter.name, spec, by_position=not parameter.keyword_only
                )
        return _Tail(self._node(plan, step, params, _optional(plan, step, params), (), defaults))

    def _call(self, step: CallStep, flow: _Tail, defaults: _Defaults) -> _Tail:
        plan = self.plans.of(step.task)
        params: dict[str, Source]
        if not step.extra and step.param_name is None and not step.aside and plan.first is not None:
            # By far the most frequent case, so it does no more than it must.
            params, unfed = {plan.first: flow.value}, plan.unfed_behind_first
            optional, after = plan.optional_first, flow.after
        else:
            params, unfed = arguments(plan, step, flow.value, self.plans.problems)
            optional, after = _optional(plan, step, params), flow.after
            if flow.value not in params.values():
                after = (*after, *_nodes_of(flow.value))
        if unfed:
            self.plans.problems.append(
                f"task {plan.name!r} requires {quote(unfed)}, which the step does not give; "
                "add it as an extra argument of the step"
            )
        output = self._node(plan, step, params, optional, after, defaults)
        return _Tail(flow.value, (output.node,)) if step.aside else _Tail(output)

    def _node(
        self,
        plan: TaskUse,
        step: CallStep,
        params: dict[str, Source],
        optional: frozenset[str],
        after: tuple[str, ...],
        defaults: _Defaults,
    ) -> Output:
        name = self._names.give(plan.name)
        output = Output(name, name)
        self.nodes.append(
            TaskNode(
                name=name,
                task=plan.task,
                params=params,
                optional=optional,
                outputs=(name,),
                after=after,
                when=defaults.when,
                options=self.plans.options(step.task, defaults.retry, defaults.on_error, defaults.serializer),
                description=plan.description,
                accepts=plan.signature.accepts,
                returns=plan.returns,
            )
        )
        return output

    def _each(self, step: EachStep, flow: _Tail, defaults: _Defaults) -> _Tail:
        inner = _GraphDraft(self.plans)
        item = inner.take(_ITEM, InputSpec())
        result = inner.apply(step.body, _Tail(item), evolve(defaults, when=None))
        body = inner.finish(
            result.value, name=_name_body(step.body), on_error=defaults.on_error or self.plans.on_error
        )
        if body is None:
            return flow
        collected = next(iter(body.outputs))
        name = self._names.give(_name_body(step.body))
        self.nodes.append(
            MapNode(
                name=name,
                body=body,
                items=flow.value,
                item=_ITEM,
                outputs=(name,),
                collects=(collected,),
                keep=step.keep,
                max_parallel=step.max_parallel,
                skip_errors=step.skip_errors,
                after=flow.after,
                when=defaults.when,
                options=NodeOptions(on_error=defaults.on_error) if defaults.on_error else DEFAULT_OPTIONS,
            )
        )
        return _Tail(Output(name, name))

    def _group(self, step: GroupStep, flow: _Tail, defaults: _Defaults) -> _Tail:
        results = [self.apply(member, flow, defaults) for member in step.members]
        return _Tail(ListOf(tuple(result.value for result in results)), _together(results))

    def _branch(self, step: BranchStep, flow: _Tail, defaults: _Defaults) -> _Tail:
        asked = self._call(step.predicate, flow, defaults)
        check_predicate(self.plans.of(step.predicate.task), self.plans.problems)
        # What a side waits for, the predicate has waited for already.
        start = _Tail(flow.value)
        then = self.apply(step.then, start, evolve(defaults, when=Guard(asked.value, True)))
        other = start
        if step.otherwise is not None:
            other = self.apply(step.otherwise, start, evolve(defaults, when=Guard(asked.value, False)))
        return _Tail(_first_of(then.value, other.value), _together((then, other)))

    def finish(
        self, value: Source, *, name: str, on_error: ErrorMode, timeout: float | None = None
    ) -> Graph | None:
        """Check and give the graph; ``None`` when there are problems, which are noted."""
        if self.plans.problems:
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
            self.plans.problems.extend(error.problems)
            return None


def compile_chain(broker: AsyncBroker, chain: Chain) -> Compiled:
    """Compile a pipeline.

    :raises GraphError: with every problem there is.
    """
    if not chain.steps:
        raise GraphError("the pipeline has no steps; add one with call_next, map, filter, group or branch")
    on_error = chain.on_error or "stop"
    scope = _GraphDraft(TaskUses(broker, on_error))
    # The graph itself carries the error mode of the outermost pipeline; nodes only carry what differs from it.
    flow = scope.begin(chain, _Defaults(chain.retry, chain.serializer))
    graph = scope.finish(flow.value, name=chain.name, on_error=on_error, timeout=chain.timeout)
    if graph is None:
        raise GraphError(scope.plans.problems)
    return Compiled(graph=graph, positional=tuple(scope.positional))


def _name_body(body: Runnable) -> str:
    if isinstance(body, CallStep):
        return name_of(body.task)
    return body.name or next((_name_body(step) for step in body.steps if isinstance(step, CallStep)), "each")


def _optional(plan: TaskUse, step: CallStep, params: Mapping[str, Source]) -> frozenset[str]:
    """Give the parameters that fall back to their default; those that were given an argument never do."""
    return plan.optional.intersection(params) - step.extra.keys()


def _nodes_of(source: Source) -> tuple[str, ...]:
    return tuple(dict.fromkeys(leaf.node for leaf in leaves(source) if isinstance(leaf, Output)))


def _together(results: Sequence[_Tail]) -> tuple[str, ...]:
    """Give the side effects that several results leave behind."""
    return tuple(dict.fromkeys(name for result in results for name in result.after))


def _first_of(*sources: Source) -> Source:
    """Join the sides of a branch; joins of joins are one, so that many branches in a row stay flat."""
    flat: list[Source] = []
    for source in sources:
        if isinstance(source, FirstOf):
            flat.extend(source.sources)
        else:
            flat.append(source)
    return FirstOf(tuple(dict.fromkeys(flat)))
