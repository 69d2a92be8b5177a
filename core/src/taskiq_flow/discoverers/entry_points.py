"""Tasks of installed distributions, found by their entry points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from taskiq_flow.discoverer import Discoverer, TaskOrigin, TaskSource

__all__ = ["GROUP", "EntryPointDiscoverer"]

GROUP = "taskiq_flow.tasks"


class EntryPointDiscoverer(Discoverer):
    """Lists the entry points of the group ``taskiq_flow.tasks``; imports nothing before a source is loaded."""

    name: ClassVar[str] = "entry-points"

    def find(self) -> Sequence[TaskSource]:
        """Give one source for each entry point, by name; a distribution that cannot be read is logged."""
        from taskiq_flow.plugins.metadata import installed

        return [
            TaskSource(
                name=each.name,
                origin=TaskOrigin(distribution=each.distribution, version=each.version, target=each.target),
                load=each.entry_point.load,
            )
            for each in installed(GROUP)
        ]
