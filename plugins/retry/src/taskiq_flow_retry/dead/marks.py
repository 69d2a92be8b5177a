"""Marks of discarded dead letters: a small blob for each, which is deleted with its run.

Each blob has its own key, so two processes that discard at the same time do not undo each other's work.
"""

from __future__ import annotations

from taskiq_flow.errors import BlobNotFound, RunNotFound
from taskiq_flow.store import RunStore

__all__ = ["is_discarded", "mark_discarded"]

_KEY = "taskiq_flow.dead.discarded"


async def is_discarded(store: RunStore, run: str, cell: str | None = None) -> bool:
    """Whether a letter was discarded.

    :param cell: The letter's cell; ``None`` asks whether all letters of the run were discarded together.
    """
    try:
        await store.blobs.get(run, _key(cell))
    except BlobNotFound:
        return False
    return True


async def mark_discarded(store: RunStore, run: str, cell: str | None, at: float) -> None:
    """Remember that a letter was discarded.

    :param cell: The letter's cell; ``None`` for all letters of the run.
    :param at: The time, in seconds since the epoch.
    :raises RunNotFound: the run was deleted meanwhile.
    """
    await store.blobs.put(run, _key(cell), str(at).encode())
    try:
        await store.runs.get(run)
    except RunNotFound:
        await store.blobs.delete_run(run)
        raise


def _key(cell: str | None) -> str:
    return _KEY if cell is None else f"{_KEY}/{cell}"
