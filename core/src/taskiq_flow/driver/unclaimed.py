"""Messages that may be lost: attempts that were sent to a broker, until a worker has begun them."""

from __future__ import annotations

import heapq

from attrs import define, field

from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.transitions import CellState

__all__ = ["Unclaimed"]

# A message may rightly wait long, behind others. Sent again it is one more among them, so the times grow.
_FIRST_SECONDS = 120.0
_LONGEST_SECONDS = 3600.0
_MANY = 1_000

_Key = tuple[str, str, int]


@define(eq=False)
class Unclaimed:
    """What was sent and not begun. Of two messages about an attempt, one is claimed.

    Many brokers forget a message when a worker takes it. A worker that is lost, or that leaves, may have taken messages
    ahead of time; nobody knows which.
    """

    _sent: dict[_Key, tuple[ActiveRun, do.Dispatch, float]] = field(factory=dict)
    _due: list[tuple[float, _Key]] = field(factory=list)
    _many: int = _MANY

    def note(self, run: ActiveRun, instruction: do.Dispatch, now: float) -> None:
        """Note an attempt that is about to be sent.

        :param now: Seconds since the epoch.
        """
        key = (run.id, instruction.cell, instruction.attempt)
        _, _, seconds = self._sent.get(key, (None, None, _FIRST_SECONDS / 2))
        seconds = min(2 * seconds, _LONGEST_SECONDS)
        self._sent[key] = (run, instruction, seconds)
        heapq.heappush(self._due, (now + seconds, key))
        if len(self._sent) > self._many:
            self._sent = {each: entry for each, entry in self._sent.items() if _is_unclaimed(*entry[:2])}
            self._due = [entry for entry in self._due if entry[1] in self._sent]
            heapq.heapify(self._due)
            self._many = max(_MANY, 2 * len(self._sent))

    def move(self, seconds: float) -> None:
        """Move the times at which attempts are sent again, as the clock was set."""
        self._due = [(due + seconds, key) for due, key in self._due]

    def find_overdue(self, now: float, *, lost: bool) -> list[tuple[ActiveRun, do.Dispatch]]:
        """Return the attempts to send again, and forget those that have begun.

        :param now: Seconds since the epoch.
        :param lost: Whether a worker is gone, so that any message may be lost.
        """
        keys = {}
        if lost:
            # One that was placed on a worker goes to that worker's queue, and is known to be lost with it.
            keys = {key: None for key, (_, instruction, _) in self._sent.items() if not instruction.worker}
        while self._due and self._due[0][0] <= now:
            keys[heapq.heappop(self._due)[1]] = None
        found = []
        for key in keys:
            if (entry := self._sent.get(key)) is None:
                continue
            run, instruction, _ = entry
            if _is_unclaimed(run, instruction):
                found.append((run, instruction))
            else:
                del self._sent[key]
        return found


def _is_unclaimed(run: ActiveRun, instruction: do.Dispatch) -> bool:
    machine = run.machine
    cell = machine.cells.in_flight.get(instruction.cell)
    return (
        cell is not None
        and cell.attempt == instruction.attempt
        and cell.state is CellState.DISPATCHED
        and machine.wants(instruction.cell)
        and not run.broken
    )
