"""Keeps a driver going: takes and renews the lease, waits for notices, and begins anew after errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from taskiq_flow._background import backoffs, is_asked_to_stop
from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.driver import Driver
from taskiq_flow.errors import LeaseLost
from taskiq_flow.store import Lease, RunStore

__all__ = ["DriverLoop", "revoke"]

logger = open_log("taskiq_flow")

_LEASE_SECONDS = 15.0
# Tasks that never wait, called here or by an in-memory broker, would otherwise block the event loop.
_SECONDS_BETWEEN_YIELDS = 0.005


class DriverLoop:
    """Drives a pool while it holds the pool's lease, and stands by while it does not.

    :param runtime: The parts of the flow.
    :param holder: The id that it holds the lease under.
    :param make_driver: Callback that makes the driver for a lease.
    :param stand_by: Callback that waits until the lease is to be asked for again.
    :param is_done: Callback for when no run is driven: whether to return instead of waiting for more.
    :param beside: A task beside the loop. When it is cancelled the loop ends too: a task function that is executed
        inline may swallow the driver's own cancellation.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        holder: str,
        make_driver: Callable[[Lease], Driver],
        stand_by: Callable[[], Awaitable[None]],
        is_done: Callable[[], Awaitable[bool]] | None = None,
        beside: asyncio.Task[None] | None = None,
    ) -> None:
        self._runtime = runtime
        self._pool = runtime.pool
        self._store = runtime.store
        self._clock = runtime.clock
        self._holder = holder
        self._make_driver = make_driver
        self._stand_by = stand_by
        self._is_done = is_done
        self._beside = beside

    async def run(self) -> None:
        """Drive for ever, or until there is nothing to drive; survives errors of the store and of plugins."""
        pauses = backoffs()
        while True:
            began: float | None = None
            driver: Driver | None = None
            try:
                lease = await self._acquire()
                began = self._clock.monotonic()
                driver = self._make_driver(lease)
                try:
                    await self._drive(driver)
                except asyncio.CancelledError:
                    self._warn_of_unfinished(driver)
                    await self._give_back(lease)
                    raise
                await self._store.leases.release(lease)
                return
            except LeaseLost:
                logger.warning("another driver has taken pool %r over", self._pool)
                await self._leave(driver)
            except Exception:
                if began is not None and self._clock.monotonic() - began > _LEASE_SECONDS:
                    pauses = backoffs()
                seconds = next(pauses)
                logger.exception("the driver of pool %r failed; starting over in %g s", self._pool, seconds)
                await self._clock.sleep(seconds)

    async def _acquire(self) -> Lease:
        while True:
            lease = await self._store.leases.acquire(_lease_of(self._pool), self._holder, _LEASE_SECONDS)
            if lease is not None:
                return lease
            await self._stand_by()

    def _warn_of_unfinished(self, driver: Driver) -> None:
        """Say which runs an event loop leaves behind that is not there to drive: that of a client in memory."""
        if self._is_done is None or not driver.runs:
            return
        first, *others = driver.runs
        logger.warning(
            "pool %r is left with unfinished runs (%s), because the event loop ends or the flow is shut down; await "
            "result() of their handles before. They go on when the flow is used in another event loop; a memory store "
            "loses them with the process",
            self._pool,
            first if not others else f"{first} and {len(others)} more",
        )

    async def _give_back(self, lease: Lease) -> None:
        """Release the lease, so that a standby begins at once; if that fails, it begins when the lease expires."""
        try:
            await self._store.leases.release(lease)
        except Exception:
            logger.exception("cannot give the lease of pool %r back", self._pool)

    async def _leave(self, driver: Driver | None) -> None:
        """Clear the notices that a driver has written after it had lost its lease."""
        try:
            if driver is not None:
                await driver.leave()
        except Exception:
            logger.exception("notices to lost workers of pool %r may be left", self._pool)

    async def _drive(self, driver: Driver) -> None:
        loop = asyncio.get_running_loop()
        driving = _Driving(driver, self._runtime, self._is_done)
        companions: list[asyncio.Future[None]] = [asyncio.ensure_future(driving.keep_lease())]
        driving.companions = companions if self._beside is None else [*companions, self._beside]
        try:
            await driver.resume()
            await driving.run()
        finally:
            driving.over = True
            if not loop.is_closed():
                for companion in companions:
                    companion.cancel()
                closing = driver.sender.close(), driver.stop()
                await asyncio.gather(*companions, *closing, return_exceptions=True)


