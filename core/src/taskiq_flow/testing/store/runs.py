"""Checks of the table of runs."""

from __future__ import annotations

import asyncio

from taskiq_flow.errors import LeaseLost, RunNotFound, StoreError
from taskiq_flow.store import Notice, RunStatus
from taskiq_flow.testing.store import samples
from taskiq_flow.testing.store.rig import Rig

__all__ = [
    "a_run_comes_back_whole",
    "an_outcome_comes_back_whole",
    "an_outcome_is_final",
    "an_outcome_wakes_who_waits",
    "creating_twice_changes_nothing",
    "deleting_a_run_leaves_nothing",
    "deleting_a_run_leaves_others",
    "deleting_by_age_spares_the_young_and_the_active",
    "deleting_wakes_who_waits",
    "finishing_needs_the_lease",
    "many_creators_make_one_run",
    "runs_are_listed_newest_first",
    "the_list_can_be_narrowed",
    "unknown_runs_are_not_found",
    "waiting_for_a_finished_run_ends_at_once",
]


async def a_run_comes_back_whole(rig: Rig) -> None:
    """``get`` returns the record that ``create`` got, from this object and from another one on the same data."""
    made = await rig.run()
    assert await rig.store.runs.get("run") == made
    again = await rig.reopen()
    found = await again.runs.get("run")
    assert found == made
    assert found.graph == made.graph
    assert found.outcome is None


async def creating_twice_changes_nothing(rig: Rig) -> None:
    """``create`` returns ``False`` for an id that is taken, and changes nothing."""
    made = await rig.run()
    other = samples.record("run", pool="elsewhere", created_at=999.0)
    assert await rig.store.runs.create(other) is False, "create of an id that is taken did not give False"
    assert await rig.store.runs.get("run") == made, "create of an id that is taken changed the run"


async def many_creators_make_one_run(rig: Rig) -> None:
    """Of many simultaneous ``create`` calls with one id exactly one returns ``True``."""
    stores = [rig.store, await rig.reopen()]
    records = [samples.record("run", created_at=float(number)) for number in range(10)]
    answers = await asyncio.gather(
        *(stores[place % 2].runs.create(record) for place, record in enumerate(records))
    )
    assert sum(answers) == 1, f"{sum(answers)} of 10 creators of one id got True"
    assert await rig.store.runs.get("run") == records[answers.index(True)]


async def unknown_runs_are_not_found(rig: Rig) -> None:
    """``get``, ``wait`` and ``finish`` raise ``RunNotFound`` for an unknown id; ``delete`` returns ``False``."""
    lease = await rig.lease()
    error = await rig.expect_refusal(rig.store.runs.get("nowhere"), RunNotFound, "get of an unknown run")
    assert isinstance(error, RunNotFound)
    assert error.run == "nowhere"
    await rig.expect_refusal(rig.store.runs.wait("nowhere"), RunNotFound, "wait for an unknown run")
    finish = rig.store.runs.finish("nowhere", samples.outcome(), lease=lease)
    await rig.expect_refusal(finish, RunNotFound, "finish of an unknown run")
    assert await rig.store.runs.delete("nowhere") is False


async def runs_are_listed_newest_first(rig: Rig) -> None:
    """``list`` returns the newest first by ``created_at``, whatever the order of creation."""
    for number in (3, 1, 4, 2):
        await rig.run(f"run{number}", created_at=float(number))
    found = [record.id for record in await rig.store.runs.list()]
    assert found == ["run4", "run3", "run2", "run1"], f"list gave {found}"
    found = [record.id for record in await rig.store.runs.list(limit=2)]
    assert found == ["run4", "run3"], f"list with limit 2 gave {found}"


async def the_list_can_be_narrowed(rig: Rig) -> None:
    """``list`` can be limited to a pool, and to runs with or without an outcome."""
    lease = await rig.lease()
    for number, pool in enumerate(("a", "b", "a", "b")):
        await rig.run(f"run{number}", pool=pool, created_at=float(number))
    for run in ("run0", "run1"):
        await rig.finish(run, lease)
    wanted: dict[tuple[str | None, bool | None], list[str]] = {
        ("a", None): ["run2", "run0"],
        (None, True): ["run3", "run2"],
        (None, False): ["run1", "run0"],
        ("b", True): ["run3"],
        ("b", False): ["run1"],
        ("c", None): [],
    }
    for (only, active), expected in wanted.items():
        found = [record.id for record in await rig.store.runs.list(pool=only, active=active)]
        assert found == expected, f"list(pool={only!r}, active={active}) gave {found}, expected {expected}"
    newest = await rig.store.runs.list(active=False, limit=1)
    assert [record.id for record in newest] == ["run1"], "limit counted runs that were not asked for"


async def an_outcome_comes_back_whole(rig: Rig) -> None:
    """``finish`` adds the outcome to the run and changes nothing else; ``get`` and ``list`` show it."""
    made, lease = await rig.run(), await rig.lease()
    await rig.finish("run", lease)
    found = await (await rig.reopen()).runs.get("run")
    assert found.outcome == samples.outcome()
    assert (found.inputs, found.labels, found.graph) == (made.inputs, made.labels, made.graph)
    assert [record.outcome for record in await rig.store.runs.list()] == [samples.outcome()]


async def an_outcome_is_final(rig: Rig) -> None:
    """``finish`` again changes nothing and is no error."""
    await rig.run()
    lease = await rig.lease()
    await rig.finish("run", lease)
    await rig.store.runs.finish("run", samples.outcome(RunStatus.SUCCEEDED, at=999.0), lease=lease)
    found = await rig.store.runs.get("run")
    assert found.outcome == samples.outcome(), "the second finish replaced the outcome"


