"""The protocol of discoverers, which find tasks that the application does not import itself."""

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
    """The origin of a plugin or a task: a distribution, or the application's own code.

    :param distribution: The distribution's name; empty where it was given in code.
    :param version: The distribution's version.
    :param target: The loaded object, as ``module`` or ``module:object``.
    """

    distribution: str
    version: str
    target: str

    @property
    def release(self) -> str:
        """The distribution and its version, or the object that was given in code."""
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
    """An object with tasks that can be loaded.

    :param name: The name under which it was found.
    :param origin: Its origin.
    :param load: Imports it, and returns a module, a callable or an object with tasks.
    :param rename: Maps the name that a task's author chose to the name for registration; ``None`` leaves the task out.
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
        """Make a discoverer from its settings; the default needs none, and refuses any.

        :param settings: The table ``[tool.taskiq-flow.tasks]``, overridden by the environment: the text of
            ``TASKIQ_FLOW_TASKS_DENY`` as ``deny``, and so on.
        :raises PluginError: a setting does not exist.
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
        """Return the sources, sorted by name.

        It reads metadata only, imports nothing, and does not raise because of one bad distribution.
        """
