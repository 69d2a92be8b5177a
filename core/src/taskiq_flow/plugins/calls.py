"""Calling the implementations of a hook one by one, so that each answer, and each error, keeps its origin."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from taskiq_flow._logs import open_log
from taskiq_flow.plugins.checks import HOOKS
from taskiq_flow.plugins.loading import LoadedPlugin

__all__ = ["Call", "decider", "discard_result", "observer"]

logger = open_log(__name__)


@frozen
class Call:
    """One plugin's implementation of a hook.

    :param hook: The hook's name.
    :param plugin: The plugin.
    :param function: The function that implements it.
    :param arguments: The names of the function's arguments, in order.
    """

    hook: str
    plugin: LoadedPlugin
    function: Callable[..., Any] = field(repr=False)
    arguments: tuple[str, ...]

    def positional(self) -> Callable[..., Any]:
        """Return a function that takes all the hook's arguments by position."""
        if self.arguments == HOOKS[self.hook]:
            return self.function
        function = self.function
        wanted = tuple(HOOKS[self.hook].index(name) for name in self.arguments)
        return lambda *given: function(*[given[index] for index in wanted])


def observer(calls: Sequence[Call]) -> Callable[..., None] | None:
    """Return a function that calls all observers and raises none of their errors; ``None`` when there are none."""
    if not calls:
        return None
    targets = tuple((call.positional(), call) for call in calls)

    def notify(*arguments: Any) -> None:
        for function, call in targets:
            try:
                result = function(*arguments)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:
                # Nothing is awaited here, so even a CancelledError is the observer's own.
                logger.exception("%s() of %s failed", call.hook, call.plugin.origin)
            else:
                if result is not None:
                    discard_result(call, result)

    return notify


def decider(
    calls: Sequence[Call], default: Callable[..., Mapping[str, Any]]
) -> Callable[..., Mapping[str, Any]]:
    """Return a function that gives the first answer of a hook, and the default's where a plugin fails.

    :param calls: Implementations in the order of calling, without the default.
    :param default: Answers when no implementation does; returned itself when there are none.
    """
    if not calls:
        return default
    targets = tuple((call.positional(), call) for call in calls)

    def decide(*arguments: Any) -> Mapping[str, Any]:
        for function, call in targets:
            try:
                answer = function(*arguments)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:
                logger.exception("%s() of %s failed; using the default", call.hook, call.plugin.origin)
                break
            if answer is None:
                continue
            if isinstance(answer, Mapping) and all(isinstance(key, str) for key in answer):
                return answer
            logger.error(
                "%s() of %s answered with %r, expected a mapping with text as keys; using the default",
                call.hook,
                call.plugin.origin,
                answer,
            )
            discard_result(call, answer)
            break
        return default(*arguments)

    return decide


def discard_result(call: Call, result: Any) -> None:
    """Discard a result that nobody reads; a coroutine is closed and logged."""
    if inspect.iscoroutine(result):
        result.close()
        logger.error("%s() of %s gave a coroutine, which is never awaited", call.hook, call.plugin.origin)
