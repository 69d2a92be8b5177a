"""A store with blobs elsewhere is a store: the kit, and what is its own."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from carried_values import Shelf
from taskiq_flow.clock import Clock
from taskiq_flow.errors import StoreError
from taskiq_flow.machine.wire import decode_value, encode_value
from taskiq_flow.payloads import ClaimCheck, ListedValue, Payload
from taskiq_flow.store import RunStore
from taskiq_flow.stores.external_blobs import StoreWithBlobs
from taskiq_flow.stores.memory import MemoryStore
from taskiq_flow.testing.store import StoreKit, samples


class TestStoreWithBlobs(StoreKit):
    in_process = True
    shared_by_loops = True

    async def make_store(self, clock: Clock) -> RunStore:
        return StoreWithBlobs(MemoryStore(clock), Shelf())

    async def residue(self, store: RunStore, run: str) -> Iterable[str]:
        assert isinstance(store, StoreWithBlobs)
        assert isinstance(store.store, MemoryStore)
        assert isinstance(store.place, Shelf)
        state = store.store._state
        held = {
            "run": state.runs,
            "finished run": state.finished,
            "blobs": state.blobs,
            "shelf": store.place.kept,
        }
        return [name for name, table in held.items() if run in table]


async def test_blobs_are_kept_in_their_place_alone() -> None:
    inner, shelf = MemoryStore(), Shelf()
    store = StoreWithBlobs(inner, shelf)
    await store.blobs.put("run", "key", b"data")
    assert shelf.kept == {"run": {"key": b"data"}}
    assert inner._state.blobs == {}


async def test_a_run_whose_blobs_cannot_be_deleted_can_be_deleted_again() -> None:
    store, shelf = MemoryStore(), Shelf()
    both = StoreWithBlobs(store, shelf)
    await both.runs.create(samples.record("run"))
    await both.blobs.put("run", "key", b"data")
    shelf.failures = [OSError("away")]
    with pytest.raises(OSError, match="away"):
        await both.runs.delete("run")
    assert await both.runs.delete("run")
    assert shelf.kept == {}


async def test_blobs_that_cannot_be_deleted_yet_go_with_the_next_run() -> None:
    store, shelf = MemoryStore(max_finished_runs=1), Shelf()
    both = StoreWithBlobs(store, shelf)
    lease = await both.leases.acquire("pool:pool", "driver", 60.0)
    assert lease is not None
    for number in range(6):
        await both.runs.create(samples.record(f"run{number}"))
        await both.blobs.put(f"run{number}", "key", b"data")
        shelf.failures = [OSError("away")] if number == 2 else []
        await both.runs.finish(f"run{number}", samples.outcome(), lease=lease)
    assert len(shelf.kept) <= 3


def test_it_has_no_url_of_its_own() -> None:
    with pytest.raises(StoreError, match=r"^'x://y' names one store, and this one is made of two"):
        StoreWithBlobs.from_url("x://y")


def test_a_claim_check_in_text_is_what_it_was() -> None:
    for value in (
        ClaimCheck("json+zstd", "k", 9),
        ListedValue((ClaimCheck("json+masked", "k", 9), Payload("json", b"1"), ClaimCheck("json", "l", 1))),
    ):
        assert decode_value(encode_value(value)) == value
    for text in (
        '{"v": 1, "s": "json", "blob": "k", "size": 9, "as": {"s": "json", "text": "true"}}',
        '{"v": 1, "s": "json", "blob": "k"}',
        '{"v": 1, "s": "json", "blob": "k", "size": null}',
    ):
        with pytest.raises(StoreError, match="cannot read a value"):
            decode_value(text)
