"""What a worker needs to know of a task's function for every message, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Union

from attrs import field, frozen
from taskiq import AsyncTaskiqDecoratedTask

from taskiq_flow.retry import RetryPolicy
from taskiq_flow.tasks.options import task_options
from taskiq_flow.tasks.signatures import TaskSignature, read_signature
from taskiq_flow.worker.decorated import FlowTask
from taskiq_flow.worker.execution import is_async
from taskiq_flow.worker.makers import list_doubtful
from taskiq_flow.worker.references import Reference, reference_of

__all__ = ["TaskFunction", "task_function_of"]

_KEPT = "flow_shape"


@frozen(kw_only=True)
class TaskFunction:
    """A task's function, as a worker sees it.

    :param function: The user's function.
    :param task: The task's name.
    :param is_async: Whether it is a coroutine function.
    :param reports_progress: Whether it has a ``progress_callback``.
    :param accepts: The annotations of its parameters.
    :param policy: The retry policy object that the task was decorated with.
    :param asks_policy: Whether its decorator asked for retries, by such an object or by options.
    :param only_counts: Whether it did so by ``max_retries`` alone, a word of taskiq's middlewares too.
    :param types: The classes in taskiq's ``types_of_exceptions``; ``None`` for any.
    :param reference: Where a new process finds it; ``None`` where it has to run in this process, because it cannot be
        imported, has dependencies that taskiq injects, or reports progress.
    :param reference: Where another process finds it; a sentence that says why none does.
    :param signature: Its signature.
    :param injected: Whether taskiq injects something.
    :param doubtful: The parameters whose annotations allow several classes that look alike when they are written.
    :param returns: The annotations of its outputs, by their names, as far as they are known by now.
    :param readers: What decodes its parameters, by name and serializer, as far as that is known by now.
    """

    function: Callable[..., Any]
    task: str
    is_async: bool
    reports_progress: bool
    accepts: Mapping[str, Any]
    policy: RetryPolicy | None
    asks_policy: bool
    only_counts: bool
    types: tuple[type[BaseException], ...] | None
    reference: Union[Reference, str]
    signature: TaskSignature
    injected: bool = False
    doubtful: frozenset[str] = frozenset()
    returns: dict[tuple[str, ...], tuple[Any, ...]] = field(factory=dict, eq=False, repr=False)
    readers: dict[tuple[str, str], Callable[[bytes], Any]] = field(factory=dict, eq=False, repr=False)

    def returns_for(self, outputs: tuple[str, ...]) -> tuple[Any, ...]:
        """Return the annotation of each output; empty if unknown."""
        found = self.returns.get(outputs)
        if found is None:
            found = self.returns[outputs] = self.signature.find_returns(outputs)
        return found


def task_function_of(task: AsyncTaskiqDecoratedTask[Any, Any]) -> TaskFunction:
    """Give the shape of a task; worked out once, and kept with the task."""
    kept = task.__dict__.get(_KEPT)
    if isinstance(kept, TaskFunction):
        return kept
    function = task.func if isinstance(task, FlowTask) else task.original_func
    signature, options = read_signature(function), task_options(task)
    asynchronous = is_async(function)
    task_function = TaskFunction(
        function=function,
        task=task.task_name,
        is_async=asynchronous,
        reports_progress=signature.reports_progress,
        accepts=signature.accepts,
        policy=options.policy,
        asks_policy=options.policy is not None or options.node.retry is not None,
        only_counts=options.only_counts,
        types=options.types,
        reference="it is asynchronous" if asynchronous else reference_of(function),
        signature=signature,
        doubtful=list_doubtful(signature.accepts),
        injected=bool(signature.dependencies),
    )
    task.__dict__[_KEPT] = task_function
    return task_function
