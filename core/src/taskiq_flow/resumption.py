"""A run that goes on where another one has ended: its id, and what it is given on its way.

All that the new run needs is copied into its own blobs before it is created, so the old one may be deleted at any time
after that. The id follows from the old run's, so a run can be resumed once, whoever tries at the same time; what
came of that can be resumed in turn.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from attrs import evolve

from taskiq_flow.errors import BlobNotFound, PayloadError, ResumeError, RunNotFound, StoreError
from taskiq_flow.machine.codec import decode_event, encode_event
from taskiq_flow.machine.events import CellSucceeded
from taskiq_flow.machine.kept import kept_results
from taskiq_flow.payloads import ClaimCheck, ListedValue, Value, has_claim_checks
from taskiq_flow.store import Blobs, RunRecord, RunStatus, RunStore

__all__ = ["read_results", "resumed_already", "resumed_id", "resumption_of"]

_ID = re.compile(r"(?P<first>.+)~(?P<number>[1-9]\d*)", re.DOTALL)
_BYTES_PER_BLOB = 1 << 20
_MORE, _LAST = "more", "last"


def resumed_id(run: str) -> str:
    """Give the id of the run that resumes another one: ``3f2a~2`` for ``3f2a``, ``3f2a~3`` for that."""
    match = _ID.fullmatch(run)
    return f"{run}~2" if match is None else f"{match['first']}~{int(match['number']) + 1}"


def resumed_already(run: str) -> ResumeError:
    """Give the error that says by which run a run was resumed."""
    new = resumed_id(run)
    message = f"run {run!r} was resumed already, as run {new!r}; when that is over, resume that one"
    return ResumeError(message, run=run, resumed_as=new)


async def resumption_of(
    old: RunRecord, *, store: RunStore, read: Callable[[Value], Any], now: float
) -> RunRecord:
    """Give the record of the run that resumes another one, and put what it needs into its blobs.

    :param old: The run that is over.
    :param store: Where both are.
    :param read: Decodes a value to plain data.
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
    new = resumed_id(old.id)
    try:
        await store.runs.get(new)
    except RunNotFound:
        pass
    else:
        raise resumed_already(old.id)
    copied: set[str] = set()
    try:
        for value in old.inputs.values():
            await _copy(store.blobs, value, old.id, new, copied)
    except BlobNotFound as error:
        raise ResumeError(
            f"run {old.id!r} cannot be resumed, because an input of it is lost: {error}", run=old.id
        ) from error
    log = await store.log.read(old.id)
    given = await _given(store, old)
    kept = kept_results(old.graph, log, read=read, given=given)
    lost: set[str] = set()
    for event in kept:
        try:
            for value in event.outputs:
                await _copy(store.blobs, value, old.id, new, copied)
        except BlobNotFound:
            lost.add(event.cell)
    if lost:
        await store.runs.get(old.id)  # unless it was deleted meanwhile, with all there was
        kept = kept_results(old.graph, log, read=read, given=given, lost=lost)
    kept = [evolve(event, taken_from=event.taken_from or old.id) for event in kept]
    for number, text in enumerate(_pages(kept)):
        await store.blobs.put(new, _key(number), text.encode())
    return evolve(old, id=new, created_at=now, outcome=None, resumes=old.id)


async def read_results(store: RunStore, run: str) -> AsyncIterator[CellSucceeded]:
    """Give what a run was given by :func:`resumption_of`.

    :raises BlobNotFound: it is not there.
    :raises PayloadError: it is damaged.
    """
    number = 0
    state = _MORE
    while state == _MORE:
        key = _key(number)
        page = await store.blobs.get(run, key)
        try:
            state, *lines = page.decode().split("\n")
            events = [decode_event(line) for line in lines]
        except (UnicodeDecodeError, StoreError) as error:
            raise PayloadError(f"blob {key!r} of run {run!r} is damaged: {error}") from error
        for event in events:
            if isinstance(event, CellSucceeded):
                yield event
        number += 1
        # Where the store never waits, somebody has to renew the lease all the same.
        await asyncio.sleep(0)


async def _given(store: RunStore, run: RunRecord) -> list[CellSucceeded]:
    if not run.resumes:
        return []
    try:
        return [event async for event in read_results(store, run.id)]
    except (BlobNotFound, PayloadError):
        return []  # what is lost is executed again


def _key(number: int) -> str:
    return f"taskiq_flow.kept.{number}"


def _pages(kept: Iterable[CellSucceeded]) -> Iterator[str]:
    """Write events, one a line, in pieces that any store takes; the first line says whether more follows."""
    lines: list[str] = []
    size = 0
    for event in kept:
        if size > _BYTES_PER_BLOB:
            yield "\n".join([_MORE, *lines])
            lines, size = [], 0
        lines.append(encode_event(event))
        size += len(lines[-1])
    yield "\n".join([_LAST, *lines])


async def _copy(blobs: Blobs, value: Value, old: str, new: str, copied: set[str]) -> None:
    if isinstance(value, ListedValue):
        for part in filter(has_claim_checks, value.parts):
            await _copy(blobs, part, old, new, copied)
    elif isinstance(value, ClaimCheck) and value.key not in copied:
        data = await blobs.get(old, value.key)
        if len(data) != value.size:
            raise BlobNotFound(old, value.key)  # somebody has cut it, and it will not grow again
        await blobs.put(new, value.key, data)
        copied.add(value.key)
