"""Checks of the inbox: notices stay until acknowledged, in order, and wake the driver."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from taskiq_flow.machine.events import CellSucceeded
from taskiq_flow.store import Notice, RunStore
from taskiq_flow.testing.store import samples
from taskiq_flow.testing.store.rig import Rig

__all__ = [
    "a_notice_wakes_who_waits",
    "a_taker_can_be_limited",
    "a_waiting_that_is_cancelled_takes_nothing",
    "acknowledged_notices_are_gone",
    "acknowledging_again_is_no_error",
    "notices_come_back_whole",
    "notices_come_oldest_first",
    "notices_of_a_deleted_run_stay",
    "notices_race_with_taking",
    "notices_survive_a_takeover",
    "pools_do_not_mix",
    "some_of_the_notices_can_be_acknowledged",
    "waiting_ends_after_its_time",
    "waiting_with_notices_ends_at_once",
    "waiting_without_limit_goes_on",
]


def _cells(taken: Iterable[tuple[object, Notice]]) -> list[str]:
    return [each.event.cell for _, each in taken if isinstance(each.event, CellSucceeded)]


async def _fill(rig: Rig, count: int, *, pool: str = "pool") -> list[str]:
    notices = [samples.notice(number) for number in range(count)]
    for place in range(0, count, 3):
        await rig.store.inbox.put(pool, iter(notices[place : place + 3]))
    return [f"cell{number}" for number in range(count)]


async def notices_come_back_whole(rig: Rig) -> None:
    """``take`` returns each notice as it was put, also one about an unknown run."""
    notices = [Notice(run="nowhere", event=event) for event in samples.one_of_each_event()]
    await rig.store.inbox.put("pool", notices)
    again = await rig.reopen()
    for store in (rig.store, again):
        assert [notice for _, notice in await store.inbox.take("pool")] == notices
    await rig.store.inbox.put("pool", [])
    assert len(await rig.store.inbox.take("pool")) == len(notices)


async def notices_come_oldest_first(rig: Rig) -> None:
    """``take`` returns the oldest first; the notices of one call, and the calls of one caller, stay in order."""
    expected = await _fill(rig, 30)
    assert _cells(await rig.store.inbox.take("pool")) == expected


async def a_taker_can_be_limited(rig: Rig) -> None:
    """``take`` returns at most as many notices as the limit, the oldest ones."""
    expected = await _fill(rig, 7)
    for limit in (1, 3, 7, 100):
        found = _cells(await rig.store.inbox.take("pool", limit))
        assert found == expected[:limit], f"take of {limit} gave {found}"


async def notices_survive_a_takeover(rig: Rig) -> None:
    """Until they are acknowledged, the same notices are taken again by any driver: none is lost with a driver."""
    await rig.lease()
    expected = await _fill(rig, 5)
    first = await rig.store.inbox.take("pool", 4)
    await rig.store.inbox.acknowledge("pool", [first[0][0]])
    await rig.takeover()
    again = await rig.reopen()
    await rig.soon(
        again.inbox.wait("pool", None), "wait with notices that the last driver did not acknowledge"
    )
    found = _cells(await again.inbox.take("pool"))
    assert found == expected[1:], f"after a takeover take gave {found}, expected {expected[1:]}"
    assert _cells(await again.inbox.take("pool")) == found, "taking again gave other notices"


async def acknowledged_notices_are_gone(rig: Rig) -> None:
    """``acknowledge`` deletes notices; those that came meanwhile stay, and tokens are not used again."""
    await _fill(rig, 4)
    taken = await rig.store.inbox.take("pool")
    late = samples.notice(99)
    await rig.store.inbox.put("pool", [late])
    await rig.store.inbox.acknowledge("pool", (token for token, _ in taken))
    assert [notice for _, notice in await rig.store.inbox.take("pool")] == [late]
    await rig.store.inbox.acknowledge("pool", [token for token, _ in await rig.store.inbox.take("pool")])
    assert list(await rig.store.inbox.take("pool")) == []
    await rig.store.inbox.put("pool", [late])
    await rig.store.inbox.acknowledge("pool", [token for token, _ in taken])
    assert len(await rig.store.inbox.take("pool")) == 1, "an old token acknowledged a new notice"


async def some_of_the_notices_can_be_acknowledged(rig: Rig) -> None:
    """``acknowledge`` takes tokens in any order; the notices between stay, in order."""
    expected = await _fill(rig, 6)
    tokens = [token for token, _ in await rig.store.inbox.take("pool")]
    await rig.store.inbox.acknowledge("pool", [tokens[4], tokens[1]])
    left = [expected[place] for place in (0, 2, 3, 5)]
    assert _cells(await rig.store.inbox.take("pool")) == left
    assert _cells(await rig.store.inbox.take("pool", 2)) == left[:2]
    await rig.store.inbox.acknowledge("pool", [tokens[0]])
    assert _cells(await rig.store.inbox.take("pool")) == left[1:]
    await rig.store.inbox.acknowledge("pool", [tokens[5], tokens[3], tokens[2]])
    assert _cells(await rig.store.inbox.take("pool")) == []


async def acknowledging_again_is_no_error(rig: Rig) -> None:
    """Acknowledging a token again is no error, and deletes nothing else."""
    await _fill(rig, 3)
    tokens = [token for token, _ in await rig.store.inbox.take("pool", 2)]
    for _ in range(2):
        await rig.store.inbox.acknowledge("pool", [*tokens, *tokens])
        assert _cells(await rig.store.inbox.take("pool")) == ["cell2"]


async def pools_do_not_mix(rig: Rig) -> None:
    """A pool's notices are its own, for taking, acknowledging and waiting."""
    waiting = await rig.start(rig.store.inbox.wait("b", None))
    await _fill(rig, 3, pool="a")
    await rig.rest()
    rig.waits(waiting, "a notice for pool 'a' ended the wait of pool 'b'")
    assert list(await rig.store.inbox.take("b")) == []
    await rig.store.inbox.put("b", [samples.notice(7)])
    await rig.store.inbox.acknowledge("a", [token for token, _ in await rig.store.inbox.take("a")])
    assert _cells(await rig.store.inbox.take("b")) == ["cell7"]


