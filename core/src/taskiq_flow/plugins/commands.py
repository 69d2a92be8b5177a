"""The commands that plugins offer, without what else they offer."""

from __future__ import annotations

from taskiq_flow.command import Command
from taskiq_flow.errors import PluginError
from taskiq_flow.plugins.config import FlowConfig
from taskiq_flow.plugins.loading import load_plugins
from taskiq_flow.plugins.registration import answers_of, calls_of
from taskiq_flow.plugins.tables import Axis, OfferTable, offers_on

__all__ = ["COMMANDS", "load_commands"]

COMMANDS = Axis("command", "flow_register_commands", Command)


def load_commands(config: FlowConfig | None = None) -> OfferTable[Command]:
    """Give the commands by name, and leave the other axes alone: this is what the command line's help waits for.

    :param config: Which plugins are blocked; read from environment and file when it is not given.
    :raises PluginError: a plugin cannot be loaded, or two offer the same command.
    """
    config = FlowConfig.load() if config is None else config
    calls = calls_of(load_plugins((), config.blocked))
    answers, failed = answers_of(calls[COMMANDS.hook])
    offers, wrong = offers_on(COMMANDS, answers)
    if problems := failed + wrong:
        raise PluginError("\n".join(problems))
    return OfferTable(COMMANDS.kind, offers)
