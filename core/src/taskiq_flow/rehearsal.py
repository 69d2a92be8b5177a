"""A rehearsal: a run without workers, with the real machine and the real placing of cells, on a clock that jumps.

It does what a driver would do, limits, priorities, maps and their windows included, so that a plan made from it holds
for real runs. Nothing is awaited, sent or stored, and the same script gives the same attempts.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from taskiq_flow.driver.placing import Placer
from taskiq_flow.driver.scheduling import PoolScheduling
from taskiq_flow.errors import UnschedulableError
from taskiq_flow.graph.model import Graph, MapNode, TaskNode
from taskiq_flow.graph.ranks import node_path
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.machine import DEFAULT_WINDOW, RunMachine
from taskiq_flow.machine.transitions import CellState
from taskiq_flow.payloads import Value
from taskiq_flow.pools import fits, suits, total_of
from taskiq_flow.scheduler import ReadyCell, Scheduler, WorkerView
from taskiq_flow.schedulers.durations import Durations
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.schedulers.first_fit import default_for
from taskiq_flow.store import RunRecord

__all__ = ["Rehearsal", "RehearsedAttempt", "Script", "rehearse"]

_RUN = "rehearsal"
_UNLIMITED = 10**12


class Script(ABC):
    """The part of a rehearsal that the graph does not define: durations and values."""

    @abstractmethod
    def seconds(self, cell: str, node: TaskNode) -> float:
        """Return the duration of an attempt."""

    @abstractmethod
    def outputs(self, cell: str, node: TaskNode) -> tuple[Value, ...]:
        """Return the result of an attempt: one value for each of the node's outputs."""

    @abstractmethod
    def items(self, cell: str, node: MapNode, item: str, items: Value) -> tuple[Value, ...]:
        """Return the items of a list of a map.

        :param item: The input of the body that takes them.
        """

    @abstractmethod
    def inputs(self, graph: Graph) -> Mapping[str, Value]:
        """Return the run's inputs."""

    @abstractmethod
    def read(self, value: Value) -> Any:
        """Decode a value to plain data, for guards and filters."""


