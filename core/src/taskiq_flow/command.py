"""The protocol of commands: what ``taskiq flow`` can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

__all__ = ["Command"]


class Command(ABC):
    """A sub-command of ``taskiq flow``.

    :cvar name: The word that follows ``taskiq flow``.
    """

    name: ClassVar[str]

    @abstractmethod
    def register(self, app: Any) -> None:
        """Add itself to the command line.

        :param app: The ``typer.Typer`` application of ``taskiq flow``.
        """
