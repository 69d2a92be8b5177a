"""The commands that plugins offer, loaded without the other axes."""

from __future__ import annotations

from taskiq_flow.command import Command
from taskiq_flow.plugins.config import FlowConfig
from taskiq_flow.plugins.loading import sort_plugins
from taskiq_flow.plugins.registration import answers_of, calls_of
from taskiq_flow.plugins.tables import Axis, OfferTable, offers_on

__all__ = ["COMMANDS", "load_commands"]

COMMANDS = Axis("command", "flow_register_commands", Command)


def load_commands(config: FlowConfig | None = None) -> tuple[OfferTable[Command], tuple[str, ...]]:
    """Load the commands, by name; the other axes are left out, because the command line's help waits for this.

    A broken plugin does not affect the commands of others.

    :param config: The configuration with the blocked plugins; read from environment and file when it is not given.
    :returns: The usable commands, and a sentence for each problem.
    :raises PluginError: the configuration cannot be read.
    """
    config = FlowConfig.load() if config is None else config
    loaded, refused = sort_plugins((), config.blocked)
    answers, failed = answers_of(calls_of(loaded)[COMMANDS.hook])
    offers, wrong = offers_on(COMMANDS, answers)
    broken = dict.fromkeys(problem for each in refused for problem in each.problems)
    return OfferTable(COMMANDS.kind, offers), (*broken, *failed, *wrong)
