"""A log, folded into a machine once more: how drivers go on with a run, and how everybody else reads one.

A store may have written a batch twice, and a driver may have lost a race that it did not know of. When such an event
happened it changed nothing, so it changes nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from taskiq_flow.errors import InvalidTransition
from taskiq_flow.machine.events import Event
from taskiq_flow.machine.instructions import Instruction
from taskiq_flow.machine.machine import RunMachine

__all__ = ["replay"]


def replay(
    machine: RunMachine,
    events: Iterable[Event],
    *,
    pass_over: Callable[[InvalidTransition], object] | None = None,
) -> Iterator[tuple[Event, list[Instruction]]]:
    """Apply the events of a log to a machine, as far as the result is asked for.

    :param machine: Where the log has led so far; a new one for a log from its beginning.
    :param events: The log.
    :param pass_over: Is told of each event that cannot be.
    :returns: Each event that could be, once it was applied, with what the machine said to it.
    """
    for event in events:
        try:
            instructions = machine.apply(event)
        except InvalidTransition as error:
            if pass_over is not None:
                pass_over(error)
            continue
        yield event, instructions
