"""What a machine asks its driver to do: imperative, frozen, in the order to do it."""

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
    :param attempt: The attempt to come.
    :param resources: What it will occupy.
    :param queue: The queue asked for; empty for none.
    :param priority: Higher goes first.
    :param depth: How many items of maps it is in that have begun; among equals, deeper goes first.
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
    """Take the cell out of what is ready; it will not run."""

    cell: str


@light(kw_only=True)
class Dispatch:
    """Send the cell's message, once the event that caused this is in the log.

    :param cell: The cell.
    :param node: Its node.
    :param attempt: The attempt.
    :param params: The encoded arguments by parameter name; those that stay at their defaults are left out.
    :param worker: The worker it was placed on; empty for any.
    :param queue: The queue it was sent to; empty for the default.
    """

    cell: str
    node: TaskNode
    attempt: int
    params: Mapping[str, Value] = field(factory=dict)
    worker: str = ""
    queue: str = ""


@light(kw_only=True)
class Expand:
    """Read the items of a map; answer with ``MapExpanded``, or with ``CellFailed`` when it is no list.

    :param cell: The map's cell.
    :param items: The encoded list.
    """

    cell: str
    items: Value


@light(kw_only=True)
class AskPolicy:
    """Ask the retry policy about a failure that no worker could ask about; answer with ``CellFailed``.

    :param cell: The cell.
    :param node: Its node.
    :param attempt: The attempt that failed.
    :param failure: What happened.
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

    :param worker: The worker that claimed it; empty where that is not known yet.
    """

    cell: str
    attempt: int
    worker: str = ""


@light(kw_only=True)
class StartTimer:
    """Answer with ``TimerFired`` when the time has come.

    :param timer: The timer's name, unique in the run.
    :param due: Seconds since the epoch.
    """

    timer: str
    due: float


@light(kw_only=True)
class StopTimer:
    """Forget a timer."""

    timer: str


@light(kw_only=True)
class FinishRun:
    """The run is over; the machine says how (``status``, ``outputs()``, ``failures``)."""


Instruction = Union[Enqueue, Withdraw, Dispatch, Expand, AskPolicy, Stop, StartTimer, StopTimer, FinishRun]
