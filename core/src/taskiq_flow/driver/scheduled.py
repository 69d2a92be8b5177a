"""Runs and workers as scheduling needs them; driver, explainer and rehearsal have their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.scheduler import WorkerView
from taskiq_flow.store import RunRecord

__all__ = ["ScheduledRun", "Workers"]


class ScheduledRun(Protocol):
    """A run, as scheduling needs it."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def record(self) -> RunRecord:
        """The run, as the store knows it."""

    @property
    def machine(self) -> RunMachine:
        """Its state."""


class Workers(Protocol):
    """The workers of a pool, as scheduling needs them."""

    @property
    def views(self) -> Sequence[WorkerView]:
        """The workers as schedulers see them; a new object when something has changed."""

    @property
    def known(self) -> Sequence[WorkerView]:
        """All possible workers."""

    def place_of(self, placed: str, worker: str) -> str:
        """Return the worker that an attempt's resources are counted for.

        :param placed: The worker that it was placed on.
        :param worker: The worker that has claimed it.
        """
