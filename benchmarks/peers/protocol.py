"""What a program speaks: a line of JSON for each request, a line of JSON for each answer.

A program greets, then does one request after the other until its input ends. ``prepare`` makes a graph, ``turn`` does
the work once and measures it. Only the standard library stands here, because every environment imports this module.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import json
import math
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, TextIO

__all__ = ["NAMES", "NotOffered", "expected", "serve", "serve_async", "side_of"]

NAMES = ("chain", "fan-out + reduce", "layered", "map")
"""The shapes of work, as in :data:`benchmarks.shapes.SHAPES`, which a peer's environment cannot import."""

Work = Callable[[], int]
AsyncWork = Callable[[], Awaitable[int]]
Answer = dict[str, Any]


class NotOffered(Exception):
    """A program has no way to do a shape of work; the text says why."""


def side_of(count: int) -> int:
    """Give the number of layers, and of nodes in each of them.

    :param count: About how many nodes.
    """
    return max(1, math.isqrt(count))


def expected(shape: str, count: int) -> int:
    """Give the value that every side has to come to.

    :param shape: One of :data:`NAMES`.
    :param count: How many nodes.
    """
    values = {
        "chain": count,
        "fan-out + reduce": count,
        "layered": side_of(count) ** 2,
        "map": count * (count + 1) // 2,
    }
    return values[shape]


def serve(prepare: Callable[[str, int], Work], distribution: str | None = None) -> None:
    """Answer requests until the input ends; the work is done without an event loop.

    :param prepare: Makes what does a shape of work with so many nodes, or raises :class:`NotOffered`.
    :param distribution: The version of it goes into the greeting.
    """
    answers = _take_output()
    _write(answers, _greeting(distribution))
    made: dict[tuple[str, int], Work] = {}
    for line in sys.stdin:
        do, shape, count = json.loads(line)
        try:
            if do == "prepare":
                _drop_others(made, shape)
                made[shape, count] = prepare(shape, count)
                _write(answers, {})
            else:
                work = made[shape, count]
                gc.collect()
                begin, begin_wall = time.process_time(), time.perf_counter()
                value = work()
                _write(answers, _measurement(value, begin, begin_wall))
        except Exception as error:  # noqa: BLE001  -- the other end writes it into the table
            _write(answers, _refusal(error))


async def serve_async(
    prepare: Callable[[str, int], Awaitable[AsyncWork]], distribution: str | None = None
) -> None:
    """Answer requests until the input ends, in one event loop, which goes on between turns.

    :param prepare: Makes what does a shape of work with so many nodes, or raises :class:`NotOffered`.
    :param distribution: The version of it goes into the greeting.
    """
    answers = _take_output()
    _write(answers, _greeting(distribution))
    made: dict[tuple[str, int], AsyncWork] = {}
    # Leases are renewed and connections served while nobody asks, so reading must not hold the event loop up.
    while line := await asyncio.to_thread(sys.stdin.readline):
        do, shape, count = json.loads(line)
        try:
            if do == "prepare":
                _drop_others(made, shape)
                made[shape, count] = await prepare(shape, count)
                _write(answers, {})
            else:
                work = made[shape, count]
                gc.collect()
                begin, begin_wall = time.process_time(), time.perf_counter()
                value = await work()
                _write(answers, _measurement(value, begin, begin_wall))
        except Exception as error:  # noqa: BLE001  -- the other end writes it into the table
            _write(answers, _refusal(error))


def _take_output() -> TextIO:
    """Keep the standard output for answers; whatever else prints goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _write(answers: TextIO, answer: Answer) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _greeting(distribution: str | None) -> Answer:
    version = importlib.metadata.version(distribution) if distribution else ""
    return {"version": version, "python": platform.python_version()}


def _measurement(value: int, begin: float, begin_wall: float) -> Answer:
    # Clocks first, in the order in which they were started.
    processor, wall = time.process_time() - begin, time.perf_counter() - begin_wall
    return {"value": value, "processor": processor, "wall": wall}


def _refusal(error: Exception) -> Answer:
    if isinstance(error, NotOffered):
        return {"not_offered": str(error)}
    return {"error": f"{type(error).__name__}: {error}"}


def _drop_others(made: dict[tuple[str, int], Any], shape: str) -> None:
    """Free the graphs of a shape that is done with, so that garbage collection does not pay for them."""
    for key in [key for key in made if key[0] != shape]:
        del made[key]
