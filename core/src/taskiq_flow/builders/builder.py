"""The part that both kinds of pipeline share: settings for all nodes, and the compiled graph."""

from __future__ import annotations

import copy
import sys
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from taskiq_flow._earlier_names import EarlierNames
from taskiq_flow.builders.inputs import InputsOfRuns
from taskiq_flow.builders.kicker import RunKicker, StartOptions
from taskiq_flow.errors import GraphError, PluginError
from taskiq_flow.graph.model import ErrorMode, Graph
from taskiq_flow.retry import option_problems, plain_options
from taskiq_flow.wiring.following import FollowUp, graph_followed
from taskiq_flow.wiring.options import broker_problem, find_functions, graph_with_defaults, list_replaced
from taskiq_flow.wiring.renaming import graph_bound

if TYPE_CHECKING:
    from taskiq import AsyncBroker

    from taskiq_flow.handle import RunHandle
    from taskiq_flow.pools import WorkerPool

__all__ = ["Builder"]


class Builder(EarlierNames, InputsOfRuns):
    """Builds a graph, step by step; every method changes the builder and returns it.

    The graph is compiled when it is first needed and kept until the next change. Graphs are immutable: one builder
    can start many runs at once, and can be changed between two starts.

    :param broker: The broker whose tasks are used.
    :param name: For people.
    """

    ATTRIBUTES_OF = "Builder"

    def __init__(self, broker: AsyncBroker, *, name: str = "") -> None:
        self.broker = broker
        self.name = name
        self._retry: Mapping[str, Any] | None = None
        self._serializer: str | None = None
        self._timeout: float | None = None
        self._on_error: ErrorMode | None = None
        self._compiled: Graph | None = None
        self._functions: Mapping[str, Any] = {}
        self._follow_ups: tuple[FollowUp, ...] = ()
        self._given = {}
        self._bound = {}

    @property
    def graph(self) -> Graph:
        """The graph of the pipeline's runs.

        :raises GraphError: with every problem of the graph.
        """
        if self._compiled is None:
            graph = self._compile()
            if self._follow_ups:
                graph = graph_followed(
                    graph, self._follow_ups, retry=self._retry, serializer=self._serializer
                )
            self._compiled = graph_bound(graph, self._bound) if self._bound else graph
            self._functions = find_functions(self.broker, self._compiled)
        return self._compiled

    @property
    def serializer(self) -> str | None:
        """The name of the serializer for the inputs of runs; ``None`` for the flow's."""
        return self._serializer

    def render(self, format: str = "text") -> str:  # noqa: A002 - the word that users look for
        """Draw the graph.

        :param format: One of ``text``, ``mermaid``, ``dot``, ``svg``, ``json``.
        :raises GraphError: the graph has problems, or there is no such format.
        """
        from taskiq_flow.graph.render import render  # imported late, because few programs draw

        return render(self.graph, format)

    def visualize(self, format: str = "mermaid") -> str:  # noqa: A002
        """Draw the graph like :meth:`render`, as a Mermaid diagram by default.

        :param format: One of ``text``, ``mermaid``, ``dot``, ``svg``, ``json``.
        """
        return self.render(format)

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<{type(self).__name__}{name} {self._describe()}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return what a notebook shows, by MIME type: a picture, or the problems of the graph."""
        from taskiq_flow.graph.render import mime_bundle  # imported late, because few programs draw

        try:
            graph = self.graph
        except GraphError as error:
            return {"text/plain": f"{self!r}\n{error}"}
        return mime_bundle(graph, repr(self))

    def _describe(self) -> str:
        from taskiq_flow.graph.render import describe_graph

        try:
            return describe_graph(self.graph)
        except GraphError as error:
            more = f" (and {len(error.problems) - 1} more problems)" if len(error.problems) > 1 else ""
            return f"with a problem: {error.problems[0]}{more}"

    def with_retry(
        self,
        max_attempts: int | None = None,
        delay: float | None = None,
        backoff: float | None = None,
        **options: Any,
    ) -> Self:
        """Set the retry options of all nodes whose task has none of its own.

        :param max_attempts: Attempts, the first included.
        :param delay: Seconds before the second attempt.
        :param backoff: The factor by which the delay grows for each further attempt.
        :param options: Further options of the retry policy: plain JSON values, and exception classes.
        :raises GraphError: a value is impossible; all of them are listed.
        """
        problems: list[str] = []
        if max_attempts is not None and (not _is_number(max_attempts, int) or max_attempts < 1):
            problems.append(f"max_attempts is {max_attempts!r}; give a whole number from 1")
        if max_attempts is not None and "max_retries" in options:
            problems.append("max_attempts and max_retries are both given; give one of them")
        if delay is not None and (not _is_number(delay) or delay < 0):
            problems.append(f"delay is {delay!r}; give a number of seconds, 0 or more")
        if backoff is not None and (not _is_number(backoff) or backoff <= 0):
            problems.append(f"backoff is {backoff!r}; give a factor above 0, such as 2")
        problems.extend(option_problems(options))
        if problems:
            raise GraphError(problems)
        named = {"max_attempts": max_attempts, "delay": delay, "backoff": backoff}
        self._retry = plain_options(
            {**{name: value for name, value in named.items() if value is not None}, **options}
        )
        return self._forget_graph()

    def with_serializer(self, name: str | None) -> Self:
        """Set the serializer of the inputs, and of the outputs of all nodes whose task sets none.

        :param name: The serializer's name; ``None`` for the flow's.
        :raises GraphError: it is no name.
        """
        if name is not None and (not isinstance(name, str) or not name):
            raise GraphError(f"the serializer is {name!r}; give the name of one, such as 'json', or None")
        self._serializer = name
        return self._forget_graph()

    def with_timeout(self, seconds: float | None) -> Self:
        """Limit the time that a run may take.

        :param seconds: The limit; ``None`` for none.
        :raises GraphError: it is not a positive number.
        """
        if seconds is not None and (not _is_number(seconds) or seconds <= 0):
            raise GraphError(f"the time limit is {seconds!r}; give a number of seconds above 0, or None")
        self._timeout = seconds
        return self._forget_graph()

    def with_pool(self, pool: WorkerPool) -> Self:
        """Set the worker pool: an in-memory broker without a flow gets one with this pool.

        A pool belongs to the broker's flow, so it holds for everything that is started there.

        :param pool: The declaration of a pool, such as ``ResourceAwareWorkerPool(workers=[…])``.
        :raises PluginError: it is no pool, or the broker's flow has another pool, or the broker has no flow yet and
            is not in memory.
        """
        from taskiq_flow.flow import Flow  # imported late, because the flow imports the builders
        from taskiq_flow.pools import WorkerPool

        if not isinstance(pool, WorkerPool):
            raise PluginError(
                f"the pool is {pool!r}; give a WorkerPool, such as ResourceAwareWorkerPool(workers=[…])"
            )
        Flow.of(self.broker, pool=pool)
        return self

    def on_error(self, mode: ErrorMode) -> Self:
        """Set the effect of a final failure on the rest of a run.

        :param mode: ``stop`` starts nothing more and cancels the rest; ``continue`` goes on with everything
            that does not depend on the failed cell. The run fails in either mode.
        :raises GraphError: the mode is another word.
        """
        if mode not in ("stop", "continue"):
            raise GraphError(f"the error mode is {mode!r}; give 'stop' or 'continue'")
        self._on_error = mode
        return self._forget_graph()

    def on_failure(
        self, task: Any, of: str | Iterable[str] | None = None, *, name: str | None = None, **extra: Any
    ) -> Self:
        """Run a task after a failure: to clean up, to tell somebody, to take something back.

        It runs when an attempt of a node has failed for good, or, for the whole pipeline, when everything else of a run
        has ended and the run has failed, was cancelled, or took too long. What stops the run does not stop it. The run
        still counts as failed, and a failure of this task comes behind the first one. The task takes what it asks for
        by name: data of the pipeline as far as it is there, and the :class:`~taskiq_flow.Failure` in a parameter of
        that annotation, or of the name ``failure``.

        :param task: A task or a kicker. Nobody gets what it returns.
        :param of: The name of the node that it follows, or several names; ``None`` for the whole pipeline.
        :param name: The node's name, by default the task's.
        :param extra: Values for parameters.
        :returns: The pipeline.
        :raises GraphError: it is no task, or a value has no JSON form.
        """
        return self._follow(task, "failure", of, name, extra)

    def always(
        self, task: Any, of: str | Iterable[str] | None = None, *, name: str | None = None, **extra: Any
    ) -> Self:
        """Run a task at the end, however that is: after success, failure, cancellation, or where a node was skipped.

        For the whole pipeline it comes behind everything else, also behind what runs after a failure. If it fails, so
        does the run.

        :param task: A task or a kicker. Nobody gets what it returns. Where there is no failure, the parameter for it is
            ``None``, or left at its default.
        :param of: The name of the node that it follows, or several names; ``None`` for the whole pipeline.
        :param name: The node's name, by default the task's.
        :param extra: Values for parameters.
        :returns: The pipeline.
        :raises GraphError: it is no task, or a value has no JSON form.
        """
        return self._follow(task, "always", of, name, extra)

    def _follow(self, task: Any, when: Any, of: Any, name: str | None, extra: Mapping[str, Any]) -> Self:
        if isinstance(task, Builder):
            raise GraphError("what follows others is a task, found a pipeline; add its tasks one by one")
        step = FollowUp.read(task, when, of, name, extra)
        problem = broker_problem(self.broker, task)
        if problem is not None:
            raise GraphError(problem)
        self._follow_ups = (*self._follow_ups, step)
        return self._forget_graph()

    def body(self) -> Graph:
        """Return the graph as the body of a map: its nodes carry the error mode that was chosen for them."""
        return graph_with_defaults(self.graph, None, self._on_error)

    def copy(self) -> Self:
        """Return a pipeline of the same steps and settings; what is added to one of them does not reach the other."""
        twin = copy.copy(self)
        twin._detach()
        return twin

    def kicker(self) -> RunKicker[..., Any]:
        """Return what starts runs with an own id, labels or a name."""
        return RunKicker(self)

    async def start(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: StartOptions
    ) -> RunHandle[Any]:
        """Start a run; ``kiq`` and :class:`~taskiq_flow.RunKicker` call this.

        :param args: Inputs by position.
        :param kwargs: Inputs by name.
        :param options: What the start says beside its inputs.
        :raises GraphError: the graph has problems, or inputs are missing or unknown.
        """
        from taskiq_flow.flow import Flow  # imported late, because the flow imports the builders

        flow = Flow.of(self.broker)
        graph, inputs, single = self._prepare(args, kwargs)
        if problems := list_replaced(self.broker, self._functions):
            raise GraphError(problems)
        return await flow.submit(
            graph,
            inputs,
            single=single,
            serializer=self._serializer,
            run_id=options.run_id,
            labels=options.labels,
            name=options.name,
        )

    def _forget_graph(self) -> Self:
        """Compile anew when the graph is needed next; every method that changes the builder ends with this."""
        self._compiled = None
        self._given = {}
        return self

    @abstractmethod
    def _detach(self) -> None:
        """Make what a copy shares with its original its own."""

    @abstractmethod
    def _compile(self) -> Graph: ...

    @abstractmethod
    def _prepare(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Graph, Mapping[str, Any], str | None]:
        """Return the graph of a run, its inputs by name, and the output that is its value (``None`` for all)."""


def _is_number(value: object, kind: type | tuple[type, ...] = (int, float)) -> bool:
    # Not by math.isfinite(), which raises where a whole number is too large.
    return isinstance(value, kind) and not isinstance(value, bool) and abs(value) <= sys.float_info.max  # type: ignore[arg-type]
