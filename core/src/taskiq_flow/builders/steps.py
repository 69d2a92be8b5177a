"""The steps of a hand-chained pipeline, before they are compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union
from typing import Literal as OneOf

from attrs import evolve, field, frozen

from taskiq_flow.builders.lists import Lists
from taskiq_flow.builders.skipping import Skipping
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import ErrorMode, Graph, Literal
from taskiq_flow.tasks.names import normalise

__all__ = [
    "BranchStep",
    "CallStep",
    "Chain",
    "EachStep",
    "GraphStep",
    "GroupStep",
    "InlineStep",
    "Runnable",
    "Step",
]

ParamName = Union[str, None, OneOf[-1]]
"""The parameter that takes the value: ``None`` for the first one that is free, -1 for none at all."""

_NO_EXTRA: Mapping[str, Literal] = {}


@frozen
class CallStep:
    """Applies a task.

    :param task: A task or a kicker.
    :param param_name: The parameter that takes the value of the step before.
    :param extra: Values for other parameters.
    :param aside: Whether it is a side effect, which leaves the pipeline's value unchanged.
    """

    task: Any
    param_name: ParamName = field(default=None, converter=normalise)
    extra: Mapping[str, Literal] = _NO_EXTRA
    aside: bool = False


@frozen(kw_only=True)
class Chain:
    """Steps, with settings for all of them.

    :param steps: The steps, one after the other.
    :param retry: Options of the retry policy.
    :param serializer: The serializer of outputs.
    :param on_error: The error mode; ``None`` if none was chosen.
    :param timeout: The time limit of a run.
    :param name: For people.
    """

    steps: tuple[Step, ...] = ()
    retry: Mapping[str, Any] | None = None
    serializer: str | None = None
    on_error: ErrorMode | None = None
    timeout: float | None = None
    name: str = ""

    def taking(self, param_name: ParamName, extra: Mapping[str, Literal]) -> Chain:
        """Return the chain with other arguments for its first step.

        :raises GraphError: the first step takes no arguments.
        """
        if param_name is None and not extra:
            return self
        first = self.steps[0] if self.steps else None
        if not isinstance(first, (CallStep, InlineStep, GraphStep)) or (
            isinstance(first, CallStep) and first.aside
        ):
            raise GraphError(
                "param_name and extra arguments go to the first step of the pipeline, which must be a task for that; "
                "give them where that pipeline is built"
            )
        changed = evolve(
            first,
            param_name=first.param_name if param_name is None else param_name,
            extra={**first.extra, **extra},
        )
        return evolve(self, steps=(changed, *self.steps[1:]))


@frozen(kw_only=True)
class GraphStep:
    """Inserts the nodes of a pipeline that was compiled already.

    :param graph: Its graph; its nodes carry its error mode.
    :param result: The output that is the next value.
    :param name: What the nodes are named after; empty for the output.
    :param param_name: The input that takes the value of the step before.
    :param extra: Values for other inputs.
    """

    graph: Graph
    result: str
    name: str = ""
    param_name: ParamName = None
    extra: Mapping[str, Literal] = _NO_EXTRA


Runnable = Union[CallStep, Chain, GraphStep]
"""A task or a whole pipeline, as an argument of a step."""


@frozen
class InlineStep:
    """Inserts the steps of another pipeline."""

    chain: Chain
    param_name: ParamName = field(default=None, converter=normalise)
    extra: Mapping[str, Literal] = _NO_EXTRA


@frozen(kw_only=True)
class EachStep:
    """Applies a task or a pipeline to each element of the value, or of several lists.

    :param body: The task or the pipeline.
    :param skipping: What becomes of elements that failed.
    :param lists: The lists by name; ``None`` for the value.
    :param product: Apply it to every combination of the elements of several lists.
    :param strict: Fail if several lists have different lengths.
    :param chunk: Hand over lists of so many elements.
    :param keep: ``values`` keeps the results, ``items`` keeps the elements whose result was true, ``one`` combines the
        results of chunks until one is left.
    :param max_parallel: How many elements may be worked on at once.
    """

    body: Runnable
    skipping: Skipping
    lists: Lists | None = None
    product: bool = False
    strict: bool = True
    chunk: int | None = None
    keep: OneOf["values", "items", "one"] = "values"
    max_parallel: int | None = None


@frozen
class GroupStep:
    """Passes the value to several tasks or pipelines; the list of their results is the next value."""

    members: tuple[Runnable, ...]


@frozen
class BranchStep:
    """Lets a predicate decide which of two sides gets the value.

    :param otherwise: The side for ``False``; without it the value stays the same.
    """

    predicate: CallStep
    then: Runnable
    otherwise: Runnable | None = None


Step = Union[CallStep, InlineStep, GraphStep, EachStep, GroupStep, BranchStep]
