"""Checks of the log: order, fencing, and following."""

from __future__ import annotations

import asyncio

from taskiq_flow.errors import LeaseLost, RunNotFound
from taskiq_flow.machine.events import Event
from taskiq_flow.store import RunStore
from taskiq_flow.testing.store import samples
from taskiq_flow.testing.store.rig import Rig

__all__ = [
    "a_batch_with_an_unknown_run_writes_nothing",
    "a_deleted_run_ends_its_followers",
    "a_follower_gets_what_comes_and_ends",
    "a_follower_gets_what_is_there_and_ends",
    "a_follower_of_an_unknown_run_is_told",
    "a_follower_starts_at_its_offset",
    "a_lease_that_was_given_back_writes_nothing",
    "a_lost_lease_writes_nothing",
    "a_reading_starts_at_its_offset",
    "an_empty_batch_tells_of_a_lost_lease",
    "an_expired_lease_still_writes_until_it_is_taken",
    "events_come_back_whole",
    "events_stay_in_order",
    "followers_are_independent",
    "nothing_is_missed_between_reading_and_waiting",
    "nothing_is_written_behind_a_takeover",
    "reading_an_unknown_run_is_refused",
]


async def _collect(store: RunStore, run: str, offset: int = 0) -> list[Event]:
    return [event async for event in store.log.follow(run, offset)]


async def events_come_back_whole(rig: Rig) -> None:
    """An event of every type is read as it was appended, in this object and in another one on the same data."""
    await rig.run()
    events = samples.one_of_each_event()
    await rig.store.log.append({"run": events}, lease=await rig.lease())
    assert list(await rig.store.log.read("run")) == events
    assert list(await (await rig.reopen()).log.read("run")) == events


async def events_stay_in_order(rig: Rig) -> None:
    """A run's events keep the order of their batches and within each; several runs do not mix."""
    lease = await rig.lease()
    for run in ("a", "b"):
        await rig.run(run)
    events = samples.some_events(60)
    for place in range(0, 60, 5):
        batch = events[place : place + 5]
        await rig.store.log.append({"a": batch, "b": batch[:1]}, lease=lease)
    await rig.store.log.append({"a": []}, lease=lease)
    assert list(await rig.store.log.read("a")) == events
    assert list(await rig.store.log.read("b")) == events[::5]


async def a_reading_starts_at_its_offset(rig: Rig) -> None:
    """``read`` returns a run's events from an offset, counted from 0; past the end there are none."""
    await rig.run()
    events = samples.some_events(5)
    await rig.store.log.append({"run": events}, lease=await rig.lease())
    for offset in range(8):
        found = list(await rig.store.log.read("run", offset))
        assert found == events[offset:], f"read from offset {offset} gave {len(found)} of 5 events, or others"


async def reading_an_unknown_run_is_refused(rig: Rig) -> None:
    """``read`` raises ``RunNotFound`` for an unknown run, and returns nothing for one without events."""
    await rig.expect_refusal(rig.store.log.read("nowhere"), RunNotFound, "read of an unknown run")
    await rig.run()
    assert list(await rig.store.log.read("run")) == []


async def a_lost_lease_writes_nothing(rig: Rig) -> None:
    """``append`` with a lease that was taken over raises ``LeaseLost``, and writes to none of the runs."""
    for run in ("a", "b"):
        await rig.run(run)
    old = await rig.lease()
    new = await rig.takeover()
    batch = {"a": samples.some_events(1), "b": samples.some_events(1), "nowhere": samples.some_events(1)}
    await rig.expect_refusal(rig.store.log.append(batch, lease=old), LeaseLost, "append after a takeover")
    for run in ("a", "b"):
        assert list(await rig.store.log.read(run)) == [], f"append with a lost lease wrote to run {run!r}"
    await rig.store.log.append({"a": samples.some_events(1)}, lease=new)
    assert len(await rig.store.log.read("a")) == 1


