"""Tasks that are sent on their own: what they cost on a broker with a flow, and what without."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from taskiq import InMemoryBroker

from benchmarks.measure import Comparison, Row, Side, compare, spread
from taskiq_flow import Flow

__all__ = ["WORKLOADS", "Workload", "rows", "sides_of"]

BUDGET = 1.1
# taskiq's in-memory broker executes so many at once; more of them would only wait.
_AT_ONCE = 30


@frozen(kw_only=True)
class Workload:
    """A task that is sent again and again.

    :param what: The task in words.
    :param make: Makes its function; each broker gets one of its own, because taskiq renames what it decorates.
    :param args: Its arguments.
    """

    what: str
    make: Callable[[], Callable[..., Any]]
    args: tuple[Any, ...] = ()


def _without_arguments() -> Callable[..., Any]:
    async def one() -> int:
        return 1

    return one


def _with_arguments() -> Callable[..., Any]:
    async def add(x: int, y: int) -> int:
        return x + y

    return add


def _with_a_list() -> Callable[..., Any]:
    async def add_all(numbers: list[int]) -> int:
        return sum(numbers)

    return add_all


def _in_a_thread() -> Callable[..., Any]:
    def add_here(x: int, y: int) -> int:
        return x + y

    return add_here


WORKLOADS = (
    Workload(what="async, no arguments", make=_without_arguments),
    Workload(what="async, two numbers", make=_with_arguments, args=(1, 2)),
    Workload(what="async, a list of 100", make=_with_a_list, args=([*range(100)],)),
    Workload(what="sync, two numbers", make=_in_a_thread, args=(1, 2)),
)


def sides_of(workload: Workload, count: int, *, in_place: bool) -> dict[str, Side]:
    """Give the same sends on a broker without a flow, ``raw``, and on one with a flow, ``ours``.

    :param count: How many sends.
    :param in_place: Whether the brokers execute in place.
    """
    return {
        "raw": _side(workload, count, in_place=in_place, with_flow=False),
        "ours": _side(workload, count, in_place=in_place, with_flow=True),
    }


def _side(workload: Workload, count: int, *, in_place: bool, with_flow: bool) -> Side:
    broker = InMemoryBroker(await_inplace=in_place, max_stored_results=-1)
    if with_flow:
        Flow(broker)
    task = broker.task("plain")(workload.make())

    async def send() -> object:
        total = 0
        for first in range(0, count, _AT_ONCE):
            sent = [await task.kiq(*workload.args) for _ in range(first, min(first + _AT_ONCE, count))]
            # Every result is there when it is asked for: to look for it again and again would count, too.
            await broker.wait_all()
            for each in sent:
                total += (await each.wait_result()).return_value
        broker.result_backend.results.clear()
        return total

    return send


def _row(what: str, compared: Comparison) -> Row:
    ratios, wall = compared.ratios("ours", "raw"), compared.ratios("ours", "raw", wall=True)
    return Row(
        what=what,
        value=f"{statistics.median(ratios):.2f} of raw",
        range=spread(ratios),
        budget=f"≤ {BUDGET}",
        note=f"wall clock {statistics.median(wall):.2f}",
    )


async def rows(count: int, repeat: int, workloads: Sequence[Workload] = WORKLOADS) -> list[Row]:
    """Measure every workload with both sorts of in-memory broker.

    :param count: How many sends.
    :param repeat: How many turns each side has.
    :param workloads: Which.
    """
    found = []
    for workload in workloads:
        for in_place in (True, False):
            compared = await compare(sides_of(workload, count, in_place=in_place), repeat=repeat)
            how = "in place" if in_place else "in tasks"
            found.append(_row(f"plain task, {workload.what}, {how}", compared))
    return found
