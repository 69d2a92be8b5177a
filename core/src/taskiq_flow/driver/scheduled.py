"""The runs and workers of a pool, as far as scheduling needs them: a driver, an explainer and a rehearsal have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.scheduler import WorkerView
from taskiq_flow.store import RunRecord

__all__ = ["ScheduledRun", "Workers"]


class ScheduledRun(Protocol):
    """What scheduling needs of a run."""

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
    """What scheduling needs of whoever knows the workers."""

    @property
    def views(self) -> Sequence[WorkerView]:
        """The workers as schedulers see them; another object when something has changed."""

    @property
    def known(self) -> Sequence[WorkerView]:
        """All workers that there can be."""

    def place_of(self, placed: str, worker: str) -> str:
        """Give the worker that an attempt's resources are counted for.

        :param placed: The worker that it was placed on.
        :param worker: The worker that has claimed it.
        """
