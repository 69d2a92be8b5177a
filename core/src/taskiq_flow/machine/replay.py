"""Replay: folds a log into a machine, for drivers that continue a run and for everybody who reads one.

A store may have written a batch twice, and a driver may have lost a race without noticing. Such an event had no effect
when it was written, so it has none in a replay.
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
    """Apply the events of a log to a machine, one at each step of the iterator.

    :param machine: The machine after the earlier part of the log; a new one for a log from its beginning.
    :param events: The log.
    :param pass_over: Callback that receives the error of each invalid event.
    :returns: Each valid event after it was applied, with the machine's instructions.
    """
    for event in events:
        try:
            instructions = machine.apply(event)
        except InvalidTransition as error:
            if pass_over is not None:
                pass_over(error)
            continue
        yield event, instructions
