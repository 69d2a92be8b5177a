"""A run without workers: the real machine and the real placing of cells, on a clock that jumps.

What happens here is what a driver would do, so that a plan made of it holds for runs: limits, priorities, maps
and their windows included. Nothing is awaited, sent or stored, and the same script gives the same attempts.
"""

from __future__ import annotations

import heapq
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from taskiq_flow.driver.demands import Demands
from taskiq_flow.driver.placing import Placer, ReadyQueue
from taskiq_flow.driver.ranks import Durations, Ranks
from taskiq_flow.errors import UnschedulableError
from taskiq_flow.graph.model import Graph, MapNode, TaskNode
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.machine import DEFAULT_WINDOW, RunMachine
from taskiq_flow.payloads import Value
from taskiq_flow.pools import fits, suits, total_of
from taskiq_flow.scheduler import ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.schedulers.first_fit import default_for

__all__ = ["Attempt", "Rehearsal", "Script", "rehearse"]

_RUN = "rehearsal"
_ITEM_NUMBER = re.compile(r"\[\d+\]")
_UNLIMITED = 10**12


class Script(ABC):
    """What happens in a rehearsal, as far as the graph does not say it."""

    @abstractmethod
    def seconds(self, cell: str, node: TaskNode) -> float:
        """Say how long an attempt takes."""

    @abstractmethod
    def outputs(self, cell: str, node: TaskNode) -> tuple[Value, ...]:
        """Give what an attempt returns: one value for each of the node's outputs."""

    @abstractmethod
    def items(self, cell: str, node: MapNode, items: Value) -> tuple[Value, ...]:
        """Give the elements of the list that a map goes over."""

    @abstractmethod
    def inputs(self, graph: Graph) -> Mapping[str, Value]:
        """Give the run's inputs."""

    @abstractmethod
    def read(self, value: Value) -> Any:
        """Decode a value to plain data, for guards and filters."""


@frozen(kw_only=True)
class Attempt:
    """An attempt that was rehearsed.

    :param cell: The cell's path.
    :param node: The path of its node, such as ``tracks[]/features``.
    :param task: The task's name.
    :param worker: The worker that executed it; empty where each cell has a worker of its own.
    :param resources: What it occupied.
    :param limits: What it took of the pool's limits.
    :param queue: The queue that it asked for; empty for none.
    :param ready: When it could have begun, in seconds since the start of the run.
    :param began: When it began.
    :param ended: When it ended.
    :param after: The cell whose end made it ready; empty for none.
    """

    cell: str
    node: str
    task: str
    worker: str = ""
    resources: Mapping[str, float] = field(factory=dict)
    limits: Mapping[str, float] = field(factory=dict)
    queue: str = ""
    ready: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    after: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


@frozen(kw_only=True)
class Rehearsal:
    """What came of it.

    :param attempts: Every attempt, in the order in which they ended.
    :param complaints: What the core did not accept of the scheduler's answers; the default placed cells instead.
    """

    attempts: tuple[Attempt, ...]
    complaints: tuple[str, ...] = ()

    @property
    def makespan(self) -> float:
        """Seconds from the start of the run to the end of its last attempt."""
        return max((attempt.ended for attempt in self.attempts), default=0.0)


def rehearse(
    graph: Graph,
    script: Script,
    *,
    scheduler: Scheduler | None = None,
    workers: Sequence[WorkerView] = (),
    limits: Mapping[str, float] | None = None,
    seen: Sequence[Attempt] = (),
    window: int = DEFAULT_WINDOW,
) -> Rehearsal:
    """Play a run through.

    A cell that the scheduler places on no worker in particular waits in the queue that it was sent to, and the first
    worker of that queue with room for it takes it; the one behind it waits, although there may be room for it. A task
    that does not say how many cores it needs occupies one. Every attempt succeeds, and limits of time end nothing.

    :param graph: What is run.
    :param script: How long attempts take and what they return.
    :param scheduler: Places the cells; ``None`` gives each cell a worker of its own, whatever the windows are.
    :param workers: The workers.
    :param limits: The pool's limits.
    :param seen: Attempts of earlier runs, from which a driver would know how long tasks take.
    :param window: How many items of maps are open at once, where a map does not say.
    :raises UnschedulableError: the scheduler leaves cells waiting although nothing runs any more.
    """
    if scheduler is None:
        return _Stage(_windowless(graph), script, None, (), limits or {}, (), _UNLIMITED).play()
    return _Stage(graph, script, scheduler, tuple(workers), limits or {}, seen, window).play()


