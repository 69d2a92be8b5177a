"""Comparing distributions, sources and tasks with the patterns of allow and deny lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from attrs import frozen

from taskiq_flow.discoverer import TaskSource

__all__ = ["Renaming", "fits_source"]


def fits_source(pattern: str, source: TaskSource) -> bool:
    """Whether a pattern fits a source's name, or its distribution's in any of its spellings."""
    return fnmatchcase(source.name, pattern) or fnmatchcase(_same(source.origin.distribution), _same(pattern))


def _same(name: str) -> str:
    # Not inside brackets, where a hyphen means a range.
    return name if "[" in name else re.sub(r"[-_.]+", "-", name).lower()


@frozen(kw_only=True)
class Renaming:
    """Maps a task's name to the name for registration; ``None`` leaves the task out.

    :param prefix: The text before the name.
    :param allow: Patterns; when there are any, only names that fit one are allowed. They are compared with the name
        both without and with the prefix.
    :param deny: Patterns of names that are left out.
    """

    prefix: str = ""
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()

    def __call__(self, name: str) -> str | None:
        """Return the name for registration.

        :param name: The name that the task's author chose.
        """
        names = (name, f"{self.prefix}{name}")
        if _any_fits(self.deny, names) or (self.allow and not _any_fits(self.allow, names)):
            return None
        return names[1]


def _any_fits(patterns: Sequence[str], names: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)
