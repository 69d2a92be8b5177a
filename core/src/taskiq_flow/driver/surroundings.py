"""The process and the event loop of a driver, as the driver knows them."""

from __future__ import annotations

from contextvars import Context

from taskiq_flow.worker.worker import Worker

__all__ = ["Surroundings"]


class Surroundings:
    """The process and the event loop of a driver. This class is for a driver that stands alone.

    A flow's drivers have the :class:`~taskiq_flow.driver.host.Host` of their event loop instead.
    """

    def find_worker(self) -> Worker | None:
        """Return the worker of this event loop; ``None`` where there is none."""
        return None

    def is_here(self, worker: str) -> bool:
        """Whether a worker is in a running event loop of this process, and so alive, whatever the store says."""
        return False

    def is_dead_incarnation(self, worker: str) -> bool:
        """Whether a worker was in an event loop of this process that has ended or stands still."""
        return False

    def context_of(self, run: str) -> Context:
        """Return a context for an attempt of a run; no other attempt gets the same one."""
        return Context()

    def forget_context(self, run: str) -> None:
        """Forget the context of a run that is over."""
