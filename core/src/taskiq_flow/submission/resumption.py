"""The record of a run that continues where another run has ended.

Everything that the new run needs is copied into its own blobs before it is created, so the old run may be deleted at
any time after that. The new id follows from the old one, so a run can be resumed only once, even by several clients at
the same time. The new run can be resumed in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve

from taskiq_flow.errors import BlobNotFound, PayloadError, ResumeError, RunNotFound
from taskiq_flow.machine.events import CellSucceeded
from taskiq_flow.machine.reusable import reusable_results
from taskiq_flow.payloads import ClaimCheck, ListedValue, Value, bare, has_claim_checks
from taskiq_flow.store import Blobs, RunRecord, RunStatus, RunStore, id_of_resumption
from taskiq_flow.values.results import key_of_page, read_results, write_pages

__all__ = ["error_of_second_resumption", "resumption_of"]


def error_of_second_resumption(run: str) -> ResumeError:
    """Return the error for a run that was resumed already; it names the new run."""
    new = id_of_resumption(run)
    message = f"run {run!r} was resumed already, as run {new!r}; when that is over, resume that one"
    return ResumeError(message, run=run, resumed_as=new)


async def resumption_of(
    old: RunRecord, *, store: RunStore, read: Callable[[Value], Any], now: float
) -> RunRecord:
    """Return the record of the run that resumes another one, and put its inputs and results into its blobs.

    :param old: The run that is over.
    :param store: The store of both runs.
    :param read: Callback that decodes a value to plain data.
    :param now: Seconds since the epoch.
    :raises ResumeError: the old run cannot be resumed.
    :raises RunNotFound: it was deleted meanwhile.
    """
    if old.outcome is None:
        raise ResumeError(
            f"run {old.id!r} is not over; wait for its end, or cancel it, before it is resumed", run=old.id
        )
    if old.outcome.status is RunStatus.SUCCEEDED and not old.outcome.left_out:
        raise ResumeError(
            f"run {old.id!r} has succeeded, so nothing of it is left to do; start a new run instead",
            run=old.id,
        )
    new = id_of_resumption(old.id)
    try:
        await store.runs.get(new)
    except RunNotFound:
        pass
    else:
        raise error_of_second_resumption(old.id)
    copied: set[str] = set()
    try:
        for value in old.inputs.values():
            await _copy(store.blobs, value, old.id, new, copied)
    except BlobNotFound as error:
        raise ResumeError(
            f"run {old.id!r} cannot be resumed, because an input of it is lost: {error}", run=old.id
        ) from error
    log = await store.log.read(old.id)
    given = await _read_given(store, old)
    reusable = reusable_results(old.graph, log, read=read, given=given)
    lost: set[str] = set()
    for event in reusable:
        try:
            for value in event.outputs:
                await _copy(store.blobs, value, old.id, new, copied)
        except BlobNotFound:
            lost.add(event.cell)
    if lost:
        await store.runs.get(old.id)  # raises if the blobs are missing because the run was deleted meanwhile
        reusable = reusable_results(old.graph, log, read=read, given=given, lost=lost)
    reusable = [evolve(event, taken_from=event.taken_from or old.id) for event in reusable]
    for number, text in enumerate(write_pages(reusable)):
        await store.blobs.put(new, key_of_page(number), text.encode())
    return evolve(old, id=new, created_at=now, outcome=None, resumes=old.id)


async def _read_given(store: RunStore, run: RunRecord) -> list[CellSucceeded]:
    if not run.resumes:
        return []
    try:
        return [event async for event in read_results(store, run.id)]
    except (BlobNotFound, PayloadError):
        return []  # their cells are executed again


async def _copy(blobs: Blobs, value: Value, old: str, new: str, copied: set[str]) -> None:
    value = bare(value)
    if isinstance(value, ListedValue):
        for part in filter(has_claim_checks, value.parts):
            await _copy(blobs, part, old, new, copied)
    elif isinstance(value, ClaimCheck) and value.key not in copied:
        data = await blobs.get(old, value.key)
        if len(data) != value.size:
            raise BlobNotFound(old, value.key)  # a truncated blob counts as lost
        await blobs.put(new, value.key, data)
        copied.add(value.key)
