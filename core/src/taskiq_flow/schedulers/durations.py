"""How long tasks take, as far as a process knows."""

from __future__ import annotations

from attrs import define, field

__all__ = ["Durations"]

_UNKNOWN = 1.0


@define(eq=False)
class Durations:
    """The mean of the seconds that each task has taken."""

    _sums: dict[str, tuple[float, int]] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._sums)

    def record(self, task: str, seconds: float) -> None:
        """Add what an attempt took."""
        total, number = self._sums.get(task, (0.0, 0))
        # A clock that was set back meanwhile lets it end before it began.
        self._sums[task] = (total + max(0.0, seconds), number + 1)

    def mean(self, task: str) -> float:
        """Give the mean in seconds; 1 where nothing is known."""
        total, number = self._sums.get(task, (_UNKNOWN, 1))
        return total / number
