"""``taskiq flow explain``: the state of a run, and the reasons why its cells wait."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import asdict

from taskiq_flow.errors import RunNotFound, UsageError
from taskiq_flow.flow import Flow
from taskiq_flow.scheduler import RunningCell
from taskiq_flow.targets import find_flow
from taskiq_flow.terminal import printable, reserve_stdout
from taskiq_flow.waiting import RunDescription, WaitingCell
from taskiq_flow_resources.simulation.words import seconds

__all__ = ["as_data", "explain_run", "lines_of"]

_MOST_CELLS = 20
_MOST_HOLDERS = 3


def explain_run(target: str, run: str, *, everything: bool, as_json: bool, app_dir: str | None) -> int:
    """Write the state of a run.

    :param target: ``MODULE:NAME`` of a flow, a broker or a pipeline.
    :param run: The run's id.
    :param everything: Whether to show all cells that wait, instead of the first ones of each state.
    :param as_json: Write one JSON object.
    :param app_dir: A folder to search for the module.
    :returns: The exit code.
    :raises UsageError: there is no such flow, or no such run in its store.
    """
    # Output of the module must not get into the JSON.
    with reserve_stdout(as_json):
        flow = find_flow(target, app_dir)
        description, now = asyncio.run(_describe(flow, run))
    if as_json:
        sys.stdout.write(f"{json.dumps(as_data(description), allow_nan=False)}\n")
    else:
        for line in lines_of(description, now, everything=everything):
            sys.stdout.write(f"{line}\n")
    return 0


async def _describe(flow: Flow, run: str) -> tuple[RunDescription, float]:
    await flow.store.startup()
    try:
        record = await flow.store.runs.get(run)
        return await flow.handle_of(record).describe(), flow.clock.now()
    except RunNotFound as error:
        raise UsageError(f"{error}; a store in memory has only the runs of its own process") from error
    finally:
        await flow.store.shutdown()


def as_data(description: RunDescription) -> dict[str, Any]:
    """Return everything as plain data."""
    # The graph is for pictures; its text is what `taskiq flow graph` writes.
    data = asdict(description, recurse=True, filter=lambda field, _: field.name != "graph")
    return {**data, "status": description.status.value}


def lines_of(description: RunDescription, now: float, *, everything: bool = False) -> Iterator[str]:
    """Yield the lines about a run, without control characters.

    :param now: Seconds since the epoch.
    :param everything: Whether to show all cells that wait.
    """
    return map(printable, _all_lines(description, now, everything=everything))


def _all_lines(description: RunDescription, now: float, *, everything: bool) -> Iterator[str]:
    counts = ", ".join(f"{count} {state}" for state, count in description.counts.items())
    reason = f" ({description.reason})" if description.reason else ""
    yield f"run {description.id} {description.status.value}{reason}{f': {counts}' if counts else ''}"
    if not description.waiting:
        yield "nothing waits"
        return
    shown: Counter[str] = Counter()
    for cell in description.waiting:
        shown[cell.state] += 1
        if everything or shown[cell.state] <= _MOST_CELLS:
            yield from _lines(cell, description.id, now)
    for state, count in shown.items():
        if not everything and count > _MOST_CELLS:
            yield f"and {count - _MOST_CELLS} more {state}; --all shows them"


def _lines(cell: WaitingCell, run: str, now: float) -> Iterator[str]:
    # For pending cells and for maps only the start of the run is known.
    known = cell.state not in ("pending", "running")
    waited = f" for {seconds(max(0.0, now - cell.since))}" if known else ""
    yield f"{cell.path or 'the run'}  {cell.state}{waited}: {cell.reason}"
    if cell.holders:
        yield f"    in use by {_name_holders(cell.holders, run)}"


def _name_holders(holders: Sequence[RunningCell], run: str) -> str:
    names = [
        each.path
        + (f" on {each.worker}" if each.worker else "")
        + ("" if each.run == run else f" of run {each.run}")
        for each in holders[:_MOST_HOLDERS]
    ]
    more = len(holders) - _MOST_HOLDERS
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
