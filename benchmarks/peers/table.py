"""What was measured of the peers, as Markdown."""

from __future__ import annotations

import asyncio
import statistics

from benchmarks.peers.comparison import Findings, ShapeFindings, compare_sides, label
from benchmarks.peers.roster import OURS, Side

__all__ = ["section", "text_of"]


def section(count: int, repeat: int) -> str:
    """Measure all sides, and give the section.

    :param count: How many nodes.
    :param repeat: How many turns each side has.
    """
    return text_of(asyncio.run(compare_sides(count, repeat)))


def text_of(found: Findings) -> str:
    """Give the section for what was found.

    :param found: The measurements.
    """
    lines = ["| who | version | how | what it keeps |", "|---|---|---|---|"]
    for side in found.sides:
        version = found.versions.get(side.name, "not measured") or "–"
        how = f"not measured: {_cell(found.absent[side.name])}" if side.name in found.absent else side.how
        lines.append(f"| {side.name} | {version} | {how} | {side.keeps} |")
    for shape, of_shape in found.shapes.items():
        lines += ["", f"**{shape}**", "", *_shape_table(found, of_shape)]
    pythons = ", ".join(sorted(set(found.pythons.values())))
    return "\n".join([*lines, "", f"Measured with Python {pythons}."])


def _shape_table(found: Findings, of_shape: ShapeFindings) -> list[str]:
    lines = [
        "| who | nodes | µs a node, processor | times ours | µs a node, wall clock | times ours |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for side in found.sides:
        if side.name in found.absent:
            continue
        if side.name in of_shape.missing:
            lines.append(f"| {side.name} | – | {_cell(of_shape.missing[side.name])} | | | |")
            continue
        count = of_shape.counts[side.name]
        cells = [_per_node(of_shape, side, count, wall=False), _times_ours(of_shape, side, count, wall=False)]
        cells += [_per_node(of_shape, side, count, wall=True), _times_ours(of_shape, side, count, wall=True)]
        lines.append(f"| {side.name} | {count:,} | {' | '.join(cells)} |")
    return lines


def _per_node(of_shape: ShapeFindings, side: Side, count: int, *, wall: bool) -> str:
    seconds = (of_shape.compared.wall if wall else of_shape.compared.processor)[label(side, count)]
    return _number(statistics.median(seconds) / count * 1e6)


def _times_ours(of_shape: ShapeFindings, side: Side, count: int, *, wall: bool) -> str:
    if side.name == OURS.name:
        return "1"
    ratios = of_shape.compared.ratios(label(side, count), label(OURS, count), wall=wall)
    return f"{_number(statistics.median(ratios))} ({_number(min(ratios))}–{_number(max(ratios))})"


def _number(value: float) -> str:
    """Write a number with two or three digits that count."""
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _cell(text: str) -> str:
    """Keep a program's words in one cell."""
    return " ".join(text.replace("|", "/").split())[:200]