async def an_empty_batch_tells_of_a_lost_lease(rig: Rig) -> None:
    """``append`` of nothing raises ``LeaseLost`` after a takeover: a driver checks its lease with it."""
    await rig.run()
    old = await rig.lease()
    await rig.store.log.append({}, lease=old)
    new = await rig.takeover()
    await rig.expect_refusal(
        rig.store.log.append({}, lease=old), LeaseLost, "append of nothing after a takeover"
    )
    await rig.store.log.append({}, lease=new)
    assert list(await rig.store.log.read("run")) == []


async def a_lease_that_was_given_back_writes_nothing(rig: Rig) -> None:
    """``append`` raises ``LeaseLost`` after ``release``, also when the same holder has acquired it again."""
    await rig.run()
    old = await rig.lease()
    await rig.store.leases.release(old)
    events = samples.some_events(1)
    await rig.expect_refusal(
        rig.store.log.append({"run": events}, lease=old), LeaseLost, "append after release"
    )
    await rig.lease()
    await rig.expect_refusal(
        rig.store.log.append({"run": events}, lease=old), LeaseLost, "append with an older number"
    )
    assert list(await rig.store.log.read("run")) == []


async def an_expired_lease_still_writes_until_it_is_taken(rig: Rig) -> None:
    """An expired lease can still write until another holder takes it; so can a lease object from before a renewal."""
    await rig.run()
    lease = await rig.lease()
    await rig.pass_time(rig.ttl * 1.1)
    await rig.store.log.append({"run": samples.some_events(1)}, lease=lease)
    assert await rig.store.leases.renew(lease, rig.ttl) is not None
    await rig.store.log.append({"run": samples.some_events(1)}, lease=lease)
    assert len(await rig.store.log.read("run")) == 2


async def a_batch_with_an_unknown_run_writes_nothing(rig: Rig) -> None:
    """``append`` is all or nothing: an unknown run raises ``RunNotFound``, which names it."""
    for run in ("a", "z"):
        await rig.run(run)
    batch = {run: samples.some_events(2) for run in ("a", "nowhere", "z")}
    append = rig.store.log.append(batch, lease=await rig.lease())
    error = await rig.expect_refusal(append, RunNotFound, "append to an unknown run")
    assert isinstance(error, RunNotFound)
    assert error.run == "nowhere", f"the error names {error.run!r}, expected 'nowhere'"
    for run in ("a", "z"):
        assert list(await rig.store.log.read(run)) == [], (
            f"half of a refused batch was written to run {run!r}"
        )


async def nothing_is_written_behind_a_takeover(rig: Rig) -> None:
    """Once another driver has acquired the lease, the older one writes nothing more."""
    await rig.run()
    again = await rig.reopen()
    old = await rig.lease()
    seen: list[Event] = []

    async def first() -> None:
        for number in range(30):
            try:
                await rig.store.log.append({"run": [samples.start("first", number)] * 2}, lease=old)
            except LeaseLost:
                return
            await asyncio.sleep(0)

    async def second() -> None:
        await rig.pass_time(rig.ttl * 1.1)
        lease = await again.leases.acquire("pool:pool", "second driver", rig.ttl)
        assert lease is not None
        seen.extend(await again.log.read("run"))
        for number in range(5):
            event = samples.start("second", number)
            seen.append(event)
            await again.log.append({"run": [event]}, lease=lease)

    await asyncio.gather(first(), second())
    found = list(await rig.store.log.read("run"))
    assert found == seen, "the older driver wrote after the newer one had the lease"


async def a_follower_gets_what_is_there_and_ends(rig: Rig) -> None:
    """``follow`` of a finished run yields all events and ends."""
    await rig.run()
    lease, events = await rig.lease(), samples.some_events(7)
    await rig.store.log.append({"run": events}, lease=lease)
    await rig.finish("run", lease)
    found = await rig.soon(_collect(rig.store, "run"), "follow of a finished run")
    assert found == events


