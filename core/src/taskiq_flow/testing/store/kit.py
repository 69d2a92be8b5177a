"""The kit that a store's author subclasses."""

from __future__ import annotations

import asyncio
import unittest
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType, ModuleType
from typing import ClassVar

from taskiq_flow.clock import Clock, SystemClock
from taskiq_flow.store import RunStore
from taskiq_flow.testing.clock import FakeClock
from taskiq_flow.testing.store import claims, inbox, leases, log, runs, small, threads
from taskiq_flow.testing.store.rig import Rig

__all__ = ["STORE_CHECKS", "StoreKit", "check_store"]

Check = Callable[[Rig], Awaitable[None]]


def _checks_of(*modules: ModuleType) -> Mapping[str, Check]:
    return MappingProxyType({name: getattr(module, name) for module in modules for name in module.__all__})


STORE_CHECKS: Mapping[str, Check] = _checks_of(runs, log, inbox, claims, leases, small, threads)
"""Every check by name; each is ``async def check(rig)`` and raises :class:`AssertionError`."""

FOR_SHARING = frozenset(threads.__all__)
"""The checks only for stores that several event loops share."""


class StoreKit(ABC):
    """Checks that a store keeps the promises of :mod:`taskiq_flow.store`.

    With pytest, where each check becomes a test ``test_<check>`` (they are coroutines: pytest-asyncio or anyio
    runs them)::

        class TestMyStore(StoreKit):
            fake_time = False

            async def make_store(self, clock):
                return MyStore("my://localhost/15")

    Without pytest: ``await check_store(TestMyStore())``.

    The tests cannot be overridden. The class variables below declare the limits of a store; ``waived`` lists the
    promises that it does not keep yet, where everybody sees them.

    :cvar fake_time: Whether leases expire and waits end by the clock that is given to ``make_store``.
    :cvar in_process: Whether the store answers without waiting for anything outside the event loop; then it must
        wake without any time passing, and must not poll.
    :cvar shared_by_loops: Whether one store object may be used from several event loops in several threads; equal to
        the store's own attribute, so that the author of a kit has thought of it.
    :cvar patience: The time in which a store that is not ``in_process`` must answer or wake, in seconds.
    :cvar ttl: A time to live that is short enough to wait for, in seconds; used where time is not fake.
    :cvar waived: The reason for each check that is skipped, by its name.
    """

    fake_time: ClassVar[bool] = True
    in_process: ClassVar[bool] = False
    shared_by_loops: ClassVar[bool] = False
    patience: ClassVar[float] = 5.0
    ttl: ClassVar[float] = 1.0
    waived: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        kits = [base for base in cls.__mro__[1:] if issubclass(base, StoreKit)]
        # Another base class must not override either; the methods that run the checks are protected too.
        others = {name for base in cls.__mro__ if base not in kits for name in vars(base)}
        overridden = sorted(
            name
            for name in others
            if name.removeprefix("test_") in STORE_CHECKS or name in ("check", "failures")
        )
        unknown = sorted(set(cls.waived) - set(STORE_CHECKS))
        if overridden or unknown:
            raise TypeError(
                f"{cls.__name__} overrides {', '.join(overridden) or 'nothing'} and waives unknown "
                f"{', '.join(unknown) or 'nothing'}; list the checks to skip in `waived`, with a reason for each"
            )

    @abstractmethod
    async def make_store(self, clock: Clock) -> RunStore:
        """Make a store without any data in it; the kit starts it up and shuts it down.

        :param clock: A :class:`~taskiq_flow.testing.FakeClock`, or the system's where ``fake_time`` is off.
        """

    async def reopen(self, store: RunStore, clock: Clock) -> RunStore:
        """Make another store object on the same data, as another process would.

        The default returns the same object, which is right only for a store that lives in one process. The kit starts
        it up and shuts it down.
        """
        return store

    async def residue(self, store: RunStore, run: str) -> Iterable[str]:
        """Name the remains of a run in the raw data, read without the store's own methods; notices do not count."""
        return ()

    async def check(self, name: str) -> None:
        """Run one check on a fresh store.

        :param name: One of :data:`STORE_CHECKS`.
        :raises AssertionError: the store breaks a promise.
        :raises unittest.SkipTest: the check is waived, or for stores that can do more.
        """
        if not __debug__:
            raise RuntimeError("the store kit checks with assert statements; run Python without -O")
        if name in self.waived:
            raise unittest.SkipTest(f"waived: {self.waived[name]}")
        if name in FOR_SHARING and not self.shared_by_loops:
            raise unittest.SkipTest("for stores that are shared by event loops")
        clock: Clock = FakeClock() if self.fake_time else SystemClock()
        async with AsyncExitStack() as stack:
            store = await self.make_store(clock)
            assert store.shared_by_loops == self.shared_by_loops, (
                f"the store says shared_by_loops={store.shared_by_loops}, and its kit {self.shared_by_loops}"
            )
            await store.startup()
            stack.push_async_callback(store.shutdown)

            async def reopen() -> RunStore:
                again = await self.reopen(store, clock)
                if again is not store:
                    await again.startup()
                    stack.push_async_callback(again.shutdown)
                return again

            async def residue(run: str) -> Iterable[str]:
                return await self.residue(store, run)

            rig = Rig(
                store=store,
                clock=clock,
                in_process=self.in_process,
                shared_by_loops=self.shared_by_loops,
                patience=self.patience,
                ttl=60.0 if self.fake_time else self.ttl,
                reopen=reopen,
                residue=residue,
            )
            stack.push_async_callback(rig.close)
            try:
                await asyncio.wait_for(STORE_CHECKS[name](rig), 10 * self.patience)
            except asyncio.TimeoutError:
                raise AssertionError(
                    f"the store did not answer within {10 * self.patience} seconds"
                ) from None
            except AssertionError as error:
                # Outside pytest a bare assert has no message, so the promise becomes the message.
                if str(error):
                    raise
                raise AssertionError(STORE_CHECKS[name].__doc__) from error

    async def failures(self) -> dict[str, BaseException]:
        """Run every check, and return the errors by the check's name."""
        found = {name: await self._error(name) for name in STORE_CHECKS}
        return {name: error for name, error in found.items() if error is not None}

    async def _error(self, name: str) -> BaseException | None:
        try:
            await self.check(name)
        except unittest.SkipTest:
            return None
        except Exception as error:  # noqa: BLE001 - a broken store may raise anything
            return error
        return None


async def check_store(kit: StoreKit) -> None:
    """Make all checks of a kit.

    :raises AssertionError: the store breaks a promise; all that are broken are listed.
    """
    failures = await kit.failures()
    if failures:
        lines = [f"{name}: {type(error).__name__}: {error}" for name, error in failures.items()]
        raise AssertionError("\n".join(lines))


def _test_of(name: str, check: Check) -> Callable[[StoreKit], Awaitable[None]]:
    async def test(self: StoreKit) -> None:
        await self.check(name)

    test.__name__ = f"test_{name}"
    test.__qualname__ = f"StoreKit.test_{name}"
    test.__doc__ = check.__doc__
    return test


for _name, _check in STORE_CHECKS.items():
    setattr(StoreKit, f"test_{_name}", _test_of(_name, _check))
