"""Checks of the options of the policy ``standard``, with all problems in one error."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from taskiq_flow.errors import PluginError
from taskiq_flow_retry.matching import item_problems
from taskiq_flow_retry.scaling import scaling_problems

__all__ = ["JITTERS", "is_plain_function", "refuse", "unknown_options", "value_problems"]

JITTERS = ("full", "proportional")

# Names of these options in other libraries.
_ELSEWHERE = {
    "attempts": "max_attempts",
    "tries": "max_attempts",
    "max_tries": "max_attempts",
    "retries": "max_retries",
    "wait": "delay",
    "countdown": "delay",
    "default_retry_delay": "delay",
    "factor": "backoff",
    "multiplier": "backoff",
    "exponential_backoff": "backoff",
    "max_wait": "max_delay",
    "retry_backoff_max": "max_delay",
    "max_time": "budget",
    "max_elapsed": "budget",
    "deadline": "budget",
    "exceptions": "retry_on",
    "retry_exceptions": "retry_on",
    "autoretry_for": "retry_on",
    "dont_autoretry_for": "never_on",
    "ignore": "never_on",
    "before_sleep": "on_retry",
}


def unknown_options(given: Iterable[Any], known: Iterable[str]) -> list[str]:
    """Describe each unknown option, with the name that was probably meant."""
    names = list(known)
    unknown = [name for name in given if name not in names]
    if not unknown:
        return []
    from difflib import get_close_matches  # needed for errors only

    problems = []
    for name in unknown:
        meant = get_close_matches(name, names, n=1) if isinstance(name, str) else []
        meant = [_ELSEWHERE[name]] if name in _ELSEWHERE and _ELSEWHERE[name] in names else meant
        hint = f" (did you mean {meant[0]!r}?)" if meant else f"; there are {', '.join(map(repr, names))}"
        problems.append(f"there is no option {name!r}{hint}")
    return problems


def value_problems(options: Mapping[str, Any]) -> list[str]:
    """Describe the invalid values of options; missing options are not checked."""
    problems = [
        f"{name} is {options[name]!r}; give {expected}"
        for name, (right, expected) in _CHECKS.items()
        if name in options and not right(options[name])
    ]
    return [*problems, *_contradictions(options, problems), *_others(options)]


def refuse(problems: Iterable[str]) -> None:
    """Raise one error for all problems, if there are any."""
    if text := "; ".join(problems):
        raise PluginError(f"the retry options cannot be used: {text}")


def _others(given: Mapping[str, Any]) -> Iterator[str]:
    for option in ("retry_on", "never_on"):
        items = given.get(option, ())
        if isinstance(items, (str, type)):
            items = (items,)
        if isinstance(items, Iterable) and not isinstance(items, (Mapping, bytes)):
            yield from item_problems(option, items)
        else:
            yield f"{option} is {items!r}; give a list of exception classes, their names, or kinds of failure"
    yield from scaling_problems(given.get("resources", {}), given.get("max_resources", {}))


def _contradictions(given: Mapping[str, Any], problems: list[str]) -> Iterator[str]:
    if problems:
        return
    retries, attempts = given.get("max_retries"), given.get("max_attempts")
    if retries is not None and attempts is not None and attempts != retries + 1:
        yield (
            f"max_retries {retries} means {retries + 1} attempts, and max_attempts is {attempts}; give one of them"
        )


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # Not math.isfinite(), which raises for an integer that is too large.
    return abs(value) <= sys.float_info.max


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_plain_function(value: Any) -> bool:
    """Whether something can be called, and is not visibly asynchronous."""
    if not callable(value):
        return False
    return not (inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(type(value).__call__))


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "max_retries": (lambda value: _is_whole(value, 0), "a whole number, 0 or more"),
    "max_attempts": (lambda value: _is_whole(value, 1), "a whole number, 1 or more"),
    "delay": (lambda value: _is_number(value) and value >= 0, "a number of seconds, 0 or more"),
    "backoff": (lambda value: _is_number(value) and value > 0, "a factor above 0, such as 2"),
    "max_delay": (lambda value: _is_number(value) and value >= 0, "a number of seconds, 0 or more"),
    "jitter": (
        lambda value: value is False or value in JITTERS,
        f"one of {', '.join(map(repr, JITTERS))}, or leave it out for none",
    ),
    "jitter_fraction": (lambda value: _is_number(value) and 0 < value <= 1, "a fraction above 0 and up to 1"),
    "budget": (lambda value: _is_number(value) and value > 0, "a number of seconds above 0"),
    "retry_if": (is_plain_function, "a plain function of the exception"),
    "respect_retry_after": (lambda value: isinstance(value, bool), "True or False"),
    "queue": (lambda value: isinstance(value, str) and value != "", "the name of a queue"),
    "priority": (
        lambda value: isinstance(value, int) and not isinstance(value, bool),
        "a whole number",
    ),
    "on_retry": (is_plain_function, "a plain function of failure, attempt, cell and decision"),
    "random": (is_plain_function, "a plain function that gives numbers from 0 to 1"),
}
