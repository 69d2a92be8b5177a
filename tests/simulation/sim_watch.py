"""What is seen from above: everything that is appended to the logs, checked at once by machines of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taskiq_flow.errors import InvalidTransition, LeaseLost
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.wire import encode_event
from taskiq_flow.store import Lease, RunLog, RunRecord
from taskiq_flow.testing.invariants import FinalStates, check_invariants

__all__ = ["Watch", "WatchedLog"]


class Watch:
    """A machine beside each run, fed with what was appended.

    :param bound: How many cells may be in flight at once.

    :ivar problems: What must not be, oldest first.
    """

    def __init__(self, codec: Any, bound: int) -> None:
        self._codec = codec
        self._bound = bound
        self._finals: dict[str, FinalStates] = {}
        self._over: set[str] = set()
        self.machines: dict[str, RunMachine] = {}
        self.events: dict[str, list[ev.Event]] = {}
        self.problems: list[str] = []
        self.busiest = 0
        self.refusals = 0

    def created(self, record: RunRecord) -> None:
        """Begin to watch a run."""
        self.machines[record.id] = self.machine(record)
        self.events[record.id] = []
        self._finals[record.id] = FinalStates()

    def machine(self, record: RunRecord) -> RunMachine:
        """Make a machine for a run, in the state before its first event."""
        return RunMachine(record.graph, read=self._codec.read)

    def over(self, run: str) -> None:
        """Know that a run has its outcome, or is gone: what it has given up is nobody's business any more."""
        self._over.add(run)

    def appended(self, batch: Mapping[str, Sequence[ev.Event]]) -> None:
        """Look at what was appended."""
        for run, events in batch.items():
            machine = self.machines[run]
            for event in events:
                self.events[run].append(event)
                version = machine.version
                try:
                    machine.apply(event)
                    check_invariants(machine)
                    self._finals[run].observe(machine)
                except (AssertionError, InvalidTransition) as error:
                    self.problems.append(f"{run}: after {event}: {error}")
                    return
                if machine.version == version:
                    self.problems.append(f"{run}: {event} changes nothing and is in the log")
        busy = sum(
            len(machine.cells.in_flight) + len(machine.cells.held_slots)
            for run, machine in self.machines.items()
            if run not in self._over
        )
        self.busiest = max(self.busiest, busy)
        if busy > self._bound:
            self.problems.append(f"{busy} cells are in flight, {self._bound} may be")

    def check_attempts(self, run: str) -> None:
        """Check by the log alone that no cell has two ends, and that the current attempt was the one to end it."""
        current: dict[str, int] = {}
        given_up: set[tuple[str, int]] = set()
        ended: set[str] = set()
        for event in self.events[run]:
            if isinstance(event, ev.CellDispatched):
                if event.cell in ended:
                    self.problems.append(f"{run}: {event.cell} was dispatched after its end")
                if event.attempt != current.get(event.cell, 0) + 1:
                    self.problems.append(f"{run}: {event.cell} went to attempt {event.attempt} out of turn")
                current[event.cell] = event.attempt
            elif isinstance(event, ev.AttemptFailed):
                given_up.add((event.cell, event.attempt))
            elif isinstance(event, ev.CellSucceeded):
                by_current = event.attempt == current.get(event.cell)
                ended |= {event.cell} if by_current and (event.cell, event.attempt) not in given_up else set()
        for path in self.machines[run].cells.states():
            state = self.machines[run].cells.state_of(path)
            if path in current and state is not None and state.word == "succeeded" and path not in ended:
                self.problems.append(f"{run}: {path} succeeded by an attempt that was given up")

    def journal(self) -> str:
        """Give all logs as text."""
        return "\n".join(
            f"{run} {encode_event(event)}" for run, events in self.events.items() for event in events
        )


class WatchedLog(RunLog):
    """A store's log, and somebody who looks at what is appended, at the very moment.

    :param log: The log.
    """

    def __init__(self, log: RunLog, watch: Watch) -> None:
        self._log = log
        self._watch = watch

    async def append(self, batch: Mapping[str, Sequence[ev.Event]], *, lease: Lease) -> None:
        try:
            await self._log.append(batch, lease=lease)
        except LeaseLost:
            self._watch.refusals += 1
            raise
        self._watch.appended(batch)

    async def read(self, run: str, offset: int = 0) -> Sequence[ev.Event]:
        return await self._log.read(run, offset)

    def follow(self, run: str, offset: int = 0) -> Any:
        return self._log.follow(run, offset)
