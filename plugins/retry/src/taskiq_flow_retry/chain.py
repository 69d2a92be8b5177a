"""Chains of policies: each is asked in turn, and the first with an opinion decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Union

from attrs import evolve, field, frozen

from taskiq_flow.errors import PluginError
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy
from taskiq_flow_retry.matching import item_problems, matching_item
from taskiq_flow_retry.options import refuse, unknown_options
from taskiq_flow_retry.standard import StandardRetry

__all__ = ["Chain", "Link", "On", "Rule"]

Rule = Callable[[FailedAttempt, int, CellView], Union[RetryDecision, None]]
"""A function with the arguments of :meth:`~taskiq_flow.RetryPolicy.decide`; ``None`` for no opinion."""

Link = Union[RetryPolicy, Rule]


@frozen
class On:
    """A link of a chain for certain failures only.

    ::

        On("RateLimited", StandardRetry(delay=60, max_retries=10))
        On(PermissionError, GiveUp(reason="nobody else may do it"))

    :param failures: An exception class, a name, a kind of failure, or a list of them.
    :param then: The decision, or the policy that makes it.
    :raises PluginError: the failures or the decision are invalid.
    """

    failures: Any
    then: RetryPolicy | RetryDecision

    def __attrs_post_init__(self) -> None:
        problems = list(item_problems("On", self._items))
        if not isinstance(self.then, (RetryPolicy, Retry, GiveUp)):
            problems.append(f"On shall do {self.then!r}; give a policy, Retry(...) or GiveUp(...)")
        refuse(problems)

    @property
    def _items(self) -> tuple[Any, ...]:
        if isinstance(self.failures, (str, type)) or not isinstance(self.failures, Iterable):
            return (self.failures,)
        return tuple(self.failures)

    def __call__(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision | None:
        """Decide about a failure that it names; ``None`` for others."""
        if matching_item(self._items, failed) is None:
            return None
        return self.then.decide(failed, attempt, cell) if isinstance(self.then, RetryPolicy) else self.then


def _links(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, Iterable) else (given,)


@frozen
class Chain(RetryPolicy):
    """Asks policies and rules in order; the first answer that is not ``None`` is the decision.

    A policy always has an opinion, so links behind it are never asked. A rule that always wants another attempt would
    retry without end, so no chain goes beyond ``max_attempts``.

    ::

        Chain([On("RateLimited", StandardRetry(delay=60)), On(PermissionError, GiveUp()), StandardRetry(max_retries=2)])

    :param links: The policies and rules.
    :param max_attempts: The limit of attempts, the first included; then the chain gives up without asking.
    :raises PluginError: a link is neither a policy nor a function.
    """

    name: ClassVar[str] = "chain"

    links: tuple[Link, ...] = field(default=(), converter=_links)
    max_attempts: int = field(default=100, kw_only=True)

    def __attrs_post_init__(self) -> None:
        problems = [
            f"link {number} of the chain is {link!r}; give a policy object, On(...), or a function"
            for number, link in enumerate(self.links, 1)
            if isinstance(link, type) or not (isinstance(link, RetryPolicy) or callable(link))
        ]
        attempts: Any = self.max_attempts
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            problems.append(f"max_attempts is {attempts!r}; give a whole number, 1 or more")
        refuse(problems)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        """Make an empty chain, because plain options cannot describe its links.

        :raises PluginError: options are unknown or invalid.
        """
        refuse(unknown_options(options, ["max_attempts"]))
        return cls(**options)

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        """Return the first decision; where no link has one, that for a task without retries."""
        if attempt >= self.max_attempts:
            return GiveUp(reason=f"gave up: {attempt} of {self.max_attempts} attempts used")
        for link in self.links:
            ask: Rule = link.decide if isinstance(link, RetryPolicy) else link
            decision = ask(failed, attempt, cell)
            if decision is None:
                continue
            if not isinstance(decision, (Retry, GiveUp)):
                raise PluginError(f"{link!r} answered {decision!r}; a link answers Retry, GiveUp or None")
            return decision
        return StandardRetry().decide(failed, attempt, evolve(cell, asked=False))
