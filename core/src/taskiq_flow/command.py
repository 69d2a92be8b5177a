"""The protocol of commands, the sub-commands of ``taskiq flow``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

__all__ = ["Command"]


class Command(ABC):
    """A sub-command of ``taskiq flow``.

    Its module is light, because ``taskiq flow --help`` imports it. Heavy imports belong into the command's call.

    :cvar name: The word that follows ``taskiq flow``.
    :cvar help: One line for the list of commands. Without it, ``taskiq flow --help`` has to register the command, and
        waits for its imports.
    """

    name: ClassVar[str]
    help: ClassVar[str] = ""

    @abstractmethod
    def register(self, app: Any) -> None:
        """Add itself to the command line.

        :param app: The ``typer.Typer`` application of ``taskiq flow``.
        """
