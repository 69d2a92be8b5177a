"""The commands that plugins offer, without what else they offer."""

from __future__ import annotations

from taskiq_flow.command import Command
from taskiq_flow.plugins.config import FlowConfig
from taskiq_flow.plugins.loading import sort_plugins
from taskiq_flow.plugins.registration import answers_of, calls_of
from taskiq_flow.plugins.tables import Axis, OfferTable, offers_on

__all__ = ["COMMANDS", "load_commands"]

COMMANDS = Axis("command", "flow_register_commands", Command)


def load_commands(config: FlowConfig | None = None) -> tuple[OfferTable[Command], tuple[str, ...]]:
    """Give the commands by name, and leave the other axes alone: this is what the command line's help waits for.

    A plugin that is broken keeps the commands of no other from anything.

    :param config: Which plugins are blocked; read from environment and file when it is not given.
    :returns: The commands that can be used, and a sentence for each thing that cannot.
    :raises PluginError: the configuration cannot be read.
    """
    config = FlowConfig.load() if config is None else config
    loaded, refused = sort_plugins((), config.blocked)
    answers, failed = answers_of(calls_of(loaded)[COMMANDS.hook])
    offers, wrong = offers_on(COMMANDS, answers)
    broken = dict.fromkeys(problem for each in refused for problem in each.problems)
    return OfferTable(COMMANDS.kind, offers), (*broken, *failed, *wrong)
