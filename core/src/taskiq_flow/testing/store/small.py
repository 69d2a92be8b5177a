"""Checks of blobs and of the table of workers."""

from __future__ import annotations

from attrs import evolve

from taskiq_flow.errors import StoreError
from taskiq_flow.store import WorkerInfo
from taskiq_flow.testing.store.rig import Rig

__all__ = [
    "a_blob_can_be_replaced",
    "a_blob_can_come_before_its_run",
    "blobs_are_told_apart",
    "blobs_come_back_whole",
    "blobs_of_a_run_go_together",
    "expired_workers_are_listed_too",
    "the_last_announcement_counts",
    "unknown_blobs_are_refused",
    "workers_are_listed_by_pool_and_id",
    "workers_can_be_removed",
]


async def blobs_come_back_whole(rig: Rig) -> None:
    """``get`` returns the bytes of ``put``: any bytes, none at all, a mebibyte."""
    await rig.run()
    blobs = {"bytes": bytes(range(256)), "empty": b"", "a/b[1]:größe": b"x", "large": b"\0\xff" * 2**19}
    for key, data in blobs.items():
        await rig.store.blobs.put("run", key, data)
    again = await rig.reopen()
    for key, data in blobs.items():
        assert await again.blobs.get("run", key) == data, f"blob {key!r} came back otherwise"


async def blobs_are_told_apart(rig: Rig) -> None:
    """Keys are case-sensitive, and no way of joining run and key mixes up two pairs."""
    blobs = {("run", "key"): b"1", ("run", "KEY"): b"2", ("run", " key"): b"3"}
    for joint in "/:-_.":
        blobs |= {("a", f"b{joint}c"): b"4", (f"a{joint}b", "c"): b"5"}
    for (run, key), data in blobs.items():
        await rig.store.blobs.put(run, key, data)
    for (run, key), data in blobs.items():
        assert await rig.store.blobs.get(run, key) == data, f"blob {key!r} of run {run!r} is another's"


async def a_blob_can_be_replaced(rig: Rig) -> None:
    """Writing the same key again replaces the bytes."""
    await rig.run()
    for data in (b"first", b"second", b""):
        await rig.store.blobs.put("run", "key", data)
        assert await rig.store.blobs.get("run", "key") == data


async def a_blob_can_come_before_its_run(rig: Rig) -> None:
    """A blob may be put before its run is created, and stays."""
    await rig.store.blobs.put("run", "key", b"data")
    await rig.run()
    assert await rig.store.blobs.get("run", "key") == b"data"


async def unknown_blobs_are_refused(rig: Rig) -> None:
    """``get`` raises ``StoreError`` when there is nothing under that key of that run."""
    await rig.run()
    await rig.store.blobs.put("run", "key", b"data")
    for run, key in (("run", "other"), ("other", "key")):
        error = await rig.expect_refusal(
            rig.store.blobs.get(run, key), StoreError, f"get of {key!r} of run {run!r}"
        )
        assert key in str(error), f"the error does not name the key: {error}"


async def blobs_of_a_run_go_together(rig: Rig) -> None:
    """``delete_run`` removes all blobs of one run, and of no other; without any it is no error."""
    for run in ("run", "run2"):
        for key in ("a", "b"):
            await rig.store.blobs.put(run, key, b"data")
    await rig.store.blobs.delete_run("run")
    await rig.store.blobs.delete_run("run")
    for key in ("a", "b"):
        await rig.expect_refusal(rig.store.blobs.get("run", key), StoreError, "get of a deleted blob")
        assert await rig.store.blobs.get("run2", key) == b"data"
    left = sorted(await rig.residue("run"))
    assert not left, f"delete_run left {', '.join(left)} behind"


def _workers(rig: Rig) -> list[WorkerInfo]:
    soon = rig.clock.now() + rig.ttl
    return [
        WorkerInfo(id="w1", pool="pool", capacity={"cpu": 2.5, "ram_mb": 512.0}, queue="w1", expires_at=soon),
        WorkerInfo(
            id="w2",
            pool="pool",
            tasks=frozenset({"lib:size", "lib:größe"}),
            versions={"lib:größe": "acme-größe 1.2"},
            expires_at=soon,
        ),
        WorkerInfo(id="w3", pool="pool", tasks=frozenset(), expires_at=soon),
    ]


async def workers_are_listed_by_pool_and_id(rig: Rig) -> None:
    """``list`` returns a pool's workers by id, each as announced; no tasks is not the same as unknown tasks."""
    workers = _workers(rig)
    other = WorkerInfo(id="w0", pool="other", expires_at=1.0)
    for worker in (workers[2], other, workers[0], workers[1]):
        await rig.store.workers.announce(worker)
    again = await rig.reopen()
    assert list(await again.workers.list("pool")) == workers
    assert list(await again.workers.list("other")) == [other]
    assert list(await again.workers.list("nowhere")) == []


async def the_last_announcement_counts(rig: Rig) -> None:
    """A second ``announce`` replaces the first, as a heartbeat does."""
    first = _workers(rig)[0]
    second = evolve(first, capacity={"cpu": 1.0}, expires_at=first.expires_at + 10, tasks=frozenset({"a"}))
    for worker in (first, second):
        await rig.store.workers.announce(worker)
    assert list(await rig.store.workers.list("pool")) == [second]


async def expired_workers_are_listed_too(rig: Rig) -> None:
    """``list`` returns expired workers too: the driver must see which workers are lost."""
    workers = _workers(rig)
    for worker in workers:
        await rig.store.workers.announce(worker)
    await rig.pass_time(rig.ttl * 3)
    assert list(await rig.store.workers.list("pool")) == workers, "an expired worker was forgotten"


async def workers_can_be_removed(rig: Rig) -> None:
    """``remove`` deletes a worker; an unknown id is without effect."""
    workers = _workers(rig)
    for worker in workers:
        await rig.store.workers.announce(worker)
    for _ in range(2):
        await rig.store.workers.remove("w2")
        assert list(await rig.store.workers.list("pool")) == [workers[0], workers[2]]
