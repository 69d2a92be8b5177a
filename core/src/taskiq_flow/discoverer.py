"""The protocol of discoverers: where tasks come from that this application did not import itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from attrs import frozen
from typing_extensions import Self

from taskiq_flow.errors import PluginError

__all__ = ["Discoverer", "Origin", "TaskSource"]


@frozen
class Origin:
    """Where a plugin or a task comes from: the distribution that brought it, or the fact that it was given in code.

    :param distribution: Its name; empty for what was given in code.
    :param version: Its version.
    :param target: What is loaded, as ``module`` or ``module:object``.
    """

    distribution: str
    version: str
    target: str

    @property
    def release(self) -> str:
        """The distribution and its version, or what was given in code."""
        if not self.distribution:
            return f"{self.target!r} given in code"
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return (
            f"{self.distribution or 'given in code'}{' ' * bool(self.version)}{self.version} ({self.target})"
        )


def _keep_name(name: str) -> str | None:
    return name


@frozen(kw_only=True)
class TaskSource:
    """Something that can be loaded and then holds tasks.

    :param name: The name under which it was found.
    :param origin: Where it comes from.
    :param load: Imports it, and gives a module, a callable or an object with tasks.
    :param rename: Gives the name under which one of its tasks is to be registered, from the name that its author gave
        it; ``None`` leaves the task out.
    """

    name: str
    origin: Origin
    load: Callable[[], Any]
    rename: Callable[[str], str | None] = _keep_name


class Discoverer(ABC):
    """Finds sources of tasks without importing them.

    Implementations pass ``taskiq_flow.testing.DiscovererKit``.

    :cvar name: The name that configuration selects it by.
    """

    name: ClassVar[str]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Make one with what the configuration says; by default any setting is refused, and none is needed.

        :param settings: The table ``[tool.taskiq-flow.tasks]``, under what the environment says: the text of
            ``TASKIQ_FLOW_TASKS_DENY`` as ``deny``, and so on.
        :raises PluginError: there are settings that it does not have.
        """
        if settings:
            raise PluginError(
                f"discoverer {cls.name!r} has no settings, found {', '.join(map(repr, sorted(settings)))} in "
                "[tool.taskiq-flow.tasks] or the environment; select one that has them, such as 'installed' of "
                "taskiq-flow-discovery"
            )
        return cls()

    @abstractmethod
    def find(self) -> Sequence[TaskSource]:
        """Give what there is, by name; reads metadata only, imports nothing, never raises for one bad distribution."""
