"""The report's charts as inline SVG. Colours are classes; the page gives them values for light and dark."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from examples.codebase.shapes import (
    BANDS,
    LIMIT,
    Complexity,
    Coverage,
    Lines,
    PackageDocs,
    PackageEdge,
    PackageSize,
    Ranked,
)
from examples.codebase.svg import escaped, number, squarify, tag

__all__ = [
    "band_chart",
    "bar_chart",
    "coverage_chart",
    "coverage_ring",
    "kinds_of",
    "lines_bar",
    "package_bars",
    "package_ring",
    "percent",
    "treemap",
]

WIDTH = 960
_LINE_KINDS = (("code", "code"), ("docstring", "docstrings"), ("comment", "comments"), ("blank", "blank"))
_ROW = 26
_LABEL = 190
# About the width of a character of the page's font at 12 units; long names are cut to what fits.
_CHARACTER = 6.6
_RING_LABEL = 20


def percent(part: float, whole: float) -> float:
    """Return a share in percent; of nothing it is 0."""
    return 100 * part / whole if whole else 0.0


def treemap(sizes: Sequence[PackageSize], *, height: int = 460) -> str:
    """Draw packages as areas by lines of code, shaded by the mean complexity of their functions."""
    drawn = [size for size in sizes if size["lines"]["code"]]
    boxes = squarify(
        [float(size["lines"]["code"]) for size in drawn], (0.0, 0.0, float(WIDTH), float(height))
    )
    cells = []
    for size, (x, y, width, depth) in zip(drawn, boxes, strict=True):
        code = size["lines"]["code"]
        mean = size["complexity"] / size["functions"] if size["functions"] else 0.0
        where = f"{number(code)} lines of code in {number(size['files'])} files"
        note = f"{size['name']}: {where}, complexity {mean:.1f} on average"
        inside = [tag("title", escaped(note))]
        inside.append(
            tag(
                "rect",
                x=x + 0.75,
                y=y + 0.75,
                width=max(width - 1.5, 0.5),
                height=max(depth - 1.5, 0.5),
                rx=2,
                class_=_shade(mean),
            )
        )
        room = int((width - 14) / _CHARACTER)
        if room >= min(len(size["name"]), 6) and depth >= 22:
            inside.append(tag("text", escaped(_cut(size["name"], room)), x=x + 8, y=y + 17, class_="cell"))
            if depth >= 40 and room >= len(number(code)):
                inside.append(tag("text", escaped(number(code)), x=x + 8, y=y + 33, class_="cell faint"))
        cells.append(tag("g", *inside))
    return _svg(height, "packages by lines of code", cells)


def package_bars(sizes: Sequence[PackageSize]) -> str:
    """Draw a bar for each package, divided by kinds of lines."""
    most = max((sum(kinds_of(size["lines"])) for size in sizes), default=0)
    rows = []
    for row, size in enumerate(sizes):
        total = sum(kinds_of(size["lines"]))
        room = WIDTH - _LABEL - 90
        note = f"{size['name']}: {number(total)} lines"
        rows.append(_row(row, size["name"], number(total), room * total / most if most else 0.0))
        rows.append(_stack(size["lines"], _LABEL, row * _ROW + 5, room * total / most if most else 0.0, note))
    return _svg(len(sizes) * _ROW, "lines of the largest packages", rows)


def lines_bar(lines: Lines) -> str:
    """Draw one bar for all lines of the tree."""
    return _svg(26, "kinds of lines", [_stack(lines, 0, 3, float(WIDTH), "all lines", height=20)])


def band_chart(complexity: Complexity) -> str:
    """Draw how many functions fall into each band of complexity, on a logarithmic scale."""
    groups = list(zip(BANDS, complexity["bands"], complexity["test_bands"], strict=True))
    most = max((*complexity["bands"], *complexity["test_bands"], 1))
    margin, floor, top = 52, 236, 24
    step = (WIDTH - margin) / len(groups)
    scale = (floor - top) / math.log10(most * 10)
    parts = []
    for power in range(int(math.log10(most)) + 1):
        y = floor - scale * math.log10(10**power * 10)
        parts.append(tag("line", x1=margin, x2=WIDTH, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", escaped(number(10**power)), x=margin - 6, y=y + 4, class_="faint end"))
    for index, (name, library, tests) in enumerate(groups):
        left = margin + index * step + step / 2 - 48
        for count, x, kind in ((library, left, "code"), (tests, left + 50, "soft")):
            height = scale * math.log10(count * 10) if count else 0.0
            note = tag("title", escaped(f"{number(count)} functions with complexity {name}"))
            parts.append(
                tag("g", note, tag("rect", x=x, y=floor - height, width=46, height=height, rx=2, class_=kind))
            )
            parts.append(
                tag("text", escaped(number(count)), x=x + 23, y=floor - height - 6, class_="middle small")
            )
        parts.append(tag("text", escaped(name), x=left + 48, y=floor + 20, class_="middle"))
    parts.append(tag("line", x1=margin, x2=WIDTH, y1=floor, y2=floor, class_="axis"))
    return _svg(floor + 30, f"functions by complexity; {LIMIT} is the limit that McCabe suggests", parts)


def coverage_chart(packages: Sequence[PackageDocs]) -> str:
    """Draw which share of each package's public interface has docstrings."""
    parts = []
    room = WIDTH - _LABEL - 150
    for row, package in enumerate(packages):
        share = percent(package["documented"], package["total"])
        y = row * _ROW + 5
        label = f"{share:.0f} %  of {number(package['total'])}"
        parts.append(tag("rect", x=_LABEL, y=y, width=room, height=_ROW - 10, rx=3, class_="track"))
        parts.append(_bar(_LABEL, y, room * share / 100, f"{package['name']}: {label}", kind="docstring"))
        parts.append(_row(row, package["name"], label, float(room)))
    return _svg(len(packages) * _ROW, "documentation coverage by package", parts)


