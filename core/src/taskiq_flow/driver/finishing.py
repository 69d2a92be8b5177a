"""Runs that are over, until their outcomes are stored."""

from __future__ import annotations

from collections.abc import Callable

from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.active import ActiveRun, describe_break
from taskiq_flow.driver.journal import Journal
from taskiq_flow.driver.run_log import log_end
from taskiq_flow.errors import LeaseLost, RunNotFound
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.store import RunOutcome
from taskiq_flow.worker.adoption import store_result

__all__ = ["Finishing"]

logger = open_log("taskiq_flow")

# After so many failures beside a store that works, a result is replaced by the news that it cannot be stored; after
# twice as many, the outcome is.
_TRIES = 3


class Finishing:
    """Stores outcomes, each again until the store has it; what one of them does holds up no other.

    :param runtime: The parts of the flow.
    :param journal: Has the lease.
    :param forget: Callback for a run that is stored, and of which nothing is left to drive.
    :param drop: Callback with the id of a run that was deleted meanwhile.
    """

    def __init__(
        self,
        runtime: Runtime,
        journal: Journal,
        *,
        forget: Callable[[str], None],
        drop: Callable[[str], None],
    ) -> None:
        self._broker = runtime.broker
        self._store = runtime.store
        self._codec = runtime.codec
        self._checks = runtime.claim_checks
        self._notify = runtime.plugins.notify
        self._journal = journal
        self._forget = forget
        self._drop = drop
        self._runs: dict[str, ActiveRun] = {}
        self._failures: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run: str) -> bool:
        return run in self._runs

    def add(self, run: ActiveRun) -> None:
        """Have the outcome of a run stored; one that is broken gets no other outcome any more."""
        self._runs[run.id] = run

    def discard(self, run: str) -> None:
        """Store nothing about a run."""
        self._runs.pop(run, None)
        self._failures.pop(run, None)

    async def carry_out(self, now: float) -> None:
        """Store the outcomes; a run whose given-up attempts occupy workers is not forgotten yet.

        :param now: Seconds since the epoch.
        :raises LeaseLost: another driver has taken the pool over.
        """
        for run_id, run in list(self._runs.items()):
            outcome = self._outcome_of(run, now)
            try:
                await self._store_result(run, outcome, now)
                await self._store.runs.finish(run_id, outcome, lease=self._journal.lease)
            except RunNotFound:
                self._drop(run_id)
                continue
            except LeaseLost:
                raise
            except Exception:
                # A result backend or a store that cannot be reached must not hold up other runs.
                logger.exception("cannot finish run %s; trying again", run_id)
                await self._count_failure(run)
                continue
            self.discard(run_id)
            if run.over:
                self._forget(run_id)
            log_end(run.record, outcome)
            if (tell := self._notify.run_finished) is not None:
                tell(run.record, outcome)

    async def _store_result(self, run: ActiveRun, outcome: RunOutcome, now: float) -> None:
        """Store the result of a run that a message has become."""
        if self._failures.get(run.id, 0) >= _TRIES:
            # The sender waits for any result; the run keeps its own.
            reason = "its result cannot be stored; it is logged why"
            outcome = RunOutcome(status=RunStatus.FAILED, reason=reason, at=now)
        await store_result(self._broker, run.record, outcome, self._codec, self._checks)

    async def _count_failure(self, run: ActiveRun) -> None:
        """Count a failure, unless the store is away: then it says nothing about this run."""
        try:
            await self._store.log.append({}, lease=self._journal.lease)
        except LeaseLost:
            raise
        except Exception:  # noqa: BLE001 - logged already
            return
        self._failures[run.id] = self._failures.get(run.id, 0) + 1

    def _outcome_of(self, run: ActiveRun, now: float) -> RunOutcome:
        if self._failures.get(run.id, 0) < 2 * _TRIES:
            try:
                return run.outcome(now)
            except Exception as error:
                logger.exception("the outcome of run %s cannot be told", run.id)
                run.broken = run.broken or describe_break(error)
        return RunOutcome(
            status=RunStatus.FAILED,
            reason=run.broken or "internal error: its outcome cannot be stored; it is logged why",
            at=now,
        )
