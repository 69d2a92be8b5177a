"""What can happen to a run: facts in the past tense, frozen, in the order in which they were accepted.

The run's log is a list of these, and so are the notices that workers and clients put into the
inbox. ``at`` is the time at which the fact was observed, in seconds since the epoch; the
machine never reads a clock of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Union

from attrs import field

from taskiq_flow._light import light
from taskiq_flow.payloads import Failure, Value

__all__ = [
    "AttemptFailed",
    "CancelRequested",
    "CellCancelled",
    "CellDispatched",
    "CellProgressed",
    "CellStarted",
    "CellSucceeded",
    "Event",
    "MapExpanded",
    "RunStarted",
    "SlotFreed",
    "StopRequested",
    "TimerFired",
    "WorkerLost",
]


@light(kw_only=True)
class RunStarted:
    """The run began.

    :param inputs: The run's inputs, encoded.
    :param window: How many items of maps may be open at once, where a map does not say; 0 for the machine's own
        number. It stands in the log, because whoever replays it must open the same items.
    """

    inputs: Mapping[str, Value] = field(factory=dict)
    window: int = 0
    at: float = 0.0


@light(kw_only=True)
class MapExpanded:
    """The items of a mapped input were read; this is what a resumption counts against.

    :param cell: The map's cell.
    :param items: One value per item, in order.
    """

    cell: str
    items: tuple[Value, ...]
    at: float = 0.0


@light(kw_only=True)
class CellDispatched:
    """A scheduler placed the cell; its message is sent after this is in the log.

    :param cell: The cell.
    :param attempt: Counted from 1.
    :param worker: The worker that it was placed on; empty where any worker of the pool may take it.
    :param queue: The queue it was sent to; empty for the node's own or the broker's default.
    """

    cell: str
    attempt: int
    worker: str = ""
    queue: str = ""
    at: float = 0.0


@light(kw_only=True)
class CellStarted:
    """A worker claimed the attempt.

    :param worker: The id of the worker.
    """

    cell: str
    attempt: int
    worker: str = ""
    at: float = 0.0


@light(kw_only=True)
class CellProgressed:
    """The task reported progress; changes no state.

    :param progress: A fraction between 0 and 1, as far as the task keeps to that.
    """

    cell: str
    attempt: int
    progress: float
    at: float = 0.0


@light(kw_only=True)
class CellSucceeded:
    """The attempt returned.

    :param outputs: One value for each of the node's outputs, in order.
    :param seconds: How long the task itself ran.
    :param taken_from: The run in which the task ran, where that was an earlier one, which this one resumes.
    """

    cell: str
    attempt: int
    outputs: tuple[Value, ...] = ()
    seconds: float = 0.0
    taken_from: str = ""
    at: float = 0.0


@light(kw_only=True)
class AttemptFailed:
    """The attempt failed, and the retry policy has been asked.

    :param failure: What went wrong.
    :param retry_at: When the next attempt is due, in seconds since the epoch; ``None`` when the policy gave up.
    :param reason: The policy's words.
    :param resources: What the next attempt shall occupy instead; ``None`` for no change.
    :param queue: The queue of the next attempt; ``None`` for no change.
    :param priority: The priority of the next attempt; ``None`` for no change.
    :param holds_slot: The worker's slot stays occupied (a thread that cannot be stopped) until :class:`SlotFreed`.
    """

    cell: str
    attempt: int
    failure: Failure
    retry_at: float | None = None
    reason: str = ""
    resources: Mapping[str, float] | None = None
    queue: str | None = None
    priority: int | None = None
    holds_slot: bool = False
    at: float = 0.0


@light(kw_only=True)
class CellCancelled:
    """The attempt ended because the run released it.

    :param holds_slot: The worker's slot stays occupied (a thread that cannot be stopped) until :class:`SlotFreed`.
    """

    cell: str
    attempt: int
    holds_slot: bool = False
    at: float = 0.0


@light(kw_only=True)
class SlotFreed:
    """The slot of an attempt that was given up is free at last."""

    cell: str
    attempt: int
    at: float = 0.0


@light(kw_only=True)
class StopRequested:
    """The run does not want the attempt any more; a notice to the worker that holds it, never to a machine."""

    cell: str
    attempt: int
    at: float = 0.0


@light(kw_only=True)
class WorkerLost:
    """A worker was not heard of in time; whatever it held will have no outcome.

    :param worker: The id of the worker.
    """

    worker: str
    at: float = 0.0


@light(kw_only=True)
class TimerFired:
    """A timer that the machine had started is due.

    :param timer: The timer's name, as the ``StartTimer`` instruction gave it.
    """

    timer: str
    at: float = 0.0


@light(kw_only=True)
class CancelRequested:
    """Somebody wants the run to end.

    :param reason: For people.
    """

    reason: str = ""
    at: float = 0.0


Event = Union[
    RunStarted,
    MapExpanded,
    CellDispatched,
    CellStarted,
    CellProgressed,
    CellSucceeded,
    AttemptFailed,
    CellCancelled,
    SlotFreed,
    StopRequested,
    WorkerLost,
    TimerFired,
    CancelRequested,
]
