"""Pipelines that are chained by hand: each step receives the value of the step before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Union, overload
from typing import Literal as OneOf

from typing_extensions import ParamSpec

from taskiq_flow._earlier_names import explain_arguments
from taskiq_flow.builders.arguments import check_extra, check_task, literals_of
from taskiq_flow.builders.builder import Builder
from taskiq_flow.builders.graph_steps import step_of
from taskiq_flow.builders.kicker import RunKicker, StartOptions
from taskiq_flow.builders.lists import Lists, check_sizes
from taskiq_flow.builders.reductions import ChainReductions
from taskiq_flow.builders.skipping import SkipErrors, Skipping
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
from taskiq_flow.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import CoroutineType
    from typing import TypeAlias

    from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask
    from taskiq.kicker import AsyncKicker

    from taskiq_flow.builders.dataflow import DataflowPipeline
    from taskiq_flow.handle import RunHandle
    from taskiq_flow.payloads import Failure

__all__ = ["Pipeline"]

_P = ParamSpec("_P")
_P2 = ParamSpec("_P2")
_R = TypeVar("_R")
_T = TypeVar("_T")
_T2 = TypeVar("_T2")

if TYPE_CHECKING:
    # Type checkers differ about an asynchronous function's result: mypy has Coroutine, others CoroutineType.
    _Async: TypeAlias = Union[
        AsyncKicker[_P, Coroutine[Any, Any, _T]],
        AsyncKicker[_P, CoroutineType[Any, Any, _T]],
        AsyncTaskiqDecoratedTask[_P, Coroutine[Any, Any, _T]],
        AsyncTaskiqDecoratedTask[_P, CoroutineType[Any, Any, _T]],
    ]
    _Sync: TypeAlias = Union[AsyncKicker[_P, _T], AsyncTaskiqDecoratedTask[_P, _T]]
    _Plain: TypeAlias = Union[_Sync[_P, _T], "Pipeline[_P, _T]"]
    _Any: TypeAlias = Union[_Sync[Any, Any], "Pipeline[Any, Any]", DataflowPipeline]


class Pipeline(ChainReductions[_P, _R]):
    """A pipeline of steps, each of which receives the value of the step before it.

    The parameters of the first task are the pipeline's inputs. If the first step is no task, its value is the only
    input. Every method adds a step to this very pipeline and returns it::

        pipeline = Pipeline(broker, load).map(parse).call_next(summarise, limit=10)
        handle = await pipeline.kiq("/data")
        summary = (await handle.wait_result()).return_value

    A whole pipeline may be given in place of a task; its steps are copied at that moment.

    :param broker: The broker whose tasks are used.
    :param task: The first task, or a kicker of it.
    :param name: For people.
    """

    @overload
    def __init__(
        self: Pipeline[_P2, _T], broker: AsyncBroker, task: _Async[_P2, _T], *, name: str = ""
    ) -> None: ...

    @overload
    def __init__(
        self: Pipeline[_P2, _T], broker: AsyncBroker, task: _Plain[_P2, _T], *, name: str = ""
    ) -> None: ...

    @overload
    def __init__(
        self: Pipeline[..., Any],
        broker: AsyncBroker,
        task: DataflowPipeline | None = None,
        *,
        name: str = "",
    ) -> None: ...

    def __init__(self, broker: AsyncBroker, task: Any = None, *, name: str = "") -> None:
        super().__init__(broker, name=name)
        self._steps: list[Step] = []
        if task is not None:
            self.call_next(task)

    @overload
    def call_next(
        self, task: _Async[Any, _T], /, param_name: str | OneOf[-1] | None = None, **extra: Any
    ) -> Pipeline[_P, _T]: ...

    @overload
    def call_next(
        self, task: _Plain[Any, _T], /, param_name: str | OneOf[-1] | None = None, **extra: Any
    ) -> Pipeline[_P, _T]: ...

    @overload
    def call_next(
        self, task: DataflowPipeline, /, param_name: str | OneOf[-1] | None = None, **extra: Any
    ) -> Pipeline[_P, Any]: ...

    def call_next(self, task: Any, /, param_name: str | OneOf[-1] | None = None, **extra: Any) -> Any:
        """Add a task whose result is the next value.

        :param task: A task, a kicker, or a pipeline, whose steps are added here.
        :param param_name: The parameter that takes the value, by default the first one that ``extra`` does not
            name; -1 runs the task without the value, after the step before it.
        :param extra: Values for other parameters.
        :returns: The pipeline.
        :raises GraphError: it is no task, or an argument has no JSON form.
        """
        arguments = literals_of(task, extra)
        if not isinstance(task, Builder):
            return self._add(CallStep(check_task(task), param_name, arguments))
        if isinstance(task, Pipeline) and not task._has_own_inputs():
            return self._add(InlineStep(task._chain(), param_name, arguments))
        return self._add(step_of(task, self.broker, param_name, arguments))

    def call_after(self, task: _Any, /, param_name: str | None = None, **extra: Any) -> Pipeline[_P, _R]:
        """Add a side effect: the value stays the same, and the next step waits until the task is done.

        :param task: A task or a kicker.
        :param param_name: The parameter that takes the value; by default the task does not get it.
        :param extra: Values for other parameters.
        :returns: The pipeline.
        :raises GraphError: it is no task, or an argument has no JSON form.
        """
        if isinstance(task, Builder):
            raise GraphError("call_after takes a task, found a pipeline; add its tasks one by one")
        self._add(CallStep(check_task(task), param_name, literals_of(task, extra), True))
        return self

    @overload
    def map(
        self,
        task: _Async[Any, _T],
        /,
        param_name: str | Sequence[str] | None = None,
        skip_errors: bool = False,
        *interval: float,
        over: str | Sequence[str] | Mapping[str, str] | None = None,
        product: bool = False,
        strict: bool = True,
        chunk: int | None = None,
        max_parallel: int | None = None,
        **extra: Any,
    ) -> Pipeline[_P, list[_T]]: ...

    @overload
    def map(
        self,
        task: _Plain[Any, _T],
        /,
        param_name: str | Sequence[str] | None = None,
        skip_errors: bool = False,
        *interval: float,
        over: str | Sequence[str] | Mapping[str, str] | None = None,
        product: bool = False,
        strict: bool = True,
        chunk: int | None = None,
        max_parallel: int | None = None,
        **extra: Any,
    ) -> Pipeline[_P, list[_T]]: ...

    @overload
    def map(
        self,
        task: DataflowPipeline,
        /,
        param_name: str | None = None,
        skip_errors: SkipErrors = False,
        *interval: float,
        max_parallel: int | None = None,
        **extra: Any,
    ) -> Pipeline[_P, list[Any]]: ...

    @overload
    def map(
        self,
        task: _Async[Any, _T],
        /,
        param_name: str | None = None,
        *,
        skip_errors: OneOf["none"],
        **extra: Any,
    ) -> Pipeline[_P, list[_T | None]]: ...

    @overload
    def map(
        self,
        task: _Plain[Any, _T],
        /,
        param_name: str | None = None,
        *,
        skip_errors: OneOf["none"],
        **extra: Any,
    ) -> Pipeline[_P, list[_T | None]]: ...

    @overload
    def map(
        self,
        task: _Async[Any, _T],
        /,
        param_name: str | None = None,
        *,
        skip_errors: OneOf["failure"],
        **extra: Any,
    ) -> Pipeline[_P, list[_T | Failure]]: ...

    @overload
    def map(
        self,
        task: _Plain[Any, _T],
        /,
        param_name: str | None = None,
        *,
        skip_errors: OneOf["failure"],
        **extra: Any,
    ) -> Pipeline[_P, list[_T | Failure]]: ...

    def map(
        self,
        task: Any,
        /,
        param_name: str | Sequence[str] | None = None,
        skip_errors: SkipErrors = False,
        *interval: float,
        over: str | Sequence[str] | Mapping[str, str] | None = None,
        product: bool = False,
        strict: bool = True,
        chunk: int | None = None,
        max_parallel: int | None = None,
        **extra: Any,
    ) -> Any:
        """Apply a task or a pipeline to each element of the value; the list of results is the next value.

        A map over a dictionary gives a dictionary with the same keys.

        :param task: A task, a kicker, or a pipeline.
        :param param_name: The parameter that takes the element, by default the first one that is free. For several
            lists, a name for each.
        :param skip_errors: ``True`` leaves out elements that failed, instead of failing; ``"none"`` puts ``None`` in
            their place, ``"failure"`` their :class:`~taskiq_flow.Failure`.
        :param interval: Without effect, because nothing is polled; it is a parameter of taskiq-pipelines.
        :param over: The lists to go through instead of the value: the name of an earlier step, whose result is taken,
            or of an input; or several names, whose lists are gone through together; or a dictionary of names by the
            parameter that takes the elements.
        :param product: Apply it to every combination of the elements of several lists; those of the last list change
            fastest.
        :param strict: Fail if several lists have different lengths; otherwise the shortest one ends the map.
        :param chunk: Hand over lists of up to so many elements instead of single ones; there is a result for each.
        :param max_parallel: How many elements may be worked on at once.
        :param extra: Values for other parameters, the same for every element. What has the name of a parameter of this
            method goes to this method; :meth:`bind` gives it to the task.
        :returns: The pipeline.
        :raises GraphError: it is no task, an argument has no JSON form, or names or numbers are impossible.
        """
        check_sizes(chunk=chunk)
        own = {"over": over, "product": product, "strict": not strict, "max_parallel": max_parallel}
        extra = check_extra(task, extra, skip_errors=skip_errors, chunk=chunk, **own)
        lists = None
        if over is not None or not (param_name is None or isinstance(param_name, str)):
            lists = Lists.read(over, param_name, option="param_name")
            param_name = None
        return self._add(
            EachStep(
                body=self._runnable(task, param_name, extra),
                lists=lists,
                product=product,
                strict=strict,
                chunk=chunk,
                skipping=Skipping.read(skip_errors),
                max_parallel=max_parallel,
            )
        )

    def filter(
        self,
        task: _Any,
        /,
        param_name: str | None = None,
        skip_errors: bool = False,
        *interval: float,
        max_parallel: int | None = None,
        **extra: Any,
    ) -> Pipeline[_P, _R]:
        """Keep the elements of the value for which a task or a pipeline returns something true.

        :param task: A task, a kicker, or a pipeline.
        :param param_name: The parameter that takes the element, by default the first one that is free.
        :param skip_errors: Leave out elements whose test failed, instead of failing.
        :param interval: Without effect, because nothing is polled.
        :param max_parallel: How many elements may be tested at once.
        :param extra: Values for other parameters, the same for every element.
        :returns: The pipeline.
        :raises GraphError: it is no task, or an argument has no JSON form.
        """
        extra = check_extra(task, extra, skip_errors=skip_errors, max_parallel=max_parallel)
        body = self._runnable(task, param_name, extra)
        skipping = Skipping.read(skip_errors, keeps_values=False)
        self._add(EachStep(body=body, keep="items", skipping=skipping, max_parallel=max_parallel))
        return self

    @explain_arguments
    def group(self, *tasks: _Any) -> Pipeline[_P, list[Any]]:
        """Pass the value to several tasks or pipelines side by side; the list of results is the next value.

        :param tasks: Tasks, kickers, or pipelines; the results are in their order.
        :returns: The pipeline.
        :raises GraphError: there are none, or something is no task.
        """
        if not tasks:
            raise GraphError("the group has no members; give it tasks or pipelines")
        if isinstance(tasks[0], (list, tuple)):
            raise GraphError("the members of a group are given one by one; write group(*tasks)")
        changed: Pipeline[_P, list[Any]] = self._add(
            GroupStep(tuple(self._runnable(task, None, {}) for task in tasks))
        )
        return changed

    @overload
    def branch(self, predicate: _Any, then: _Async[Any, _T]) -> Pipeline[_P, _T | _R]: ...

    @overload
    def branch(self, predicate: _Any, then: _Plain[Any, _T]) -> Pipeline[_P, _T | _R]: ...

    @overload
    def branch(
        self, predicate: _Any, then: _Async[Any, _T], otherwise: _Async[Any, _T2]
    ) -> Pipeline[_P, _T | _T2]: ...

    @overload
    def branch(
        self, predicate: _Any, then: _Async[Any, _T], otherwise: _Plain[Any, _T2]
    ) -> Pipeline[_P, _T | _T2]: ...

    @overload
    def branch(
        self, predicate: _Any, then: _Plain[Any, _T], otherwise: _Async[Any, _T2]
    ) -> Pipeline[_P, _T | _T2]: ...

    @overload
    def branch(
        self, predicate: _Any, then: _Plain[Any, _T], otherwise: _Plain[Any, _T2]
    ) -> Pipeline[_P, _T | _T2]: ...

    @overload
    def branch(
        self, predicate: _Any, then: DataflowPipeline, otherwise: _Any | None = None
    ) -> Pipeline[_P, Any]: ...

    @overload
    def branch(self, predicate: _Any, then: _Any, otherwise: DataflowPipeline) -> Pipeline[_P, Any]: ...

    def branch(self, predicate: Any, then: Any, otherwise: Any = None) -> Any:
        """Let a task decide which of two sides gets the value.

        :param predicate: A task that takes the value and returns a bool.
        :param then: A task, a kicker, or a pipeline for ``True``.
        :param otherwise: The same for ``False``; without it the value stays the same.
        :returns: The pipeline; the next value is that of the side that ran.
        :raises GraphError: something is no task.
        """
        if isinstance(predicate, Builder):
            raise GraphError("the predicate of a branch is a task, found a pipeline; let one task decide")
        other = None if otherwise is None else self._runnable(otherwise, None, {})
        return self._add(BranchStep(CallStep(check_task(predicate)), self._runnable(then, None, {}), other))

    if TYPE_CHECKING:
        # The inputs have other names afterwards, which a type checker cannot follow.
        def rename(self, names: Mapping[str, str]) -> Pipeline[..., _R]: ...  # type: ignore[override]

        def scope(self, prefix: str, *, exclude: Iterable[str] = ()) -> Pipeline[..., _R]: ...  # type: ignore[override]

        def bind(  # type: ignore[override]
            self, values: Mapping[str, Any] | None = None, /, **more: Any
        ) -> Pipeline[..., _R]: ...

    async def kiq(self, /, *args: _P.args, **kwargs: _P.kwargs) -> RunHandle[_R]:
        """Start a run.

        :param args: Inputs by position, in the order of the first task's parameters.
        :param kwargs: Inputs by name. A parameter of a later step that has a default can be given too, and so can
            the value of a step by the step's name: then what only it needs is not run.
        :returns: A handle; its result is the value of the last step.
        :raises GraphError: the graph has problems, or inputs are missing or unknown.
        """
        handle: RunHandle[_R] = await self.start(args, kwargs, StartOptions())
        return handle

    def kicker(self) -> RunKicker[_P, _R]:
        """Return what starts runs with an own id, labels or a name."""
        return RunKicker(self)

    def run(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run the pipeline from a script without an event loop, and return its value.

        The broker is started before and shut down after the run.

        :param args: Inputs by position, in the order of the first task's parameters.
        :param kwargs: Inputs by name.
        :raises GraphError: the graph has problems, or inputs are missing or unknown.
        :raises RuntimeError: an event loop runs in this thread.
        :raises Exception: the exception of the failed task, if its class can be imported.
        """
        return self.kicker().run(*args, **kwargs)

    def _detach(self) -> None:
        self._steps = [*self._steps]

    def _chain(self) -> Chain:
        return Chain(
            steps=tuple(self._steps),
            retry=self._retry,
            serializer=self._serializer,
            on_error=self._on_error,
            timeout=self._timeout,
            name=self.name,
        )

    def _runnable(self, task: Any, param_name: str | None, extra: Mapping[str, Any]) -> Runnable:
        arguments = literals_of(task, extra)
        if not isinstance(task, Builder):
            return CallStep(check_task(task), param_name, arguments)
        if isinstance(task, Pipeline) and not task._has_own_inputs():
            return task._chain().taking(param_name, arguments)
        return step_of(task, self.broker, param_name, arguments)

    def _add(self, step: Step) -> Any:
        # The pipeline's type follows the step, and only the public methods know it.
        self._steps.append(step)
        return self._forget_graph()
