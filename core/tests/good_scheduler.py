"""A scheduler that reads resources and keeps every promise; bad ones are derived from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from taskiq_flow.scheduler import Placement, Scheduler


class FirstFit(Scheduler):
    """A good one that reads resources: strictly in order, each cell on the first worker with room."""

    name: ClassVar[str] = "first-fit"

    def place(self, ready: Any, workers: Any, running: Any) -> Iterable[Placement] | None:
        used: dict[str, dict[str, float]] = {worker.id: {} for worker in workers}
        for cell in running:
            if cell.worker in used:
                self.add(used[cell.worker], cell.resources)
        placements = []
        for cell in ready:
            possible = [w for w in workers if self.fits(cell.resources, {}, w.capacity)]
            found = next((w for w in possible if self.fits(cell.resources, used[w.id], w.capacity)), None)
            if found is not None:
                self.add(used[found.id], cell.resources)
                placements.append(Placement(run=cell.run, path=cell.path, worker=found.id))
            elif possible and not self.overtakes:
                # What could be placed later is not overtaken.
                break
        return placements

    overtakes: ClassVar[bool] = False

    @staticmethod
    def add(used: dict[str, float], resources: Mapping[str, float]) -> None:
        for name, amount in resources.items():
            used[name] = used.get(name, 0.0) + amount

    @staticmethod
    def fits(
        resources: Mapping[str, float], used: Mapping[str, float], capacity: Mapping[str, float]
    ) -> bool:
        return not capacity or all(
            amount + used.get(name, 0.0) <= capacity.get(name, 0.0) for name, amount in resources.items()
        )