def _windowless(graph: Graph) -> Graph:
    """Give the graph with maps that open all of their items at once."""
    nodes = {
        name: evolve(node, body=_windowless(node.body), max_parallel=None)
        if isinstance(node, MapNode)
        else node
        for name, node in graph.nodes.items()
    }
    return evolve(graph, nodes=nodes)


@define(eq=False)
class _Sent:
    """A cell that was placed, or waits for that."""

    cell: ReadyCell
    node: TaskNode
    demand: Mapping[str, float]
    after: str
    worker: str = ""
    began: float = 0.0


class _Stage:
    def __init__(
        self,
        graph: Graph,
        script: Script,
        scheduler: Scheduler | None,
        workers: Sequence[WorkerView],
        limits: Mapping[str, float],
        seen: Sequence[Attempt],
        window: int,
    ) -> None:
        self._graph = graph
        self._script = script
        asked = FifoScheduler() if scheduler is None else scheduler
        self._placer = None if scheduler is None else Placer(scheduler, default_for(scheduler), limits)
        self._demands = Demands(limits, asked)
        self._workers = {worker.id: worker for worker in workers}
        self._views = tuple(self._workers.values())
        durations = Durations()
        for attempt in seen:
            durations.record(attempt.task, attempt.seconds)
        self._ranks = Ranks(durations) if asked.uses_rank else None
        if self._ranks is not None:
            self._ranks.add(_RUN, graph)
        self._machine = RunMachine(graph, read=script.read, window=window)
        self._window = window
        overridden = type(asked).line_of is not Scheduler.line_of
        self._ready = ReadyQueue(asked.line_of if overridden else None)
        self._waiting: dict[str, _Sent] = {}
        self._sent: dict[str, deque[_Sent]] = {}
        self._held: dict[str, dict[str, _Sent]] = {name: {} for name in self._workers}
        self._ends: list[tuple[float, int, _Sent]] = []
        self._count = 0
        self._now = 0.0
        self._cause = ""
        self._done: list[Attempt] = []

    def play(self) -> Rehearsal:
        self._apply(ev.RunStarted(inputs=self._script.inputs(self._graph), window=self._window))
        while True:
            self._place()
            self._take()
            if not self._ends:
                break
            self._now = self._ends[0][0]
            while self._ends and self._ends[0][0] == self._now:
                self._end(heapq.heappop(self._ends)[2])
        if not self._machine.status.final:
            raise UnschedulableError(self._stuck())
        complaints = () if self._placer is None else self._placer.complaints
        return Rehearsal(attempts=tuple(self._done), complaints=complaints)

    def _apply(self, event: ev.Event) -> None:
        todo = deque(self._machine.apply(event))
        while todo:
            order = todo.popleft()
            if isinstance(order, do.Enqueue):
                self._enqueue(order)
            elif isinstance(order, do.Expand):
                node = self._machine.cells.active[order.cell].node
                assert isinstance(node, MapNode)
                items = self._script.items(order.cell, node, order.items)
                todo.extend(self._machine.apply(ev.MapExpanded(cell=order.cell, items=items, at=self._now)))

    def _enqueue(self, order: do.Enqueue) -> None:
        node = order.node
        resources, limits = self._demands.of(order.resources)
        cell = ReadyCell(
            run=_RUN,
            path=order.cell,
            node=node.name,
            task=node.task,
            attempt=order.attempt,
            resources=resources,
            limits=limits,
            priority=order.priority,
            queue=order.queue,
            ready_at=self._now,
            rank=0.0 if self._ranks is None else self._ranks.of(_RUN, order.cell, order.depth),
            depth=order.depth,
        )
        # What it occupies, whatever the scheduler looks at.
        sent = _Sent(cell, node, {"cpu": 1.0, **resources}, self._cause)
        if self._placer is None:
            self._apply(ev.CellDispatched(cell=cell.path, attempt=cell.attempt, at=self._now))
            self._begin(sent)
        else:
            self._ready.add(cell)
            self._waiting[cell.path] = sent

    def _place(self) -> None:
        """Place what is ready, as a driver does in a turn."""
        placer = self._placer
        while placer is not None and self._ready:
            placements = placer.place(self._ready, self._views, tuple(self._running()))
            for placement in placements:
                self._ready.remove((placement.run, placement.path))
                sent = self._waiting.pop(placement.path)
                sent.worker = placement.worker
                event = ev.CellDispatched(
                    cell=placement.path,
                    attempt=sent.cell.attempt,
                    worker=placement.worker,
                    queue=placement.queue,
                    at=self._now,
                )
                self._apply(event)
                if sent.worker:
                    self._begin(sent)
                else:
                    self._sent.setdefault(placement.queue or sent.cell.queue, deque()).append(sent)
            if len(placements) < placer.lookahead:
                return

    def _running(self) -> Iterator[RunningCell]:
        held = (sent for cells in self._held.values() for sent in cells.values())
        waiting = (sent for cells in self._sent.values() for sent in cells)
        for sent in (*held, *waiting):
            cell = sent.cell
            yield RunningCell(
                run=_RUN,
                path=cell.path,
                task=cell.task,
                worker=sent.worker,
                resources=cell.resources,
                limits=cell.limits,
            )

    def _take(self) -> None:
        """Let workers take what was sent to no one in particular, in the order in which it was sent."""
        for queue, cells in self._sent.items():
            readers = [worker for worker in self._views if suits(queue, worker)]
            while cells:
                taker = next((worker for worker in readers if self._has_room(worker, cells[0])), None)
                if taker is None:
                    break
                sent = cells.popleft()
                sent.worker = taker.id
                self._begin(sent)

    def _has_room(self, worker: WorkerView, sent: _Sent) -> bool:
        held = (each.demand for each in self._held[worker.id].values())
        return not worker.capacity or fits(total_of([sent.demand, *held]), worker.capacity)

    def _begin(self, sent: _Sent) -> None:
        cell = sent.cell
        sent.began = self._now
        if self._placer is not None:
            self._held[sent.worker][cell.path] = sent
        self._apply(ev.CellStarted(cell=cell.path, attempt=cell.attempt, worker=sent.worker, at=self._now))
        self._count += 1
        due = self._now + max(0.0, self._script.seconds(cell.path, sent.node))
        heapq.heappush(self._ends, (due, self._count, sent))

    def _end(self, sent: _Sent) -> None:
        cell = sent.cell
        if self._placer is not None:
            del self._held[sent.worker][cell.path]
        self._done.append(
            Attempt(
                cell=cell.path,
                node=_ITEM_NUMBER.sub("[]", cell.path),
                task=cell.task,
                worker=sent.worker,
                resources=sent.demand,
                limits=cell.limits,
                queue=cell.queue,
                ready=cell.ready_at,
                began=sent.began,
                ended=self._now,
                after=sent.after,
            )
        )
        self._cause = cell.path
        outputs = self._script.outputs(cell.path, sent.node)
        self._apply(
            ev.CellSucceeded(
                cell=cell.path,
                attempt=cell.attempt,
                outputs=outputs,
                seconds=self._now - sent.began,
                at=self._now,
            )
        )

    def _stuck(self) -> str:
        assert self._placer is not None
        waiting = [cell.path for cell in self._ready.first(len(self._ready))]
        waiting += [sent.cell.path for cells in self._sent.values() for sent in cells]
        named = ", ".join(map(repr, waiting[:5])) + (f" and {len(waiting) - 5} more" if waiting[5:] else "")
        return (
            f"scheduler {self._placer.scheduler.name!r} leaves {len(waiting)} cells waiting for ever, with nothing "
            f"running: {named}"
        )
