"""The standard commands, as classes for the hook."""

from __future__ import annotations

from typing import Any

from taskiq_flow.command import Command
from taskiq_flow_cli.syntax import STANDARD

__all__ = ["COMMANDS"]


class _Standard(Command):
    def register(self, app: Any) -> None:
        STANDARD[self.name](app)


COMMANDS: tuple[type[Command], ...] = tuple(
    type("StandardCommand", (_Standard,), {"name": name, "__module__": __name__}) for name in STANDARD
)
"""The standard commands, one for each entry in the table of their syntax."""
