"""The kit for places of large values: good ones pass, and each bad one is caught."""

from __future__ import annotations

import pytest

from carried_values import Shelf
from taskiq_flow.store import BlobStore
from taskiq_flow.testing import BlobStoreKit, check_blob_store


class TestShelf(BlobStoreKit):
    def make(self) -> BlobStore:
        return Shelf()


class Raises(Shelf):
    """Says nothing of what is gone."""

    async def get(self, run: str, key: str) -> bytes:
        return self.kept[run][key]


class Nothing(Shelf):
    """Gives nothing for what is gone."""

    async def get(self, run: str, key: str) -> bytes:
        return self.kept.get(run, {}).get(key, b"")


class Folds(Shelf):
    """Takes small and capital notices for each other."""

    async def put(self, run: str, key: str, data: bytes) -> None:
        await super().put(run, key.lower(), data)

    async def get(self, run: str, key: str) -> bytes:
        return await super().get(run, key.lower())


class Prefix(Shelf):
    """Deletes what begins like a run."""

    async def delete_run(self, run: str) -> None:
        for other in [other for other in self.kept if other.startswith(run)]:
            await super().delete_run(other)


class Keeps(Shelf):
    """Deletes a part of a run."""

    async def delete_run(self, run: str) -> None:
        self.kept.get(run, {}).pop("a", None)


class First(Shelf):
    """Keeps what was there first."""

    async def put(self, run: str, key: str, data: bytes) -> None:
        self.kept.setdefault(run, {}).setdefault(key, data)


class Once(Shelf):
    """Can delete a run once."""

    async def delete_run(self, run: str) -> None:
        del self.kept[run]


class Mutable(Shelf):
    """Gives what can be changed."""

    async def get(self, run: str, key: str) -> bytes:
        return bytearray(await super().get(run, key))  # type: ignore[return-value]


class Nowhere(Shelf):
    """Cannot be selected."""

    schemes = ()


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (Raises, "must raise a BlobNotFound, found KeyError"),
        (Nothing, "must not be there"),
        (Folds, "must have the 1 bytes that were put there last"),
        (Prefix, "was put and must be there, found BlobNotFound"),
        (Keeps, "must not be there"),
        (First, "that were put there last"),
        (Mutable, r"get\(\) must give bytes, found bytearray"),
        (Nowhere, r"schemes must be a tuple of names, found \(\)"),
    ],
)
def test_a_bad_one_is_caught(bad: type[Shelf], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_blob_store(bad)


def test_one_that_cannot_delete_twice_is_caught() -> None:
    with pytest.raises(KeyError):
        check_blob_store(Once)
