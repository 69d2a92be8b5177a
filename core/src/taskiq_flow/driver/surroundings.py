"""What a driver knows of the process and the event loop that it is in."""

from __future__ import annotations

from contextvars import Context

from taskiq_flow.worker.worker import Worker

__all__ = ["Surroundings"]


class Surroundings:
    """A driver's own process, as far as it matters; this one is of a driver that stands alone.

    Among real ones is the :class:`~taskiq_flow.driver.host.Host` of an event loop.
    """

    def find_worker(self) -> Worker | None:
        """Give the worker of this event loop; ``None`` where there is none."""
        return None

    def is_here(self, worker: str) -> bool:
        """Whether a worker is one of this process, in an event loop that runs: it is alive, whatever the store says."""
        return False

    def is_dead_incarnation(self, worker: str) -> bool:
        """Whether a worker was one of this process, in an event loop that has ended or stands still."""
        return False

    def context_of(self, run: str) -> Context:
        """Give a context to execute an attempt of a run in; nobody else has the same one."""
        return Context()

    def forget_context(self, run: str) -> None:
        """Let go of the context of a run that is over."""
