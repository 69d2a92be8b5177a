"""Opening and closing a store: once for each event loop, or once for a process where the store allows that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Protocol

from taskiq_flow.errors import StoreError
from taskiq_flow.store import RunStore

__all__ = ["OpenedStore", "StoreUser", "wait_elsewhere"]

# An event loop may end while it starts the store, and then wakes nobody; so the others look.
_SECONDS_BETWEEN_LOOKS = 0.02
# Another event loop may stand still for ever.
_SECONDS_FOR_ANOTHER_LOOP = 1.0


class StoreUser(Protocol):
    """A user of a store in one event loop."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Its event loop."""

    @property
    def alive(self) -> bool:
        """Whether its event loop runs."""


class OpenedStore:
    """Starts a store before its first use, and shuts it down after its last.

    :param store: The store. Where event loops share it, the first one starts it and the last one shuts it down.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._users: set[StoreUser] = set()
        self._starting: StoreUser | None = None

    async def open(self, user: StoreUser) -> None:
        """Open the store for a user, in the running event loop, which is the user's.

        :raises StoreError: another running event loop uses it, and it cannot be shared; or it does not start.
        """
        while not self._may_start(user):
            if user in self._users:
                return
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        try:
            await self._store.startup()
            self._users.add(user)
        finally:
            if self._starting is user:
                self._starting = None

    def _may_start(self, user: StoreUser) -> bool:
        """Whether a user is to start the store now; if not, it is registered, or has to ask again."""
        with self._lock:
            if user in self._users:
                return False
            live = [other for other in {*self._users, *filter(None, [self._starting])} if other.alive]
            if not self._store.shared_by_loops and any(other.loop is not user.loop for other in live):
                raise StoreError(_refusal(self._store))
            if self._starting in live:
                return False
            if live:
                self._users.add(user)
                return False
            # Users whose event loops have ended cannot shut it down any more.
            self._users.clear()
            self._starting = user
            return True

    async def close(self, users: Iterable[StoreUser]) -> None:
        """Close the store for some users, and shut it down unless others use it."""
        with self._lock:
            leaving = self._users.intersection(users)
            self._users -= leaving
            last = bool(leaving) and not any(user.alive for user in self._users)
        if not last:
            return
        here = asyncio.get_running_loop()
        elsewhere = [user for user in leaving if user.alive and user.loop is not here]
        if self._store.shared_by_loops or not elsewhere:
            await self._store.shutdown()
            return
        await wait_elsewhere(
            asyncio.run_coroutine_threadsafe(self._store.shutdown(), user.loop) for user in elsewhere
        )


async def wait_elsewhere(calls: Iterable[Future[Any]]) -> None:
    """Wait a while for calls in other event loops."""
    futures = [asyncio.wrap_future(call) for call in calls]
    if futures:
        await asyncio.wait(futures, timeout=_SECONDS_FOR_ANOTHER_LOOP)


def _refusal(store: RunStore) -> str:
    return (
        f"{type(store).__name__} is in use by another event loop that is running, and one object of it cannot serve "
        "two; give each event loop a broker and a flow of its own, let one event loop start all runs, or use a store "
        "that event loops can share"
    )
