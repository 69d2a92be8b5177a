"""Which implementation is selected on each axis, and which plugins are blocked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from taskiq_flow.errors import PluginError
from taskiq_flow.graph._words import Suggestions, quoted

__all__ = ["FlowConfig"]

_SELECTIONS = ("store", "scheduler", "serializer", "retry")
_KEYS = (*_SELECTIONS, "block")


@frozen(kw_only=True)
class FlowConfig:
    """What was configured, whoever said it.

    :param store: The URL of the store.
    :param scheduler: The name of the scheduler.
    :param serializer: The name of the serializer.
    :param retry: The name of the retry policy.
    :param blocked: Plugins that are not loaded, by their own name or by that of their distribution.
    :param sources: For each setting that is not a default, who said it, for people.
    """

    store: str = "memory://"
    scheduler: str = "fifo"
    serializer: str = "json"
    retry: str = "none"
    blocked: frozenset[str] = frozenset()
    sources: Mapping[str, str] = field(factory=dict, eq=False)

    @classmethod
    def load(
        cls,
        *,
        store: str | None = None,
        scheduler: str | None = None,
        serializer: str | None = None,
        retry: str | None = None,
        blocked: Iterable[str] | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> FlowConfig:
        """Take each setting from the first that has it: argument, environment, file, default.

        The environment has ``TASKIQ_FLOW_STORE``, ``…_SCHEDULER``, ``…_SERIALIZER``, ``…_RETRY`` and ``…_BLOCK`` (names
        with commas between them); the file is the nearest ``pyproject.toml``, and in it ``[tool.taskiq-flow]``.

        :param store: The URL of the store.
        :param scheduler: The name of the scheduler.
        :param serializer: The name of the serializer.
        :param retry: The name of the retry policy.
        :param blocked: Plugins to block; takes the place of what environment and file say.
        :param environment: What to read instead of the process's environment.
        :param directory: Where to begin looking for the file, instead of the working directory.
        :raises PluginError: the file cannot be read, or has settings that do not exist.
        """
        if isinstance(blocked, str):
            raise PluginError(f"blocked is a list of names, found the text {blocked!r}; write [{blocked!r}]")
        given = (store, scheduler, serializer, retry, blocked)
        layers: tuple[tuple[str, Mapping[str, Any]], ...] = (
            ("argument", dict(zip(_KEYS, given, strict=True))),
            ("environment", _from_environment(os.environ if environment is None else environment)),
            _from_file(directory),
        )
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for key in _KEYS:
            for source, settings in layers:
                if settings.get(key) is not None:
                    values[key], sources[key] = settings[key], source
                    break
        block = frozenset(values.pop("block", ()))
        return cls(**values, blocked=block, sources=sources)


def _from_environment(environment: Mapping[str, str]) -> Mapping[str, Any]:
    settings: dict[str, Any] = {
        key: environment[name] for key in _SELECTIONS if environment.get(name := f"TASKIQ_FLOW_{key.upper()}")
    }
    # An empty list is a statement too: block nothing, whatever the file says.
    if (names := environment.get("TASKIQ_FLOW_BLOCK")) is not None:
        settings["block"] = [name.strip() for name in names.split(",") if name.strip()]
    return settings


def _from_file(directory: Path | None) -> tuple[str, Mapping[str, Any]]:
    path = _nearest(directory)
    if path is None:
        return "", {}
    try:
        text = path.read_text(encoding="utf-8")
        # Most projects say nothing to us, and their files need no parsing.
        tool = _parsed(text).get("tool", {}) if "taskiq-flow" in text else {}
    except (OSError, ValueError) as error:
        raise PluginError(f"cannot read [tool.taskiq-flow] of {path}: {error}") from error
    table = tool.get("taskiq-flow", {}) if isinstance(tool, dict) else tool
    if problems := _problems(table):
        raise PluginError(f"[tool.taskiq-flow] of {path} cannot be used: {'; '.join(problems)}")
    return str(path), table


def _nearest(directory: Path | None) -> Path | None:
    try:
        start = (directory or Path.cwd()).absolute()
    except OSError:
        # The working directory was deleted: there is no file above it either.
        return None
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            return path
    return None


def _parsed(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    table: dict[str, Any] = tomllib.loads(text)
    return table


def _problems(table: Any) -> list[str]:
    if not isinstance(table, dict):
        return [f"expected a table, found {type(table).__name__}"]
    problems = []
    for key, value in table.items():
        if key not in _KEYS:
            hint = Suggestions(_KEYS).hint(key) or f"; there are {quoted(_KEYS)}"
            problems.append(f"there is no setting {key!r}{hint}")
        elif key == "block":
            if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
                problems.append(f"'block' must be a list of names, found {value!r}")
        elif not isinstance(value, str) or not value:
            problems.append(f"{key!r} must be a name, found {value!r}")
    return problems
