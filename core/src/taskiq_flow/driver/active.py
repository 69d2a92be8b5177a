"""A run that a driver drives."""

from __future__ import annotations

from attrs import define, field

from taskiq_flow.machine.events import AttemptFailed, CellCancelled, CellSucceeded, Event, SlotFreed
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.payloads import ClaimCheck, Value
from taskiq_flow.store import RunOutcome, RunRecord
from taskiq_flow.values.failures import text_of

__all__ = ["ActiveRun", "describe_break"]


_SECONDS_OF_SILENCE = 60.0


@define(eq=False)
class ActiveRun:
    """A run in the hands of its driver.

    :ivar record: The run, as the store knows it.
    :ivar machine: Its state.
    :ivar id: Its id.
    :ivar broken: Why it cannot be driven any further; empty where it can.
    :ivar logged: How many events its log has.
    :ivar logged_before: How many its log had when its driver last looked for deleted runs.
    :ivar resumed: Results taken over from the run that it resumes, by cell, until they are applied.
    :ivar lightened: Large arguments that were put together here, by identity, each with the claim check that is sent.
    :ivar room: How many of its cells took room after its last event.
    :ivar heard_at: When its log last grew or the store was last asked for it, in seconds since the epoch.
    """

    record: RunRecord
    machine: RunMachine
    broken: str = ""
    logged: int = 0
    logged_before: int = 0
    resumed: dict[str, CellSucceeded] = field(factory=dict)
    heard_at: float = 0.0
    room: int = 0
    id: str = field(init=False)
    lightened: dict[int, tuple[Value, ClaimCheck]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.id = self.record.id

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to drive: it is final, and no given-up attempt occupies a worker."""
        return bool(self.broken) or (self.machine.status.final and not self.machine.cells.held_slots)

    def awaits(self, cell: str, attempt: int) -> bool:
        """Whether the outcome of an attempt is still to come."""
        found = self.machine.cells.in_flight.get(cell)
        return found is not None and found.attempt == attempt and not self.broken

    def is_silent(self, now: float) -> bool:
        """Whether its log has not grown for long, so that the store is to be asked for it: it may have been deleted.

        :param now: Seconds since the epoch.
        """
        if self.logged != self.logged_before:
            self.logged_before, self.heard_at = self.logged, now
            return False
        silent = abs(now - self.heard_at) >= _SECONDS_OF_SILENCE
        self.heard_at = now if silent else self.heard_at
        return silent

    def news_of(self, event: Event) -> Event:
        """Return an event as the machine takes it: the outcome of a given-up attempt only frees its slot."""
        held_slots = self.machine.cells.held_slots
        if not held_slots or not isinstance(event, (CellSucceeded, AttemptFailed, CellCancelled)):
            return event
        late = (event.cell, event.attempt) in held_slots and not getattr(event, "holds_slot", False)
        return SlotFreed(cell=event.cell, attempt=event.attempt, at=event.at) if late else event

    def outcome(self, at: float) -> RunOutcome:
        """Return how the run ended.

        :param at: Seconds since the epoch.
        """
        machine = self.machine
        return RunOutcome(
            status=RunStatus.FAILED if self.broken else machine.status,
            outputs=machine.outputs(),
            failures=dict(machine.failures),
            left_out=dict(machine.suppressed),
            reason=self.broken or machine.reason,
            timed_out=machine.timed_out,
            holds_slot=bool(machine.cells.held_slots),
            at=at,
        )


def describe_break(error: BaseException) -> str:
    """Say why a run cannot be driven any further."""
    return f"internal error: {type(error).__name__}: {text_of(error)}"
