"""Markup by small functions, and the geometry that the charts need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

__all__ = ["Box", "escaped", "number", "squarify", "tag"]

Box = tuple[float, float, float, float]
"""x, y, width, height."""

# HTML knows the short form only for these; an empty ``<div/>`` would stay open.
_EMPTY = frozenset({"br", "circle", "line", "meta", "path", "rect"})


def tag(name: str, /, *children: str, **attributes: object) -> str:
    """Return an element; the output is well-formed XML too.

    :param name: The element's name.
    :param children: Markup; text goes through :func:`escaped` first.
    :param attributes: ``class_`` stands for ``class``, and underscores for hyphens; ``None`` leaves one out.

    >>> tag("rect", x=1.25, class_="bar")
    '<rect x="1.2" class="bar"/>'
    """
    parts = [name]
    for key, value in attributes.items():
        if value is not None:
            text = _short(value) if isinstance(value, float) else str(value)
            parts.append(f'{key.rstrip("_").replace("_", "-")}="{escape(text)}"')
    opening = " ".join(parts)
    if not children and name in _EMPTY:
        return f"<{opening}/>"
    return f"<{opening}>{''.join(children)}</{name}>"


def escaped(text: object) -> str:
    """Return a text as markup."""
    return escape(str(text))


def number(value: int) -> str:
    """Return a number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def squarify(values: Sequence[float], box: Box) -> Iterator[Box]:
    """Divide a box into one for each value, with areas in proportion and sides as equal as can be.

    M. Bruls, K. Huizing, J. van Wijk, "Squarified Treemaps", Proceedings of VisSym, 2000.

    :param values: Positive, largest first.
    :param box: What is divided.
    """
    x, y, width, height = box
    total = sum(values)
    scale = width * height / total if total else 0.0
    areas = [value * scale for value in values]
    start = 0
    while start < len(areas):
        side = min(width, height)
        end = start + 1
        while end < len(areas) and _worst(areas[start : end + 1], side) <= _worst(areas[start:end], side):
            end += 1
        row = areas[start:end]
        depth = sum(row) / side if side else 0.0
        offset = 0.0
        for area in row:
            length = area / depth if depth else 0.0
            yield (x, y + offset, depth, length) if width >= height else (x + offset, y, length, depth)
            offset += length
        if width >= height:
            x, width = x + depth, max(width - depth, 0.0)
        else:
            y, height = y + depth, max(height - depth, 0.0)
        start = end


def _worst(row: Sequence[float], side: float) -> float:
    """Return the largest ratio of sides in a row of areas along a side."""
    total = sum(row)
    if not side or not total or not row[-1]:
        return float("inf")
    return max(side**2 * row[0] / total**2, total**2 / (side**2 * row[-1]))


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
