"""The protocol of discoverers: where tasks come from that this application did not import itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from attrs import frozen

__all__ = ["Discoverer", "TaskOrigin", "TaskSource"]


@frozen(kw_only=True)
class TaskOrigin:
    """Where a task comes from.

    :param distribution: The distribution that offers it.
    :param version: That distribution's version.
    :param target: What is loaded, as ``module:object``.
    """

    distribution: str
    version: str
    target: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.target})"


@frozen(kw_only=True)
class TaskSource:
    """Something that can be loaded and then holds tasks.

    :param name: The name under which it was found.
    :param origin: Where it comes from.
    :param load: Imports it, and gives a module, a callable or an object with tasks.
    """

    name: str
    origin: TaskOrigin
    load: Callable[[], Any]


class Discoverer(ABC):
    """Finds sources of tasks without importing them.

    Implementations pass ``taskiq_flow.testing.DiscovererKit``.

    :cvar name: The name that configuration selects it by.
    """

    name: ClassVar[str]

    @abstractmethod
    def find(self) -> Sequence[TaskSource]:
        """Give what there is, by name; reads metadata only, imports nothing, never raises for one bad distribution."""
