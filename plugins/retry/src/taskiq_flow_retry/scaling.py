"""What the next attempt shall occupy, where the last one may have had too little."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Union

from taskiq_flow.pools import amounts
from taskiq_flow.retry import answer_of

__all__ = ["Scaling", "scale", "scaling_problems"]

Scaling = Union[Mapping[str, Union[str, float]], Callable[[int, Mapping[str, float]], Mapping[str, float]]]
"""By resource either ``attempt`` (its first amount times the number of the attempt) or a factor for each retry; or a
function that is given the number of the next attempt and what the last one occupied."""

BY_ATTEMPT = "attempt"


def scale(
    scaling: Scaling, limits: Mapping[str, float], attempt: int, resources: Mapping[str, float]
) -> Mapping[str, float] | None:
    """Give what the next attempt shall occupy; ``None`` for no change.

    :param scaling: How the amounts grow.
    :param limits: The largest amounts, by resource.
    :param attempt: The attempt that failed, counted from 1.
    :param resources: What it occupied.
    :raises PluginError: the function gives something else than amounts.
    """
    if callable(scaling):
        answer = answer_of("resources", scaling(attempt + 1, dict(resources)))
        wanted: dict[str, float] = {**resources, **amounts("the answer of the function resources", answer)}
    else:
        # A task that says nothing of cores takes one.
        wanted = dict(resources)
        for name, how in scaling.items():
            had = resources.get(name, 1.0 if name == "cpu" else 0.0)
            if had:
                # The last attempt had its own number of shares, so one share more is needed.
                factor = (attempt + 1) / attempt if isinstance(how, str) else how
                wanted[name] = min(round(had * factor, 6), sys.float_info.max)
    # A limit never takes away what an attempt had already.
    bounded = {
        name: min(amount, max(limits.get(name, math.inf), resources.get(name, 0.0)))
        for name, amount in wanted.items()
    }
    return None if bounded == resources else bounded


def scaling_problems(scaling: Any, limits: Any) -> Iterator[str]:
    """Say what is wrong with the options ``resources`` and ``max_resources``."""
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
