"""The standard commands, as the hook hands them over."""

from __future__ import annotations

from typing import Any, ClassVar

from taskiq_flow.command import Command
from taskiq_flow_cli.syntax import STANDARD

__all__ = ["GraphCommand", "PluginsCommand", "RunCommand"]


class RunCommand(Command):
    """``taskiq flow run``: start a pipeline and follow its run."""

    name: ClassVar[str] = "run"

    def register(self, app: Any) -> None:
        STANDARD[self.name](app)


class GraphCommand(Command):
    """``taskiq flow graph``: draw a pipeline."""

    name: ClassVar[str] = "graph"

    def register(self, app: Any) -> None:
        STANDARD[self.name](app)


class PluginsCommand(Command):
    """``taskiq flow plugins``: list what is installed."""

    name: ClassVar[str] = "plugins"

    def register(self, app: Any) -> None:
        STANDARD[self.name](app)
