"""Explains why cells wait: replays the logs of a pool's runs and asks the scheduler. It changes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import shorten
from typing import Any

from attrs import define, field
from taskiq import AsyncBroker

from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.placing import Placer
from taskiq_flow.driver.scheduling import PoolScheduling
from taskiq_flow.driver.watch import WorkerWatch
from taskiq_flow.errors import RunNotFound
from taskiq_flow.explaining.reasons import (
    limit_reason,
    missing_inputs,
    room_holders,
    room_reason,
    waiting_items,
)
from taskiq_flow.graph.model import TaskNode
from taskiq_flow.graph.ranks import node_path
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.replay import replay
from taskiq_flow.machine.scope import Cell
from taskiq_flow.machine.transitions import CellState
from taskiq_flow.pools import FreeCapacity
from taskiq_flow.scheduler import ReadyCell, RunningCell
from taskiq_flow.schedulers.durations import Durations
from taskiq_flow.schedulers.first_fit import default_for
from taskiq_flow.store import RunRecord
from taskiq_flow.waiting import RunDescription, WaitingCell
from taskiq_flow.worker.functions import task_function_of
from taskiq_flow.worker.seats import find_executor

__all__ = ["Explainer"]

logger = open_log("taskiq_flow")

_EVERYTHING = 1_000_000
_FAILURE_LENGTH = 200
# Between two batches of a long log, the event loop runs other tasks.
_EVENTS_AT_ONCE = 500
_MOST_HOLDERS = 5
_FIRST = (CellState.READY, CellState.DISPATCHED, CellState.WAITING)


@define(eq=False)
class _Replayed:
    """A run, replayed up to the last event that was read.

    :ivar sent_at: The time of a cell's dispatch, by cell.
    :ivar retried: The last failure of each cell that waits for another attempt, by cell.
    """

    run: ActiveRun
    began_at: float | None = None
    sent_at: dict[str, float] = field(factory=dict)
    retried: dict[str, ev.AttemptFailed] = field(factory=dict)


class Explainer:
    """Explains why cells wait. A second question reads only the new events of the logs.

    :param runtime: The parts of the flow with the store, the scheduler and the pool of the runs.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._runs: dict[str, _Replayed] = {}
        self._pool = runtime.pool
        self._begin(runtime.pool)

    def _begin(self, pool: str) -> None:
        """Turn to a pool, with none of its logs read."""
        runtime = self._runtime
        self._pool = pool
        self._runs.clear()
        self._watch = WorkerWatch(
            pool, runtime.store, declared=runtime.capacity.workers, embedded=runtime.in_memory
        )
        # The same parts as in a driver, so that the explanation matches the driver's view.
        placer = Placer(runtime.scheduler, default_for(runtime.scheduler), runtime.limits)
        self._scheduling = PoolScheduling(pool, placer, self._watch, Durations())

    async def explain(self, run: str) -> list[WaitingCell]:
        """Return the waiting cells of a run, those that could run first; none when the run is over.

        :raises RunNotFound: there is no run with that id.
        """
        return list((await self.describe(run)).waiting)

    async def describe(self, run: str) -> RunDescription:
        """Describe the state of a run.

        :raises RunNotFound: there is no run with that id.
        """
        record = await self._runtime.store.runs.get(run)
        if record.outcome is not None:
            replayed = await self._read_alone(record)
            machine = replayed.run.machine
            return RunDescription(
                id=run,
                status=record.outcome.status,
                reason=record.outcome.reason,
                **_facts(machine),
            )
        if record.pool != self._pool:
            self._begin(record.pool)
        await self._read_all(record)
        replayed = self._runs[run]
        machine = replayed.run.machine
        return RunDescription(
            id=run,
            status=machine.status,
            reason=machine.reason,
            **_facts(machine),
            waiting=tuple(self._waiting(replayed)),
        )

    # Reading

    async def _read_all(self, wanted: RunRecord) -> None:
        """Read the new events of all runs of the pool, because runs share limits and capacity."""
        store = self._runtime.store
        await self._watch.find_lost(self._runtime.clock.now(), ())
        active = await store.runs.list(pool=self._pool, active=True, limit=_EVERYTHING)
        records = {record.id: record for record in (*reversed(active), wanted)}
        for gone in self._runs.keys() - records.keys():
            del self._runs[gone]
            self._scheduling.forget(gone)
        for record in records.values():
            try:
                if record.id not in self._runs:
                    replayed = self._replay(record)
                    self._scheduling.admit(replayed.run)
                    self._runs[record.id] = replayed
                await self._read(self._runs[record.id])
            except Exception as error:
                if record.id == wanted.id:
                    raise
                if not isinstance(error, RunNotFound):  # that one was deleted during the reading
                    logger.exception("run %s cannot be read, and is left out of what is explained", record.id)

    async def _read_alone(self, record: RunRecord) -> _Replayed:
        replayed = self._replay(record)
        await self._read(replayed)
        self._scheduling.forget(record.id)
        return replayed

    def _replay(self, record: RunRecord) -> _Replayed:
        machine = RunMachine(record.graph, read=self._runtime.codec.read)
        return _Replayed(ActiveRun(record, machine))

    async def _read(self, replayed: _Replayed) -> None:
        run = replayed.run
        events = await self._runtime.store.log.read(run.id, run.logged)
        for start in range(0, len(events), _EVENTS_AT_ONCE):
            batch = events[start : start + _EVENTS_AT_ONCE]
            run.logged += len(batch)
            for event, instructions in replay(run.machine, batch):
                self._observe(replayed, event, instructions)
            if len(batch) == _EVENTS_AT_ONCE:
                await asyncio.sleep(0)

    def _observe(self, replayed: _Replayed, event: ev.Event, instructions: Sequence[do.Instruction]) -> None:
        run = replayed.run
        if isinstance(event, ev.RunStarted):
            replayed.began_at = event.at
        elif isinstance(event, ev.CellDispatched):
            replayed.sent_at[event.cell] = event.at
            self._scheduling.withdraw(run.id, event.cell)
        elif isinstance(event, (ev.CellSucceeded, ev.AttemptFailed, ev.CellCancelled)):
            replayed.sent_at.pop(event.cell, None)
            replayed.retried.pop(event.cell, None)
            if isinstance(event, ev.AttemptFailed) and event.retry_at is not None:
                replayed.retried[event.cell] = event
        for instruction in instructions:
            if isinstance(instruction, do.Enqueue):
                self._scheduling.enqueue(run, instruction, getattr(event, "at", 0.0))
            elif isinstance(instruction, do.Prefer):
                self._scheduling.prefer(instruction.run)
            elif isinstance(instruction, do.Withdraw):
                self._scheduling.withdraw(run.id, instruction.cell)

    # Explaining

    def _waiting(self, replayed: _Replayed) -> Iterator[WaitingCell]:
        machine = replayed.run.machine
        if replayed.began_at is None:
            yield WaitingCell(
                path="",
                state=CellState.PENDING.word,
                since=replayed.run.record.created_at,
                reason=f"no driver of pool {self._pool!r} has begun the run; is a worker of it running?",
            )
            return
        cells = list(machine.cells.active.values())
        running = self._scheduling.running([each.run for each in self._runs.values()])
        offered = {(cell.run, cell.path) for cell in self._scheduling.show(running)}
        for state in _FIRST:
            for cell in cells:
                if cell.state is state:
                    yield self._explain_cell(replayed, cell, running, offered)
        for cell, reason in waiting_items(cells):
            yield WaitingCell(path=cell.path, state=cell.state.word, since=replayed.began_at, reason=reason)
        for scope in machine.cells.scopes():
            for position, node in enumerate(scope.plan.nodes):
                path = scope.prefix + node.name
                if scope.states[position] == CellState.PENDING and path not in machine.cells.active:
                    yield WaitingCell(
                        path=path,
                        state=CellState.PENDING.word,
                        since=replayed.began_at,
                        reason=missing_inputs(node, scope, machine.cells.active),
                    )

    def _explain_cell(
        self,
        replayed: _Replayed,
        cell: Cell,
        running: Sequence[RunningCell],
        offered: set[tuple[str, str]],
    ) -> WaitingCell:
        """Explain a cell that has all its inputs."""
        since, reason = replayed.run.record.created_at, "it is about to be placed"
        holders: tuple[RunningCell, ...] = ()
        if cell.state is CellState.READY:
            ready = self._scheduling.cell(replayed.run.id, cell.path)
            if ready is not None:
                since = ready.ready_at
                reason, holders = self._explain_unplaced(
                    ready, running, (replayed.run.id, cell.path) in offered
                )
        elif cell.state is CellState.DISPATCHED:
            since = replayed.sent_at.get(cell.path, since)
            reason = self._explain_unclaimed(cell)
        else:
            failed = replayed.retried.get(cell.path)
            due = failed.retry_at if failed is not None else None
            if failed is not None and due is not None:
                since = failed.at
                reason = self._explain_unretried(cell, failed, due)
        return WaitingCell(path=cell.path, state=cell.state.word, since=since, reason=reason, holders=holders)

    def _explain_unplaced(
        self, cell: ReadyCell, running: Sequence[RunningCell], offered: bool
    ) -> tuple[str, tuple[RunningCell, ...]]:
        reason, holders = limit_reason(cell, self._runtime.limits, running)
        if reason:
            return reason, holders
        scheduler, workers = self._runtime.scheduler, self._watch.views
        if not offered and not self._lacks_room(cell, running):
            if cell.limits:
                named = ", ".join(map(repr, cell.limits))
                return f"cells that are ahead of it take what is left of limit {named}", ()
            return (
                f"more cells are ahead of it than the {self._scheduling.lookahead} that are looked at in a turn",
                (),
            )
        holders = room_holders(cell, workers, running) if scheduler.reads_resources else tuple(running)
        try:
            reason = scheduler.explain(cell, workers, running)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a plugin's fault must not prevent an answer
            logger.exception("scheduler %r cannot explain why cell %r waits", scheduler.name, cell.path)
            reason = ""
        if not isinstance(reason, str) or not reason.strip():
            reason = room_reason(cell, workers, running)
        return reason.strip(), holders

    def _lacks_room(self, cell: ReadyCell, running: Sequence[RunningCell]) -> bool:
        """Whether the scheduler is not offered a cell because it fits on no worker now."""
        workers = self._watch.views
        if not workers or not self._runtime.scheduler.reads_resources:
            return False
        free_capacity = FreeCapacity(workers, running)
        return not any(free_capacity.fits_now(cell, worker) for worker in workers)

    def _explain_unclaimed(self, cell: Cell) -> str:
        if cell.placed:
            return f"sent to worker {cell.placed!r}, which has not begun it"
        if not self._runtime.in_memory and not self._watch.infos:
            return f"sent, and pool {self._pool!r} has no live worker"
        if self._runtime.in_memory and (reason := self._explain_threads(cell)):
            return reason
        where = f" to queue {cell.sent_to!r}" if cell.sent_to else ""
        return f"sent{where}, and no worker has begun it"

    def _explain_threads(self, cell: Cell) -> str:
        """Say who has the threads that a synchronous cell of this process waits for; empty where that is not it."""
        broker = self._runtime.broker
        threads = getattr(find_executor(broker), "_max_workers", 0)
        if not _is_synchronous(cell, broker):
            return ""
        holders = [
            f"{other.path!r} of run {each.run.id}"
            for each in self._runs.values()
            for other in each.run.machine.occupying()
            if other.state is CellState.RUNNING and _is_synchronous(other, broker)
        ]
        if len(holders) < threads or not threads:
            return ""
        shown = ", ".join(holders[:_MOST_HOLDERS])
        more = f" and {len(holders) - _MOST_HOLDERS} more" if len(holders) > _MOST_HOLDERS else ""
        noun = "thread is" if threads == 1 else "threads are"
        return f"waits for a thread: the {threads} {noun} taken by {shown}{more}"

    def _explain_unretried(self, cell: Cell, failed: ev.AttemptFailed, due: float) -> str:
        left = due - self._runtime.clock.now()
        when = f"is due in {left:.1f} s" if left > 0 else "is due now"
        policy = f"; {failed.reason}" if failed.reason else ""
        # An exception's text may be pages long.
        failure = shorten(
            failed.failure.summary or failed.failure.kind.value, _FAILURE_LENGTH, placeholder=" …"
        )
        return f"attempt {cell.attempt} {when}, after {failure}{policy}"


def _facts(machine: RunMachine) -> dict[str, Any]:
    """Return what a description says about cells, as arguments of :class:`RunDescription`."""
    states = machine.cells.states()
    by_node: dict[str, Counter[CellState]] = {}
    for path, state in states.items():
        by_node.setdefault(node_path(path), Counter())[state] += 1
    items: dict[str, tuple[int, int]] = {}
    for path, cell in machine.cells.active.items():
        if cell.items is not None:
            done, total = items.get(node_path(path), (0, 0))
            finished = cell.items.next - len(cell.items.open)
            items[node_path(path)] = (done + finished, total + len(cell.items.values))
    return {
        "graph": machine.graph,
        "counts": _words(Counter(states.values())),
        "nodes": {path: _words(counted) for path, counted in by_node.items()},
        "items": items,
    }


def _words(counted: Counter[CellState]) -> dict[str, int]:
    return {state.word: counted[state] for state in CellState if counted[state]}


def _is_synchronous(cell: Cell, broker: AsyncBroker) -> bool:
    task = broker.find_task(cell.node.task) if isinstance(cell.node, TaskNode) else None
    return task is not None and not task_function_of(task).is_async
