"""The store kit bites: each known-bad store is caught, by the check that is meant for it."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from attrs import frozen

import bad_store_notices as bad_notices
import bad_store_runs as bad_runs
from taskiq_flow.clock import Clock
from taskiq_flow.errors import StoreError
from taskiq_flow.store import RunStore
from taskiq_flow.stores.memory import MemoryStore
from taskiq_flow.stores.memory.inbox import MemoryInbox
from taskiq_flow.stores.memory.log import MemoryRunLog
from taskiq_flow.stores.memory.runs import MemoryRunTable
from taskiq_flow.stores.memory.small import MemoryBlobs, MemoryLeases, MemoryWorkerTable
from taskiq_flow.testing.store import (
    STORE_CHECKS,
    StoreKit,
    check_store,
    claims,
    inbox,
    leases,
    log,
    runs,
    small,
    threads,
)

PARTS = {
    MemoryRunTable: "runs",
    MemoryRunLog: "log",
    MemoryInbox: "inbox",
    MemoryBlobs: "blobs",
    MemoryLeases: "leases",
    MemoryWorkerTable: "workers",
}

KNOWN_BAD: list[tuple[type[Any], Callable[..., Any]]] = [
    (bad_runs.CreateOverwrites, runs.creating_twice_changes_nothing),
    (bad_runs.CreateLooksFirst, runs.many_creators_make_one_run),
    (bad_runs.LosesLabels, runs.a_run_comes_back_whole),
    (bad_runs.ListsAsCreated, runs.runs_are_listed_newest_first),
    (bad_runs.LimitsBeforeChoosing, runs.the_list_can_be_narrowed),
    (bad_runs.FinishIgnoresFence, runs.finishing_needs_the_lease),
    (bad_runs.FinishReplaces, runs.an_outcome_is_final),
    (bad_runs.FinishWakesOne, runs.an_outcome_wakes_who_waits),
    (bad_runs.WaitPollsTheClock, runs.an_outcome_wakes_who_waits),
    (bad_runs.WaitPollsTheMachine, runs.an_outcome_wakes_who_waits),
    (bad_runs.DeleteLeavesBlobs, runs.deleting_a_run_leaves_nothing),
    (bad_runs.DeleteLeavesClaims, runs.deleting_a_run_leaves_nothing),
    (bad_runs.DeleteByPrefix, runs.deleting_a_run_leaves_others),
    (bad_runs.DeleteForgetsWaiters, runs.deleting_wakes_who_waits),
    (bad_runs.DeleteForgetsWaiters, log.a_deleted_run_ends_its_followers),
    (bad_runs.DeletesByCreation, runs.deleting_by_age_spares_the_young_and_the_active),
    (bad_runs.AppendIgnoresFence, log.a_lost_lease_writes_nothing),
    (bad_runs.AppendSkipsNothing, log.an_empty_batch_tells_of_a_lost_lease),
    (bad_runs.FencesByHolder, log.a_lease_that_was_given_back_writes_nothing),
    (bad_runs.FencesByTime, log.an_expired_lease_still_writes_until_it_is_taken),
    (bad_runs.ChecksThenWrites, log.nothing_is_written_behind_a_takeover),
    (bad_runs.AppendsHalf, log.a_batch_with_an_unknown_run_writes_nothing),
    (bad_runs.ReversesBatches, log.events_stay_in_order),
    (bad_runs.LosesTracebacks, log.events_come_back_whole),
    (bad_runs.ReadsFromOne, log.a_reading_starts_at_its_offset),
    (bad_runs.FollowPolls, log.a_follower_gets_what_comes_and_ends),
    (bad_runs.FollowMisses, log.nothing_is_missed_between_reading_and_waiting),
    (bad_runs.FollowEndsWhenIdle, log.a_follower_gets_what_comes_and_ends),
    (bad_runs.FollowEndsEarly, log.followers_are_independent),
    (bad_notices.PutsInFront, inbox.notices_come_oldest_first),
    (bad_notices.PutWakesNobody, inbox.a_notice_wakes_who_waits),
    (bad_notices.PutWakesForeignLoopsDirectly, threads.a_notice_from_another_thread_wakes),
    (bad_notices.TakeForgets, inbox.notices_survive_a_takeover),
    (bad_notices.TokensArePlaces, inbox.acknowledged_notices_are_gone),
    (bad_notices.AcknowledgesUpTo, inbox.some_of_the_notices_can_be_acknowledged),
    (bad_notices.AcknowledgesAll, inbox.notices_race_with_taking),
    (bad_notices.OnePool, inbox.pools_do_not_mix),
    (bad_notices.WaitsForNewOnly, inbox.notices_survive_a_takeover),
    (bad_notices.WaitIgnoresItsTime, inbox.waiting_ends_after_its_time),
    (bad_notices.WaitGivesUp, inbox.waiting_without_limit_goes_on),
    (bad_notices.ClaimLooksFirst, claims.many_claimers_one_wins),
    (bad_notices.ClaimLooksFirst, claims.claiming_and_revoking_race),
    (bad_notices.ClaimIsReentrant, claims.a_claim_is_never_given_back),
    (bad_notices.ClaimPutsAlways, claims.a_claim_is_never_given_back),
    (bad_notices.ClaimIgnoresAttempts, claims.claims_are_for_one_attempt_of_one_cell),
    (bad_notices.ClaimsOfFinishedRuns, claims.a_claim_needs_a_run_that_goes_on),
    (bad_notices.ClaimsAnything, claims.only_a_start_can_be_claimed),
    (bad_notices.RevokeOverrules, claims.revoking_tells_whether_it_came_first),
    (bad_notices.RevokeForgets, claims.a_revoked_attempt_cannot_be_claimed),
    (bad_notices.BlobsAreKeptOnce, small.a_blob_can_be_replaced),
    (bad_notices.BlobsNeedTheirRun, small.a_blob_can_come_before_its_run),
    (bad_notices.BlobsOfAllRuns, small.unknown_blobs_are_refused),
    (bad_notices.BlobsIgnoreCase, small.blobs_are_told_apart),
    (bad_notices.BlobsJoinNames, small.blobs_are_told_apart),
    (bad_notices.BlobsAreText, small.blobs_come_back_whole),
    (bad_notices.LeaseNumbersStartAgain, leases.numbers_only_grow),
    (bad_notices.LeasesNeverExpire, leases.a_lease_expires),
    (bad_notices.LeaseLooksFirst, leases.many_who_acquire_one_gets_it),
    (bad_notices.LeaseRenumbered, leases.a_holder_gets_its_lease_again),
    (bad_notices.RenewTakesBack, leases.a_lost_lease_cannot_be_renewed_or_released),
    (bad_notices.RenewForgetsTheTerm, leases.a_renewed_lease_lasts),
    (bad_notices.ReleaseByName, leases.a_lost_lease_cannot_be_renewed_or_released),
    (bad_notices.WorkersExpire, small.expired_workers_are_listed_too),
    (bad_notices.NoTasksIsUnknownTasks, small.workers_are_listed_by_pool_and_id),
    (bad_notices.WorkersAsTheyCome, small.workers_are_listed_by_pool_and_id),
]


@frozen
class BadKit(StoreKit):
    part: type[Any]

    in_process = True
    shared_by_loops = True
    patience = 1.0

    async def make_store(self, clock: Clock) -> RunStore:
        store = MemoryStore(clock)
        name = next(name for kind, name in PARTS.items() if issubclass(self.part, kind))
        setattr(store, name, self.part(store._state))
        return store


@pytest.mark.parametrize(("part", "check"), KNOWN_BAD, ids=lambda each: each.__name__)
async def test_a_known_bad_store_is_caught(part: type[Any], check: Callable[..., Any]) -> None:
    with pytest.raises((AssertionError, StoreError)):
        await BadKit(part).check(check.__name__)


async def test_all_failures_are_given_by_name() -> None:
    failures = await BadKit(bad_notices.ClaimIsReentrant).failures()
    assert set(failures) == {"a_claim_is_never_given_back"}
    assert str(failures["a_claim_is_never_given_back"]) == "a claimed attempt was claimed again, by 'w1'"
    with pytest.raises(
        AssertionError, match=r"^a_claim_is_never_given_back: AssertionError: a claimed attempt"
    ):
        await check_store(BadKit(bad_notices.ClaimIsReentrant))
    await check_store(BadKit(MemoryInbox))


async def test_a_failure_always_says_what_was_promised() -> None:
    with pytest.raises(AssertionError, match="``get`` returns the record that ``create`` got"):
        await BadKit(bad_runs.LosesLabels).check("a_run_comes_back_whole")


@pytest.mark.slow
class TestRealTime(StoreKit):
    """The memory store as one outside the process that has its own time, so that this way through the kit is tested."""

    fake_time = False
    shared_by_loops = True
    ttl = 0.15

    async def make_store(self, clock: Clock) -> RunStore:
        return MemoryStore(clock)

    async def reopen(self, store: RunStore, clock: Clock) -> RunStore:
        assert isinstance(store, MemoryStore)
        again = MemoryStore(clock)
        for kind, name in PARTS.items():
            setattr(again, name, kind(store._state))
        return again


def test_every_check_has_a_name_of_its_own_and_says_what_it_checks() -> None:
    modules = (runs, log, inbox, claims, leases, small, threads)
    assert len(STORE_CHECKS) == sum(len(module.__all__) for module in modules)
    assert [name for name, check in STORE_CHECKS.items() if not check.__doc__] == []
    assert all(hasattr(StoreKit, f"test_{name}") for name in STORE_CHECKS)


def test_a_check_cannot_be_overridden_silently() -> None:
    async def nothing(self: StoreKit) -> None: ...

    with pytest.raises(
        TypeError, match="Lax overrides test_many_claimers_one_wins and waives unknown nothing"
    ):
        type("Lax", (StoreKit,), {"test_many_claimers_one_wins": nothing})
    with pytest.raises(TypeError, match="Lax overrides check and waives"):
        type("Lax", (StoreKit,), {"check": nothing})
    beside = type("Beside", (), {"test_many_claimers_one_wins": nothing})
    with pytest.raises(TypeError, match="Lax overrides test_many_claimers_one_wins and waives"):
        type("Lax", (beside, StoreKit), {})
    with pytest.raises(TypeError, match="waives unknown speed; list the checks"):
        type("Lax", (StoreKit,), {"waived": {"speed": "slow"}})


async def test_a_waived_check_is_skipped_with_its_reason() -> None:
    class Waiving(BadKit):
        waived: ClassVar[dict[str, str]] = {"many_claimers_one_wins": "one worker only"}

    with pytest.raises(unittest.SkipTest, match="waived: one worker only"):
        await Waiving(bad_notices.ClaimLooksFirst).check("many_claimers_one_wins")


async def test_sharing_is_checked_only_where_it_is_declared() -> None:
    class Alone(BadKit):
        shared_by_loops = False

    with pytest.raises(unittest.SkipTest, match="shared by event loops"):
        await Alone(bad_notices.PutWakesForeignLoopsDirectly).check("a_notice_from_another_thread_wakes")
