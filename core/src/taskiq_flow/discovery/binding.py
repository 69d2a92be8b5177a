"""Registers tasks of installed distributions with the application's broker."""

from __future__ import annotations

from copy import copy
from typing import Any

from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask
from taskiq.brokers.shared_broker import AsyncSharedBroker

from taskiq_flow.discoverer import Origin
from taskiq_flow.discovery.reading import function_of
from taskiq_flow.errors import GraphError, PluginError
from taskiq_flow.tasks.annotations import name_of
from taskiq_flow.tasks.options import keep_origin, origin_of
from taskiq_flow.worker.decorated import FlowTask

__all__ = ["bind_task"]


def bind_task(
    broker: AsyncBroker, name: str, task: Any, origin: Origin
) -> AsyncTaskiqDecoratedTask[Any, Any]:
    """Register a task with a broker under a name, together with its origin; a second call changes nothing.

    :param task: A function without a broker, a shared task of taskiq, or a task of this very broker.
    :raises GraphError: the broker has another task of that name.
    :raises PluginError: the task belongs to another broker, or its annotations cannot be read.
    """
    there = broker.local_task_registry.get(name)
    if there is not None:
        other = origin_of(there)
        # A source may make a new task object at each load; the same origin means the same task.
        if function_of(there) is not function_of(task) and other != origin:
            whose = f"is there already, of {other}" if other else "is one that the application has itself"
            raise GraphError(f"task {name!r} of {origin} {whose}; deny one of them, or give it a prefix")
        bound = there
    elif not isinstance(task, AsyncTaskiqDecoratedTask):
        try:
            bound = broker.register_task(task, task_name=name)
        except Exception as error:
            # taskiq evaluates the annotations, which are a third party's code.
            raise PluginError(
                f"task {name!r} of {origin} cannot be registered: {type(error).__name__}: {error}"
            ) from error
    elif task.broker is broker or isinstance(task.broker, AsyncSharedBroker):
        bound = copy(task) if isinstance(task, FlowTask) else FlowTask.of(task, broker)
        bound.task_name = name
        broker.local_task_registry[name] = bound
    else:
        raise PluginError(
            f"task {name!r} of {origin} belongs to a broker of its own ({type(task.broker).__name__}); decorate "
            f"{name_of(task)}() with @pipeline_task alone, or with @async_shared_broker.task"
        )
    keep_origin(bound, origin)
    return bound