async def notices_of_a_deleted_run_stay(rig: Rig) -> None:
    """Deleting a run leaves its notices to the driver, which acknowledges them."""
    await rig.run()
    await rig.store.inbox.put("pool", [samples.notice(1, "run"), samples.notice(2, "other")])
    await rig.store.runs.delete("run")
    taken = await rig.store.inbox.take("pool")
    assert _cells(taken) == ["cell1", "cell2"]
    await rig.store.inbox.acknowledge("pool", [token for token, _ in taken])
    assert list(await rig.store.inbox.take("pool")) == []


async def notices_race_with_taking(rig: Rig) -> None:
    """While many senders put, a driver takes each notice once, and the notices of one sender in their order."""
    stores: list[RunStore] = [rig.store, await rig.reopen()]
    senders, each = 4, 30

    async def send(sender: int) -> None:
        for number in range(0, each, 2):
            pair = [samples.notice(sender * 1000 + number + more) for more in (0, 1)]
            await stores[sender % 2].inbox.put("pool", pair)
            await asyncio.sleep(0)

    async def take() -> list[str]:
        found: list[str] = []
        while len(found) < senders * each:
            await rig.store.inbox.wait("pool", None)
            taken = await rig.store.inbox.take("pool", 7)
            found += _cells(taken)
            await rig.store.inbox.acknowledge("pool", [token for token, _ in taken])
        return found

    taking = await rig.start(take())
    await asyncio.gather(*map(send, range(senders)))
    numbers = [int(cell[4:]) for cell in await rig.soon(taking, "a notice was lost while others were taken")]
    for sender in range(senders):
        found = [number for number in numbers if number // 1000 == sender]
        expected = [sender * 1000 + number for number in range(each)]
        assert found == expected, f"the notices of sender {sender} came as {found}"


async def waiting_with_notices_ends_at_once(rig: Rig) -> None:
    """``wait`` returns at once while there is an unacknowledged notice, even one that was taken."""
    await _fill(rig, 1)
    await rig.soon(rig.store.inbox.wait("pool", None), "wait with a notice in the inbox")
    taken = await rig.store.inbox.take("pool")
    await rig.soon(rig.store.inbox.wait("pool", 3600.0), "wait with a notice that was taken")
    await rig.store.inbox.acknowledge("pool", [taken[0][0]])
    waiting = await rig.start(rig.store.inbox.wait("pool", None))
    rig.waits(waiting, "wait returned although all notices were acknowledged")


async def a_notice_wakes_who_waits(rig: Rig) -> None:
    """``wait`` returns when a notice is put, through any store object; no time needs to pass, and again each time."""
    again = await rig.reopen()
    for round_, store in enumerate((rig.store, again, rig.store)):
        waiting = await rig.start(rig.store.inbox.wait("pool", 3600.0))
        rig.waits(waiting, "wait returned without a notice")
        await store.inbox.put("pool", [samples.notice(round_)])
        await rig.soon(waiting, "put did not wake a waiter")
        taken = await rig.store.inbox.take("pool")
        assert _cells(taken) == [f"cell{round_}"]
        await rig.store.inbox.acknowledge("pool", [taken[0][0]])


async def waiting_ends_after_its_time(rig: Rig) -> None:
    """``wait`` returns after ``timeout`` seconds without a notice, not before, and at once with 0."""
    end = rig.clock.now() + rig.ttl
    waiting = await rig.start(rig.store.inbox.wait("pool", rig.ttl))
    await rig.pass_time(rig.ttl * 0.5)
    await rig.rest()
    if rig.clock.now() < end:
        rig.waits(waiting, "wait returned before its time")
    await rig.pass_time(rig.ttl * 0.6)
    await rig.soon(waiting, "wait did not return after its time")
    await rig.soon(rig.store.inbox.wait("pool", 0), "wait with a timeout of 0")
    assert list(await rig.store.inbox.take("pool")) == []


async def waiting_without_limit_goes_on(rig: Rig) -> None:
    """``wait`` with ``None`` returns for a notice only."""
    waiting = await rig.start(rig.store.inbox.wait("pool", None))
    await rig.pass_time(rig.ttl * 3)
    await rig.rest()
    rig.waits(waiting, "wait without a timeout returned without a notice")
    await _fill(rig, 1)
    await rig.soon(waiting, "put did not wake a waiter")


async def a_waiting_that_is_cancelled_takes_nothing(rig: Rig) -> None:
    """A cancelled ``wait`` takes no notice along, and does not keep others from being woken."""
    leaver = await rig.start(rig.store.inbox.wait("pool", None))
    waiting = await rig.start(rig.store.inbox.wait("pool", None))
    leaver.cancel()
    await rig.rest()
    await _fill(rig, 1)
    await rig.soon(waiting, "put did not wake a waiter after another waiter left")
    assert len(await rig.store.inbox.take("pool")) == 1
