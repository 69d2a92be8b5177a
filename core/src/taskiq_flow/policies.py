"""Which retry policy decides about a failed attempt, and its decision as an event."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from attrs import define, evolve, field

from taskiq_flow.errors import PluginError
from taskiq_flow.machine.events import CellFailed
from taskiq_flow.payloads import FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy

__all__ = ["Policies"]

logger = logging.getLogger("taskiq_flow")


@define
class Policies:
    """Finds the policy for a task: its own object, then options (its own or its pipeline's), then the configured one.

    :param selected: The configured class of policies; it reads the options.
    """

    selected: type[RetryPolicy]
    _default: RetryPolicy = field(init=False)
    _made: dict[str, RetryPolicy] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._default = self.selected.from_options({})

    def find(self, own: RetryPolicy | None, options: Mapping[str, Any] | None) -> RetryPolicy:
        """Give the policy.

        :param own: The object that the task was decorated with.
        :param options: What the node says.
        :raises PluginError: the configured class does not understand the options.
        """
        if own is not None:
            return own
        if options is None:
            return self._default
        key = json.dumps(options, sort_keys=True, default=repr)
        policy = self._made.get(key)
        if policy is None:
            policy = self._made[key] = self.selected.from_options(options)
        return policy

    def judge(
        self,
        failed: FailedAttempt,
        cell: CellView,
        *,
        own: RetryPolicy | None,
        options: Mapping[str, Any] | None,
        attempt: int,
        now: float,
        lingers: bool = False,
    ) -> CellFailed:
        """Ask the policy, and give its decision as the event to log.

        A policy that cannot be made, that raises, or that answers with something else than a decision gives up. It is
        not asked about what cannot be carried, which would fail again every time.

        :param own: The object that the task was decorated with.
        :param options: What the node says.
        :param attempt: Which attempt failed, counted from 1.
        :param now: Seconds since the epoch.
        :param lingers: Whether the attempt still occupies its worker.
        """
        decision: RetryDecision
        try:
            if failed.failure.kind is FailureKind.REJECTED:
                decision = GiveUp(reason="what cannot be carried fails again every time")
            else:
                decision = _ask(self.find(own, options), failed, attempt, cell)
        except PluginError as error:
            decision = GiveUp(reason=str(error))
        event = CellFailed(
            cell=cell.path,
            attempt=attempt,
            failure=failed.failure,
            reason=decision.reason,
            lingers=lingers,
            at=now,
        )
        if isinstance(decision, GiveUp):
            return event
        return evolve(
            event,
            retry_at=now + max(0.0, decision.delay),
            resources=decision.resources,
            queue=decision.queue,
            priority=decision.priority,
        )


def _ask(policy: RetryPolicy, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
    name = getattr(policy, "name", type(policy).__name__)
    try:
        decision = policy.decide(failed, attempt, cell)
    except Exception as error:
        logger.exception("retry policy %r raised; cell %r gets no further attempt", name, cell.path)
        return GiveUp(reason=f"retry policy {name!r} raised {type(error).__name__}: {error}")
    if not isinstance(decision, (Retry, GiveUp)):
        logger.error("retry policy %r answered %r instead of Retry or GiveUp", name, decision)
        return GiveUp(reason=f"retry policy {name!r} answered {decision!r} instead of Retry or GiveUp")
    return decision
