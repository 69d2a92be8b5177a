"""The command ``tasks``; light, because its imports wait until it is called."""

from __future__ import annotations

from typing import Any, ClassVar

from taskiq_flow.command import Command

__all__ = ["TasksCommand"]


class TasksCommand(Command):
    """``taskiq flow tasks``: list the tasks of installed distributions."""

    name: ClassVar[str] = "tasks"
    help: ClassVar[str] = "List the tasks of installed distributions."

    def register(self, app: Any) -> None:
        from taskiq_flow_discovery.syntax import register_tasks

        register_tasks(app)
