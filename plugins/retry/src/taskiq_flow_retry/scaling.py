"""Growing resources for the next attempt, where the last one may have had too little."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Union

from taskiq_flow.pools import amounts
from taskiq_flow.retry import answer_of

__all__ = ["Scaling", "scale", "scaling_problems"]

Scaling = Union[Mapping[str, Union[str, float]], Callable[[int, Mapping[str, float]], Mapping[str, float]]]
"""For each resource either ``attempt`` (its first amount times the number of the attempt) or a factor for each retry;
or a function of the number of the next attempt and the resources of the last one."""

BY_ATTEMPT = "attempt"


def scale(
    scaling: Scaling, limits: Mapping[str, float], attempt: int, resources: Mapping[str, float]
) -> Mapping[str, float] | None:
    """Return the resources of the next attempt; ``None`` for no change.

    :param scaling: The rules by which the amounts grow.
    :param limits: The largest amounts, by resource.
    :param attempt: The number of the failed attempt, counted from 1.
    :param resources: The resources that it occupied.
    :raises PluginError: the function returns something else than amounts.
    """
    if callable(scaling):
        answer = answer_of("resources", scaling(attempt + 1, dict(resources)))
        wanted: dict[str, float] = {**resources, **amounts("the answer of the function resources", answer)}
    else:
        # A task without a number of cores takes one.
        wanted = dict(resources)
        for name, how in scaling.items():
            had = resources.get(name, 1.0 if name == "cpu" else 0.0)
            if had:
                # Attempt n had n shares of the first amount, so the next one needs one share more.
                factor = (attempt + 1) / attempt if isinstance(how, str) else how
                wanted[name] = min(round(had * factor, 6), sys.float_info.max)
    # A limit never reduces what the last attempt had.
    bounded = {
        name: min(amount, max(limits.get(name, math.inf), resources.get(name, 0.0)))
        for name, amount in wanted.items()
    }
    return None if bounded == resources else bounded


def scaling_problems(scaling: Any, limits: Any) -> Iterator[str]:
    """Describe the problems of the options ``resources`` and ``max_resources``."""
    if isinstance(scaling, Mapping):
        for name, how in scaling.items():
            if not isinstance(name, str) or not (how == BY_ATTEMPT or _is_positive(how)):
                yield (
                    f"resources has {name!r}: {how!r}; give 'attempt' for amount x attempt, or a factor above 0 "
                    "such as 1.5"
                )
    elif not callable(scaling):
        yield f"resources is {scaling!r}; give a mapping such as {{'ram_mb': 'attempt'}}"
    if not isinstance(limits, Mapping):
        yield f"max_resources is {limits!r}; give a mapping such as {{'ram_mb': 16000}}"
        return
    for name, limit in limits.items():
        if not isinstance(name, str) or not _is_positive(limit):
            yield f"max_resources has {name!r}: {limit!r}; give an amount above 0"


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= sys.float_info.max
