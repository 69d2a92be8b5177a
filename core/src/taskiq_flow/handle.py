"""A run in the hands of the one who started it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from taskiq.depends.progress_tracker import TaskProgress
from taskiq.exceptions import TaskiqResultTimeoutError
from taskiq.result import TaskiqResult

from taskiq_flow._runtime import Runtime
from taskiq_flow.errors import CellFailed, RunCancelled, RunError, RunTimedOut
from taskiq_flow.explaining.explainer import Explainer
from taskiq_flow.machine.events import CancelRequested, CellProgressed, Event
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.replay import replay
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.payloads import Failure, Value
from taskiq_flow.store import Notice, RunOutcome, RunRecord
from taskiq_flow.values.failures import revive
from taskiq_flow.waiting import RunDescription, WaitingCell

__all__ = ["RunHandle"]

T = TypeVar("T")


class RunHandle(Generic[T]):
    """A run: wait for it, look at it, cancel it.

    It has the methods of taskiq's task, so that it can stand where one of those stood.

    :param runtime: The parts of the flow that the run was given to.
    :param record: The run.
    :param drive: Sees to it that somebody drives.
    :param single: The name of the output that is the run's value; ``None`` for a dictionary of all outputs.
    :param returns: The annotation to decode each output by.
    """

    def __init__(
        self,
        runtime: Runtime,
        record: RunRecord,
        *,
        drive: Callable[[], Awaitable[None]],
        single: str | None = None,
        returns: Mapping[str, Any] | None = None,
    ) -> None:
        self.id = record.id
        self.graph = record.graph
        self._runtime = runtime
        self._drive = drive
        # A store in memory keeps a finished run for as long as somebody holds its record.
        self._record = record
        self._single = single
        self._returns = {} if returns is None else returns

    @property
    def task_id(self) -> str:
        """The run's id, under the name that taskiq gives it."""
        return self.id

    def __repr__(self) -> str:
        return f"<RunHandle {self.id}>"

    def handle_of_resumption(self, record: RunRecord) -> RunHandle[T]:
        """Give the handle of a run that resumes this one; its value is decoded as this one's."""
        return RunHandle(self._runtime, record, drive=self._drive, single=self._single, returns=self._returns)

    async def result(self, timeout: float | None = None) -> T:
        """Wait for the run and give its value.

        :param timeout: Seconds; ``None`` for no limit.
        :raises TaskiqResultTimeoutError: it took longer.
        :raises RunError: the run was cancelled or timed out. A failed cell raises the task's own exception, where its
            class is loaded in this process, with the cell in a note.
        """
        outcome = await self._wait(timeout)
        error = self._error_of(outcome)
        if error is not None:
            raise error
        value: T = await self._value_of(outcome)
        return value

    async def wait_result(
        self, check_interval: float = 0.2, timeout: float = -1.0, with_logs: bool = False
    ) -> TaskiqResult[T]:
        """Wait for the run and give its result the way taskiq does: an error is in it, and not raised.

        :param check_interval: Not used; the answer comes by notification.
        :param timeout: Seconds; 0 or less for no limit.
        :param with_logs: Not used.
        :raises TaskiqResultTimeoutError: it took longer.
        """
        outcome = await self._wait(timeout if timeout is not None and timeout > 0 else None)
        error = self._error_of(outcome)
        value: Any = None if error is not None else await self._value_of(outcome)
        return TaskiqResult(
            is_err=error is not None,
            return_value=value,
            execution_time=round(outcome.at - self._record.created_at, 2),
            error=error,
        )

    async def get_result(self, with_logs: bool = False) -> TaskiqResult[T]:
        """Give the result of a run that is over; of one that is not, wait for it.

        :param with_logs: Not used.
        """
        return await self.wait_result()

    async def is_ready(self) -> bool:
        """Whether the run is over."""
        return (await self._runtime.store.runs.get(self.id)).outcome is not None

    async def get_progress(self) -> TaskProgress[Any] | None:
        """Give the progress the way taskiq does: the share of cells that are final, with what the others report."""
        events = await self._runtime.store.log.read(self.id)
        machine = self._fold(events)
        states = machine.cells.states()
        done = float(sum(state.final for state in states.values()))
        reported = {
            (event.cell, event.attempt): event.progress
            for event in events
            if isinstance(event, CellProgressed)
        }
        for cell in machine.cells.in_flight.values():
            done += min(max(reported.get((cell.path, cell.attempt), 0.0), 0.0), 1.0)
        return TaskProgress(state=machine.status.value, meta=done / len(states) if states else 1.0)

    async def status(self) -> RunStatus:
        """Say where the run stands."""
        record = await self._runtime.store.runs.get(self.id)
        return (await self._replay()).status if record.outcome is None else record.outcome.status

    async def explain(self) -> list[WaitingCell]:
        """Say why cells wait, those that could run first: what they lack, and who has it. None when the run is over.

        It is worked out from the logs of all runs of the pool, which takes as long as they are long.
        """
        return await Explainer(self._runtime).explain(self.id)

    async def describe(self) -> RunDescription:
        """Say how the run stands: its status, how many cells are in which state, and why cells wait."""
        return await Explainer(self._runtime).describe(self.id)

    async def outputs(self) -> dict[str, Any]:
        """Give the outputs that there are by now, decoded, by name; of a failed run, those that were produced."""
        record = await self._runtime.store.runs.get(self.id)
        values = (await self._replay()).outputs() if record.outcome is None else record.outcome.outputs
        return {name: await self._decode(name, value) for name, value in values.items()}

    async def failures(self) -> list[CellFailed]:
        """Give the cells that have failed for good by now, each with its story."""
        record = await self._runtime.store.runs.get(self.id)
        failures: Mapping[str, tuple[int, Failure]] = (
            (await self._replay()).failures if record.outcome is None else record.outcome.failures
        )
        return [CellFailed(cell, attempt, failure, self.id) for cell, (attempt, failure) in failures.items()]

    async def cancel(self, reason: str = "") -> None:
        """Ask for the run to end: nothing more is started, and what runs is made to stop.

        Returns at once; wait for the run to see it end.

        :param reason: For people; stands in the log.
        """
        event = CancelRequested(reason=reason, at=self._runtime.clock.now())
        await self._runtime.store.inbox.put(self._record.pool, [Notice(run=self.id, event=event)])
        await self._drive()

    async def events(self) -> AsyncIterator[Event]:
        """Give everything that happens to the run, from its beginning, as it happens; ends with the run."""
        await self._drive()
        async for event in self._runtime.store.log.follow(self.id):
            yield event

    async def _wait(self, timeout: float | None) -> RunOutcome:
        await self._drive()
        try:
            if timeout is not None and timeout <= 0:
                # wait_for would not even look.
                record = await self._runtime.store.runs.get(self.id)
                if record.outcome is None:
                    raise TaskiqResultTimeoutError(timeout=timeout)
            elif timeout is None:
                record = await self._runtime.store.runs.wait(self.id)
            else:
                record = await asyncio.wait_for(self._runtime.store.runs.wait(self.id), timeout)
        except asyncio.TimeoutError:
            raise TaskiqResultTimeoutError(timeout=timeout) from None
        assert record.outcome is not None, "a run that was waited for has an outcome"
        return record.outcome

    async def _replay(self) -> RunMachine:
        return self._fold(await self._runtime.store.log.read(self.id))

    def _fold(self, events: Iterable[Event]) -> RunMachine:
        machine = RunMachine(self.graph, read=self._runtime.codec.read)
        for _ in replay(machine, events):
            pass
        return machine

    async def _value_of(self, outcome: RunOutcome) -> Any:
        if self._single is None:
            return {name: await self._decode(name, value) for name, value in outcome.outputs.items()}
        value = outcome.outputs.get(self._single)
        return None if value is None else await self._decode(self._single, value)

    async def _decode(self, name: str, value: Value) -> Any:
        whole = await self._runtime.claim_checks.redeem(self.id, value)
        return self._runtime.codec.decode(whole, self._returns.get(name, Any))

    def _error_of(self, outcome: RunOutcome) -> BaseException | None:
        if outcome.status is RunStatus.SUCCEEDED:
            return None
        if outcome.timed_out:
            return RunTimedOut(f"run {self.id} was ended: {outcome.reason}")
        if outcome.failures and outcome.status is RunStatus.FAILED:
            cell, (attempt, failure) = next(iter(outcome.failures.items()))
            return revive(cell, attempt, failure, self.id)
        if outcome.status is RunStatus.CANCELLED:
            return RunCancelled(f"run {self.id} was cancelled: {outcome.reason}")
        return RunError(f"run {self.id} failed: {outcome.reason}")
