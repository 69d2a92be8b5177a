"""The tasks of a hand-chained pipeline, each read once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from taskiq_flow._words import quote
from taskiq_flow.graph.model import ErrorMode, NodeOptions
from taskiq_flow.graph.tolerance import takes_failures
from taskiq_flow.tasks.annotations import name_of, signature_of, spec_of
from taskiq_flow.tasks.signatures import TaskSignature
from taskiq_flow.wiring.options import broker_problem, find_registered_name, node_options

if TYPE_CHECKING:
    from taskiq import AsyncBroker

__all__ = ["TaskUse", "TaskUses"]


@frozen(kw_only=True)
class TaskUse:
    """The facts about a task that are the same at each of its nodes; made once for each task.

    :param name: The function's name.
    :param task: The task's name in the broker.
    :param returns: The annotation of its result, in a tuple; empty if unknown.
    :param optional: Parameters with a default.
    :param first: The parameter that takes the value by default.
    :param unfed_behind_first: The other required parameters.
    :param optional_first: The first parameter, if it has a default.
    :param takes_failures: Whether an annotation of a parameter has a place for failures.
    :param free_behind_first: The other parameters with a default, each with its name as an input of a run.
    """

    name: str
    task: str
    signature: TaskSignature
    description: str
    returns: tuple[Any, ...]
    optional: frozenset[str]
    first: str | None
    unfed_behind_first: tuple[str, ...]
    optional_first: frozenset[str]
    takes_failures: bool
    free_behind_first: Mapping[str, str]


@define
class TaskUses:
    """The uses of all tasks of one pipeline, and its problems.

    :param broker: The pipeline's broker.
    :param on_error: The error mode of the whole graph.
    """

    broker: AsyncBroker
    on_error: ErrorMode
    problems: list[str] = field(factory=list)
    _uses: dict[int, TaskUse] = field(factory=dict)
    _options: dict[tuple[int, int, str | None, str | None], NodeOptions] = field(factory=dict)

    def of(self, task: Any) -> TaskUse:
        """Return the use of a task or a kicker."""
        # By identity: the steps keep their tasks alive, and two kickers of one task may have different labels.
        use = self._uses.get(id(task))
        if use is None:
            use = self._uses[id(task)] = self._read(task)
        return use

    def options(
        self,
        task: Any,
        retry: Mapping[str, Any] | None,
        on_error: ErrorMode | None,
        serializer: str | None = None,
    ) -> NodeOptions:
        """Return the options of nodes that apply a task, one object for all of them."""
        key = (id(task), id(retry), on_error, serializer)
        options = self._options.get(key)
        if options is None:
            options = node_options(task, retry=retry, on_error=on_error, serializer=serializer)
            self._options[key] = options
        return options

    def _read(self, task: Any) -> TaskUse:
        signature = signature_of(task)
        name = name_of(task)
        problem = broker_problem(self.broker, task)
        if problem is not None:
            self.problems.append(problem)
        if signature.positional_only:
            self.problems.append(
                f"task {name!r} takes {quote(signature.positional_only)} by position only, but values are handed "
                "over by name; remove the '/' from its parameters"
            )
        first = next(iter(signature.names), None)
        optional = frozenset(signature.names) - frozenset(signature.required)
        return TaskUse(
            name=name,
            task=find_registered_name(task),
            signature=signature,
            description=spec_of(task).description,
            returns=signature.returns_for((name,)),
            optional=optional,
            first=first,
            unfed_behind_first=tuple(each for each in signature.required if each != first),
            optional_first=optional & {first} if first is not None else frozenset(),
            takes_failures=any(map(takes_failures, signature.accepts.values())),
            free_behind_first={each: each for each in signature.names if each in optional and each != first},
        )