async def finishing_needs_the_lease(rig: Rig) -> None:
    """``finish`` with a lease that was taken over or released raises ``LeaseLost`` and writes nothing."""
    await rig.run()
    old = await rig.lease()
    new = await rig.takeover()
    await rig.expect_refusal(
        rig.store.runs.finish("run", samples.outcome(), lease=old), LeaseLost, "finish after a takeover"
    )
    await rig.store.leases.release(new)
    await rig.expect_refusal(
        rig.store.runs.finish("run", samples.outcome(), lease=new), LeaseLost, "finish after a release"
    )
    assert (await rig.store.runs.get("run")).outcome is None, "finish with a lost lease wrote an outcome"


async def an_outcome_wakes_who_waits(rig: Rig) -> None:
    """``wait`` returns the run once it has an outcome; then all waiters are woken, and none before."""
    await rig.run()
    await rig.run("other")
    lease = await rig.lease()
    again = await rig.reopen()
    waiting = [await rig.start(store.runs.wait("run")) for store in (rig.store, again, rig.store)]
    await rig.finish("other", lease)
    await rig.store.log.append({"run": samples.some_events(1)}, lease=lease)
    await rig.rest()
    for task in waiting:
        rig.waits(task, "wait returned before the run had an outcome")
    await rig.finish("run", lease)
    for task in waiting:
        found = await rig.soon(task, "finish did not wake a waiter for the run")
        assert found.outcome == samples.outcome()


async def waiting_for_a_finished_run_ends_at_once(rig: Rig) -> None:
    """``wait`` for a finished run returns at once."""
    await rig.run()
    await rig.finish("run", await rig.lease())
    found = await rig.soon(rig.store.runs.wait("run"), "wait for a finished run")
    assert found.outcome == samples.outcome()


async def deleting_wakes_who_waits(rig: Rig) -> None:
    """``wait`` raises ``RunNotFound`` when the run is deleted meanwhile."""
    await rig.run()
    waiting = await rig.start(rig.store.runs.wait("run"))
    await rig.store.runs.delete("run")
    await rig.expect_refusal(waiting, RunNotFound, "wait for a run that is deleted meanwhile")


async def deleting_a_run_leaves_nothing(rig: Rig) -> None:
    """``delete`` removes the run with its log, claims and blobs; a new run of that id starts from nothing."""
    store, lease = rig.store, await rig.lease()
    made = await rig.run()
    await store.log.append({"run": samples.some_events(3)}, lease=lease)
    await store.blobs.put("run", "key", b"data")
    claim = Notice(run="run", event=samples.start())
    assert await store.inbox.claim("pool", claim, worker="w1")
    assert await store.runs.delete("run") is True, "delete of a run did not give True"
    assert await store.runs.delete("run") is False, "the second delete did not give False"
    await rig.expect_refusal(store.runs.get("run"), RunNotFound, "get of a deleted run")
    await rig.expect_refusal(store.log.read("run"), RunNotFound, "read of a deleted run")
    await rig.expect_refusal(store.blobs.get("run", "key"), StoreError, "a blob of a deleted run")
    assert await store.runs.list() == [], "list shows a deleted run"
    left = sorted(await rig.residue("run"))
    assert not left, f"a deleted run left {', '.join(left)} behind"
    assert await store.runs.create(made) is True, "the id of a deleted run could not be used again"
    assert list(await store.log.read("run")) == [], "the log of a deleted run came back with its id"
    await rig.expect_refusal(
        store.blobs.get("run", "key"), StoreError, "a deleted blob came back with its run's id"
    )
    assert await store.inbox.claim("pool", claim, worker="w2"), (
        "the claims of a deleted run came back with its id"
    )


async def deleting_a_run_leaves_others(rig: Rig) -> None:
    """``delete`` touches no other run."""
    store, lease = rig.store, await rig.lease()
    other = await rig.run("run/2")
    await rig.run("run")
    events = samples.some_events(2)
    await store.log.append({"run/2": events}, lease=lease)
    await store.blobs.put("run/2", "key", b"data")
    claim = Notice(run="run/2", event=samples.start())
    assert await store.inbox.claim("pool", claim, worker="w1")
    await store.runs.delete("run")
    assert await store.runs.get("run/2") == other
    assert list(await store.log.read("run/2")) == events
    assert await store.blobs.get("run/2", "key") == b"data"
    assert not await store.inbox.claim("pool", claim, worker="w2"), (
        "delete of a run forgot another one's claims"
    )


async def deleting_by_age_spares_the_young_and_the_active(rig: Rig) -> None:
    """``delete_finished`` removes runs whose outcome's ``at`` is before a time, and returns their number."""
    lease = await rig.lease()
    for number in range(4):
        await rig.run(f"run{number}", created_at=float(number))
    for run, at in (("run0", 10.0), ("run1", 20.0), ("run2", 30.0)):
        await rig.finish(run, lease, at=at)
        await rig.store.blobs.put(run, "key", b"data")
    assert await rig.store.runs.delete_finished(before=20.0) == 1, "before=20 must not count a run of 20"
    assert await rig.store.runs.delete_finished(before=30.0) == 1
    found = [record.id for record in await rig.store.runs.list()]
    assert found == ["run3", "run2"], f"delete_finished left {found}, expected the young and the active one"
    left = sorted([*await rig.residue("run0"), *await rig.residue("run1")])
    assert not left, f"delete_finished left {', '.join(left)} behind"
    await rig.expect_refusal(rig.store.blobs.get("run0", "key"), StoreError, "a blob of a run deleted by age")
