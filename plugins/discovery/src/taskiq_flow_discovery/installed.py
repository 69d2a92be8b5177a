"""Tasks of installed distributions, filtered and renamed by the settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from attrs import evolve
from typing_extensions import Self

from taskiq_flow.discoverer import Discoverer, TaskSource
from taskiq_flow.discoverers import EntryPointDiscoverer
from taskiq_flow_discovery.patterns import Renaming, fits_source
from taskiq_flow_discovery.settings import read_settings, words

__all__ = ["InstalledTasks"]


class InstalledTasks(Discoverer):
    """Lists the allowed entry points of the group ``taskiq_flow.tasks``.

    Patterns work like a shell's for file names (``acme-*``). A source that is not allowed is never imported.

    :param allow: Patterns of distributions, or of sources by their name; when there are any, only these are allowed.
    :param deny: Patterns of distributions or sources to leave out; overrides ``allow``.
    :param allow_tasks: Patterns of task names; when there are any, no other task is registered.
    :param deny_tasks: Patterns of task names to leave out; overrides ``allow_tasks``.
    :param prefix: The text before the names of tasks, by the pattern of a distribution or a source; the first that
        fits counts.
    :raises PluginError: arguments have a wrong type; all of them are listed.
    """

    name: ClassVar[str] = "installed"
    preferred: ClassVar[bool] = True

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        allow_tasks: Iterable[str] = (),
        deny_tasks: Iterable[str] = (),
        prefix: Mapping[str, str] | None = None,
    ) -> None:
        given = {"allow": allow, "deny": deny, "allow_tasks": allow_tasks, "deny_tasks": deny_tasks}
        settings = read_settings(
            {**{key: words(value) for key, value in given.items()}, "prefix": prefix or {}}
        )
        self._allow: Sequence[str] = settings["allow"]
        self._deny: Sequence[str] = settings["deny"]
        self._allow_tasks: Sequence[str] = settings["allow_tasks"]
        self._deny_tasks: Sequence[str] = settings["deny_tasks"]
        self._prefix: Mapping[str, str] = settings["prefix"]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Make a discoverer from ``[tool.taskiq-flow.tasks]`` and the environment.

        In the environment, lists have commas between their words, and a prefix is written ``acme-text=acme.``.

        :raises PluginError: settings are unknown, or values have a wrong type; all of them are listed.
        """
        return cls(**read_settings(settings, texts=True))

    def find(self) -> Sequence[TaskSource]:
        """Return the allowed sources, by name; reads metadata only."""
        return [
            evolve(source, rename=self._renaming(source))
            for source in EntryPointDiscoverer().find()
            if self._lets_in(source)
        ]

    def _lets_in(self, source: TaskSource) -> bool:
        if any(fits_source(pattern, source) for pattern in self._deny):
            return False
        return not self._allow or any(fits_source(pattern, source) for pattern in self._allow)

    def _renaming(self, source: TaskSource) -> Renaming:
        fitting = (text for pattern, text in self._prefix.items() if fits_source(pattern, source))
        return Renaming(prefix=next(fitting, ""), allow=self._allow_tasks, deny=self._deny_tasks)
