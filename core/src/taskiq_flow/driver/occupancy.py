"""How many cells of a pool occupy capacity, and of which runs they are."""

from __future__ import annotations

from collections.abc import Mapping

from taskiq_flow.driver.active import ActiveRun

__all__ = ["Occupancy"]


class Occupancy:
    """The state of each run, as its last event has left it: replaced as a whole, and never counted up and down.

    A pool may have thousands of runs that wait for something; none of them is looked at to find the others.

    :ivar cells: How many cells occupy capacity.
    """

    def __init__(self) -> None:
        self.cells = 0
        self._runs: dict[str, ActiveRun] = {}

    @property
    def runs(self) -> Mapping[str, ActiveRun]:
        """The runs that have such cells, by id."""
        return self._runs

    def note(self, run: ActiveRun) -> None:
        """Read the state of a run."""
        cells = run.machine.cells
        self.change(run, len(cells.in_flight) + len(cells.held_slots))

    def forget(self, run: ActiveRun) -> None:
        """Forget a run that is not driven any more."""
        self.change(run, 0)

    def change(self, run: ActiveRun, occupied: int) -> None:
        """Replace the number of a run's cells that occupy capacity.

        :param occupied: The number, as its state says after its last event.
        """
        self.cells += occupied - run.occupied
        run.occupied = occupied
        if occupied:
            self._runs[run.id] = run
        else:
            self._runs.pop(run.id, None)
