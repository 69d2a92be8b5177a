"""The protocol of commands: what ``taskiq flow`` can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

__all__ = ["Command"]


class Command(ABC):
    """A sub-command of ``taskiq flow``.

    Its module is light: ``taskiq flow --help`` imports it, and what the command needs is imported when it is called.

    :cvar name: The word that follows ``taskiq flow``.
    :cvar help: One line for the list of commands; without it the command registers itself to be listed too, which
        makes everybody's help wait for the imports of its own.
    """

    name: ClassVar[str]
    help: ClassVar[str] = ""

    @abstractmethod
    def register(self, app: Any) -> None:
        """Add itself to the command line.

        :param app: The ``typer.Typer`` application of ``taskiq flow``.
        """
