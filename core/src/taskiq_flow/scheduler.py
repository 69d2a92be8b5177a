"""The protocol of schedulers: which ready cells go where."""

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
    :param attempt: The attempt to come, counted from 1.
    :param resources: What it will occupy.
    :param priority: Higher goes first.
    :param queue: The queue that the node or a retry asks for; empty for any.
    :param labels: The run's labels.
    :param ready_at: Since when it has been ready, in seconds since the epoch.
    :param limits: How much it will take of the pool's limits, by name. What is shown at once fits into them together,
        so that a scheduler need not look.
    :param rank: Its upward rank: the seconds from its start to the end of its run, along the longest path. A cell of an
        item that has begun has the rank of its map, so that items are finished first. Only for schedulers that use it.
    :param depth: How many items of maps it is in that have begun. It is shown before the cells of its priority that
        are less deep, so that maps are worked off item by item.
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
    """A cell that occupies capacity: dispatched, running, or given up but not yet gone.

    :param worker: The worker that holds it; empty where none was chosen.
    :param limits: How much it takes of the pool's limits, by name.
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
    """A worker as a scheduler sees it.

    :param id: Its id.
    :param capacity: What it has in total, by resource name; a resource that is not named has none, and an empty
        mapping means that the capacity is unknown and unbounded.
    :param queue: Its own queue; empty where it has none.
    """

    id: str
    capacity: Mapping[str, float] = field(factory=dict)
    queue: str = ""


@frozen(kw_only=True)
class Placement:
    """A scheduler's answer for one cell.

    :param run: The run's id.
    :param path: The cell's path.
    :param worker: The worker it shall run on; empty for any worker of the pool.
    :param queue: The queue to send it to; empty for the cell's own.
    """

    run: str
    path: str
    worker: str = ""
    queue: str = ""


class Scheduler(ABC):
    """Places ready cells: pure, synchronous, and free to leave cells waiting.

    The core checks the answer. One that raises, or that breaks a rule, is logged and the default is used for that turn.
    Implementations pass ``taskiq_flow.testing.SchedulerKit``.

    :cvar name: The name that configuration selects it by.
    :cvar lookahead: How many ready cells it is shown at most: the higher priority first, then those of items that have
        begun, then the oldest. Where there are more, and it reads resources, half of these at most are cells that no
        worker has room for now.
    :cvar reads_resources: Whether it keeps to the workers' capacity; with ``False`` the core says so when a graph asks
        for resources.
    :cvar uses_rank: Whether it looks at the rank of cells, which is worked out only for those who do.
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
        :param running: What is in use; the sum of its resources is what the workers cannot offer.
        :returns: Placements in the order to dispatch; ``None`` to use the default scheduler for this turn.
        """

    def lane_of(self, cell: ReadyCell) -> str:
        """Name the line that a cell waits in; by default all wait in one.

        Of several lanes one cell each is shown in turns. A scheduler that is fair to runs or tenants thus sees some
        cells of each, however many one of them has.
        """
        return ""

    def explain(self, cell: ReadyCell, workers: Sequence[WorkerView], running: Sequence[RunningCell]) -> str:
        """Say why a ready cell waits, for people, where you know more than what there is too little of.

        Asked when somebody wants to know, in any process, and never by a driver. Limits of the pool are the core's to
        explain. When it raises, or gives no text, people are told what there is too little of.

        :param cell: A cell that was shown to :meth:`place`.
        :param workers: The pool's live workers, by id.
        :param running: What is in use.
        :returns: One sentence that begins with a small letter, without a period; empty where you have nothing to say.
        """
        return ""
