"""The command ``dead``; light, because the list of commands imports it."""

from __future__ import annotations

from typing import Any, ClassVar

from taskiq_flow.command import Command

__all__ = ["DeadCommand"]


class DeadCommand(Command):
    """``taskiq flow dead``: the dead-letter list."""

    name: ClassVar[str] = "dead"
    help: ClassVar[str] = "List, replay and discard dead letters."

    def register(self, app: Any) -> None:
        from taskiq_flow_retry.dead.syntax import register_dead

        register_dead(app, self.name, self.help)
