"""The progress of a map's items."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from taskiq_flow.payloads import Payload

__all__ = ["OpenMap", "truth_of"]


@define(eq=False)
class OpenMap:
    """An open map: one cell of a map node.

    :ivar total: The number of items; ``None`` where it is unknown.
    :ivar done: The number of items that are over.
    :ivar listed: The number of items in its output list so far; ``None`` where it is unknown.
    :ivar reached: For items with several nodes: the nodes that are over, by item.
    :ivar ended: The items among these that are over.
    """

    total: int | None
    done: int = 0
    listed: int | None = 0
    reached: dict[int, set[str]] = field(factory=dict)
    ended: set[int] = field(factory=set)

    def ends(self, number: int, name: str, goals: Sequence[frozenset[str]], *, ok: bool) -> bool:
        """Note that a node of an item is over, and return whether the item just ended; true once for each item."""
        if number in self.ended:
            return False
        reached = self.reached.setdefault(number, set())
        reached.add(name)
        if ok and not all(goal & reached for goal in goals):
            return False
        del self.reached[number]
        self.ended.add(number)
        return True


def truth_of(outputs: Sequence[Any]) -> bool | None:
    """Whether the first of some values counts as true; ``None`` where only its serializer could tell."""
    first = outputs[0] if outputs else None
    if not isinstance(first, Payload) or first.serializer != "json":
        return None
    # A value longer than this is not empty, so it is true without being read.
    return len(first.data) > 64 or bool(json.loads(first.data))
