"""The commands ``simulate`` and ``explain``; light, because the list of commands imports them."""

from __future__ import annotations

from typing import Any, ClassVar

from taskiq_flow.command import Command

__all__ = ["ExplainCommand", "SimulateCommand"]


class SimulateCommand(Command):
    """``taskiq flow simulate``: rehearse a run on a clock that jumps."""

    name: ClassVar[str] = "simulate"
    help: ClassVar[str] = "Play a run through with any scheduler and pool, and show how long it takes."

    def register(self, app: Any) -> None:
        from taskiq_flow_resources.simulation.syntax import register_simulate

        register_simulate(app, self.name, self.help)


class ExplainCommand(Command):
    """``taskiq flow explain``: why the cells of a run wait."""

    name: ClassVar[str] = "explain"
    help: ClassVar[str] = "Show how a run stands, and why its cells wait."

    def register(self, app: Any) -> None:
        from taskiq_flow_resources.syntax import register_explain

        register_explain(app, self.name, self.help)
