"""The timers of all runs of a pool, the next one first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from attrs import define, field

__all__ = ["Timers"]

_MANY_ENTRIES = 1_000


@define
class Timers:
    """A heap of due times; a timer that was stopped stays in it until it comes up, or too many have been stopped."""

    _heap: list[tuple[float, str, str]] = field(factory=list)
    _due: dict[tuple[str, str], float] = field(factory=dict)

    def __bool__(self) -> bool:
        """Whether any timer runs."""
        return bool(self._heap)

    def start(self, run: str, timer: str, due: float) -> None:
        """Start a timer of a run, or move it.

        :param due: Seconds since the epoch.
        """
        self._due[(run, timer)] = due
        heapq.heappush(self._heap, (due, run, timer))
        if len(self._heap) > _MANY_ENTRIES and len(self._heap) > 2 * len(self._due):
            self._heap = [entry for entry in self._heap if self._is_live(entry)]
            heapq.heapify(self._heap)

    def stop(self, run: str, timer: str) -> None:
        """Forget a timer; without effect when there is none of that name."""
        self._due.pop((run, timer), None)

    def next_due(self) -> float | None:
        """Return the time of the next timer; ``None`` when there is none."""
        while self._heap and not self._is_live(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Iterator[tuple[str, str]]:
        """Take the timers that are due by now: run and name, in the order of their times."""
        while (due := self.next_due()) is not None and due <= now:
            _, run, timer = heapq.heappop(self._heap)
            del self._due[(run, timer)]
            yield run, timer

    def move(self, seconds: float) -> None:
        """Move all timers, as the clock was set."""
        self._due = {timer: due + seconds for timer, due in self._due.items()}
        self._heap = [(due, run, timer) for (run, timer), due in self._due.items()]
        heapq.heapify(self._heap)

    def _is_live(self, entry: tuple[float, str, str]) -> bool:
        due, run, timer = entry
        return self._due.get((run, timer)) == due
