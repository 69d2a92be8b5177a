"""Measuring sides against each other: they take turns in one process, and medians are compared.

The clock is the processor time of this process: what else the machine does stretches the other clock for whoever
happens to run. The wall clock is kept beside it, because waiting costs no processor time.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from attrs import field, frozen

__all__ = ["Comparison", "Row", "Side", "compare", "spread", "with_collector"]

Side = Callable[[], Awaitable[object]]
"""One way to do the work; what it returns must be what all other ways return."""


@frozen(kw_only=True)
class Row:
    """A line of the table.

    :param what: What was measured.
    :param value: The number that the budget is about, with its unit.
    :param range: The least and the greatest of it over the repetitions.
    :param budget: What is aimed at; empty where there is no budget.
    :param note: Other numbers of the same measurement.
    """

    what: str
    value: str
    range: str = ""
    budget: str = ""
    note: str = ""


@frozen(kw_only=True)
class Comparison:
    """The seconds of each side, turn by turn.

    :param processor: Processor time, by side.
    :param wall: Time on the wall clock, by side.
    """

    processor: Mapping[str, Sequence[float]] = field(factory=dict)
    wall: Mapping[str, Sequence[float]] = field(factory=dict)

    def ratios(self, base: str, other: str, *, wall: bool = False) -> list[float]:
        """Give the seconds of one side over those of another, turn by turn; above 1 the other is faster.

        :param wall: By the wall clock.
        """
        seconds = self.wall if wall else self.processor
        return [one / two for one, two in zip(seconds[base], seconds[other], strict=True)]

    def median(self, side: str) -> float:
        """Give the median of a side's processor time in seconds."""
        return statistics.median(self.processor[side])


async def compare(sides: Mapping[str, Side], *, repeat: int, warm_up: int = 1) -> Comparison:
    """Let sides take turns.

    :param sides: By name.
    :param repeat: How many turns each has.
    :param warm_up: How many turns before the first that counts.
    :raises ValueError: the sides came to different results, so the comparison means nothing.
    """
    processor: dict[str, list[float]] = {name: [] for name in sides}
    wall: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-warm_up, repeat):
        results: dict[str, object] = {}
        for name, side in sides.items():
            gc.collect()
            begin, begin_wall = time.process_time(), time.perf_counter()
            results[name] = await side()
            seconds, seconds_wall = time.process_time() - begin, time.perf_counter() - begin_wall
            if turn >= 0:
                processor[name].append(seconds)
                wall[name].append(seconds_wall)
        first = next(iter(results.values()))
        if any(result != first for result in results.values()):
            raise ValueError(f"the sides came to different results: {results!r:.300}")
    return Comparison(processor=processor, wall=wall)


@contextmanager
def with_collector(collecting: bool) -> Iterator[None]:
    """Have Python's garbage collector go on or not; its share of the work grows with all that the process holds.

    :param collecting: Whether it goes on.
    """
    before = gc.isenabled()
    (gc.enable if collecting else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if before else gc.disable)()


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Give the least and the greatest of some values as text.

    :param form: How a number is written.
    """
    return f"{min(values):{form}}–{max(values):{form}}"
