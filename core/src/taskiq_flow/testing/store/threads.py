"""Checks of stores that several event loops share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from taskiq_flow.testing.store import samples
from taskiq_flow.testing.store.rig import Rig

__all__ = [
    "a_closed_loop_disturbs_nobody",
    "a_notice_from_another_thread_wakes",
    "an_outcome_from_another_thread_wakes",
    "events_from_another_thread_wake",
]


class _Elsewhere(threading.Thread):
    """Runs one coroutine in a thread with an event loop of its own."""

    def __init__(self, coroutine: Coroutine[Any, Any, object]) -> None:
        super().__init__(daemon=True)
        self.coroutine = coroutine
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self.coroutine)
        except BaseException as error:  # noqa: BLE001 - the check raises it
            self.error = error


@contextmanager
def _watch_foreign_callbacks() -> Iterator[list[object]]:
    """Record and repair calls of the running loop's ``call_soon`` from other threads.

    Without ``call_soon_threadsafe`` the loop may notice such a callback too late. Recorded, it is a defect every time.
    """
    loop, home, foreign = asyncio.get_running_loop(), threading.get_ident(), list[object]()
    call_soon: Any = loop.call_soon

    def watch(callback: Any, *args: Any, **context: Any) -> asyncio.Handle:
        if threading.get_ident() == home:
            handle: asyncio.Handle = call_soon(callback, *args, **context)
            return handle
        foreign.append(callback)
        return loop.call_soon_threadsafe(callback, *args, **context)

    loop.call_soon = watch  # type: ignore[method-assign, assignment]
    try:
        yield foreign
    finally:
        del loop.call_soon


async def _check_waking(rig: Rig, waiting: asyncio.Future[Any], doing: Coroutine[Any, Any, object]) -> None:
    with _watch_foreign_callbacks() as foreign:
        thread = _Elsewhere(doing)
        thread.start()
        await asyncio.wait({waiting}, timeout=rig.patience)
        thread.join(rig.patience)
    assert thread.error is None, f"a call from another thread failed while a caller waited: {thread.error!r}"
    assert not foreign, "a waiter's event loop was called from another thread; use loop.call_soon_threadsafe"
    assert waiting.done(), "a waiter was not woken from another thread"


async def a_notice_from_another_thread_wakes(rig: Rig) -> None:
    """``put`` in another thread's event loop wakes a waiter in this one, safely."""
    waiting = await rig.start(rig.store.inbox.wait("pool", None))
    await _check_waking(rig, waiting, rig.store.inbox.put("pool", [samples.notice(1)]))
    assert len(await rig.store.inbox.take("pool")) == 1


async def an_outcome_from_another_thread_wakes(rig: Rig) -> None:
    """``finish`` in another thread's event loop wakes a waiter in this one."""
    await rig.run()
    lease = await rig.lease()
    waiting = await rig.start(rig.store.runs.wait("run"))
    await _check_waking(rig, waiting, rig.store.runs.finish("run", samples.outcome(), lease=lease))
    assert waiting.result().outcome == samples.outcome()


async def events_from_another_thread_wake(rig: Rig) -> None:
    """``append`` in another thread's event loop wakes a follower in this one."""
    await rig.run()
    lease, events = await rig.lease(), samples.some_events(1)
    follower = rig.store.log.follow("run")

    async def following() -> object:
        return await follower.__anext__()

    waiting = await rig.start(following())
    await _check_waking(rig, waiting, rig.store.log.append({"run": events}, lease=lease))
    assert waiting.result() == events[0]


async def a_closed_loop_disturbs_nobody(rig: Rig) -> None:
    """An event loop that was closed with a waiter in it does not keep others from putting or waiting."""

    def abandon() -> None:
        loop = asyncio.new_event_loop()
        waiting = loop.create_task(_forsake(rig))
        loop.run_until_complete(asyncio.sleep(0))
        # The loop goes away without a chance to clean up, as with a process that is torn down.
        loop.close()
        waiting._log_destroy_pending = False  # type: ignore[attr-defined]
        abandoned.append(waiting)

    abandoned: list[object] = []
    thread = threading.Thread(target=abandon, daemon=True)
    thread.start()
    thread.join(rig.patience)
    waiting = await rig.start(rig.store.inbox.wait("pool", None))
    await rig.store.inbox.put("pool", [samples.notice(1)])
    await rig.soon(waiting, "put while a caller in a closed loop waits")


async def _forsake(rig: Rig) -> None:
    await rig.store.inbox.wait("pool", None)
