"""From the steps of a hand-chained pipeline to a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import evolve, frozen

from taskiq_flow.builders.annotations import name_of
from taskiq_flow.builders.arguments import arguments, check_arguments, check_predicate
from taskiq_flow.builders.naming import Names
from taskiq_flow.builders.plans import Plan, Plans
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
from taskiq_flow.builders.values import input_annotations
from taskiq_flow.errors import GraphError
from taskiq_flow.graph._words import quoted
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
class _Setting:
    """What holds for some of the steps: those of one pipeline, or of one side of a branch."""

    retry: Mapping[str, Any] | None = None
    serializer: str | None = None
    on_error: ErrorMode | None = None
    when: Guard | None = None


class _Flow(NamedTuple):
    """Where the chain has come to; one is made for each step, so it is as light as can be.

    :param value: The source of the value.
    :param after: Side effects that the next step waits for.
    """

    value: Source
    after: tuple[str, ...] = ()


class _Scope:
    """One graph while it is made; the body of a map is a scope of its own."""

    def __init__(self, plans: Plans) -> None:
        self.plans = plans
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

    def begin(self, chain: Chain, setting: _Setting) -> _Flow:
        """Walk a chain from its first step, which decides what the inputs are."""
        first = chain.steps[0]
        if isinstance(first, InlineStep) and first.chain.steps:
            inner = first.chain.taking(first.param_name, first.extra)
            flow = self.begin(inner, self._inside(inner, setting))
        elif isinstance(first, CallStep) and not first.aside:
            flow = self._first(first, setting)
        else:
            name = _ITEMS if isinstance(first, EachStep) else _VALUE
            flow = self.walk((first,), _Flow(self.take(name, InputSpec())), setting)
        return self.walk(chain.steps[1:], flow, setting)

    def walk(self, steps: Sequence[Step], flow: _Flow, setting: _Setting) -> _Flow:
        """Add steps behind a value."""
        for step in steps:
            if isinstance(step, CallStep):
                flow = self._call(step, flow, setting)
            elif isinstance(step, InlineStep):
                flow = self.apply(step.chain.taking(step.param_name, step.extra), flow, setting)
            elif isinstance(step, EachStep):
                flow = self._each(step, flow, setting)
            elif isinstance(step, GroupStep):
                flow = self._group(step, flow, setting)
            else:
                flow = self._branch(step, flow, setting)
        return flow

    def apply(self, what: Runnable, flow: _Flow, setting: _Setting) -> _Flow:
        """Give the value to a task or to a whole pipeline."""
        if isinstance(what, Chain):
            return self.walk(what.steps, flow, self._inside(what, setting))
        return self._call(what, flow, setting)

    def _inside(self, chain: Chain, setting: _Setting) -> _Setting:
        if not chain.steps:
            self.plans.problems.append("a pipeline that is a step of this one has no steps; give it one")
        if chain.timeout is not None:
            self.plans.problems.append(
                f"a pipeline that is a step of this one has a time limit ({chain.timeout} seconds), which holds for "
                "runs; set it on the outer pipeline, or set the timeout of its tasks"
            )
        return _Setting(
            setting.retry if chain.retry is None else chain.retry,
            setting.serializer if chain.serializer is None else chain.serializer,
            setting.on_error if chain.on_error is None else chain.on_error,
            setting.when,
        )

    def _first(self, step: CallStep, setting: _Setting) -> _Flow:
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
        return _Flow(self._node(plan, step, params, _optional(plan, step, params), (), setting))

    def _call(self, step: CallStep, flow: _Flow, setting: _Setting) -> _Flow:
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
                f"task {plan.name!r} requires {quoted(unfed)}, which the step does not give; "
                "add it as an extra argument of the step"
            )
        output = self._node(plan, step, params, optional, after, setting)
        return _Flow(flow.value, (output.node,)) if step.aside else _Flow(output)

    def _node(
        self,
        plan: Plan,
        step: CallStep,
        params: dict[str, Source],
        optional: frozenset[str],
        after: tuple[str, ...],
        setting: _Setting,
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
                when=setting.when,
                options=self.plans.options(step.task, setting.retry, setting.on_error, setting.serializer),
                description=plan.description,
                accepts=plan.signature.accepts,
                returns=plan.returns,
            )
        )
        return output

    def _each(self, step: EachStep, flow: _Flow, setting: _Setting) -> _Flow:
        inner = _Scope(self.plans)
        item = inner.take(_ITEM, InputSpec())
        result = inner.apply(step.body, _Flow(item), evolve(setting, when=None))
        body = inner.finish(
            result.value, name=_called(step.body), on_error=setting.on_error or self.plans.on_error
        )
        if body is None:
            return flow
        collected = next(iter(body.outputs))
        name = self._names.give(_called(step.body))
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
                when=setting.when,
                options=NodeOptions(on_error=setting.on_error) if setting.on_error else DEFAULT_OPTIONS,
            )
        )
        return _Flow(Output(name, name))

    def _group(self, step: GroupStep, flow: _Flow, setting: _Setting) -> _Flow:
        results = [self.apply(member, flow, setting) for member in step.members]
        return _Flow(ListOf(tuple(result.value for result in results)), _together(results))

    def _branch(self, step: BranchStep, flow: _Flow, setting: _Setting) -> _Flow:
        asked = self._call(step.predicate, flow, setting)
        check_predicate(self.plans.of(step.predicate.task), self.plans.problems)
        # What a side waits for, the predicate has waited for already.
        start = _Flow(flow.value)
        then = self.apply(step.then, start, evolve(setting, when=Guard(asked.value, True)))
        other = start
        if step.otherwise is not None:
            other = self.apply(step.otherwise, start, evolve(setting, when=Guard(asked.value, False)))
        return _Flow(_first_of(then.value, other.value), _together((then, other)))

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
    scope = _Scope(Plans(broker, on_error))
    # The graph itself carries the error mode of the outermost pipeline; nodes only carry what differs from it.
    flow = scope.begin(chain, _Setting(chain.retry, chain.serializer))
    graph = scope.finish(flow.value, name=chain.name, on_error=on_error, timeout=chain.timeout)
    if graph is None:
        raise GraphError(scope.plans.problems)
    return Compiled(graph=graph, positional=tuple(scope.positional))


def _called(body: Runnable) -> str:
    if isinstance(body, CallStep):
        return name_of(body.task)
    return body.name or next((_called(step) for step in body.steps if isinstance(step, CallStep)), "each")


def _optional(plan: Plan, step: CallStep, params: Mapping[str, Source]) -> frozenset[str]:
    """Give the parameters that fall back to their default; those that were given an argument never do."""
    return plan.optional.intersection(params) - step.extra.keys()


def _nodes_of(source: Source) -> tuple[str, ...]:
    return tuple(dict.fromkeys(leaf.node for leaf in leaves(source) if isinstance(leaf, Output)))


def _together(results: Sequence[_Flow]) -> tuple[str, ...]:
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
