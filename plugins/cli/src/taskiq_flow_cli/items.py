"""How far the items of a map have come."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from taskiq_flow.payloads import Payload

__all__ = ["OpenMap", "truth_of"]


@define(eq=False)
class OpenMap:
    """A map that is open: one cell of a map node.

    :ivar total: How many items it has; ``None`` where that is unknown.
    :ivar done: How many of them are over.
    :ivar kept: How many are in the list that it gives, so far; ``None`` where that is unknown.
    :ivar reached: For items with several nodes: which nodes are over.
    :ivar ended: Which of these items are over.
    """

    total: int | None
    done: int = 0
    kept: int | None = 0
    reached: dict[int, set[str]] = field(factory=dict)
    ended: set[int] = field(factory=set)

    def ends(self, number: int, name: str, goals: Sequence[frozenset[str]], *, ok: bool) -> bool:
        """Whether an item is over now that a node in it is; once for each item."""
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
    """Whether the first of some values counts as true; ``None`` where that cannot be seen without its serializer."""
    first = outputs[0] if outputs else None
    if not isinstance(first, Payload) or first.serializer != "json":
        return None
    # What a predicate gives is short; whatever is longer than this is not empty.
    return len(first.data) > 64 or bool(json.loads(first.data))
