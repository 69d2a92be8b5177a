"""The handle of a run, for its client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from taskiq.depends.progress_tracker import TaskProgress
from taskiq.exceptions import TaskiqResultTimeoutError
from taskiq.result import TaskiqResult

from taskiq_flow._background import wait_within
from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.errors import CellFailed, FlowError, PayloadError, RunCancelled, RunError, RunTimedOut
from taskiq_flow.explaining.explainer import Explainer
from taskiq_flow.graph.model import Graph, Output
from taskiq_flow.graph.ranks import graph_of_cell
from taskiq_flow.graph.render import mime_bundle
from taskiq_flow.machine.events import CancelRequested, CellProgressed, CellSucceeded, Event, RunStarted
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.replay import replay
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.payloads import Failure, Value
from taskiq_flow.store import Notice, RunOutcome, RunRecord
from taskiq_flow.values.failures import cell_failed, revive
from taskiq_flow.values.readings import ByAnnotation, Reading, read_inputs, reading_of
from taskiq_flow.values.skipped import items_left_out
from taskiq_flow.waiting import RunDescription, WaitingCell
from taskiq_flow.wiring.restoring import restore_annotations, restore_for_outputs
from taskiq_flow.worker.lending import lend_place, refuse_own_run

__all__ = ["RunHandle"]

T = TypeVar("T")

logger = open_log("taskiq_flow")


class RunHandle(Generic[T]):
    """A run: wait for it, look at it, cancel it.

    It has the methods of taskiq's task, so that it can replace one.

    :param runtime: The parts of the run's flow.
    :param record: The run.
    :param drive: Callback that makes sure that the pool is driven.
    :param returns: The annotation to decode each output by; ``None`` for those of the tasks that made it.
    :param kinds: The class of each input's value, where it is known.

    :ivar graph: The run's graph.
    :ivar labels: The labels of the run.
    :ivar name: The name of the run, for people; empty for none.
    """

    def __init__(
        self,
        runtime: Runtime,
        record: RunRecord,
        *,
        drive: Callable[[], Awaitable[None]],
        returns: Mapping[str, Any] | None = None,
        kinds: Mapping[str, type] | None = None,
    ) -> None:
        self.id = record.id
        self.graph = record.graph
        self.labels = record.labels
        self.name = record.name
        self._runtime = runtime
        self._drive = drive
        # A store in memory keeps a finished run as long as its record is referenced.
        self._record = record
        self._returns = returns
        self._kinds = {} if kinds is None else kinds
        self._readings: dict[str, Reading] = {}

    @property
    def task_id(self) -> str:
        """The run's id, under taskiq's name for it."""
        return self.id

    def __repr__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"<RunHandle {self.id}{named} of {self.graph.name or 'a pipeline'}, {len(self.graph.nodes)} nodes>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return what a notebook shows, by MIME type: a picture of the graph; ``describe()`` has the states in it."""
        return mime_bundle(self.graph, repr(self))

    def handle_of_resumption(self, record: RunRecord) -> RunHandle[T]:
        """Return the handle of a run that resumes this one; its value is decoded in the same way."""
        return RunHandle(self._runtime, record, drive=self._drive, returns=self._returns, kinds=self._kinds)

    async def result(self, timeout: float | None = None) -> T:
        """Wait for the run and return its value.

        :param timeout: Seconds; ``None`` for no limit.
        :raises TaskiqResultTimeoutError: it took longer.
        :raises RunError: the run was cancelled or timed out. A failed cell raises the task's own exception, if its
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
        """Wait for the run and return a result like taskiq's, which holds an error instead of raising it.

        :param check_interval: Not used, because nothing is polled.
        :param timeout: Seconds; 0 or less for no limit.
        :param with_logs: Not used.
        :raises TaskiqResultTimeoutError: it took longer.
        """
        outcome = await self._wait(timeout if timeout is not None and timeout > 0 else None)
        error = self._error_of(outcome)
        value: Any = None
        if error is None:
            try:
                value = await self._value_of(outcome)
            except FlowError as problem:
                error = problem
        return TaskiqResult(
            is_err=error is not None,
            return_value=value,
            execution_time=round(outcome.at - self._record.created_at, 2),
            error=error,
        )

    async def get_result(self, with_logs: bool = False) -> TaskiqResult[T]:
        """Return the result, like :meth:`wait_result` without a limit.

        :param with_logs: Not used.
        """
        return await self.wait_result()

    async def is_ready(self) -> bool:
        """Whether the run is over."""
        return (await self._runtime.store.runs.get(self.id)).outcome is not None

    async def get_progress(self) -> TaskProgress[Any] | None:
        """Return the progress like taskiq's: the share of final cells, plus the reported progress of running ones."""
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
        """Return the state of the run."""
        record = await self._runtime.store.runs.get(self.id)
        return (await self._replay()).status if record.outcome is None else record.outcome.status

    async def explain(self) -> list[WaitingCell]:
        """Explain why cells wait, those that could run first: what they lack, and which cells hold it.

        It is computed from the logs of all runs of the pool, in time linear in their length. A run that is over has no
        waiting cells.
        """
        return await Explainer(self._runtime).explain(self.id)

    async def describe(self) -> RunDescription:
        """Describe the run: its status, the number of cells in each state, and why cells wait."""
        return await Explainer(self._runtime).describe(self.id)

    async def outputs(self) -> dict[str, Any]:
        """Return the outputs that the run has produced so far, decoded, by name."""
        record = await self._runtime.store.runs.get(self.id)
        values = (await self._replay()).outputs() if record.outcome is None else record.outcome.outputs
        return {name: await self._decode(name, value) for name, value in values.items()}

    async def failures(self) -> list[CellFailed]:
        """Return the cells that have failed for good so far, each with its last attempt."""
        record = await self._runtime.store.runs.get(self.id)
        failures: Mapping[str, tuple[int, Failure]] = (
            (await self._replay()).failures if record.outcome is None else record.outcome.failures
        )
        return [cell_failed(cell, attempt, failure, self.id) for cell, (attempt, failure) in failures.items()]

    async def items_left_out(self) -> dict[str, dict[int, CellFailed]]:
        """Return the items that maps with ``skip_errors`` have gone on without so far.

        :returns: For the path of each such map the failures of its items, by position in the list, counted from 0.
        """
        record = await self._runtime.store.runs.get(self.id)
        failures: Mapping[str, tuple[int, Failure]] = (
            (await self._replay()).suppressed if record.outcome is None else record.outcome.left_out
        )
        return items_left_out(self.graph, failures, self.id)

    async def cancel(self, reason: str = "") -> None:
        """Cancel the run: nothing more is started, and running attempts are stopped.

        It returns at once; wait for the run to see it end.

        :param reason: For people; it is written to the log.
        """
        event = CancelRequested(reason=reason, at=self._runtime.clock.now())
        await self._runtime.store.inbox.put(self._record.pool, [Notice(run=self.id, event=event)])
        await self._drive()

    async def events(self) -> AsyncIterator[Event]:
        """Yield all events of the run from its beginning, as they happen; ends with the run."""
        await self._drive()
        async with lend_place(self._runtime, self.id):
            async for event in self._runtime.store.log.follow(self.id):
                yield event

    async def values_of(self, event: Event) -> dict[str, Any]:
        """Return the values that an event brings, decoded by name.

        :param event: An event of this run.
        :returns: The inputs for ``RunStarted``, the outputs of its cell for ``CellSucceeded``; nothing for others.
        :raises PayloadError: a value cannot be read, or it was stored as a blob that is gone.
        """
        codec, redeem = self._runtime.codec, self._runtime.claim_checks.redeem
        if isinstance(event, RunStarted):
            given = read_inputs(self._annotated, self._kinds)
            values = event.inputs or self._record.inputs
            return {
                name: given[name].read(await redeem(self.id, value), codec) for name, value in values.items()
            }
        if not isinstance(event, CellSucceeded):
            return {}
        graph, name = graph_of_cell(self._annotated, event.cell)
        found = {}
        given = read_inputs(graph, self._kinds if graph is self._annotated else {})
        for output, value in zip(graph.nodes[name].outputs, event.outputs, strict=True):
            reading = reading_of(graph, Output(name, output), given)
            found[output] = reading.read(await redeem(self.id, value), codec)
        return found

    @cached_property
    def _annotated(self) -> Graph:
        return restore_annotations(self.graph, self._runtime.broker)

    @cached_property
    def _readable(self) -> Graph:
        return restore_for_outputs(self.graph, self._runtime.broker)

    async def _wait(self, timeout: float | None) -> RunOutcome:
        await self._drive()
        try:
            if timeout is not None and timeout <= 0:
                # A wait with such a timeout would fail without a look at the store.
                record = await self._runtime.store.runs.get(self.id)
                if record.outcome is None:
                    raise TaskiqResultTimeoutError(timeout=timeout)
            elif timeout is None:
                refuse_own_run(self.id)
                async with lend_place(self._runtime, self.id):
                    record = await self._runtime.store.runs.wait(self.id)
            else:
                async with lend_place(self._runtime, self.id):
                    record = await wait_within(timeout, self._runtime.store.runs.wait(self.id))
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
        single = self._record.single
        if single is None:
            return {name: await self._decode(name, value) for name, value in outcome.outputs.items()}
        value = outcome.outputs.get(single)
        return None if value is None else await self._decode(single, value)

    async def _decode(self, name: str, value: Value) -> Any:
        whole = await self._runtime.claim_checks.redeem(self.id, value)
        reading = self._readings.get(name)
        if reading is None:
            reading = self._readings[name] = self._reading_of(name)
        try:
            return reading.read(whole, self._runtime.codec)
        except PayloadError as error:
            if self._returns is not None:
                raise
            # A worker refuses what does not fit, but the annotation may be that of another version of the task.
            value = self._runtime.codec.decode(whole)
            logger.warning("output %r of run %s is given as plain data: %s", name, self.id, error)
            return value

    def _reading_of(self, name: str) -> Reading:
        if self._returns is not None:
            return ByAnnotation(self._returns.get(name, Any))
        graph = self._readable
        return reading_of(graph, graph.outputs[name], read_inputs(graph, self._kinds))

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
