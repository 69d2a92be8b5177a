"""The driver: the single writer of the logs of a pool's runs.

One turn takes the notices from the inbox, applies their events to the machines, places ready cells, appends all events
in one write, and only then sends messages and acknowledges the notices. A driver that dies between two of these steps
loses nothing: a notice that was not acknowledged is taken again, and a message that was sent twice is claimed once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.active import ActiveRun, describe_break
from taskiq_flow.driver.cancellations import Cancellations
from taskiq_flow.driver.decisions import Decisions
from taskiq_flow.driver.delivery import Delivery
from taskiq_flow.driver.expansions import Expansions
from taskiq_flow.driver.finishing import Finishing
from taskiq_flow.driver.floor import Floor
from taskiq_flow.driver.inline import UncertainStarts
from taskiq_flow.driver.journal import Journal
from taskiq_flow.driver.placing import Placer
from taskiq_flow.driver.resumed import ResumedResults
from taskiq_flow.driver.scheduling import PoolScheduling
from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.driver.timekeeping import Timekeeping
from taskiq_flow.driver.timers import Timers
from taskiq_flow.driver.watch import WorkerWatch
from taskiq_flow.errors import InvalidTransition, ResumeError, RunNotFound
from taskiq_flow.graph.model import Graph
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.replay import replay
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.payloads import Failure
from taskiq_flow.schedulers.first_fit import default_for
from taskiq_flow.store import Lease, Notice, RunRecord

__all__ = ["Driver"]

logger = open_log("taskiq_flow")

_EVERYTHING = 1_000_000
_MOST_NOTICES = 1_000
_RUNNING = RunStatus.RUNNING
_NOTHING = Graph(nodes={})
# How many finished runs are searched for given-up attempts that still occupy workers.
_RECENT = 1_000


class Driver:
    """Drives the runs of one pool, as long as it holds the pool's lease.

    :param runtime: The parts of the flow.
    :param lease: The lease of the pool; replaced when it is renewed.
    :param here: The driver's process and event loop; by default the driver stands alone.

    :ivar sender: The sender of messages.
    """

    def __init__(self, runtime: Runtime, lease: Lease, here: Surroundings | None = None) -> None:
        self.pool = runtime.pool
        self._here = Surroundings() if here is None else here
        self._broker = runtime.broker
        self._store = runtime.store
        self._codec = runtime.codec
        self._read_value = runtime.codec.read
        self._checks = runtime.claim_checks
        self._plugins = runtime.plugins
        self._clock = runtime.clock
        self._window = runtime.window
        self._runs: dict[str, ActiveRun] = {}
        self._timers = Timers()
        self._watch = WorkerWatch(
            self.pool,
            self._store,
            self._here,
            declared=runtime.capacity.workers,
            embedded=runtime.in_memory,
        )
        placer = Placer(runtime.scheduler, default_for(runtime.scheduler), runtime.limits)
        self._scheduling = PoolScheduling(self.pool, placer, self._watch, runtime.durations)
        self._cancellations = Cancellations(self.pool, self._store, self._timers, self._watch)
        # The journal collects the events of a turn. Instructions are carried out after it is written.
        self._journal = Journal(
            self._store,
            lease,
            self._runs,
            notify=self._plugins.notify,
            deleted=self._drop,
            refused=self._break,
        )
        self._decisions = Decisions(runtime, self._here)
        self._delivery = Delivery(
            runtime,
            self._here,
            self._watch,
            apply=self._apply,
            journal=self._journal,
            decide=self._reject,
            end=self._break,
        )
        self.sender = self._delivery.sender
        self._time = Timekeeping(self._clock)
        self._now = self._time.now
        self._observes = self._scheduling.learns
        self._floor = Floor()
        # Whether machines have asked for something that is done in a turn.
        self._is_asked = False
        worker = self._here.find_worker() if runtime.in_memory else None
        self._uncertain = UncertainStarts(worker)
        self._expansions = Expansions(self._checks, self._codec)
        self._resumed = ResumedResults(self._store)
        self._finishing = Finishing(runtime, self._journal, forget=self._forget, drop=self._drop)

    @property
    def lease(self) -> Lease:
        """The right to drive the pool."""
        return self._journal.lease

    @lease.setter
    def lease(self, lease: Lease) -> None:
        self._journal.lease = lease

    @property
    def idle(self) -> bool:
        """Whether no run is being driven."""
        return not self._runs

    @property
    def runs(self) -> tuple[str, ...]:
        """The ids of the runs that are being driven."""
        return tuple(self._runs)

    async def resume(self) -> None:
        """Take over the runs that another driver has left unfinished."""
        self._now = self._clock.now()
        await self._scheduling.recall(self._store)
        records = await self._store.runs.list(pool=self.pool, active=True, limit=_EVERYTHING)
        for record in reversed(records):  # the oldest first
            events = await self._store.log.read(record.id)
            run = await self._admit(record)
            run.logged = len(events)
            if run.broken:
                continue
            if not events:
                # Its client has died before it could announce the run.
                await self._begin(run)
                continue
            try:
                self._replay(run, events)
                self._floor.note(run)
                self._uncertain.note(run)
                for instruction in run.machine.outstanding():
                    _PERFORMERS[type(instruction)](self, run, instruction)
            except Exception as error:  # noqa: BLE001 - logged with the run
                self._break(run, error)
        for record in await self._store.runs.list(pool=self.pool, active=False, limit=_RECENT):
            if record.outcome is not None and record.outcome.holds_slot:
                await self._keep_in_mind(record)

    async def _keep_in_mind(self, record: RunRecord) -> None:
        """Take up a finished run, if given-up attempts of it still occupy their workers."""
        events = await self._store.log.read(record.id)
        try:
            run = self._active(record)
            self._replay(run, events)
        except Exception:
            logger.exception("run %s, which is over, cannot be taken up", record.id)
            return
        run.logged = len(events)
        if not run.over:
            self._runs[record.id] = run
            self._floor.note(run)
            for instruction in run.machine.outstanding():
                if type(instruction) is not do.FinishRun:
                    _PERFORMERS[type(instruction)](self, run, instruction)

    def _replay(self, run: ActiveRun, events: Iterable[ev.Event]) -> None:
        def pass_over(error: InvalidTransition) -> None:
            logger.error("an event in the log of run %s is passed over", run.id, exc_info=error)

        for event, _ in replay(run.machine, events, pass_over=pass_over):
            self._scheduling.observe(run, event)

    async def turn(self) -> float | None:
        """Do everything that can be done now.

        :returns: When the next turn is due without a notice, by the steady time of the clock; ``None`` for never.
        :raises LeaseLost: another driver has taken the pool over; this one must not be used any more.
        """
        if (step := self._time.read()) != 0.0:
            self._move(step)
        now = self._now = self._time.now
        self._is_asked = False
        taken = await self._store.inbox.take(self.pool, _MOST_NOTICES)
        for _, notice in taken:
            await self._read(notice)
        if self._uncertain and len(taken) < _MOST_NOTICES:
            for uncertain, failed in self._uncertain.settle(now):
                self._apply(uncertain, failed)
        if self._timers:
            for run_id, timer in self._timers.pop_due(now):
                if (run := self._runs.get(run_id)) is not None:
                    self._fire(run, timer)
        if now >= self._watch.next_look:
            await self._look()
        if self._resumed:
            for run, event in self._resumed.take(now):
                self._apply(run, event)
        if self._expansions:
            while (read := await self._expansions.read(now)) is not None:
                self._apply(*read)
        self._place()
        if self._journal or taken:
            await self._append()
        if self._delivery:
            await self._delivery.carry_out()
        if self._cancellations:
            await self._cancellations.carry_out(now)
        if self._finishing:
            await self._finishing.carry_out(now)
        if self._watch.gone:
            await self._watch.clean_up_lost()
        if taken:
            await self._store.inbox.acknowledge(self.pool, [token for token, _ in taken])
        due = self._timers.next_due() if self._timers else None
        if self._runs:
            # There is no notice about a worker that dies, or a run that is deleted.
            due = self._watch.next_look if due is None else min(due, self._watch.next_look)
        if self._resumed:
            due = now
        # The clock may be set while this is waited for.
        return None if due is None else self._time.steady_at(due)

    async def _read(self, notice: Notice) -> None:
        run, event = self._runs.get(notice.run), notice.event
        if run is None:
            await self._admit_new(notice)
        elif type(event) is not ev.RunStarted:
            if run.machine.cells.held_slots:
                event = run.news_of(event)
            if type(event) is ev.CellDispatched:
                # Only an adopted run gets this notice: its message was there before the run.
                self._scheduling.withdraw(run.id, event.cell)
            self._apply(run, event)

    # Executing in this event loop

    @property
    def executes(self) -> bool:
        """Whether there are cells for :meth:`execute`."""
        return bool(self._delivery.inline)

    async def execute(self, until: float) -> None:
        """Execute cells in this event loop, and their successors, until something else is to be done.

        :param until: When to stop at the latest, by the steady time of the clock.
        :raises LeaseLost: as for :meth:`turn`.
        """
        inline, delivery = self._delivery.inline, self._delivery
        assert inline is not None, "only a driver with a worker executes cells"
        while True:
            if not inline:
                self._place()
                if delivery:
                    await delivery.carry_out()
                if not inline:
                    return
            now = self._now = await inline.execute_next()
            if self._clock.monotonic() >= until or inline.has_notices or self._has_other_work(now):
                return

    def _has_other_work(self, now: float) -> bool:
        """Whether there is work that only a turn does."""
        due = self._timers.next_due() if self._timers else None
        return self._is_asked or (due is not None and due <= now)

    async def stop(self) -> None:
        """Execute nothing more; another driver takes up what has not begun."""
        await self._delivery.stop()

    async def leave(self) -> None:
        """Clear up after another driver has taken the pool over; this one must not be used any more."""
        await self._watch.leave()

    # Reading

    async def _admit_new(self, notice: Notice) -> None:
        """Begin a run that was just created. Other notices of unknown runs concern runs that are over."""
        if not isinstance(notice.event, (ev.RunStarted, ev.CancelRequested)):
            return
        try:
            record = await self._store.runs.get(notice.run)
        except RunNotFound:
            return
        if record.outcome is not None:
            return
        run = await self._admit(record)
        await self._begin(run)
        if isinstance(notice.event, ev.CancelRequested):
            self._apply(run, notice.event)

    async def _begin(self, run: ActiveRun) -> None:
        if (tell := self._plugins.notify.run_started) is not None:
            tell(run.record)
        started = ev.RunStarted(inputs=run.record.inputs, window=self._window, at=self._now)
        self._apply(run, started)

    def _active(self, record: RunRecord) -> ActiveRun:
        machine = RunMachine(record.graph, read=self._read_value, window=self._window)
        return ActiveRun(record, machine, heard_at=self._now)

    async def _admit(self, record: RunRecord) -> ActiveRun:
        """Take a run up; one whose graph cannot be driven is broken from the start."""
        try:
            run = self._active(record)
            self._scheduling.admit(run)
        except Exception as error:  # noqa: BLE001 - logged with the run
            run = ActiveRun(record, RunMachine(_NOTHING, read=self._read_value), heard_at=self._now)
            self._break(run, error)
        # Before the run is entered: if the store fails, its notice is read again.
        try:
            await self._resumed.load(run)
        except ResumeError as error:
            self._break(run, error)
        self._runs[record.id] = run
        return run

    def _apply(self, run: ActiveRun, event: ev.Event) -> None:
        """Apply an event and perform the instructions that follow; no error here may stop the pool."""
        if run.broken:
            return
        machine = run.machine
        version = machine.version
        try:
            if type(event) is ev.AttemptFailed and event.retry_at is not None:
                event = self._scheduling.refuse_impossible(run, event)
            instructions = machine.apply(event)
            if machine.version != version:
                if self._observes:
                    self._scheduling.observe(run, event)
                self._journal.add(run.id, event)
            for instruction in instructions:
                _PERFORMERS[type(instruction)](self, run, instruction)
            self._floor.note(run)
        except InvalidTransition:
            logger.exception("an event of run %s is dropped", run.id)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - nothing is awaited here, so even a cancellation is the run's
            self._break(run, error)

    def _break(self, run: ActiveRun, error: BaseException) -> None:
        """End a run whose machine may be in an inconsistent state, so that no client waits for it for ever."""
        logger.error("run %s is ended, because it cannot be driven any further", run.id, exc_info=error)
        run.broken = describe_break(error)
        self._is_asked = True
        self._scheduling.clear(run.id)
        self._finishing.add(run)

    # Performing instructions

    def _enqueue(self, run: ActiveRun, instruction: do.Enqueue) -> None:
        if run.resumed and self._resumed.answers(run, instruction):
            self._is_asked = True
            return
        self._scheduling.enqueue(run, instruction, self._now)

    def _withdraw(self, run: ActiveRun, instruction: do.Withdraw) -> None:
        self._scheduling.withdraw(run.id, instruction.cell)

    def _prefer(self, _: ActiveRun, instruction: do.Prefer) -> None:
        if instruction.run in self._runs:
            self._scheduling.prefer(instruction.run)

    def _dispatch(self, run: ActiveRun, instruction: do.Dispatch) -> None:
        self._delivery.add(run, instruction)

    def _later_expand(self, run: ActiveRun, instruction: do.Expand) -> None:
        self._expansions.add(run, instruction)
        self._is_asked = True

    def _ask_policy(self, run: ActiveRun, instruction: do.AskPolicy) -> None:
        self._apply(run, self._decisions.answer(run, instruction, self._now))

    def _reject(self, run: ActiveRun, instruction: do.Dispatch, failure: Failure) -> ev.AttemptFailed:
        return self._decisions.decide(run, instruction, failure, self._now)

    def _later_stop(self, run: ActiveRun, instruction: do.Stop) -> None:
        self._cancellations.add(run, instruction)
        self._is_asked = True

    def _start_timer(self, run: ActiveRun, instruction: do.StartTimer) -> None:
        self._timers.start(run.id, instruction.timer, instruction.due)

    def _stop_timer(self, run: ActiveRun, instruction: do.StopTimer) -> None:
        self._timers.stop(run.id, instruction.timer)

    def _finish(self, run: ActiveRun, instruction: do.FinishRun) -> None:
        self._finishing.add(run)

    # The steps of a turn

    def _move(self, step: float) -> None:
        """Move the times that are waited for, as the clock was set."""
        self._timers.move(step)
        self._watch.move(step, self._time.now)
        self._expansions.move(step)
        self._delivery.move(step)

    def _fire(self, run: ActiveRun, timer: str) -> None:
        give_up = self._cancellations.give_up(timer, self._now)
        self._apply(run, give_up or ev.TimerFired(timer=timer, at=self._now))

    async def _look(self) -> None:
        """Look for what nobody writes notices about."""
        holders = {cell.holder for run in self._floor.runs.values() for cell in run.machine.occupying()}
        for worker in await self._watch.find_lost(self._now, holders - {""}):
            self._lose(worker)
        self._delivery.send_again(self._now, lost=self._watch.shrunk)
        for run in list(self._runs.values()):
            if run.is_silent(self._now):
                try:
                    await self._store.runs.get(run.id)
                except RunNotFound:
                    self._drop(run.id)

    def _lose(self, worker: str) -> None:
        level = logging.INFO if self._here.is_dead_incarnation(worker) else logging.WARNING
        logger.log(level, "worker %r of pool %r was lost", worker, self.pool)
        if (tell := self._plugins.notify.worker_lost) is not None:
            tell(worker, self.pool)
        for run in list(self._runs.values()):
            self._apply(run, ev.WorkerLost(worker=worker, at=self._now))

    def _place(self) -> None:
        """Dispatch the cells that get a place."""
        scheduling = self._scheduling
        if not scheduling:
            return
        if scheduling.bound is not None:
            while (arrival := scheduling.next_arrival(self._floor.cells)) is not None:
                self._dispatch_cell(*arrival)
            return
        for placements in scheduling.place(self._floor.runs):
            for placement in placements:
                if (cell := scheduling.withdraw(placement.run, placement.path)) is not None:
                    self._dispatch_cell(
                        placement.run, cell.path, cell.attempt, placement.worker, placement.queue
                    )

    def _dispatch_cell(self, run_id: str, cell: str, attempt: int, worker: str = "", queue: str = "") -> None:
        if (run := self._runs.get(run_id)) is not None:
            event = ev.CellDispatched(cell=cell, attempt=attempt, worker=worker, queue=queue, at=self._now)
            self._apply(run, event)

    async def _append(self) -> None:
        for run_id in await self._journal.write():
            if (run := self._runs.get(run_id)) is None or run.machine.status is _RUNNING:
                continue
            if run.over and run_id not in self._finishing:
                self._forget(run_id)

    def _drop(self, run_id: str) -> None:
        """Drive a deleted run no further."""
        logger.warning("run %s is not driven any more: it was deleted", run_id)
        if (run := self._runs.get(run_id)) is not None:
            run.broken = "deleted"
        self._finishing.discard(run_id)
        self._forget(run_id)

    def _forget(self, run_id: str) -> None:
        run = self._runs.pop(run_id, None)
        if run is not None:
            self._floor.forget(run)
        self._scheduling.forget(run_id)
        self._here.forget_context(run_id)


_PERFORMERS: Mapping[type, Callable[[Driver, ActiveRun, Any], None]] = {
    do.Enqueue: Driver._enqueue,
    do.Withdraw: Driver._withdraw,
    do.Dispatch: Driver._dispatch,
    do.Prefer: Driver._prefer,
    do.Expand: Driver._later_expand,
    do.AskPolicy: Driver._ask_policy,
    do.Stop: Driver._later_stop,
    do.StartTimer: Driver._start_timer,
    do.StopTimer: Driver._stop_timer,
    do.FinishRun: Driver._finish,
}
