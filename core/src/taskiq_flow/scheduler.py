"""The protocol of schedulers, which place ready cells on workers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from attrs import field, frozen

__all__ = ["Placement", "ReadyCell", "RunningCell", "Scheduler", "WorkerView"]


@frozen(kw_only=True)
class ReadyCell:
    """A cell that could be dispatched now.

    :param run: The run's id.
    :param path: The cell's path; unique within the run.
    :param node: The name of its node.
    :param task: The task's name.
    :param attempt: The next attempt, counted from 1.
    :param resources: The resources that it will occupy.
    :param priority: Cells with a higher one go first.
    :param queue: The queue that the node or a retry asks for; empty for any.
    :param labels: The run's labels.
    :param ready_at: When it became ready, in seconds since the epoch.
    :param limits: The amounts of the pool's limits that it will occupy, by name. All cells of one call fit into the
        limits together, so a scheduler need not check them.
    :param rank: Its upward rank: the seconds from its start to the end of its run, along the longest path. A cell of an
        item that has begun has the rank of its map, so that items are finished first. Only for schedulers that use it.
    :param depth: The number of maps around the cell whose item has begun. Within a priority, deeper cells come first,
        so that maps are finished item by item.
    """

    run: str
    path: str
    node: str
    task: str
    attempt: int = 1
    resources: Mapping[str, float] = field(factory=dict)
    priority: int = 0
    queue: str = ""
    labels: Mapping[str, str] = field(factory=dict)
    ready_at: float = 0.0
    limits: Mapping[str, float] = field(factory=dict)
    rank: float = 0.0
    depth: int = 0


@frozen(kw_only=True)
class RunningCell:
    """A cell that occupies capacity: dispatched, running, or given up with its slot still held.

    :param worker: The worker that holds it; empty if none was chosen.
    :param limits: The amounts of the pool's limits that it occupies, by name.
    :param labels: The run's labels.
    """

    run: str
    path: str
    task: str
    worker: str = ""
    resources: Mapping[str, float] = field(factory=dict)
    limits: Mapping[str, float] = field(factory=dict)
    labels: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class WorkerView:
    """A scheduler's view of a worker.

    :param id: Its id.
    :param capacity: Its total capacity, by resource name. The worker has nothing of a resource without an amount; an
        empty mapping means that the capacity is unknown and unbounded.
    :param queue: Its own queue; empty if it has none.
    """

    id: str
    capacity: Mapping[str, float] = field(factory=dict)
    queue: str = ""


@frozen(kw_only=True)
class Placement:
    """A scheduler's answer for one cell.

    :param run: The run's id.
    :param path: The cell's path.
    :param worker: The worker that shall run it; empty for any worker of the pool.
    :param queue: The queue to send it to; empty for the cell's own.
    """

    run: str
    path: str
    worker: str = ""
    queue: str = ""


class Scheduler(ABC):
    """Places ready cells: pure, synchronous, and free to leave cells waiting.

    The core checks the answer. If the scheduler raises or breaks a rule, the core logs it and uses the default for that
    turn. Implementations pass ``taskiq_flow.testing.SchedulerKit``.

    :cvar name: The name that configuration selects it by.
    :cvar lookahead: The maximum of ready cells in one call: the higher priority first, then those of items that have
        begun, then the oldest. If there are more and it reads resources, at most half of them are cells that fit on no
        worker now.
    :cvar reads_resources: Whether it respects the workers' capacity; with ``False`` the core warns when a graph asks
        for resources.
    :cvar uses_rank: Whether it reads the rank of cells; with ``False`` the core does not compute it.
    """

    name: ClassVar[str]
    lookahead: ClassVar[int] = 1000
    reads_resources: ClassVar[bool] = True
    uses_rank: ClassVar[bool] = False

    @abstractmethod
    def place(
        self,
        ready: Sequence[ReadyCell],
        workers: Sequence[WorkerView],
        running: Sequence[RunningCell],
    ) -> Iterable[Placement] | None:
        """Choose which of the ready cells are dispatched now, and where.

        :param ready: Cells, the higher priority first, then the deeper ones, then in the order in which they became
            ready; with several lanes (:meth:`lane_of`) that is the order within each.
        :param workers: The pool's live workers, by id.
        :param running: The cells that occupy capacity; the sum of their resources is in use.
        :returns: Placements in the order of dispatch; ``None`` to use the default scheduler for this turn.
        """

    def lane_of(self, cell: ReadyCell) -> str:
        """Return the name of the lane that a cell waits in; by default there is one lane.

        The cells of a call are taken from the lanes in turns. A scheduler that is fair to runs or tenants thus sees
        cells of each, however many one of them has.
        """
        return ""

    def explain(self, cell: ReadyCell, workers: Sequence[WorkerView], running: Sequence[RunningCell]) -> str:
        """Explain why a ready cell waits, if the scheduler knows more than which resource is short.

        It is called when a user asks, in any process, and never by a driver. The core explains the limits of the pool.
        If this method raises or returns no text, the core names the resource that is short.

        :param cell: A cell that :meth:`place` was called with.
        :param workers: The pool's live workers, by id.
        :param running: The cells that occupy capacity.
        :returns: One sentence that begins with a small letter, without a period; empty for the core's explanation.
        """
        return ""
