"""Large values in file systems: kept, found again, and gone with their run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, MemoryStore, Pipeline, PluginError, StoreError
from taskiq_flow.errors import BlobNotFound
from taskiq_flow.store import BlobStore
from taskiq_flow.testing import BlobStoreKit
from taskiq_flow_serializers.blobs import FsspecBlobs


class TestMemory(BlobStoreKit):
    def make(self) -> BlobStore:
        return FsspecBlobs("memory://kit")


class TestFolder(BlobStoreKit):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> BlobStore:
        return FsspecBlobs(f"file://{self.folder}")


NASTY = [
    "tracks[3]/features/1/out.ab12",
    "..",
    "../../up",
    "a" * 5000,
    "ünïcode ☃",
    "A",
    "a",
    "a/b",
    "a_b",
    "*?[",
    "\n",
    "",
]


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/blobs"
        return
    yield "memory://blobs/here"
    files = fsspec.filesystem("memory")
    if files.exists("/blobs"):
        files.rm("/blobs", recursive=True)


def left(url: str) -> list[str]:
    """Everything that is at a URL, below its own folder."""
    files, root = fsspec.core.url_to_fs(url)
    found: list[str] = files.find(root, withdirs=True) if files.exists(root) else []
    return [path for path in found if path.rstrip("/") != root.rstrip("/")]


async def test_what_is_put_is_found_whatever_its_name(url: str) -> None:
    blobs = FsspecBlobs.from_url(url)
    for run in NASTY:
        for key in NASTY:
            await blobs.put(run, key, f"{run}|{key}".encode())
    for run in NASTY:
        for key in NASTY:
            assert await blobs.get(run, key) == f"{run}|{key}".encode()
    assert len([path for path in left(url) if ".." in Path(path).parts]) == 0
    for run in NASTY:
        await blobs.delete_run(run)
    assert left(url) == []


async def test_another_object_for_the_same_place_finds_it_and_replaces_it(url: str) -> None:
    one, other = FsspecBlobs(url), FsspecBlobs(f"{url}/")
    await one.put("run", "key", b"first")
    assert await other.get("run", "key") == b"first"
    await other.put("run", "key", b"second, and longer")
    assert await one.get("run", "key") == b"second, and longer"
    await one.put("run", "empty", b"")
    assert await one.get("run", "empty") == b""


async def test_what_is_not_there_is_named(url: str) -> None:
    blobs = FsspecBlobs(url)
    with pytest.raises(BlobNotFound) as caught:
        await blobs.get("r1", "outputs/size/1/size.ab")
    assert str(caught.value) == (
        f"no blob 'outputs/size/1/size.ab' of run 'r1' in {url}; it goes when its run is deleted"
    )
    await blobs.delete_run("never there")


async def test_a_run_is_deleted_alone(url: str) -> None:
    blobs = FsspecBlobs(url)
    for run in ("a", "ab", "a.b", "A"):
        await blobs.put(run, "key", run.encode())
    await blobs.delete_run("a")
    await blobs.delete_run("a")
    with pytest.raises(BlobNotFound):
        await blobs.get("a", "key")
    assert [await blobs.get(run, "key") for run in ("ab", "a.b", "A")] == [b"ab", b"a.b", b"A"]


async def test_several_write_at_once(url: str) -> None:
    blobs = FsspecBlobs(url)
    await asyncio.gather(
        *(blobs.put(f"run{number % 3}", f"key{number}", b"x" * number) for number in range(60))
    )
    found = await asyncio.gather(*(blobs.get(f"run{number % 3}", f"key{number}") for number in range(60)))
    assert [len(data) for data in found] == list(range(60))
    await asyncio.gather(*(blobs.delete_run(f"run{number}") for number in range(3)))
    assert left(url) == []


async def test_a_run_keeps_its_large_values_there_and_leaves_nothing(url: str) -> None:
    broker = InMemoryBroker()
    flow = Flow(broker, store=MemoryStore(max_finished_runs=5), blobs=url, claim_check="4KiB")

    @broker.task
    async def grow(word: str) -> str:
        return word * 10

    @broker.task
    def size(word: str) -> int:
        return len(word)

    pipeline = Pipeline(broker).map(grow).map(size)
    handle = await pipeline.kiq(["a" * 500, "b" * 600, "d" * 5000])
    assert await handle.result(timeout=20) == [5000, 6000, 50000]
    assert (
        len([path for path in left(url) if Path(path).name.startswith(("outputs", "items", "inputs"))]) >= 4
    )
    await flow.store.runs.delete(handle.id)
    assert left(url) == []


def test_secrets_in_a_url_are_not_shown() -> None:
    blobs = (
        FsspecBlobs("sftp://me:secret@host/blobs")
        if _has("paramiko")
        else FsspecBlobs("memory://me:secret@host/blobs")
    )
    assert "secret" not in repr(blobs)
    assert "…@host/blobs" in blobs.place


def _has(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("url", ["file:///tmp/a*b", "memory://[x]", "file:///what?"])
def test_folders_that_would_be_patterns_are_refused(url: str) -> None:
    with pytest.raises(PluginError, match="which file systems take for patterns"):
        FsspecBlobs(url)


def test_what_the_file_system_needs_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(PluginError, match=r"^large values cannot be kept at 's3://bucket/x': .*s3fs"):
        Flow(InMemoryBroker(), blobs="s3://bucket/x")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(PluginError, match=r'needs fsspec, .*; install "taskiq-flow-serializers\[fsspec\]"$'):
        Flow(InMemoryBroker(), blobs="memory://x")


async def test_a_folder_that_cannot_be_emptied_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = FsspecBlobs(f"file://{tmp_path}")
    await blobs.put("run", "key", b"x")
    files, _ = blobs._folder("run")
    calls: list[Any] = []

    def refuse(*arguments: Any, **options: Any) -> None:
        calls.append(arguments)
        raise PermissionError("read-only")

    monkeypatch.setattr(files, "rm", refuse)
    with pytest.raises(StoreError, match=r"^cannot delete the blobs of run 'run' in file://.*: read-only$"):
        await blobs.delete_run("run")
    assert len(calls) == 3
