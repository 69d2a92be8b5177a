"""Many runs at once: what a node costs beside thousands of other active runs."""

from __future__ import annotations

import asyncio
import gc
import statistics
from collections.abc import Sequence

from taskiq import InMemoryBroker

from benchmarks.measure import Row, Side, compare, with_collector
from benchmarks.shapes import step
from taskiq_flow import Pipeline

__all__ = ["NODES", "rows", "side_of"]

NODES = 3
"""How many nodes each run has."""


def side_of(count: int, *, in_place: bool) -> Side:
    """Give the way to start many runs at once and to wait for all of them.

    :param count: How many.
    :param in_place: Whether the broker executes in place.
    """

    async def work() -> object:
        broker = InMemoryBroker(await_inplace=in_place)
        task = broker.task("step")(step)
        pipeline = Pipeline(broker, task).call_next(task).call_next(task)
        handles = [await pipeline.kiq(number) for number in range(count)]
        return await asyncio.gather(*[handle.result() for handle in handles])

    return work


async def _per_node(count: int, *, in_place: bool) -> float:
    compared = await compare({"ours": side_of(count, in_place=in_place)}, repeat=1, warm_up=0)
    return compared.median("ours") / count / NODES


def rows(counts: Sequence[int], repeat: int) -> list[Row]:
    """Measure several numbers of runs, which take turns, with and without Python's garbage collector.

    :param counts: How many runs, the smallest first.
    :param repeat: How many turns each has.
    """
    found = []
    for in_place in (True, False):
        factors = {}
        for collecting in (True, False):
            seconds: dict[int, list[float]] = {count: [] for count in counts}
            for turn in range(-1, repeat):
                for count in counts:
                    gc.collect()
                    with with_collector(collecting):
                        each = asyncio.run(_per_node(count, in_place=in_place))
                    if turn >= 0:
                        seconds[count].append(each)
            factors[collecting] = [statistics.median(each) for each in seconds.values()]
        how = "in place" if in_place else "in tasks"
        found.append(
            Row(
                what=f"cost of a node beside {' / '.join(f'{count:,}' for count in counts)} active runs, {how}",
                value=_ratios(factors[True]),
                budget="about 1",
                note=f"without the garbage collector {_ratios(factors[False])}",
            )
        )
    return found


def _ratios(seconds: Sequence[float]) -> str:
    return " / ".join(f"{each / seconds[0]:.2f}" for each in seconds)
