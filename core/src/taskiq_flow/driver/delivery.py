"""Delivery of dispatched cells: to this event loop, to its threads and processes, or to the broker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.contexts import start_task
from taskiq_flow.driver.inline import InlineQueue
from taskiq_flow.driver.journal import Journal
from taskiq_flow.driver.outgoing import MessageWriter
from taskiq_flow.driver.sender import Outgoing, Sender
from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.driver.unclaimed import Unclaimed
from taskiq_flow.driver.watch import WorkerWatch
from taskiq_flow.errors import PayloadError
from taskiq_flow.graph.model import DEFAULT_OPTIONS
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.store import Notice
from taskiq_flow.values.failures import failure_of
from taskiq_flow.worker.adoption import ADOPTED
from taskiq_flow.worker.functions import TaskFunction
from taskiq_flow.worker.ways import direct_function, needs_messages

__all__ = ["Delivery"]

logger = open_log("taskiq_flow")


class Delivery:
    """Hands dispatched cells over. No attempt begins before its events are in the log.

    :param runtime: The parts of the flow.
    :param here: The process and the event loop that it is in.
    :param watch: Knows the workers.
    :param apply: Gives an event to the machine of a run, and has it logged.
    :param journal: Writes what is to be logged.
    :param decide: Asks the retry policy about a cell that cannot be handed over, and gives its decision.
    :param end: Ends a run that cannot be driven any further.

    :ivar sender: The sender of messages.
    """

    def __init__(
        self,
        runtime: Runtime,
        here: Surroundings,
        watch: WorkerWatch,
        *,
        apply: Callable[[ActiveRun, ev.Event], None],
        journal: Journal,
        decide: Callable[[ActiveRun, do.Dispatch, Failure], ev.AttemptFailed],
        end: Callable[[ActiveRun, Exception], None],
    ) -> None:
        self.sender = Sender(runtime, here, watch.lacks)
        self._broker = runtime.broker
        self._inbox = runtime.store.inbox
        self._pool = runtime.pool
        self._here = here
        self._journal = journal
        self._decide = decide
        self._end = end
        self._writer = MessageWriter(runtime, watch)
        self._worker = here.find_worker() if runtime.in_memory else None
        self._inline: InlineQueue | None = None
        if self._worker is not None:
            self._inline = InlineQueue(runtime, here, self._worker, apply, journal)
        # In memory no message is lost.
        self._unclaimed = None if runtime.in_memory else Unclaimed()
        self._clock = runtime.clock
        self._dispatched: deque[tuple[ActiveRun, do.Dispatch]] = deque()
        self._outgoing: list[Outgoing] = []
        self._executions: list[tuple[ActiveRun, Envelope, TaskFunction]] = []

    def __len__(self) -> int:
        """Give how many cells are to be handed over, those included whose write has failed."""
        return len(self._dispatched) + len(self._outgoing) + len(self._executions)

    @property
    def inline(self) -> InlineQueue | None:
        """The cells that wait for their turn in this event loop; ``None`` where it executes none."""
        return self._inline

    def add(self, run: ActiveRun, instruction: do.Dispatch) -> None:
        """Keep an instruction until :meth:`carry_out`."""
        self._dispatched.append((run, instruction))

    def move(self, seconds: float) -> None:
        """Move the times at which attempts are sent again, as the clock was set."""
        if self._unclaimed is not None:
            self._unclaimed.move(seconds)

    def send_again(self, now: float, *, lost: bool) -> None:
        """Send attempts again that no worker has begun.

        :param now: Seconds since the epoch.
        :param lost: Whether a worker is gone, and messages with it.
        """
        if self._unclaimed is not None:
            for run, instruction in self._unclaimed.find_overdue(now, lost=lost):
                logger.info(
                    "cell %r of run %s is sent again: no worker has begun it", instruction.cell, run.id
                )
                self.add(run, instruction)

    async def carry_out(self) -> None:
        """Hand over the dispatched cells; a failure in between loses none.

        What a store raises here has the turn tried again. Preparing an attempt asks the store only for blobs, whose
        failures have an answer of their own, so anything else that is raised there ends that run, and no other.

        :raises LeaseLost: another driver has taken the pool over.
        """
        inline = None if self._inline is None or needs_messages(self._broker) else self._inline
        while self._dispatched:
            run, instruction = self._dispatched[0]
            try:
                rejected = await self._prepare(run, instruction, inline)
            except Exception as error:  # noqa: BLE001 - logged with the run
                self._end(run, error)
                rejected = None
            if rejected is not None:
                await self._inbox.put(self._pool, [Notice(run=run.id, event=rejected)])
            self._dispatched.popleft()
        if self._outgoing or self._executions:
            await self._journal.write()
            outgoing, self._outgoing = self._outgoing, []
            await self.sender.send(outgoing)
            executions, self._executions = self._executions, []
            for run, envelope, function in executions:
                assert self._worker is not None, "only a driver with a worker executes cells"
                work = self._worker.execute(envelope, function)
                self._worker.accompany(start_task(work, self._here.context_of(run.id)))

    async def _prepare(
        self, run: ActiveRun, instruction: do.Dispatch, inline: InlineQueue | None
    ) -> ev.AttemptFailed | None:
        """Have an attempt handed over; where its arguments cannot be, return what the retry policy says."""
        if inline is not None and self._queue_inline(run, instruction, inline):
            return None
        if run.awaits(instruction.cell, instruction.attempt):
            try:
                await self._hand_over(run, instruction, inline)
            except PayloadError as error:
                return self._decide(run, instruction, failure_of(error, FailureKind.REJECTED))
        return None

    def _queue_inline(self, run: ActiveRun, instruction: do.Dispatch, inline: InlineQueue) -> bool:
        """Queue an attempt for inline execution if it has the usual envelope; whether it was queued."""
        node = instruction.node
        # A retry, or an adopted run, may have had its outcome by now; the thorough way looks.
        if node.options is not DEFAULT_OPTIONS or instruction.attempt > 1 or ADOPTED in run.record.labels:
            return False
        function = direct_function(self._broker, node.task, node.options.labels)
        if function is None or not function.is_async:
            return False
        envelope = self._writer.usual_envelope(run, instruction)
        if envelope is not None:
            inline.add(run, envelope, function)
        return envelope is not None

    async def _hand_over(self, run: ActiveRun, instruction: do.Dispatch, inline: InlineQueue | None) -> None:
        function = None
        if inline is not None:
            function = direct_function(self._broker, instruction.node.task, instruction.node.options.labels)
        if inline is None or function is None:
            self._outgoing.append(await self._writer.message(run, instruction))
            if self._unclaimed is not None:
                self._unclaimed.note(run, instruction, self._clock.now())
            return
        envelope = self._writer.usual_envelope(run, instruction) or await self._writer.envelope(
            run, instruction
        )
        if function.is_async:
            inline.add(run, envelope, function)
        else:
            # It waits for a slot, so it begins later than it is handed over.
            self._executions.append((run, envelope, function))

    async def stop(self) -> None:
        """Execute nothing more; another driver takes up what has not begun."""
        if self._inline is not None:
            await self._inline.leave()
