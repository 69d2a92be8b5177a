"""Choosing the retry policy for a failed attempt, and turning its decision into an event."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from taskiq_flow._logs import open_log
from taskiq_flow.errors import PluginError
from taskiq_flow.machine.events import AttemptFailed
from taskiq_flow.retry import (
    LONGEST_DELAY,
    CellView,
    FailedAttempt,
    GiveUp,
    Retry,
    RetryDecision,
    RetryPolicy,
)

if TYPE_CHECKING:
    from taskiq_flow.plugins import Plugins

__all__ = ["Policies"]

logger = open_log("taskiq_flow")

# Reasons are for people, and every log stores them.
_LONGEST_REASON = 1_000
_CACHE_SIZE = 1_000


@define
class Policies:
    """Finds the policy for a task: its own object, then options (its own or its pipeline's), then the configured one.

    :param selected: The class of policies that reads the options.
    :param configured: The policy for tasks without options of their own or of their pipeline; ``None`` where none is
        configured.
    """

    selected: type[RetryPolicy]
    configured: RetryPolicy | None = None
    _usual: RetryPolicy = field(init=False)
    _made: dict[str, RetryPolicy] = field(factory=dict, init=False)

    @_usual.default
    def _choose_usual(self) -> RetryPolicy:
        return self.selected.from_options({}) if self.configured is None else self.configured

    @classmethod
    def choose(cls, plugins: Plugins, given: object) -> Policies:
        """Return the policies of a flow.

        :param plugins: The installed plugins, with the configuration that selects among them.
        :param given: The flow's argument ``retry``; names and options are in the configuration already.
        :raises PluginError: there is no such policy, or it refuses its options.
        """
        if isinstance(given, type) and issubclass(given, RetryPolicy):
            return cls(given)
        if given is not None and not isinstance(given, (str, Mapping, RetryPolicy)):
            raise PluginError(
                f"retry is {given!r}; give a RetryPolicy, its class or name, or a mapping of its options"
            )
        selected = plugins.retry_policies[plugins.selection("retry").name]
        options = plugins.config.retry_options
        if isinstance(given, RetryPolicy):
            return cls(selected, given)
        if options is None:
            return cls(selected)
        try:
            return cls(selected, selected.from_options(options))
        except PluginError as error:
            source = plugins.config.sources.get("retry", "the configuration")
            raise PluginError(f"retry ({source}): {error}") from error

    def find(self, own: RetryPolicy | None, options: Mapping[str, Any] | None) -> RetryPolicy:
        """Return the policy of a task.

        :param own: The policy object of the task's decorator.
        :param options: The retry options of the node.
        :raises PluginError: the selected class refuses the options.
        """
        if own is not None:
            return own
        if options is None:
            return self._usual
        key = json.dumps(options, sort_keys=True, default=repr)
        policy = self._made.get(key)
        if policy is None:
            if len(self._made) >= _CACHE_SIZE:
                # Options that are computed at run time must not fill the memory of a long-lived process.
                self._made.clear()
            policy = self._made[key] = self._make(options)
        return policy

    def _make(self, options: Mapping[str, Any]) -> RetryPolicy:
        try:
            return self.selected.from_options(options)
        except (PluginError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # Nothing is awaited here, so even a CancelledError is the policy's own.
            problem = f"{type(error).__name__}: {_short_repr(error, str)}"
            raise PluginError(
                f"retry policy {_name_of(self.selected)!r} cannot be made of its options: {problem}"
            ) from error

    def decide(
        self,
        failed: FailedAttempt,
        cell: CellView,
        *,
        own: RetryPolicy | None,
        options: Mapping[str, Any] | None,
        attempt: int,
        now: float,
        holds_slot: bool = False,
        requeues: int = 0,
        refusal: str = "",
    ) -> AttemptFailed:
        """Ask the policy, and return its decision as the event to log.

        A policy that cannot be made, that raises, or that answers with something else than a decision gives up.

        :param own: The policy object of the task's decorator.
        :param options: The retry options of the node.
        :param attempt: The number of the failed attempt, counted from 1.
        :param now: Seconds since the epoch.
        :param holds_slot: Whether the attempt still occupies its worker.
        :param requeues: How many earlier attempts the task has ended itself, by requeueing; they do not count.
        :param refusal: Why there is no further attempt, whatever the policy says; empty for nothing of that kind.
        """
        # A copy, so that a policy cannot change the resources that the attempt occupied.
        cell = evolve(
            cell,
            now=now,
            resources=dict(cell.resources),
            asked=not (own is None and options is None and self.configured is None),
        )
        decision = (
            GiveUp(reason=refusal)
            if refusal
            else self._ask_policy(own, options, failed, attempt - requeues, cell)
        )
        reason = decision.reason
        if not reason and cell.asked:
            reason = self._usual_reason(own, options, decision)
        event = AttemptFailed(
            cell=cell.path,
            attempt=attempt,
            failure=failed.failure,
            reason=_short_repr(reason, str, _LONGEST_REASON),
            holds_slot=holds_slot,
            at=now,
        )
        if isinstance(decision, GiveUp):
            return event
        return evolve(
            event,
            retry_at=now + min(max(0.0, decision.delay), LONGEST_DELAY),
            resources=decision.resources,
            queue=decision.queue,
            priority=decision.priority,
        )

    def _ask_policy(
        self,
        own: RetryPolicy | None,
        options: Mapping[str, Any] | None,
        failed: FailedAttempt,
        attempt: int,
        cell: CellView,
    ) -> RetryDecision:
        try:
            policy = self.find(own, options)
        except PluginError as error:
            return GiveUp(reason=str(error))
        return _ask(policy, failed, attempt, cell)

    def _usual_reason(
        self, own: RetryPolicy | None, options: Mapping[str, Any] | None, decision: RetryDecision
    ) -> str:
        """Return a reason for a decision that has none."""
        verb = "gave up" if isinstance(decision, GiveUp) else "wants another attempt"
        return f"policy {_name_of(self.find(own, options))!r} {verb}"


def _ask(policy: RetryPolicy, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
    name = _name_of(policy)
    try:
        decision = policy.decide(failed, attempt, cell)
        problem = _problem(decision)
        if isinstance(decision, Retry) and not problem and decision.resources is not None:
            decision = evolve(decision, resources=dict(decision.resources))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # Nothing is awaited here, so even a CancelledError is the policy's own.
        logger.exception("retry policy %r raised; cell %r gets no further attempt", name, cell.path)
        return GiveUp(
            reason=f"retry policy {name!r} raised {type(error).__name__}: {_short_repr(error, str)}"
        )
    if problem:
        if inspect.iscoroutine(decision):
            decision.close()
        answer = _short_repr(decision, repr)
        logger.error("retry policy %r answered %s%s", name, answer, problem)
        return GiveUp(reason=f"retry policy {name!r} answered {answer}{problem}")
    return decision


def _name_of(policy: RetryPolicy | type[RetryPolicy]) -> str:
    return getattr(policy, "name", None) or (policy if isinstance(policy, type) else type(policy)).__name__


def _short_repr(value: object, text_of: Callable[[object], str], longest: int = 300) -> str:
    """Return a short text of a foreign object, whose own code may raise."""
    try:
        text = text_of(value)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code
        return f"<{type(value).__name__} whose text raises {type(error).__name__}>"
    return text if len(text) <= longest else f"{text[:longest]}…"


def _problem(decision: object) -> str:
    """Describe what is wrong with a decision, so that only decisions that can be carried out get into the log."""
    if not isinstance(decision, (Retry, GiveUp)):
        return " instead of Retry or GiveUp"
    if not isinstance(decision.reason, str):
        return ", whose reason must be a text"
    if isinstance(decision, GiveUp):
        return ""
    if not _is_number(decision.delay):
        return ", whose delay must be a finite number of seconds"
    resources = {} if decision.resources is None else decision.resources
    if not isinstance(resources, Mapping) or not all(
        isinstance(name, str) and _is_number(amount) and amount >= 0 for name, amount in resources.items()
    ):
        return ", whose resources must be finite numbers from 0"
    if not isinstance(decision.queue, (str, type(None))) or type(decision.priority) not in (int, type(None)):
        return ", whose queue must be a text and whose priority a whole number"
    return ""


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # Not math.isfinite(), which raises for an integer that is too large. A NaN fails every comparison.
    return abs(value) <= sys.float_info.max
