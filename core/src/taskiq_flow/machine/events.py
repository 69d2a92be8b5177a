"""The events of a run: frozen facts in the past tense.

The run's log is a list of events in the order of acceptance. The notices that workers and clients put into the
inbox are events too. ``at`` is the time of the observation, in seconds since the epoch; the machine never reads
a clock of its own.
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
    "PlaceLent",
    "PlaceTakenBack",
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
    :param window: How many items may be open at once, over all maps without a limit of their own; 0 for the machine's
        default. It stands in the log, because every replay must open the same items.
    """

    inputs: Mapping[str, Value] = field(factory=dict)
    window: int = 0
    at: float = 0.0


@light(kw_only=True)
class MapExpanded:
    """The lists of a map were read.

    :param cell: The map's cell.
    :param items: One value per item of its first list, in order.
    :param also: The items of its further lists.
    :param keys: The encoded key of each item, if it goes over a dictionary.
    """

    cell: str
    items: tuple[Value, ...]
    also: tuple[tuple[Value, ...], ...] = ()
    keys: tuple[Value, ...] | None = None
    at: float = 0.0


@light(kw_only=True)
class CellDispatched:
    """A scheduler placed the cell; its message is sent once this event is in the log.

    :param cell: The cell.
    :param attempt: Counted from 1.
    :param worker: The worker that it was placed on; empty if any worker of the pool may take it.
    :param queue: The queue of the message; empty for the node's own or the broker's default.
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
    """The task reported progress, which changes no state.

    :param progress: The reported number, by convention a fraction between 0 and 1.
    """

    cell: str
    attempt: int
    progress: float
    at: float = 0.0


@light(kw_only=True)
class PlaceLent:
    """The task waits for another run, and lends what it occupies meanwhile.

    :param run: The run that it waits for.
    """

    cell: str
    attempt: int
    run: str
    at: float = 0.0


@light(kw_only=True)
class PlaceTakenBack:
    """The task waits no longer, and occupies again what it had lent."""

    cell: str
    attempt: int
    at: float = 0.0


@light(kw_only=True)
class CellSucceeded:
    """The attempt returned.

    :param outputs: One value for each of the node's outputs, in order.
    :param seconds: The duration of the task itself.
    :param taken_from: The earlier run that executed the task, if this run resumes it.
    """

    cell: str
    attempt: int
    outputs: tuple[Value, ...] = ()
    seconds: float = 0.0
    taken_from: str = ""
    at: float = 0.0


@light(kw_only=True)
class AttemptFailed:
    """The attempt failed, and the retry policy has decided.

    :param failure: The failure.
    :param retry_at: When the next attempt is due, in seconds since the epoch; ``None`` when the policy gave up.
    :param reason: The policy's reason.
    :param resources: The resources of the next attempt; ``None`` for no change.
    :param queue: The queue of the next attempt; ``None`` for no change.
    :param priority: The priority of the next attempt; ``None`` for no change.
    :param holds_slot: Whether the worker's slot stays occupied (a thread that cannot be stopped) until
        :class:`SlotFreed`.
    :param requeues: How often the task has requeued its message by now, which no policy counts; 0 for no change.
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
    requeues: int = 0
    at: float = 0.0


@light(kw_only=True)
class CellCancelled:
    """The attempt ended because the run stopped it.

    :param holds_slot: Whether the worker's slot stays occupied (a thread that cannot be stopped) until
        :class:`SlotFreed`.
    """

    cell: str
    attempt: int
    holds_slot: bool = False
    at: float = 0.0


@light(kw_only=True)
class SlotFreed:
    """The slot of an attempt that was given up is free again."""

    cell: str
    attempt: int
    at: float = 0.0


@light(kw_only=True)
class StopRequested:
    """The run no longer wants the attempt; a notice for the worker that holds it, never for a machine."""

    cell: str
    attempt: int
    at: float = 0.0


@light(kw_only=True)
class WorkerLost:
    """A worker missed its deadline; its attempts will have no outcome.

    :param worker: The id of the worker.
    """

    worker: str
    at: float = 0.0


@light(kw_only=True)
class TimerFired:
    """A timer that the machine started is due.

    :param timer: The timer's name in the ``StartTimer`` instruction.
    """

    timer: str
    at: float = 0.0


@light(kw_only=True)
class CancelRequested:
    """A user asked for the end of the run.

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
    PlaceLent,
    PlaceTakenBack,
    CellSucceeded,
    AttemptFailed,
    CellCancelled,
    SlotFreed,
    StopRequested,
    WorkerLost,
    TimerFired,
    CancelRequested,
]
