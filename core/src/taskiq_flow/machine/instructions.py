"""The instructions of a machine to its driver: imperative, frozen, and in the order of execution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Union

from attrs import field

from taskiq_flow._light import light
from taskiq_flow.graph.model import TaskNode
from taskiq_flow.payloads import Failure, Value

__all__ = [
    "AskPolicy",
    "Dispatch",
    "Enqueue",
    "Expand",
    "FinishRun",
    "Instruction",
    "Prefer",
    "StartTimer",
    "Stop",
    "StopTimer",
    "Withdraw",
]


@light(kw_only=True)
class Enqueue:
    """Let the scheduler place the cell; answer with ``CellDispatched``.

    :param cell: The cell.
    :param node: Its node.
    :param attempt: The next attempt.
    :param resources: The resources that it will occupy.
    :param queue: The demanded queue; empty for none.
    :param priority: Cells with a higher one go first.
    :param depth: The number of maps around the cell whose item has begun; among equals, deeper cells go first.
    """

    cell: str
    node: TaskNode
    attempt: int
    resources: Mapping[str, float]
    queue: str
    priority: int
    depth: int = 0


@light(kw_only=True)
class Withdraw:
    """Take the cell out of the ready queue; it will not run."""

    cell: str


@light(kw_only=True)
class Prefer:
    """Place the cells of another run before all others: a cell of this run waits for it.

    :param run: The other run.
    """

    run: str


@light(kw_only=True)
class Dispatch:
    """Send the cell's message, once the event behind this instruction is in the log.

    :param cell: The cell.
    :param node: Its node.
    :param attempt: The attempt.
    :param params: The encoded arguments by parameter name; parameters at their defaults are left out.
    :param worker: The worker it was placed on; empty for any.
    :param queue: The queue of the message; empty for the default.
    """

    cell: str
    node: TaskNode
    attempt: int
    params: Mapping[str, Value] = field(factory=dict)
    worker: str = ""
    queue: str = ""


@light(kw_only=True)
class Expand:
    """Read the lists of a map; answer with ``MapExpanded``, or with ``AttemptFailed`` when a value is no list.

    :param cell: The map's cell.
    :param items: Its encoded list or dictionary.
    :param also: Its further encoded lists.
    """

    cell: str
    items: Value
    also: tuple[Value, ...] = ()


@light(kw_only=True)
class AskPolicy:
    """Ask the retry policy about a failure that no worker reported; answer with ``AttemptFailed``.

    :param cell: The cell.
    :param node: Its node.
    :param attempt: The attempt that failed.
    :param failure: The failure.
    :param holds_slot: Whether the worker's slot may still be occupied.
    """

    cell: str
    node: TaskNode
    attempt: int
    failure: Failure
    holds_slot: bool = False


@light(kw_only=True)
class Stop:
    """Make the worker give up an attempt; answer with ``CellCancelled`` if no worker has claimed it.

    :param worker: The worker that claimed it; empty while that is unknown.
    """

    cell: str
    attempt: int
    worker: str = ""


@light(kw_only=True)
class StartTimer:
    """Start a timer; answer with ``TimerFired`` when it is due.

    :param timer: The timer's name, unique in the run.
    :param due: Seconds since the epoch.
    """

    timer: str
    due: float


@light(kw_only=True)
class StopTimer:
    """Stop a timer."""

    timer: str


@light(kw_only=True)
class FinishRun:
    """Finish the run; its outcome is in the machine (``status``, ``outputs()``, ``failures``)."""


Instruction = Union[
    Enqueue, Withdraw, Prefer, Dispatch, Expand, AskPolicy, Stop, StartTimer, StopTimer, FinishRun
]
