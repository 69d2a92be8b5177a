"""The memory store as a whole: its parts, its options and its URL."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from taskiq_flow.clock import Clock, SystemClock
from taskiq_flow.errors import StoreError
from taskiq_flow.store import RunStore
from taskiq_flow.stores.memory.inbox import MemoryInbox
from taskiq_flow.stores.memory.log import MemoryRunLog
from taskiq_flow.stores.memory.runs import MemoryRunTable
from taskiq_flow.stores.memory.small import MemoryBlobs, MemoryLeases, MemoryWorkerTable
from taskiq_flow.stores.memory.state import State

__all__ = ["MemoryStore"]


_LIMITS = {"max_finished_runs": "runs", "max_finished_bytes": "bytes"}


class MemoryStore(RunStore):
    """Keeps runs in this process, for as long as it lives.

    Several threads and event loops may use it. Two flows share runs when they get the same object; a URL always
    makes a new store.

    Embedded runs are rarely deleted, so the runs that finished first are dropped beyond ``max_finished_runs`` and
    beyond ``max_finished_bytes``, and the first time a warning says so. A run
    is not dropped while a caller waits for it, follows it, or holds the same
    :class:`~taskiq_flow.store.RunRecord` object that it was created with, as a handle does.

    :param clock: The clock for leases and for waiting.
    :param max_finished_runs: The number of finished runs to keep.
    :param max_finished_bytes: About how many bytes finished runs may take together, with their values and logs.
    """

    schemes: ClassVar[tuple[str, ...]] = ("memory",)
    drops_runs: ClassVar[bool] = True
    shared_by_loops: ClassVar[bool] = True
    shared_by_processes: ClassVar[bool] = False

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        max_finished_runs: int = 1000,
        max_finished_bytes: int = 256 << 20,
    ) -> None:
        for name, what in _LIMITS.items():
            if (limit := locals()[name]) < 0:
                raise StoreError(f"{name} is {limit}; give a number of {what}, 0 or more")
        self._state = State(clock or SystemClock(), max_finished_runs, max_finished_bytes)
        self.runs = MemoryRunTable(self._state)
        self.log = MemoryRunLog(self._state)
        self.inbox = MemoryInbox(self._state)
        self.blobs = MemoryBlobs(self._state)
        self.leases = MemoryLeases(self._state)
        self.workers = MemoryWorkerTable(self._state)

    def describe_keeping(self) -> str:
        """Say how many finished runs are kept."""
        state = self._state
        mebibytes = state.max_finished_bytes >> 20
        return f"it keeps {state.max_finished_runs:,} finished runs at most, and {mebibytes} MiB of them"

    @classmethod
    def from_url(cls, url: str) -> MemoryStore:
        """Make a new store from ``memory://``, or from ``memory://?max_finished_runs=50``.

        :raises StoreError: the URL has a name, or an unknown option.
        """
        parts = urlsplit(url)
        if parts.scheme not in cls.schemes:
            raise StoreError(f"expected a memory:// URL, found {url!r}")
        if parts.netloc or parts.path.strip("/"):
            raise StoreError(
                f"{url!r} names a memory store, but nothing is shared by name; "
                "use memory://, or give the same MemoryStore object to each flow"
            )
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        given = {name: options.pop(name) for name in _LIMITS if name in options}
        if options:
            unknown = ", ".join(repr(name) for name in options)
            raise StoreError(
                f"{url!r} has unknown options {unknown}; a memory store has {' and '.join(_LIMITS)}"
            )
        for name, limit in given.items():
            if not limit.isdecimal():
                raise StoreError(
                    f"{name} is {limit!r} in {url!r}; give a number of {_LIMITS[name]}, 0 or more"
                )
        numbers = {name: int(limit) for name, limit in given.items()}
        return cls(None, **numbers)
