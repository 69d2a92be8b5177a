"""Notices and claims, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from attrs import frozen

from taskiq_flow.errors import StoreError
from taskiq_flow.machine.events import CellStarted
from taskiq_flow.store import Inbox, Notice
from taskiq_flow.stores.memory.state import State

__all__ = ["MemoryInbox"]


@frozen(eq=False)
class MemoryInbox(Inbox):
    """One queue per pool; claims are kept with their runs."""

    _state: State

    async def put(self, pool: str, notices: Iterable[Notice]) -> None:
        """Add notices."""
        state = self._state
        with state.lock:
            box = state.boxes.get(pool) or state.box(pool)
            number, waiting = box.next_token, box.notices
            for notice in notices:
                waiting.append((number, notice))
                number += 1
            box.next_token = number
            if box.waiters:
                box.waiters.ring()

    async def take(self, pool: str, limit: int = 1000) -> Sequence[tuple[Any, Notice]]:
        """Return the oldest notices that are not acknowledged, with a token each."""
        state = self._state
        with state.lock:
            box = state.boxes.get(pool)
            if box is None:
                return []
            gone, notices = box.acknowledged, box.notices
            if not gone:
                return [*notices] if len(notices) <= limit else list(islice(notices, max(0, limit)))
            return list(islice((each for each in box.notices if each[0] not in gone), max(0, limit)))

    async def acknowledge(self, pool: str, tokens: Iterable[Any]) -> None:
        """Forget notices that were taken."""
        state = self._state
        with state.lock:
            box = state.box(pool)
            notices, gone = box.notices, box.acknowledged
            for token in tokens:
                if not notices:
                    break
                first = notices[0][0]
                if token == first:
                    notices.popleft()
                elif first < token < box.next_token:
                    gone.add(token)
                if gone:
                    while gone and notices[0][0] in gone:
                        gone.remove(notices.popleft()[0])

    async def wait(self, pool: str, timeout: float | None) -> None:
        """Return when the pool has a notice that is not acknowledged."""
        state = self._state
        with state.lock:
            box = state.box(pool)
            if box.notices:
                return
            waiter = box.waiters.enlist()
        try:
            await state.wait(box.waiters, waiter, timeout)
        except asyncio.CancelledError:
            # Done here, not when the waiting is garbage-collected: another caller may hold the lock and this box then.
            with state.lock:
                state.forget_unused(pool)
            raise

    def has_notices(self, pool: str) -> bool:
        """Whether the pool has a notice that is not acknowledged."""
        box = self._state.boxes.get(pool)
        return box is not None and bool(box.notices)

    async def claim(self, pool: str, notice: Notice, *, worker: str) -> bool:
        """Claim the attempt that a ``CellStarted`` notice is about; the first one puts it."""
        event = notice.event
        if not isinstance(event, CellStarted):
            raise StoreError(
                f"expected a CellStarted notice to claim an attempt by, found {type(event).__name__}"
            )
        state = self._state
        with state.lock:
            entry = state.runs.get(notice.run)
            if entry is None or entry.record.outcome is not None:
                return False
            attempt = (event.cell, event.attempt)
            if attempt in entry.claims:
                return False
            entry.claims[attempt] = worker
            box = state.boxes.get(pool) or state.box(pool)
            box.notices.append((box.next_token, notice))
            box.next_token += 1
            if box.waiters:
                box.waiters.ring()
            return True

    async def revoke(self, run: str, cell: str, attempt: int) -> bool:
        """Claim an attempt for nobody."""
        with self._state.lock:
            entry = self._state.runs.get(run)
            return entry is None or entry.claims.setdefault((cell, attempt), None) is None
