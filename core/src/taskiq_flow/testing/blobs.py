"""Checks of places for large values, as functions that raise :class:`AssertionError` with a sentence."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from taskiq_flow.errors import BlobNotFound
from taskiq_flow.store import BlobStore
from taskiq_flow.testing.kit import Kit, expect

__all__ = [
    "BlobStoreKit",
    "check_blob_store",
    "check_deletion",
    "check_description",
    "check_many_at_once",
    "check_missing",
    "check_names",
    "check_replacement",
]

_NAMES = (
    *(
        "outputs/tracks[3]/features/1/out.ab12",
        "inputs/x",
        "a",
        "A",
        "ab",
        "a/b",
        "a_b",
        "a.b",
        "a%2Fb",
        "é",
        "☃",
    ),
    *("..", "../up", "/root", ".", "*", "[a]", "with space", "new\nline", "long" * 500, ""),
)


class BlobStoreKit(Kit):
    """Tests of a place for large values, for pytest.

    ::

        class TestAcme(BlobStoreKit):
            def make(self):
                return AcmeBlobs.from_url("acme://test")
    """

    @abstractmethod
    def make(self) -> BlobStore:
        """Return a new object; nothing of an earlier test is in its place."""

    def test_description(self) -> None:
        """It has URL schemes."""
        check_description(self.make())

    def test_names(self) -> None:
        """Runs and keys may have any name."""
        check_names(self.make())

    def test_replacement(self) -> None:
        """The last bytes that were written are there, however long they are."""
        check_replacement(self.make())

    def test_missing(self) -> None:
        """A missing blob is refused as gone."""
        check_missing(self.make())

    def test_deletion(self) -> None:
        """Deleting a run deletes all of its blobs, and no others."""
        check_deletion(self.make())

    def test_many_at_once(self) -> None:
        """Many can use it at once, in several event loops."""
        check_many_at_once(self.make())


def check_blob_store(make: Callable[[], BlobStore]) -> None:
    """Make all checks.

    :param make: Returns a new object with an empty place.
    :raises AssertionError: the place breaks a promise that the core relies on.
    """
    for check in (
        check_description,
        check_names,
        check_replacement,
        check_missing,
        check_deletion,
        check_many_at_once,
    ):
        check(make())


def check_description(blobs: BlobStore) -> None:
    """Check that it can be selected by a URL."""
    expect(isinstance(blobs, BlobStore), f"{blobs!r} must be a BlobStore")
    schemes = blobs.schemes
    fine = isinstance(schemes, tuple) and schemes and all(isinstance(each, str) and each for each in schemes)
    expect(fine, f"schemes must be a tuple of names, found {schemes!r}")


def check_names(blobs: BlobStore) -> None:
    """Check that every name of a run and every key is distinct, whatever characters it has."""

    async def check() -> None:
        for run in _NAMES:
            await blobs.put(run, "key", run.encode())
        for key in _NAMES:
            await blobs.put("run", key, key.encode())
        for run in _NAMES:
            await _must_be(blobs, run, "key", run.encode())
        for key in _NAMES:
            await _must_be(blobs, "run", key, key.encode())

    _live(blobs, check, *_NAMES)


def check_replacement(blobs: BlobStore) -> None:
    """Check that the last bytes under a key are there, longer or shorter ones, none, and many."""

    async def check() -> None:
        for data in (b"first", b"longer than the first", b"", bytes(range(256)) * 10_000, b"short"):
            await blobs.put("run", "key", data)
            await _must_be(blobs, "run", "key", data)

    _live(blobs, check)


def check_missing(blobs: BlobStore) -> None:
    """Check that a missing blob is refused with a :class:`~taskiq_flow.errors.BlobNotFound`."""

    async def check() -> None:
        await _must_be_gone(blobs, "run", "key")
        await blobs.put("run", "key", b"data")
        await _must_be_gone(blobs, "run", "other")
        await _must_be_gone(blobs, "other", "key")
        await blobs.delete_run("run")
        await _must_be_gone(blobs, "run", "key")

    _live(blobs, check)


def check_deletion(blobs: BlobStore) -> None:
    """Check that deleting a run deletes all of its blobs and no others, and can be repeated."""

    async def check() -> None:
        runs = ("run", "run2", "ru", "RUN", "run/2")
        for run in runs:
            for key in ("a", "b/c"):
                await blobs.put(run, key, run.encode())
        await blobs.delete_run("run")
        await blobs.delete_run("run")
        await blobs.delete_run("never there")
        for key in ("a", "b/c"):
            await _must_be_gone(blobs, "run", key)
            for run in runs[1:]:
                await _must_be(blobs, run, key, run.encode())
        await blobs.put("run", "a", b"again")
        await _must_be(blobs, "run", "a", b"again")

    _live(blobs, check, "run2", "ru", "RUN", "run/2")


def check_many_at_once(blobs: BlobStore) -> None:
    """Check that many can put and get at once, in one event loop and in several."""

    async def use(number: int) -> None:
        run, data = f"run{number % 3}", b"%d" % number * 100
        await blobs.put(run, f"key{number}", data)
        await _must_be(blobs, run, f"key{number}", data)

    async def check() -> None:
        await asyncio.gather(*map(use, range(40)))

    runs = [f"run{number}" for number in range(3)]
    _live(blobs, check, *runs)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: asyncio.run(use(number)), range(8)))
    _live(blobs, check, *runs)


async def _must_be(blobs: BlobStore, run: str, key: str, data: bytes) -> None:
    try:
        found = await blobs.get(run, key)
    except Exception as error:
        raise AssertionError(
            f"key {key!r} of run {run!r} was put and must be there, found {type(error).__name__}: {error}"
        ) from error
    expect(type(found) is bytes, f"get() must give bytes, found {type(found).__name__}")
    expect(
        found == data,
        f"key {key!r} of run {run!r} must have the {len(data)} bytes that were put there last, found {found[:40]!r}",
    )


async def _must_be_gone(blobs: BlobStore, run: str, key: str) -> None:
    try:
        found = await blobs.get(run, key)
    except BlobNotFound:
        return
    except Exception as error:
        raise AssertionError(
            f"get() of a missing blob must raise a BlobNotFound, found {type(error).__name__}: {error}"
        ) from error
    raise AssertionError(f"key {key!r} of run {run!r} must not be there, found {found[:40]!r}")


def _live(blobs: BlobStore, check: Callable[[], Awaitable[None]], *runs: str) -> None:
    """Start the place, run a check, and delete the runs."""

    async def live() -> None:
        await blobs.startup()
        try:
            await check()
        finally:
            for run in ("run", *runs):
                await blobs.delete_run(run)
            await blobs.shutdown()

    asyncio.run(live())
