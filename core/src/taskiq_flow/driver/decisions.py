"""Retry decisions about failures that no worker could ask a policy about."""

from __future__ import annotations

from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.machine.events import AttemptFailed
from taskiq_flow.machine.instructions import AskPolicy, Dispatch
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retries.refusals import find_refusal
from taskiq_flow.retry import CellView, FailedAttempt
from taskiq_flow.tasks.labels import refuses_retries
from taskiq_flow.tasks.options import task_options

__all__ = ["Decisions", "do_again"]


class Decisions:
    """Asks the retry policies on a driver's behalf.

    :param runtime: The parts of the flow.
    :param here: The driver's process and event loop.
    """

    def __init__(self, runtime: Runtime, here: Surroundings) -> None:
        self._broker = runtime.broker
        self._policies = runtime.policies
        self._here = here

    def answer(self, run: ActiveRun, instruction: AskPolicy, now: float) -> AttemptFailed:
        """Return the event that answers a machine's instruction.

        :param now: Seconds since the epoch.
        """
        holder = run.machine.cells.in_flight[instruction.cell].holder
        if instruction.failure.kind is FailureKind.WORKER_LOST and self._here.is_dead_incarnation(holder):
            # Nothing has failed: the event loop has ended, perhaps while it worked for the runs of another one.
            reason = "the event loop that it ran in has ended"
            return do_again(instruction.cell, instruction.attempt, instruction.failure, reason, now)
        return self.decide(run, instruction, instruction.failure, now, holds_slot=instruction.holds_slot)

    def decide(
        self,
        run: ActiveRun,
        instruction: AskPolicy | Dispatch,
        failure: Failure,
        now: float,
        *,
        holds_slot: bool = False,
    ) -> AttemptFailed:
        """Ask the policy of a cell about a failure.

        :param now: Seconds since the epoch.
        :param holds_slot: Whether the attempt still occupies its worker.
        """
        cell = run.machine.cells.active[instruction.cell]
        view = CellView(
            run=run.id,
            path=instruction.cell,
            task=instruction.node.task,
            resources=cell.resources,
            first_started_at=cell.first_started_at,
        )
        said, options = task_options(self._broker.find_task(instruction.node.task)), instruction.node.options
        return self._policies.decide(
            FailedAttempt(failure=failure),
            view,
            own=said.policy,
            options=options.retry,
            attempt=instruction.attempt,
            now=now,
            holds_slot=holds_slot,
            requeues=cell.requeues,
            refusal=find_refusal(failure, None, says_no=refuses_retries(options.labels), types=said.types),
        )


def do_again(cell: str, attempt: int, failure: Failure, reason: str, now: float) -> AttemptFailed:
    """Return the failure of an attempt that is retried at once, without asking a policy.

    :param now: Seconds since the epoch.
    """
    return AttemptFailed(cell=cell, attempt=attempt, failure=failure, retry_at=now, reason=reason, at=now)
