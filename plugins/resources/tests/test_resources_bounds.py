"""No worker and no limit is ever exceeded, whatever fails, and everything comes to its end."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resource_bench import Bench, with_resources

from graph_strategies import graphs
from taskiq_flow import Graph, ResourceAwareWorkerPool, Scheduler
from taskiq_flow_resources.best_fit import BestFitScheduler
from taskiq_flow_resources.critical_path import CriticalPathScheduler
from taskiq_flow_resources.fair_share import FairShareScheduler


class Broken(BestFitScheduler):
    """Fails in every second turn, one way or the other."""

    name = "broken"
    turns = 0

    def place(self, ready, workers, running):  # type: ignore[no-untyped-def]
        self.turns += 1
        if self.turns % 4 == 1:
            raise RuntimeError("no idea")
        return None if self.turns % 4 == 3 else super().place(ready, workers, running)


class Narrow(FairShareScheduler):
    """Is never shown all cells at once."""

    lookahead = 2


SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "best-fit": BestFitScheduler,
    "critical-path": CriticalPathScheduler,
    "fair-share": FairShareScheduler,
    "fair-share by label": lambda: FairShareScheduler(by="tenant", weights={"a": 2}),
    "narrow": Narrow,
    "broken": Broken,
}


def a_pool() -> ResourceAwareWorkerPool:
    return ResourceAwareWorkerPool(
        workers=[
            {"cpu_cores": 4, "ram_gb": 3, "name": "large"},
            {"cpu_cores": 2, "ram_gb": 1, "gpu": 1, "name": "small"},
        ],
        limits={"db": 2, "net": 1},
    )


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@given(graphs(max_nodes=5), graphs(max_nodes=4), st.integers(0, 2**32))
@settings(deadline=None)
async def test_capacity_and_limits_hold_whatever_happens(
    scheduler: str, first: Graph, second: Graph, seed: int
) -> None:
    random = Random(seed)
    bench = Bench(a_pool(), SCHEDULERS[scheduler](), random)
    await bench.open()
    await bench.submit(with_resources(first, random), "first")
    for number in range(random.randrange(5, 60)):
        if number == 5:
            await bench.submit(with_resources(second, random), "second")
        await bench.step()
    await bench.finish()
