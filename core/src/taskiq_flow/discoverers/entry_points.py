"""Tasks of installed distributions, found by their entry points."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from taskiq_flow.discoverer import Discoverer, Origin, TaskSource
from taskiq_flow.errors import PluginError

__all__ = ["GROUP", "EntryPointDiscoverer"]

GROUP = "taskiq_flow.tasks"

_FORM = re.compile(r"\w[\w.]*(\s*:\s*\w[\w.]*)?\s*(\[.*\])?\s*")


class EntryPointDiscoverer(Discoverer):
    """Lists the entry points of the group ``taskiq_flow.tasks``; imports nothing before a source is loaded."""

    name: ClassVar[str] = "entry-points"

    def find(self) -> Sequence[TaskSource]:
        """Return one source for each entry point, ordered by name; an unreadable distribution is logged."""
        from taskiq_flow._metadata import find_entry_points

        return [
            TaskSource(
                name=each.name,
                origin=Origin(distribution=each.distribution, version=each.version, target=each.target),
                load=partial(_load, each.entry_point),
            )
            for each in find_entry_points(GROUP)
        ]


def _load(entry_point: Any) -> Any:
    if not _FORM.fullmatch(entry_point.value):
        raise PluginError(
            f"{entry_point.value!r} names nothing that could be imported; write module or module:object"
        )
    return entry_point.load()
