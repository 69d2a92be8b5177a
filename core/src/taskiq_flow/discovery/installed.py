"""A task of an installed distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask

from taskiq_flow.discoverer import Origin
from taskiq_flow.discovery.binding import bind_task
from taskiq_flow.discovery.reading import function_of
from taskiq_flow.graph.types import describe
from taskiq_flow.tasks.annotations import signature_of, spec_of
from taskiq_flow.wiring.places import TaskPlace

__all__ = ["InstalledTask", "TaskInput"]


@frozen(kw_only=True)
class TaskInput:
    """Data that a task needs.

    :param name: The name of the data.
    :param type: The type that the task expects, as text; empty if unknown.
    :param required: Whether its parameter has no default.
    """

    name: str
    type: str
    required: bool


@frozen(kw_only=True)
class InstalledTask:
    """A task of an installed distribution.

    :param name: The name under which it is registered with a broker.
    :param source: The name of its source.
    :param origin: The distribution and its version; the target is the task's own module and function.
    :param place: Its outputs and needs.
    """

    name: str
    source: str
    origin: Origin
    place: TaskPlace = field(repr=False)

    @property
    def module(self) -> str:
        """The module that defines it."""
        return self.origin.target.partition(":")[0]

    @property
    def function(self) -> str:
        """The name of its function."""
        return self.origin.target.partition(":")[2]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its outputs."""
        return self.place.outputs

    @property
    def output_types(self) -> Mapping[str, str]:
        """The type of each output, as text; empty if unknown."""
        known = signature_of(self.place.task).returns_for(self.outputs)
        kinds = known or [Any] * len(self.outputs)
        return {name: _text(kind) for name, kind in zip(self.outputs, kinds, strict=True)}

    @property
    def inputs(self) -> tuple[TaskInput, ...]:
        """The data that it needs, in the order of its parameters."""
        accepts = signature_of(self.place.task).accepts
        return tuple(
            TaskInput(name=need.data, type=_text(accepts.get(need.parameter, Any)), required=need.required)
            for need in self.place.needs
        )

    @property
    def description(self) -> str:
        """The declared description, or the first line of the docstring."""
        text = self.place.description or getattr(function_of(self.place.task), "__doc__", None)
        return text.strip().partition("\n")[0] if isinstance(text, str) else ""

    @property
    def resources(self) -> Mapping[str, float]:
        """The amounts that an attempt occupies, by resource name."""
        return spec_of(self.place.task).resources

    def bind(self, broker: AsyncBroker) -> AsyncTaskiqDecoratedTask[Any, Any]:
        """Register it with a broker, if it is not registered yet.

        :raises GraphError: the broker has another task of that name.
        :raises PluginError: the task belongs to another broker, or its annotations cannot be read.
        """
        return bind_task(broker, self.name, self.place.task, self.origin)


def _text(annotation: Any) -> str:
    try:
        return "" if annotation is Any else describe(annotation)
    except Exception:  # noqa: BLE001 - the repr of a third party's object must not break the list of tasks
        return ""
