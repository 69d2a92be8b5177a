"""The task object of a broker that has a flow.

taskiq keeps every keyword of ``@broker.task(...)`` as a label, sends labels as text, and gives the
worker the function itself. A :class:`FlowTask` takes the options of Taskiq-Flow out of the labels, and
hands the worker a function that asks the current :class:`~taskiq_flow.worker.execution.Execution` how to
run. For a message that somebody sent on its own, taskiq gets the user's function itself, and runs it as it runs all
others: in the event loop, or in its own threads or processes. Called directly, it is the user's function, too.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask
from typing_extensions import ParamSpec

from taskiq_flow.errors import GraphError
from taskiq_flow.tasks.options import TaskOptions, keep_options, task_options
from taskiq_flow.worker.execution import CURRENT, Execution
from taskiq_flow.worker.standalone import StandaloneMessage

__all__ = ["FlowTask", "wrap_task", "wrap_tasks"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class FlowTask(AsyncTaskiqDecoratedTask[_P, _R]):
    """A task whose options are sorted and whose executions can be driven.

    :ivar func: The user's function.
    :ivar is_bare: Whether nobody has put anything around it.
    :ivar is_plain: Whether it is known to need nothing of ours when it is sent on its own.
    """

    func: Callable[..., Any]
    is_plain = False
    _own: Callable[..., Any] | None = None

    def __init__(
        self,
        broker: AsyncBroker,
        task_name: str,
        original_func: Callable[_P, _R],
        labels: dict[str, Any],
        return_type: type[_R] | None = None,
    ) -> None:
        options = TaskOptions.read(task_name, labels)
        self.func = original_func
        super().__init__(broker, options.name or task_name, original_func, dict(options.labels), return_type)
        keep_options(self, options)
        self._wrap()

    @property
    def original_func(self) -> Callable[..., Any]:
        """What taskiq is to call: it asks for this once its middlewares have seen the message."""
        if type(CURRENT.get()) is StandaloneMessage and self.is_bare:
            return self.func
        return self._wrapped

    @original_func.setter
    def original_func(self, function: Callable[..., Any]) -> None:
        self._wrapped = function
        # What somebody else has put around it stays around it.
        self.is_bare, self.is_plain = function is self._own, False

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call the user's function, as if it had never been decorated."""
        return self.func(*args, **kwargs)  # type: ignore[no-any-return]

    def _wrap(self) -> None:
        self._own = _wrap_function(self.func)
        self.original_func = self._own

    @classmethod
    def of(cls, task: AsyncTaskiqDecoratedTask[Any, Any], broker: AsyncBroker) -> FlowTask[Any, Any]:
        """Give the driven form of a task that was decorated before there was a flow.

        The user's object stays valid: it loses the options that must not be sent, and takes the name that they say.
        """
        options = task_options(task)
        keep_options(task, options)
        task.labels = dict(options.labels)
        task.task_name = options.name or task.task_name
        twin: FlowTask[Any, Any] = cls.__new__(cls)
        twin.__dict__.update(task.__dict__)
        twin.broker = broker
        twin.func = task.original_func
        twin.__dict__.pop("original_func", None)
        twin._wrap()
        return twin


def _wrap_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that lets the current execution run the user's function, and otherwise just calls it."""

    @functools.wraps(function)
    def invoke(*args: Any, **kwargs: Any) -> Any:
        execution = CURRENT.get()
        if not isinstance(execution, Execution) or not execution.take():
            return function(*args, **kwargs)
        return execution.run(function, args, kwargs)

    # taskiq awaits what a coroutine function gives and sends everything else to a thread of its own;
    # where a synchronous task runs is for the execution to decide.
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(invoke)
    else:
        invoke._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return invoke


def wrap_task(broker: AsyncBroker, task: AsyncTaskiqDecoratedTask[Any, Any]) -> FlowTask[Any, Any]:
    """Register the driven form of a task with a broker.

    :raises GraphError: its options are wrong, or another task has its name.
    """
    if isinstance(task, FlowTask):
        return task
    before = task.task_name
    twin = FlowTask.of(task, broker)
    other = broker.local_task_registry.get(twin.task_name)
    if other is not None and other is not task:
        raise GraphError(f"two tasks are named {twin.task_name!r}; give one of them another name")
    if broker.local_task_registry.get(before) is task:
        del broker.local_task_registry[before]
    broker.local_task_registry[twin.task_name] = twin
    return twin


def wrap_tasks(broker: AsyncBroker) -> None:
    """Register the driven forms of all tasks that a broker knows by now, shared ones included."""
    for task in list(broker.get_all_tasks().values()):
        wrap_task(broker, task)
