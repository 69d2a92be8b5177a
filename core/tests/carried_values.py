"""Codecs, blob stores and brokers to carry values with, as tests need them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, ClassVar

from taskiq import BrokerMessage, InMemoryBroker

from taskiq_flow.builders.pipeline import Pipeline
from taskiq_flow.errors import BlobNotFound, PayloadError
from taskiq_flow.hookspecs import hookimpl
from taskiq_flow.machine.wire import encode_event, encode_values
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.store import BlobStore
from taskiq_flow.stores.memory import MemoryStore
from taskiq_flow.stores.wire import encode_notice, encode_outcome


class Shorter(ByteCodec):
    """Compresses what gets shorter by it."""

    name: ClassVar[str] = "shorter"

    def encode(self, data: bytes) -> bytes:
        packed = zlib.compress(data)
        return packed if len(packed) < len(data) else data

    def decode(self, data: bytes) -> bytes:
        try:
            return zlib.decompress(data)
        except zlib.error as error:
            raise PayloadError(f"it is damaged: {error}") from error


class Masked(ByteCodec):
    """Hides what is written from whoever looks for it."""

    name: ClassVar[str] = "masked"

    def __init__(self, mask: int = 0xA5) -> None:
        self.mask = mask

    def encode(self, data: bytes) -> bytes:
        return bytes([self.mask]) + bytes(byte ^ self.mask for byte in data)

    def decode(self, data: bytes) -> bytes:
        if data[:1] != bytes([self.mask]):
            raise PayloadError("another mask")
        return bytes(byte ^ self.mask for byte in data[1:])


class Codecs:
    """A plugin that offers them."""

    @hookimpl
    def flow_register_codecs(self) -> Iterable[type[ByteCodec]]:
        return [Shorter, Masked]


class Shelf(BlobStore):
    """A place for blobs outside of the store, which can fail."""

    schemes: ClassVar[tuple[str, ...]] = ("shelf",)

    def __init__(self, url: str = "shelf://") -> None:
        self.url = url
        self.kept: dict[str, dict[str, bytes]] = {}
        self.failures: list[Exception] = []
        self.calls: list[str] = []
        self.open = False

    @classmethod
    def from_url(cls, url: str) -> Shelf:
        return cls(url)

    async def startup(self) -> None:
        self.open = True

    async def shutdown(self) -> None:
        self.open = False

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.failures:
            raise self.failures.pop(0)

    async def put(self, run: str, key: str, data: bytes) -> None:
        self._called(f"put {key}")
        self.kept.setdefault(run, {})[key] = data

    async def get(self, run: str, key: str) -> bytes:
        self._called(f"get {key}")
        try:
            return self.kept[run][key]
        except KeyError:
            raise BlobNotFound(run, key, self.url) from None

    async def delete_run(self, run: str) -> None:
        self._called("delete")
        self.kept.pop(run, None)


class Shelves:
    """A plugin that offers it."""

    @hookimpl
    def flow_register_blob_stores(self) -> Iterable[type[BlobStore]]:
        return [Shelf]


class Recording(MemoryStore):
    """A store that remembers everything that was ever put into its inbox or its logs, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        put, append, finish, create = self.inbox.put, self.log.append, self.runs.finish, self.runs.create

        async def recorded_put(pool: str, notices: Any) -> None:
            notices = list(notices)
            self.written += map(encode_notice, notices)
            await put(pool, notices)

        async def recorded_append(batch: Any, *, lease: Any) -> None:
            self.written += [encode_event(event) for events in batch.values() for event in events]
            await append(batch, lease=lease)

        async def recorded_finish(run: str, outcome: Any, *, lease: Any) -> None:
            self.written.append(encode_outcome(outcome))
            await finish(run, outcome, lease=lease)

        async def recorded_create(record: Any) -> bool:
            self.written.append(encode_values(record.inputs))
            return await create(record)

        for part, name, function in (
            (self.inbox, "put", recorded_put),
            (self.log, "append", recorded_append),
            (self.runs, "finish", recorded_finish),
            (self.runs, "create", recorded_create),
        ):
            object.__setattr__(part, name, function)

    @property
    def kept(self) -> dict[str, dict[str, bytes]]:
        """The blobs that there are, by run and key."""
        return self._state.blobs


class Listening(InMemoryBroker):
    """A broker that remembers its messages."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.messages: list[bytes] = []

    async def kick(self, message: BrokerMessage) -> None:
        self.messages.append(message.message)
        await super().kick(message)


class SizeTasks:
    """The tasks of one broker."""

    def __init__(self, broker: Listening) -> None:
        @broker.task
        async def make(size: int) -> str:
            return "x" * size

        @broker.task
        async def same(value: str) -> str:
            return value

        @broker.task
        async def twice(value: str, other: str = "") -> str:
            return value + value

        @broker.task
        async def size(value: str) -> int:
            return len(value)

        @broker.task
        async def lines(count: int, size: int) -> list[str]:
            return ["y" * size] * count

        @broker.task
        async def count(values: list[str]) -> int:
            return sum(map(len, values))

        self.make, self.same, self.twice, self.size = make, same, twice, size
        self.lines, self.count = lines, count


async def value_of(pipeline: Pipeline[Any, Any], *args: Any) -> Any:
    return await (await pipeline.kiq(*args)).result(timeout=30)
