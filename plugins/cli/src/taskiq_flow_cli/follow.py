"""Starting a run and following it to its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from taskiq_flow import CellFailed, Flow, FlowError, Graph, RunHandle
from taskiq_flow.errors import UsageError
from taskiq_flow.explaining import Explainer
from taskiq_flow_cli.leaving import GRACE_SECONDS, Leaving
from taskiq_flow_cli.progress import AttemptFailure, Progress
from taskiq_flow_cli.streams import EventLines

if TYPE_CHECKING:
    from taskiq import AsyncBroker

__all__ = ["Ending", "View", "flow_of", "follow"]

_TICK_SECONDS = 0.2
_SECONDS_BETWEEN_WHYS = 1.0
# Asking for reasons reads the whole log of the run, which must not slow a busy run down.
_SHARE_OF_WHYS = 20


class View(Protocol):
    """Shows the progress of a run."""

    def start(self, run: str) -> None:
        """Begin, with the run's id."""

    def note(self, attempt_failure: AttemptFailure) -> None:
        """Show that an attempt failed."""

    def tick(self, elapsed: float) -> None:
        """Show the progress; called a few times a second with the seconds since the run began."""

    def stop(self, elapsed: float) -> None:
        """Show the progress for the last time."""


@frozen(kw_only=True)
class Ending:
    """The end of a run.

    :param run: The run's id.
    :param status: Its status; the last known one where the command did not wait for the end.
    :param reason: The reason where it did not end by its cells.
    :param outputs: The produced outputs, decoded as plain data.
    :param failures: The failures of cells.
    :param left_out: The failures of items that maps went on without, by map and position.
    :param seconds: The seconds from its start to its end.
    """

    run: str
    status: str
    reason: str
    outputs: Mapping[str, Any]
    failures: tuple[CellFailed, ...]
    left_out: Mapping[str, Mapping[int, CellFailed]]
    seconds: float


def flow_of(broker: AsyncBroker, processes: int | None) -> Flow:
    """Return the broker's flow.

    :param processes: The number of processes for synchronous tasks; ``None`` for the flow's own setting.
    :raises UsageError: the broker has no flow and gets none by itself, or it cannot have processes.
    """
    try:
        flow = Flow.of(broker)
    except FlowError as error:
        raise UsageError(str(error)) from error
    if processes is not None:
        if not flow.in_memory:
            raise UsageError(
                f"--processes is for in-memory brokers, found {type(broker).__name__}; "
                "its tasks run in worker processes, started with `taskiq worker`"
            )
        flow.processes = processes
    return flow


async def follow(
    flow: Flow,
    graph: Graph,
    inputs: Mapping[str, Any],
    *,
    serializer: str | None = None,
    view: View | None,
    progress: Progress,
    lines: EventLines | None,
    leaving: Leaving,
) -> Ending:
    """Start a run, show it, and wait for its end.

    :param flow: The flow to run in.
    :param graph: The graph to run.
    :param inputs: Its inputs.
    :param serializer: The name of the inputs' serializer; ``None`` for that of the flow.
    :param view: The view that shows the progress.
    :param progress: The progress of the run.
    :param lines: The writer of events.
    :param leaving: The request to leave, which cancels the run.
    :raises UsageError: the run cannot be started.
    :raises FlowError: the run was lost.
    """
    try:
        handle = await flow.submit(graph, inputs, serializer=serializer, returns={})
    except FlowError as error:
        raise UsageError(str(error)) from error
    began = time.monotonic()
    if view is not None:
        view.start(handle.id)
    reading = asyncio.ensure_future(_read(handle, progress, view, lines))
    drawing = asyncio.ensure_future(_draw(view, began))
    asking = asyncio.ensure_future(_ask_why(flow, handle.id, view, progress))
    asked = asyncio.ensure_future(leaving.asked.wait())
    try:
        await asyncio.wait({reading, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await handle.cancel("interrupted")
            await asyncio.wait({reading}, timeout=GRACE_SECONDS / 2)
        if reading.done():
            reading.result()
        ending = await _ending(flow, handle, progress, began)
        progress.finish(ending.status)
        return ending
    finally:
        for task in (reading, drawing, asking, asked):
            task.cancel()
        await asyncio.gather(reading, drawing, asking, asked, return_exceptions=True)
        if view is not None:
            view.stop(time.monotonic() - began)


async def _read(
    handle: RunHandle[Any], progress: Progress, view: View | None, lines: EventLines | None
) -> None:
    async for event in handle.events():
        if lines is not None:
            lines.write(event)
        attempt_failure = progress.apply(event)
        if attempt_failure is not None and view is not None:
            view.note(attempt_failure)


async def _draw(view: View | None, began: float) -> None:
    while view is not None:
        view.tick(time.monotonic() - began)
        await asyncio.sleep(_TICK_SECONDS)


async def _ask_why(flow: Flow, run: str, view: View | None, progress: Progress) -> None:
    """Ask now and then why nodes wait."""
    explainer = Explainer(flow.runtime)
    pause = _SECONDS_BETWEEN_WHYS
    while view is not None:
        await asyncio.sleep(pause)
        if not progress.stands:
            progress.explain(())
            continue
        began = time.monotonic()
        # A failing explanation must not keep the run from being shown.
        with contextlib.suppress(FlowError):
            progress.explain(await explainer.explain(run))
        pause = max(_SECONDS_BETWEEN_WHYS, _SHARE_OF_WHYS * (time.monotonic() - began))


async def _ending(flow: Flow, handle: RunHandle[Any], progress: Progress, began: float) -> Ending:
    record = await flow.store.runs.get(handle.id)
    outcome = record.outcome
    seconds = time.monotonic() - began if outcome is None else outcome.at - record.created_at
    outputs: Mapping[str, Any] = {}
    # After an interrupt do not wait for a run that does not end; its outcome is not known yet.
    if outcome is not None:
        outputs = await handle.outputs()
    return Ending(
        run=handle.id,
        status=(await handle.status()).value,
        reason="" if outcome is None else outcome.reason,
        outputs=outputs,
        failures=tuple(await handle.failures()),
        left_out=await handle.items_left_out(),
        seconds=max(0.0, seconds),
    )
