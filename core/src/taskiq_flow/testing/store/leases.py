"""Checks of leases: one holder at a time, and numbers that only grow."""

from __future__ import annotations

import asyncio

from taskiq_flow.testing.store.rig import Rig

__all__ = [
    "a_holder_gets_its_lease_again",
    "a_lease_expires",
    "a_lease_has_one_holder",
    "a_lost_lease_cannot_be_renewed_or_released",
    "a_released_lease_is_free_at_once",
    "a_renewed_lease_lasts",
    "an_expired_lease_can_be_renewed_until_it_is_taken",
    "leases_of_other_names_are_free",
    "many_who_acquire_one_gets_it",
    "numbers_only_grow",
]

SLACK = 5.0
"""The tolerance for a real clock that moves on meanwhile, in seconds."""


async def a_lease_has_one_holder(rig: Rig) -> None:
    """``acquire`` returns a free lease with its term, and ``None`` while somebody else holds it."""
    before = rig.clock.now()
    lease = await rig.lease("a")
    assert (lease.name, lease.holder) == ("pool:pool", "a")
    assert before + rig.ttl <= lease.expires_at + 0.01 <= before + rig.ttl + SLACK, (
        "expires_at is not now + ttl"
    )
    await rig.check_held(lease, "b", "two holders have one lease")


async def leases_of_other_names_are_free(rig: Rig) -> None:
    """Leases of different names are independent."""
    lease = await rig.lease("a")
    other = await rig.lease("b", name="pool:other")
    await rig.store.leases.release(other)
    await rig.check_held(lease, "b", "releasing one lease freed another")


async def a_holder_gets_its_lease_again(rig: Rig) -> None:
    """A holder that acquires its lease again gets the same number and a new term, expired or not."""
    first = await rig.lease("a")
    await rig.pass_time(rig.ttl * 0.3)
    second = await rig.lease("a")
    assert second.number == first.number, "the holder's own lease got another number"
    assert second.expires_at > first.expires_at, "acquiring again gave no new term"
    await rig.pass_time(rig.ttl * 1.1)
    third = await rig.lease("a")
    assert third.number == first.number, "the number changed although nobody else had the lease"


async def a_lease_expires(rig: Rig) -> None:
    """Another holder gets a lease once it has expired, not before, under a higher number."""
    first = await rig.lease("a")
    await rig.pass_time(rig.ttl * 0.5)
    await rig.check_held(first, "b", "a lease was taken before its time")
    await rig.pass_time(rig.ttl * 0.6)
    second = await rig.store.leases.acquire("pool:pool", "b", rig.ttl)
    assert second is not None, "an expired lease could not be acquired"
    assert second.number > first.number, f"number {first.number} was followed by {second.number}"
    await rig.check_held(second, "a", "a holder took back a lease that it had lost")


async def a_renewed_lease_lasts(rig: Rig) -> None:
    """``renew`` keeps the lease for another ``ttl`` seconds from now, with its number."""
    lease = await rig.lease("a")
    for _ in range(3):
        await rig.pass_time(rig.ttl * 0.6)
        renewed = await rig.store.leases.renew(lease, rig.ttl)
        assert renewed is not None, "a lease that no other holder took could not be renewed"
        assert renewed.number == lease.number
        assert renewed.expires_at > lease.expires_at
        await rig.check_held(renewed, "b", "a renewed lease was taken")
        lease = renewed
    await rig.pass_time(rig.ttl * 1.1)
    assert await rig.store.leases.acquire("pool:pool", "b", rig.ttl) is not None, (
        "a renewed lease never expired"
    )


async def an_expired_lease_can_be_renewed_until_it_is_taken(rig: Rig) -> None:
    """``renew`` returns ``None`` only for a lost lease; an expired lease is lost when another holder takes it."""
    lease = await rig.lease("a")
    await rig.pass_time(rig.ttl * 1.1)
    renewed = await rig.store.leases.renew(lease, rig.ttl)
    assert renewed is not None, "a lease that no other holder took could not be renewed"
    await rig.check_held(renewed, "b", "a renewed lease was taken")


async def a_lost_lease_cannot_be_renewed_or_released(rig: Rig) -> None:
    """``renew`` returns ``None`` and ``release`` is without effect when the lease is lost."""
    old = await rig.lease("a")
    new = await rig.takeover("b")
    assert await rig.store.leases.renew(old, rig.ttl * 10) is None, "a lease that was taken over was renewed"
    await rig.store.leases.release(old)
    await rig.check_held(new, "c", "releasing a lost lease freed it")
    await rig.store.leases.release(new)
    assert await rig.store.leases.renew(new, rig.ttl) is None, "a lease that was given back was renewed"
    await rig.lease("b")
    assert await rig.store.leases.renew(new, rig.ttl) is None, (
        "an older number of the same holder was renewed"
    )


async def a_released_lease_is_free_at_once(rig: Rig) -> None:
    """``release`` frees a lease, so that anybody can acquire it at once, under a higher number."""
    first = await rig.lease("a")
    await rig.store.leases.release(first)
    await rig.store.leases.release(first)
    second = await rig.lease("b")
    assert second.number > first.number


async def numbers_only_grow(rig: Rig) -> None:
    """Each new holder gets a higher number than any before, for ever; after releases and long pauses too."""
    numbers = []
    for holder in ("a", "a", "b", "a"):
        lease = await rig.lease(holder)
        numbers.append(lease.number)
        await rig.store.leases.release(lease)
    await rig.pass_time(rig.ttl * 3)
    numbers.append((await rig.lease("c")).number)
    numbers.append((await rig.takeover("d")).number)
    assert numbers == sorted(set(numbers)), f"the numbers of one lease were {numbers}"


async def many_who_acquire_one_gets_it(rig: Rig) -> None:
    """Of many simultaneous ``acquire`` calls exactly one gets the lease, when it is new and when it has expired."""
    stores = (rig.store, await rig.reopen())
    for round_ in range(3):
        answers = await asyncio.gather(
            *(
                stores[place % 2].leases.acquire("pool:pool", f"driver{round_}.{place}", rig.ttl)
                for place in range(8)
            )
        )
        held = [lease for lease in answers if lease is not None]
        assert len(held) == 1, f"{len(held)} of 8 drivers got the lease"
        assert held[0].number >= round_ + 1
        await rig.pass_time(rig.ttl * 1.1)
