"""How many cells of a pool occupy capacity, and of which runs they are."""

from __future__ import annotations

from collections.abc import Mapping

from taskiq_flow.driver.active import ActiveRun

__all__ = ["Floor"]


class Floor:
    """The state of each run, as its last event has left it: replaced as a whole, and never counted up and down.

    A pool may have thousands of runs that wait for something; none of them is looked at to find the others. A cell
    whose task waits for another run is on the floor as well, and takes no room there.

    :ivar cells: How many cells take room.
    """

    def __init__(self) -> None:
        self.cells = 0
        self._runs: dict[str, ActiveRun] = {}

    @property
    def runs(self) -> Mapping[str, ActiveRun]:
        """The runs that have cells there, by id."""
        return self._runs

    def note(self, run: ActiveRun) -> None:
        """Read the state of a run; called after every event."""
        cells = run.machine.cells
        taken = len(cells.in_flight) + len(cells.held_slots)
        room = taken - len(cells.lent)
        if room != run.room:
            self.cells += room - run.room
            run.room = room
        if taken:
            self._runs[run.id] = run
        else:
            self._runs.pop(run.id, None)

    def forget(self, run: ActiveRun) -> None:
        """Forget a run that is not driven any more."""
        self.cells -= run.room
        run.room = 0
        self._runs.pop(run.id, None)
