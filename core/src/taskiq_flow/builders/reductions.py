"""Reductions of hand-chained pipelines, to one value of a whole list."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from typing_extensions import ParamSpec

from taskiq_flow.builders.chain_inputs import ChainInputs
from taskiq_flow.builders.lists import check_sizes
from taskiq_flow.builders.skipping import Skipping
from taskiq_flow.builders.steps import EachStep, Runnable, Step

if TYPE_CHECKING:
    from taskiq_flow.builders.pipeline import Pipeline, _Async, _Plain

__all__ = ["ChainReductions"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")


class ChainReductions(ChainInputs, Generic[_P, _R]):
    """The methods of a hand-chained pipeline that take a list to one value."""

    @overload
    def reduce(
        self,
        task: _Async[Any, _T],
        /,
        param_name: str | None = None,
        *,
        tree: bool = False,
        fan_in: int | None = None,
        **extra: Any,
    ) -> Pipeline[_P, _T]: ...

    @overload
    def reduce(
        self,
        task: _Plain[Any, _T],
        /,
        param_name: str | None = None,
        *,
        tree: bool = False,
        fan_in: int | None = None,
        **extra: Any,
    ) -> Pipeline[_P, _T]: ...

    def reduce(
        self,
        task: Any,
        /,
        param_name: str | None = None,
        *,
        tree: bool = False,
        fan_in: int | None = None,
        **extra: Any,
    ) -> Any:
        """Apply a task to the whole list that is the value; for an associative task also in a tree.

        In a tree the task gets lists of up to ``fan_in`` consecutive elements, then lists of what it returned for
        these, in order, until one value is left. It is applied at least once: to a list of one element, or to an empty
        one.

        :param task: A task, a kicker, or a pipeline.
        :param param_name: The parameter that takes the list, by default the first one that is free.
        :param tree: Combine in a tree.
        :param fan_in: How many values are combined at once in a tree, 2 by default; giving it implies ``tree``.
        :param extra: Values for other parameters.
        :returns: The pipeline.
        :raises GraphError: it is no task, an argument has no JSON form, or the number is impossible.
        """
        check_sizes(fan_in=fan_in)
        if not tree and fan_in is None:
            return self.call_next(task, param_name, **extra)
        body = self._runnable(task, param_name, extra)
        return self._add(
            EachStep(body=body, skipping=Skipping(), chunk=2 if fan_in is None else fan_in, keep="one")
        )

    @abstractmethod
    def call_next(self, task: Any, /, param_name: Any = None, **extra: Any) -> Any:
        """Add a task whose result is the next value."""

    @abstractmethod
    def _runnable(self, task: Any, param_name: str | None, extra: Mapping[str, Any]) -> Runnable: ...

    @abstractmethod
    def _add(self, step: Step) -> Any: ...
