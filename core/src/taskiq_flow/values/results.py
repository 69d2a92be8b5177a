"""Results that a resumed run takes over from an earlier one, stored as blobs of the new run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

from taskiq_flow.errors import PayloadError, StoreError
from taskiq_flow.machine.events import CellSucceeded
from taskiq_flow.machine.wire import decode_event, encode_event
from taskiq_flow.store import RunStore

__all__ = ["key_of_page", "read_results", "write_pages"]

_BYTES_PER_BLOB = 1 << 20
_MORE, _LAST = "more", "last"


async def read_results(store: RunStore, run: str) -> AsyncIterator[CellSucceeded]:
    """Yield the results that :func:`~taskiq_flow.submission.resumption.resumption_of` collected for a run.

    :raises BlobNotFound: a page is missing.
    :raises PayloadError: a page is damaged.
    """
    number = 0
    state = _MORE
    while state == _MORE:
        key = key_of_page(number)
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
        # A turn of the event loop, so that the lease is renewed even where the store never waits.
        await asyncio.sleep(0)


def key_of_page(number: int) -> str:
    """Return the key of the blob that holds a page of results."""
    return f"taskiq_flow.kept.{number}"


def write_pages(resumed: Iterable[CellSucceeded]) -> Iterator[str]:
    """Write events, one a line, in pages small enough for any store; the first line says whether more follows."""
    lines: list[str] = []
    size = 0
    for event in resumed:
        if size > _BYTES_PER_BLOB:
            yield "\n".join([_MORE, *lines])
            lines, size = [], 0
        lines.append(encode_event(event))
        size += len(lines[-1])
    yield "\n".join([_LAST, *lines])
