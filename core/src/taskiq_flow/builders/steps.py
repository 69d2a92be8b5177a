"""The steps of a hand-chained pipeline, before they are compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union
from typing import Literal as OneOf

from attrs import evolve, frozen

from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import ErrorMode, Literal

__all__ = ["BranchStep", "CallStep", "Chain", "EachStep", "GroupStep", "InlineStep", "Runnable", "Step"]

ParamName = Union[str, None, OneOf[-1]]
"""The parameter that takes the value: ``None`` for the first one that is free, -1 for none at all."""

_NO_EXTRA: Mapping[str, Literal] = {}


@frozen
class CallStep:
    """Applies a task.

    :param task: A task or a kicker.
    :param param_name: The parameter that takes the value of the step before.
    :param extra: Values for other parameters.
    :param aside: Whether the pipeline's value passes by: a side effect.
    """

    task: Any
    param_name: ParamName = None
    extra: Mapping[str, Literal] = _NO_EXTRA
    aside: bool = False


@frozen(kw_only=True)
class Chain:
    """Steps, with what was said of all of them.

    :param steps: One after the other.
    :param retry: Options of the retry policy.
    :param serializer: The serializer of outputs.
    :param on_error: The error mode, where one was chosen.
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
        """Give the chain whose first step takes the value and further arguments in a certain way.

        :raises GraphError: its first step is none that arguments can be given to.
        """
        if param_name is None and not extra:
            return self
        first = self.steps[0] if self.steps else None
        if not isinstance(first, (CallStep, InlineStep)) or (isinstance(first, CallStep) and first.aside):
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


Runnable = Union[CallStep, Chain]
"""What may stand where a task or a whole pipeline may stand."""


@frozen
class InlineStep:
    """Puts the steps of another pipeline here."""

    chain: Chain
    param_name: ParamName = None
    extra: Mapping[str, Literal] = _NO_EXTRA


@frozen(kw_only=True)
class EachStep:
    """Applies a task or a pipeline to each element of the value.

    :param body: What is applied.
    :param keep: ``values`` for the results, ``items`` for those elements for which the result was true.
    :param max_parallel: How many elements may be worked on at once.
    :param skip_errors: Leave out elements that failed.
    """

    body: Runnable
    keep: OneOf["values", "items"] = "values"
    max_parallel: int | None = None
    skip_errors: bool = False


@frozen
class GroupStep:
    """Gives the value to several tasks or pipelines; the list of their results is the next value."""

    members: tuple[Runnable, ...]


@frozen
class BranchStep:
    """Asks a predicate about the value, and gives it to one of two sides.

    :param otherwise: The other side; without one the value passes unchanged.
    """

    predicate: CallStep
    then: Runnable
    otherwise: Runnable | None = None


Step = Union[CallStep, InlineStep, EachStep, GroupStep, BranchStep]