@frozen(kw_only=True)
class RehearsedAttempt:
    """An attempt in a rehearsal.

    :param cell: The cell's path.
    :param node: The path of its node, such as ``tracks[]/features``.
    :param task: The task's name.
    :param worker: The worker that executed it; empty if each cell has a worker of its own.
    :param resources: The resources that it occupied.
    :param limits: The amounts of the pool's limits that it occupied.
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
        """Its duration."""
        return self.ended - self.began


@frozen(kw_only=True)
class Rehearsal:
    """The result of a rehearsal.

    :param attempts: Every attempt, in the order of their ends.
    :param complaints: Answers of the scheduler that the core refused; the default scheduler placed cells instead.
    """

    attempts: tuple[RehearsedAttempt, ...]
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
    seen: Sequence[RehearsedAttempt] = (),
    window: int = DEFAULT_WINDOW,
) -> Rehearsal:
    """Rehearse a run.

    A cell that the scheduler places on no particular worker waits in its queue, and the first worker of that queue
    with room for it takes it; cells behind it wait, even if there is room for them. A task without a number of cores
    occupies one core. Every attempt succeeds, and time limits have no effect.

    :param graph: The run's graph.
    :param script: The durations and results of attempts.
    :param scheduler: The scheduler; ``None`` gives each cell a worker of its own, and every map an unlimited window.
    :param workers: The workers.
    :param limits: The pool's limits.
    :param seen: Attempts of earlier runs, from which a driver would estimate durations.
    :param window: How many items may be open at once, over all maps without a limit of their own.
    :raises UnschedulableError: the scheduler leaves cells waiting although no attempt runs any more.
    """
    if scheduler is None:
        return _Stage(_windowless(graph), script, None, (), limits or {}, (), _UNLIMITED).play()
    return _Stage(graph, script, scheduler, tuple(workers), limits or {}, seen, window).play()


def _windowless(graph: Graph) -> Graph:
    """Return the graph with maps that open all of their items at once."""
    nodes = {
        name: evolve(node, body=_windowless(node.body), max_parallel=None)
        if isinstance(node, MapNode)
        else node
        for name, node in graph.nodes.items()
    }
    return evolve(graph, nodes=nodes)


@frozen
class _Run:
    """The only run of the pool."""

    record: RunRecord
    machine: RunMachine
    id: str = _RUN


@frozen
class _Workers:
    """Workers that never get lost."""

    views: tuple[WorkerView, ...]

    @property
    def known(self) -> Sequence[WorkerView]:
        return self.views

    def place_of(self, placed: str, worker: str) -> str:
        return worker or placed


@define(eq=False)
class _Sent:
    """A cell that was placed."""

    cell: ReadyCell
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
        seen: Sequence[RehearsedAttempt],
        window: int,
    ) -> None:
        durations = Durations()
        for attempt in seen:
            durations.record(attempt.task, attempt.seconds)
        placing = FifoScheduler() if scheduler is None else scheduler
        self._graph = graph
        self._script = script
        self._ideal = scheduler is None
        self._placer = Placer(placing, default_for(placing), limits)
        self._workers = _Workers(tuple(workers))
        self._machine = RunMachine(graph, read=script.read, window=window)
        self._run = _Run(RunRecord(id=_RUN, pool=_RUN, graph=graph), self._machine)
        self._scheduling = PoolScheduling(_RUN, self._placer, self._workers, durations)
        self._scheduling.admit(self._run)
        self._window = window
        self._causes: dict[str, str] = {}
        self._sent: dict[str, deque[_Sent]] = {}
        self._held: dict[str, dict[str, _Sent]] = {worker.id: {} for worker in workers}
        self._ends: list[tuple[float, int, _Sent]] = []
        self._count = 0
        self._now = 0.0
        self._cause = ""
        self._done: list[RehearsedAttempt] = []

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
            raise UnschedulableError(self._describe_deadlock())
        return Rehearsal(attempts=tuple(self._done), complaints=self._placer.complaints)

    def _apply(self, event: ev.Event) -> None:
        todo = deque(self._machine.apply(event))
        while todo:
            instruction = todo.popleft()
            if isinstance(instruction, do.Enqueue):
                self._enqueue(instruction)
            elif isinstance(instruction, do.Expand):
                node = self._machine.cells.active[instruction.cell].node
                assert isinstance(node, MapNode)
                lists = (instruction.items, *instruction.also)
                items, *also = (
                    self._script.items(instruction.cell, node, item, value)
                    for item, value in zip((node.item, *node.also), lists, strict=True)
                )
                event = ev.MapExpanded(cell=instruction.cell, items=items, also=tuple(also), at=self._now)
                todo.extend(self._machine.apply(event))

    def _enqueue(self, instruction: do.Enqueue) -> None:
        cell = self._machine.cells.active.get(instruction.cell)
        if cell is None or cell.state is not CellState.READY:
            return  # lists that do not fit together have ended the run meanwhile
        self._scheduling.enqueue(self._run, instruction, self._now)
        self._causes[instruction.cell] = self._cause
        if self._ideal:
            self._begin(self._dispatch(instruction.cell, "", ""))

    def _place(self) -> None:
        """Place ready cells, as a driver does in a turn."""
        for placements in self._scheduling.place({_RUN: self._run}):
            for placement in placements:
                sent = self._dispatch(placement.path, placement.worker, placement.queue)
                if sent.worker:
                    self._begin(sent)
                else:
                    self._sent.setdefault(placement.queue or sent.cell.queue, deque()).append(sent)

    def _dispatch(self, path: str, worker: str, queue: str) -> _Sent:
        cell = self._scheduling.withdraw(_RUN, path)
        assert cell is not None, "placers place only what is ready"
        self._apply(
            ev.CellDispatched(cell=path, attempt=cell.attempt, worker=worker, queue=queue, at=self._now)
        )
        # It occupies these resources even if the scheduler ignores them.
        return _Sent(cell, {"cpu": 1.0, **cell.resources}, self._causes.pop(path), worker)

    def _take(self) -> None:
        """Let workers take the cells without a particular worker, in the order of dispatch."""
        for queue, cells in self._sent.items():
            readers = [worker for worker in self._workers.views if suits(queue, worker)]
            while cells:
                taker = next((worker for worker in readers if self._fits_now(worker, cells[0])), None)
                if taker is None:
                    break
                sent = cells.popleft()
                sent.worker = taker.id
                self._begin(sent)

    def _fits_now(self, worker: WorkerView, sent: _Sent) -> bool:
        held = (each.demand for each in self._held[worker.id].values())
        return not worker.capacity or fits(total_of([sent.demand, *held]), worker.capacity)

    def _begin(self, sent: _Sent) -> None:
        cell = sent.cell
        sent.began = self._now
        if not self._ideal:
            self._held[sent.worker][cell.path] = sent
        self._apply(ev.CellStarted(cell=cell.path, attempt=cell.attempt, worker=sent.worker, at=self._now))
        self._count += 1
        due = self._now + max(0.0, self._script.seconds(cell.path, self._node_of(cell.path)))
        heapq.heappush(self._ends, (due, self._count, sent))

    def _end(self, sent: _Sent) -> None:
        cell = sent.cell
        if not self._ideal:
            del self._held[sent.worker][cell.path]
        self._done.append(
            RehearsedAttempt(
                cell=cell.path,
                node=node_path(cell.path),
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
        outputs = self._script.outputs(cell.path, self._node_of(cell.path))
        self._apply(
            ev.CellSucceeded(
                cell=cell.path,
                attempt=cell.attempt,
                outputs=outputs,
                seconds=self._now - sent.began,
                at=self._now,
            )
        )

    def _node_of(self, cell: str) -> TaskNode:
        node = self._machine.cells.active[cell].node
        assert isinstance(node, TaskNode)
        return node

    def _describe_deadlock(self) -> str:
        states = (CellState.READY, CellState.DISPATCHED)
        waiting = [cell.path for cell in self._machine.cells.active.values() if cell.state in states]
        named = ", ".join(map(repr, waiting[:5])) + (f" and {len(waiting) - 5} more" if waiting[5:] else "")
        count = f"{len(waiting)} cell{'s' * (len(waiting) != 1)}"
        name = self._placer.scheduler.name
        return f"scheduler {name!r} leaves {count} waiting for ever, with nothing running: {named}"