async def a_follower_gets_what_comes_and_ends(rig: Rig) -> None:
    """``follow`` yields events as they come, without delay, and ends only after the run has an outcome."""
    await rig.run()
    lease, events = await rig.lease(), samples.some_events(12)
    await rig.store.log.append({"run": events[:2]}, lease=lease)
    follower = rig.store.log.follow("run")

    async def following() -> Event:
        return await follower.__anext__()

    for place, event in enumerate(events):
        if place >= 2:
            task = await rig.start(following())
            rig.waits(task, "follow gave something before it came")
            await rig.store.log.append({"run": [event]}, lease=lease)
            assert await rig.soon(task, "append did not wake a follower") == event
        else:
            assert await rig.soon(following(), "follow of events that are there") == event
    last = await rig.start(_collect(rig.store, "run", 12))
    rig.waits(last, "follow ended before the run had an outcome")
    await rig.finish("run", lease)
    assert await rig.soon(last, "finish did not end a follower") == []


async def a_follower_starts_at_its_offset(rig: Rig) -> None:
    """``follow`` starts at an offset, even one that is not written yet."""
    await rig.run()
    lease, events = await rig.lease(), samples.some_events(6)
    await rig.store.log.append({"run": events[:3]}, lease=lease)
    tasks = [await rig.start(_collect(rig.store, "run", offset)) for offset in (0, 2, 3, 5)]
    await rig.store.log.append({"run": events[3:]}, lease=lease)
    await rig.finish("run", lease)
    for offset, task in zip((0, 2, 3, 5), tasks, strict=True):
        found = await rig.soon(task, f"follow from offset {offset}")
        assert found == events[offset:], f"follow from offset {offset} gave {len(found)} events, or others"


async def followers_are_independent(rig: Rig) -> None:
    """Every follower gets every event, even a slow one; a follower that leaves disturbs no other."""
    await rig.run()
    lease, events = await rig.lease(), samples.some_events(40)
    again = await rig.reopen()

    async def slowly() -> list[Event]:
        found = []
        async for event in again.log.follow("run"):
            found.append(event)
            await asyncio.sleep(0)
        return found

    tasks = [await rig.start(_collect(rig.store, "run")), await rig.start(slowly())]
    leaver = await rig.start(_collect(rig.store, "run"))
    for place in range(0, 40, 4):
        await rig.store.log.append({"run": events[place : place + 4]}, lease=lease)
        if place == 20:
            leaver.cancel()
            await rig.rest()
    await rig.finish("run", lease)
    for task in tasks:
        assert await rig.soon(task, "follow while another follower left") == events


async def nothing_is_missed_between_reading_and_waiting(rig: Rig) -> None:
    """Events that come while a follower is busy are yielded next, and the following ends with the outcome."""
    await rig.run()
    lease, events = await rig.lease(), samples.some_events(3)
    await rig.store.log.append({"run": events[:1]}, lease=lease)
    found: list[Event] = []

    async def following() -> None:
        async for event in rig.store.log.follow("run"):
            found.append(event)
            if len(found) < len(events):
                await rig.store.log.append({"run": [events[len(found)]]}, lease=lease)
            else:
                await rig.finish("run", lease)

    await rig.soon(following(), "follow of events that its own reader causes")
    assert found == events


async def a_follower_of_an_unknown_run_is_told(rig: Rig) -> None:
    """``follow`` raises ``RunNotFound`` for an unknown run."""
    await rig.expect_refusal(_collect(rig.store, "nowhere"), RunNotFound, "follow of an unknown run")


async def a_deleted_run_ends_its_followers(rig: Rig) -> None:
    """``follow`` raises ``RunNotFound`` when the run is deleted meanwhile."""
    await rig.run()
    task = await rig.start(_collect(rig.store, "run"))
    await rig.store.runs.delete("run")
    await rig.expect_refusal(task, RunNotFound, "follow of a run that is deleted meanwhile")