def coverage_ring(coverage: Coverage, caption: str) -> str:
    """Draw a share as a ring with the number in it."""
    share = percent(coverage["documented"], coverage["total"])
    around = 2 * math.pi * 50
    parts = [
        tag("circle", cx=64, cy=64, r=50, class_="ring track-line"),
        tag(
            "circle",
            cx=64,
            cy=64,
            r=50,
            class_="ring",
            transform="rotate(-90 64 64)",
            stroke_dasharray=f"{around * share / 100:.1f} {around:.1f}",
        )
        if share
        else "",
        tag("text", f"{share:.0f} %", x=64, y=71, class_="middle figure"),
    ]
    note = f"{number(coverage['documented'])} of {number(coverage['total'])} {caption}"
    ring = tag("svg", *parts, viewBox="0 0 128 128", role="img", aria_label=f"{share:.0f} % of {caption}")
    return tag("figure", ring, tag("figcaption", escaped(note)))


def bar_chart(rows: Sequence[Ranked], title: str) -> str:
    """Draw a bar for each name and count."""
    most = max((row["count"] for row in rows), default=0)
    room = WIDTH / 2 - _LABEL - 60
    parts = []
    for index, row in enumerate(rows):
        length = room * row["count"] / most
        parts.append(_bar(_LABEL, index * _ROW + 5, length, f"{row['name']}: {row['count']}"))
        parts.append(_row(index, row["name"], number(row["count"]), length))
    return _svg(len(rows) * _ROW, title, parts, width=WIDTH // 2)


def package_ring(edges: Sequence[PackageEdge]) -> str:
    """Draw packages on a circle, and the imports among them; those that lead in a circle stand out."""
    degree = Counter(end for edge in edges for end in (edge["source"], edge["target"]))
    names = sorted(degree, key=str.lower)
    radius, middle_x = 220.0, WIDTH / 2
    # Names stand around the circle, those at the top and at the bottom upright.
    middle_y = radius + 14 + _RING_LABEL * _CHARACTER + 6
    angles = {name: 2 * math.pi * index / len(names) - math.pi / 2 for index, name in enumerate(names)}

    def point(name: str, distance: float) -> tuple[float, float]:
        return middle_x + distance * math.cos(angles[name]), middle_y + distance * math.sin(angles[name])

    parts = []
    for edge in sorted(edges, key=lambda edge: edge["circular"]):
        (x1, y1), (x2, y2) = point(edge["source"], radius), point(edge["target"], radius)
        bend_x, bend_y = (x1 + x2 + 4 * middle_x) / 6, (y1 + y2 + 4 * middle_y) / 6
        way = f"M{x1:.1f} {y1:.1f}Q{bend_x:.1f} {bend_y:.1f} {x2:.1f} {y2:.1f}"
        count = edge["count"]
        note = (
            f"{edge['source']} imports {edge['target']} {'once' if count == 1 else f'{number(count)} times'}"
        )
        kind = "edge circular" if edge["circular"] else "edge"
        thick = round(0.6 + min(math.log2(count), 6) / 2, 1)
        parts.append(tag("path", tag("title", escaped(note)), d=way, class_=kind, stroke_width=thick))
    shared = _shared_prefix(names)
    for name in names:
        (x, y), (text_x, text_y) = point(name, radius), point(name, radius + 14)
        left = math.cos(angles[name]) < -1e-9
        turn = math.degrees(angles[name]) + (180 if left else 0)
        note = tag("title", escaped(f"{name}: imports or is imported by {degree[name]} of these"))
        dot = tag("circle", note, cx=x, cy=y, r=3 + min(degree[name], 30) / 7, class_="code")
        label = escaped(_cut(name.removeprefix(shared), _RING_LABEL))
        side = "end" if left else None
        turned = f"rotate({turn:.1f} {text_x:.1f} {text_y:.1f})"
        parts.append(dot + tag("text", label, x=text_x, y=text_y, dy="0.35em", transform=turned, class_=side))
    return _svg(2 * middle_y, "imports among packages", parts)


def _svg(height: float, title: str, parts: Iterable[str], *, width: int = WIDTH) -> str:
    return tag("svg", *parts, viewBox=f"0 0 {width} {max(height, 1):.0f}", role="img", aria_label=title)


def _row(row: int, name: str, value: str, length: float) -> str:
    y = row * _ROW + 18
    label = tag(
        "text", tag("title", escaped(name)), escaped(_cut(name, 26)), x=_LABEL - 10, y=y, class_="end"
    )
    return label + tag("text", escaped(value), x=_LABEL + length + 8, y=y, class_="faint")


def _bar(x: float, y: float, length: float, note: str, *, kind: str = "code") -> str:
    return tag(
        "g",
        tag("title", escaped(note)),
        tag("rect", x=x, y=y, width=length, height=_ROW - 10, rx=3, class_=kind),
    )


def _stack(lines: Lines, x: float, y: float, length: float, note: str, *, height: int = _ROW - 10) -> str:
    total = sum(kinds_of(lines))
    parts = []
    for (_, caption), count, kind in zip(
        _LINE_KINDS, kinds_of(lines), ("code", "docstring", "comment", "blank"), strict=True
    ):
        width = length * count / total if total else 0.0
        share = f"{note}: {number(count)} {caption} ({percent(count, total):.0f} %)"
        parts.append(
            tag(
                "g",
                tag("title", escaped(share)),
                tag("rect", x=x, y=y, width=width, height=height, class_=kind),
            )
        )
        x += width
    return "".join(parts)


def kinds_of(lines: Lines) -> tuple[int, int, int, int]:
    """Return the numbers of lines of code, docstrings, comments and blank lines."""
    return lines["code"], lines["docstring"], lines["comment"], lines["blank"]


def _shade(mean: float) -> str:
    """Return a class, from ``q0`` for a mean complexity below 1.5 to ``q4`` for one from 4.5 on."""
    return f"q{min(max(int(mean - 0.5), 0), 4)}"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _shared_prefix(names: Sequence[str]) -> str:
    first = names[0].rpartition(".")[0] + "."
    return first if first != "." and all(name.startswith(first) for name in names) else ""