async def revoke(holder: str, *, pool: str, store: RunStore) -> None:
    """Release the lease of a driver whose event loop does not run; if it goes on later, it finds its lease lost."""
    lease = await store.leases.acquire(_lease_of(pool), holder, _LEASE_SECONDS)
    if lease is not None:
        await store.leases.release(lease)


def _lease_of(pool: str) -> str:
    return f"pool:{pool}"


class _Driving:
    """One driver at work."""

    def __init__(
        self, driver: Driver, runtime: Runtime, is_done: Callable[[], Awaitable[bool]] | None
    ) -> None:
        self.companions: list[asyncio.Future[None]] = []
        self.over = False
        self._driver = driver
        self._pool = runtime.pool
        self._store = runtime.store
        self._clock = runtime.clock
        self._is_done = is_done
        self._due: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Take turns and execute cells inline, until there is no more to do or the lease is lost."""
        self._task = asyncio.current_task()
        driver, yield_at = self._driver, 0.0
        while True:
            await self._retry(self._turn)
            if self._clock.monotonic() >= yield_at:
                await asyncio.sleep(0)
                self._check_companions()
                yield_at = self._clock.monotonic() + _SECONDS_BETWEEN_YIELDS
            if driver.executes:
                await self._retry(partial(driver.execute, yield_at))
                self._check_companions()
                continue
            if self._is_done is not None and driver.idle and await self._is_done():
                return
            await self._wait()
            self._check_companions()

    async def keep_lease(self) -> None:
        """Renew the lease again and again.

        :raises LeaseLost: another driver has taken it.
        """
        try:
            while True:
                await self._clock.sleep(_LEASE_SECONDS / 3)
                await self._renew()
        except asyncio.CancelledError:
            # The event loop is going down. A task function that is executed inline may have swallowed the driver's
            # cancellation, so the driver is cancelled once more.
            if not self.over and self._task is not None:
                self._task.cancel()
            raise

    async def _renew(self) -> None:
        try:
            renewed = await self._store.leases.renew(self._driver.lease, _LEASE_SECONDS)
        except Exception:
            logger.exception("cannot renew the lease of pool %r; trying again", self._pool)
            return
        if renewed is None:
            raise LeaseLost(f"the lease of pool {self._pool!r} was taken over")
        self._driver.lease = renewed

    async def _turn(self) -> None:
        self._due = await self._driver.turn()

    async def _retry(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step until it succeeds; events and instructions that a failed one has collected are still there."""
        pauses: Iterator[float] | None = None
        while True:
            try:
                await step()
                return
            except LeaseLost:
                raise
            except (asyncio.CancelledError, Exception) as error:
                if isinstance(error, asyncio.CancelledError) and is_asked_to_stop():
                    raise
                pauses = pauses or backoffs()
                seconds = next(pauses)
                logger.exception("a turn of pool %r failed; trying again in %g s", self._pool, seconds)
                await self._clock.sleep(seconds)

    async def _wait(self) -> None:
        timeout = _LEASE_SECONDS
        if self._due is not None:
            timeout = min(timeout, max(0.0, self._due - self._clock.monotonic()))
        # Bounded even without anything to do, so that a lost lease and lost workers are noticed.
        await self._store.inbox.wait(self._pool, timeout)

    def _check_companions(self) -> None:
        """Raise the error that has ended a companion: the loss of the lease, or the end of the event loop."""
        for companion in self.companions:
            if companion.done():
                companion.result()
