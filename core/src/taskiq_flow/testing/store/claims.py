"""Checks of claims: one attempt, one worker, one notice."""

from __future__ import annotations

import asyncio

from taskiq_flow.errors import StoreError
from taskiq_flow.store import Notice
from taskiq_flow.testing.store import samples
from taskiq_flow.testing.store.rig import Rig

__all__ = [
    "a_claim_is_never_given_back",
    "a_claim_needs_a_run_that_goes_on",
    "a_claim_puts_its_notice_and_wakes",
    "a_revoked_attempt_cannot_be_claimed",
    "claiming_and_revoking_race",
    "claims_are_for_one_attempt_of_one_cell",
    "many_claimers_one_wins",
    "only_a_start_can_be_claimed",
    "revoking_tells_whether_it_came_first",
]


def _notice(cell: str = "listing", attempt: int = 1, *, worker: str = "w1", run: str = "run") -> Notice:
    return Notice(run=run, event=samples.start(cell, attempt, worker=worker))


async def a_claim_puts_its_notice_and_wakes(rig: Rig) -> None:
    """The first ``claim`` returns ``True``, puts the notice and wakes the driver."""
    await rig.run()
    waiting = await rig.start(rig.store.inbox.wait("pool", None))
    claim = _notice()
    assert await rig.store.inbox.claim("pool", claim, worker="w1") is True
    await rig.soon(waiting, "claim did not wake the driver")
    assert [notice for _, notice in await rig.store.inbox.take("pool")] == [claim]


async def a_claim_is_never_given_back(rig: Rig) -> None:
    """A second ``claim`` returns ``False`` and puts no notice, for any worker, and after acknowledging too."""
    await rig.run()
    assert await rig.store.inbox.claim("pool", _notice(), worker="w1")
    again = await rig.reopen()
    for worker in ("w2", "w1"):
        refused = await again.inbox.claim("pool", _notice(worker=worker), worker=worker)
        assert refused is False, f"a claimed attempt was claimed again, by {worker!r}"
    taken = await rig.store.inbox.take("pool")
    assert len(taken) == 1, "a refused claim put its notice"
    await rig.store.inbox.acknowledge("pool", [taken[0][0]])
    await rig.pass_time(rig.ttl * 2)
    assert not await rig.store.inbox.claim("pool", _notice(worker="w2"), worker="w2"), "a claim was forgotten"
    assert list(await rig.store.inbox.take("pool")) == []


async def claims_are_for_one_attempt_of_one_cell(rig: Rig) -> None:
    """Another attempt, cell or run is another claim."""
    for run in ("run", "run2"):
        await rig.run(run)
    claims = [
        _notice("a", 1),
        _notice("a", 2),
        _notice("a", 11),
        _notice("a1", 1),
        _notice("a[1]/b", 1),
        _notice("a", 1, run="run2"),
    ]
    for claim in claims:
        assert await rig.store.inbox.claim("pool", claim, worker="w1"), f"{claim} met another one's claim"
    assert [notice for _, notice in await rig.store.inbox.take("pool")] == claims


async def many_claimers_one_wins(rig: Rig) -> None:
    """Of many simultaneous claims of one attempt exactly one returns ``True``, and one notice is put."""
    await rig.run()
    stores = (rig.store, await rig.reopen())
    for attempt in range(1, 6):
        claims = [_notice(attempt=attempt, worker=f"w{number}") for number in range(8)]
        answers = await asyncio.gather(
            *(
                stores[place % 2].inbox.claim("pool", claim, worker=f"w{place}")
                for place, claim in enumerate(claims)
            )
        )
        assert sum(answers) == 1, f"{sum(answers)} of 8 workers could claim one attempt"
        taken = await rig.store.inbox.take("pool")
        winner = claims[answers.index(True)]
        assert [notice for _, notice in taken] == [winner], (
            "the notice is not the winner's, or not the only one"
        )
        await rig.store.inbox.acknowledge("pool", [token for token, _ in taken])


async def a_revoked_attempt_cannot_be_claimed(rig: Rig) -> None:
    """After ``revoke`` nobody can claim the attempt; the next attempt can be claimed."""
    await rig.run()
    assert await rig.store.inbox.revoke("run", "listing", 1) is True
    assert await rig.store.inbox.claim("pool", _notice(), worker="w1") is False, (
        "a revoked attempt was claimed"
    )
    assert list(await rig.store.inbox.take("pool")) == [], "a claim of a revoked attempt put its notice"
    assert await rig.store.inbox.claim("pool", _notice(attempt=2), worker="w1") is True


async def revoking_tells_whether_it_came_first(rig: Rig) -> None:
    """``revoke`` returns ``True`` when no worker had claimed the attempt, also the second time, otherwise ``False``."""
    await rig.run()
    assert await rig.store.inbox.claim("pool", _notice("a"), worker="w1")
    for _ in range(2):
        assert await rig.store.inbox.revoke("run", "a", 1) is False, "a claimed attempt was revoked"
        assert await rig.store.inbox.revoke("run", "b", 1) is True


async def claiming_and_revoking_race(rig: Rig) -> None:
    """Of a simultaneous claim and revocation exactly one wins."""
    await rig.run()
    again = await rig.reopen()
    for attempt in range(1, 9):
        claim = rig.store.inbox.claim("pool", _notice(attempt=attempt), worker="w1")
        revoke = again.inbox.revoke("run", "listing", attempt)
        if attempt % 2:
            claimed, revoked = await asyncio.gather(claim, revoke)
        else:
            revoked, claimed = await asyncio.gather(revoke, claim)
        assert claimed is not revoked, f"claim gave {claimed} while revoke gave {revoked}"


async def a_claim_needs_a_run_that_goes_on(rig: Rig) -> None:
    """``claim`` returns ``False`` and puts nothing when the run has an outcome or does not exist."""
    await rig.run()
    await rig.finish("run", await rig.lease())
    for run in ("run", "nowhere"):
        answer = await rig.store.inbox.claim("pool", _notice(run=run), worker="w1")
        assert answer is False, f"claim for run {run!r}, which does not go on, gave {answer}"
    assert list(await rig.store.inbox.take("pool")) == []
    left = sorted(await rig.residue("nowhere"))
    assert not left, f"a refused claim left {', '.join(left)} behind"


async def only_a_start_can_be_claimed(rig: Rig) -> None:
    """``claim`` raises ``StoreError`` for a notice about something other than a ``CellStarted``."""
    await rig.run()
    claim = rig.store.inbox.claim("pool", samples.notice(), worker="w1")
    await rig.expect_refusal(claim, StoreError, "claim by a notice that is not a CellStarted")
    assert list(await rig.store.inbox.take("pool")) == []
