"""No-op nodes in memory: ours beside taskiq by hand and bare asyncio."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from taskiq import InMemoryBroker, TaskiqResult
from taskiq.brokers.inmemory_broker import InmemoryResultBackend

from benchmarks.measure import Comparison, Row, Side, compare, spread, with_collector
from benchmarks.shapes import SHAPES, Shape, one_after_the_other, side_by_side, step, total
from taskiq_flow import Flow

__all__ = ["growth", "rows", "sides_of"]

# Of raw taskiq, by whether the broker executes in place.
BUDGETS = {True: 1.3, False: 1.6}


class PushedResults(InmemoryResultBackend[Any]):
    """Results that whoever waits is told of, as somebody would write it who does not want to ask again and again."""

    def __init__(self) -> None:
        super().__init__(max_stored_results=-1)
        self._waiting: dict[str, asyncio.Future[TaskiqResult[Any]]] = {}

    async def set_result(self, task_id: str, result: TaskiqResult[Any]) -> None:
        """Keep a result, or hand it over."""
        waiter = self._waiting.pop(task_id, None)
        if waiter is None:
            await super().set_result(task_id, result)
        else:
            waiter.set_result(result)

    async def wait(self, task_id: str) -> TaskiqResult[Any]:
        """Give a result once it is there."""
        if task_id not in self.results:
            self._waiting[task_id] = asyncio.get_running_loop().create_future()
            return await self._waiting[task_id]
        result: TaskiqResult[Any] = self.results.pop(task_id)
        return result


def sides_of(shape: Shape, count: int, *, in_place: bool) -> dict[str, Side]:
    """Give the ways to do a shape of work: ``asyncio``, ``raw`` taskiq by hand, and ``ours``.

    :param count: About how many nodes.
    :param in_place: Whether the brokers execute in place.
    """
    gather = one_after_the_other if in_place else side_by_side
    functions: dict[str, Callable[..., Coroutine[Any, Any, int]]] = {"step": step, "total": total}

    async def bare(name: str, argument: object) -> int:
        call = functions[name](argument)
        return await call if in_place else await asyncio.ensure_future(call)

    results = PushedResults()
    by_hand = InMemoryBroker(await_inplace=in_place, max_stored_results=-1)
    if not in_place:
        by_hand = by_hand.with_result_backend(results)
    tasks = {name: by_hand.task(name)(function) for name, function in functions.items()}

    async def raw(name: str, argument: object) -> int:
        sent = await tasks[name].kiq(argument)
        result = await sent.wait_result() if in_place else await results.wait(sent.task_id)
        value: int = result.return_value
        return value

    broker = InMemoryBroker(await_inplace=in_place)
    for name, function in functions.items():
        broker.task(name)(function)
    flow, graph, given = Flow(broker), shape.graph(count), {"x": shape.given(count)}

    async def ours() -> object:
        return await (await flow.submit(graph, given, single="result")).result()

    return {
        "asyncio": lambda: shape.by_hand(bare, gather, count),
        "raw": lambda: shape.by_hand(raw, gather, count),
        "ours": ours,
    }


def _row(what: str, compared: Comparison, budget: float) -> Row:
    ratios, wall = compared.ratios("raw", "ours"), compared.ratios("raw", "ours", wall=True)
    floor = statistics.median(compared.ratios("raw", "asyncio"))
    return Row(
        what=what,
        value=f"{statistics.median(ratios):.2f} of raw",
        range=spread(ratios),
        budget=f"≥ {budget}",
        note=f"wall clock {statistics.median(wall):.2f}; bare asyncio {floor:.0f} times raw",
    )


async def rows(count: int, repeat: int, shapes: Sequence[Shape] = SHAPES) -> list[Row]:
    """Measure every shape with both sorts of in-memory broker.

    :param count: How many nodes.
    :param repeat: How many turns each side has.
    :param shapes: Which shapes.
    """
    found = []
    for shape in shapes:
        for in_place in (True, False):
            compared = await compare(sides_of(shape, count, in_place=in_place), repeat=repeat)
            how = "in place" if in_place else "in tasks"
            found.append(_row(f"{shape.name}, {count:,} nodes, {how}", compared, BUDGETS[in_place]))
    return found


async def growth(counts: Sequence[int], repeat: int) -> list[Row]:
    """Measure what a node costs in graphs of several sizes, which take turns, with and without the garbage collector.

    :param counts: How many nodes, the smallest first.
    :param repeat: How many turns each size has.
    """
    found = []
    for shape in SHAPES:
        sides = {count: sides_of(shape, count, in_place=True)["ours"] for count in counts}
        factors = {}
        for collecting in (True, False):
            per_node: dict[int, list[float]] = {count: [] for count in counts}
            for turn in range(-1, repeat):
                for count, side in sides.items():
                    with with_collector(collecting):
                        compared = await compare({"ours": side}, repeat=1, warm_up=0)
                    if turn >= 0:
                        per_node[count].append(compared.median("ours") / count)
            smallest, *others = (statistics.median(each) for each in per_node.values())
            factors[collecting] = " / ".join(["1", *(f"{other / smallest:.2f}" for other in others)])
        sizes = " / ".join(f"{count:,}" for count in counts)
        found.append(
            Row(
                what=f"{shape.name}: cost of a node with {sizes} nodes",
                value=factors[True],
                budget="linear: about 1",
                note=f"without the garbage collector {factors[False]}",
            )
        )
    return found
