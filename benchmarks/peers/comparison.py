"""All sides in one run: they take turns, shape by shape, and every value is checked.

A side that is given fewer nodes is compared with ours at as many nodes, which takes a turn of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from attrs import field, frozen

from benchmarks.measure import Comparison
from benchmarks.peers.conversation import Conversation, PeerFailed
from benchmarks.peers.environments import ROOT, NotInstalled, python_of
from benchmarks.peers.protocol import NAMES, NotOffered, expected
from benchmarks.peers.roster import OURS, ROSTER, Side

__all__ = ["Findings", "ShapeFindings", "compare_sides", "label"]


@frozen(kw_only=True)
class ShapeFindings:
    """What was measured of a shape.

    :param compared: Seconds of each side, under its :func:`label`.
    :param counts: How many nodes a side was given, by its name.
    :param missing: Why there is nothing of a side, by its name.
    """

    compared: Comparison
    counts: dict[str, int]
    missing: dict[str, str]


@frozen(kw_only=True)
class Findings:
    """What was measured.

    :param sides: Every side that was to be measured.
    :param shapes: By the name of the shape.
    :param versions: The version of each side that could be started, by its name.
    :param pythons: The version of Python of the same.
    :param absent: Why a side could not be started, by its name.
    """

    sides: Sequence[Side]
    shapes: dict[str, ShapeFindings] = field(factory=dict)
    versions: dict[str, str] = field(factory=dict)
    pythons: dict[str, str] = field(factory=dict)
    absent: dict[str, str] = field(factory=dict)


def label(side: Side, count: int) -> str:
    """Give the name of a side's turns with so many nodes."""
    return f"{side.name}, {count} nodes"


async def compare_sides(
    count: int,
    repeat: int,
    *,
    sides: Sequence[Side] = ROSTER,
    python: Callable[[Side], str] = python_of,
    folders: Sequence[str] = (str(ROOT),),
    warm_up: int = 1,
) -> Findings:
    """Let all sides take turns.

    :param count: How many nodes; a side is given fewer if it says so.
    :param repeat: How many turns each side has that count.
    :param sides: Which sides; the first one is ours.
    :param python: Gives the interpreter of a side.
    :param folders: Where programs look for modules besides their environments.
    :param warm_up: How many turns before the first that counts.
    :raises NotInstalled: ours could not be installed.
    :raises PeerFailed: ours could not be started or failed.
    :raises ValueError: a side came to another value, so the comparison means nothing.
    """
    found = Findings(sides=sides)
    pythons: dict[str, str] = {}
    # All of them before the first program: it takes minutes, and programs do a little even while nobody asks.
    for side in sides:
        try:
            pythons[side.name] = python(side)
        except NotInstalled as error:
            if side.name == OURS.name:
                raise
            found.absent[side.name] = str(error)
    async with AsyncExitStack() as stack:
        scratch = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True))
        )
        programs: list[Conversation] = []
        for number, side in enumerate(found.sides):
            if side.name not in pythons:
                continue
            home = scratch / str(number)
            try:
                program = await Conversation.start(side, pythons[side.name], folders, home)
            except PeerFailed as error:
                if side.name == OURS.name:
                    raise
                found.absent[side.name] = str(error)
                continue
            stack.push_async_callback(program.close)
            programs.append(program)
            found.versions[side.name], found.pythons[side.name] = program.version, program.python
        for shape in NAMES:
            found.shapes[shape] = await _measure(shape, programs, count, repeat, warm_up)
    return found


async def _measure(
    shape: str, programs: Sequence[Conversation], count: int, repeat: int, warm_up: int
) -> ShapeFindings:
    counts = {program.side.name: program.side.count(shape, count) for program in programs}
    processor: dict[str, list[float]] = {}
    wall: dict[str, list[float]] = {}
    missing: dict[str, str] = {}
    turns: list[tuple[Conversation, int]] = []
    for program in programs:
        mine = {counts[program.side.name]}
        if program.side.name == OURS.name:
            mine.update(counts.values())
        turns += [(program, nodes) for nodes in sorted(mine, reverse=True)]

    # Before the turns that count, one in which graphs are made, and those in which caches fill.
    for number in range(-warm_up - 1, repeat):
        for program, nodes in turns:
            if program.side.name in missing:
                continue
            try:
                if number < -warm_up:
                    await program.prepare(shape, nodes)
                    continue
                answer = await _turn(program, shape, nodes)
            except (NotOffered, PeerFailed) as error:
                if program.side.name == OURS.name:
                    raise
                missing[program.side.name] = str(error)
                continue
            if number >= 0:
                processor.setdefault(label(program.side, nodes), []).append(answer["processor"])
                wall.setdefault(label(program.side, nodes), []).append(answer["wall"])
    return ShapeFindings(compared=Comparison(processor=processor, wall=wall), counts=counts, missing=missing)


async def _turn(program: Conversation, shape: str, count: int) -> dict[str, Any]:
    answer = await program.turn(shape, count)
    value, right = answer["value"], expected(shape, count)
    if value != right:
        raise ValueError(f"{label(program.side, count)}: {shape} came to {value}, not {right}")
    await asyncio.sleep(program.side.rest)
    return answer
