"""A task under a name of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from taskiq_flow.builders.builder import Builder
from taskiq_flow.errors import GraphError
from taskiq_flow.tasks.annotations import task_of

__all__ = ["NamedTask", "name_task"]


@frozen(kw_only=True)
class NamedTask:
    """A task for a node of its own; made by :func:`name_task`.

    :param task: A task or a kicker.
    :param name: The node's name.
    :param wiring: The arguments about outputs and inputs for :meth:`~taskiq_flow.DataflowRegistry.register_task`.
    """

    INSTEAD_OF_A_TASK: ClassVar[str] = (
        "name_task is for the tasks of a DataflowPipeline: from_tasks, add, branch and group; give the task itself here"
    )

    task: Any
    name: str
    wiring: Mapping[str, Any] = field(factory=dict)


def name_task(
    task: Any,
    name: str,
    *,
    output: str | None = None,
    outputs: Iterable[str] | None = None,
    inputs: Iterable[str] | Mapping[str, str] | None = None,
    bind: Mapping[str, Any] | None = None,
) -> NamedTask:
    """Give a task, or a whole pipeline, a name of its own, so that it can stand in a pipeline several times.

    For example::

        old = name_task(load, "old", output="before", bind={"day": 1})
        new = name_task(load, "new", output="after", bind={"day": 2})
        pipeline = DataflowPipeline.from_tasks(broker, [old, new, compare])

    :param task: A task, a kicker, or a pipeline.
    :param name: The node's name, or the word before the names of the pipeline's nodes.
    :param output: The name of its output, by default that in the task's decorator, or else the node's name.
    :param outputs: Several names; the task's result is unpacked into them.
    :param inputs: Names of the data it needs, instead of those in its signature; or data by parameter, for some of its
        parameters.
    :param bind: Fixed values, by parameter.
    :raises GraphError: it is no task, or the name is no text.
    """
    if not isinstance(name, str) or not name:
        raise GraphError(f"the node's name is {name!r}; give a text, such as 'left'")
    if not isinstance(task, Builder):
        task_of(task)
    return NamedTask(
        task=task,
        name=name,
        wiring={"output": output, "outputs": outputs, "inputs": inputs, "bind": bind},
    )
