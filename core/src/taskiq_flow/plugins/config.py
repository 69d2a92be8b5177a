"""Configuration: the selected implementation on each axis, and the blocked plugins."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from taskiq_flow._logs import open_log
from taskiq_flow._words import find_lookalike
from taskiq_flow.errors import PluginError
from taskiq_flow.plugins.value_settings import VALUE_KEYS, read_values, value_problem, values_from_environment
from taskiq_flow.values.sizes import DEFAULT_CLAIM_CHECK, DEFAULT_MAX_VALUE_BYTES

__all__ = ["FlowConfig"]

_SELECTIONS = ("store", "scheduler", "serializer", "retry", "discoverer")
_KEYS = (*_SELECTIONS, "block", "tasks", *VALUE_KEYS)
_PREFIX = "TASKIQ_FLOW_"
_TASKS = "TASKIQ_FLOW_TASKS_"
_VARIABLES = tuple(f"{_PREFIX}{key.upper()}" for key in _KEYS if key != "tasks")
_WARNED: set[str] = set()

logger = open_log("taskiq_flow")


@frozen(kw_only=True)
class FlowConfig:
    """Settings from arguments, environment and file; ``None`` where none of them has one.

    :meth:`Plugins.selection` fills such gaps, because it knows which plugins are installed.

    :param store: The URL of the store.
    :param scheduler: The name of the scheduler.
    :param serializer: The name of the serializer.
    :param retry: The name of the retry policy.
    :param retry_options: Options of the retry policy, for tasks and pipelines without options of their own.
    :param discoverer: The name of the discoverer of tasks.
    :param tasks: Settings of the discoverer.
    :param codecs: The names of the codecs behind the serializer, in order.
    :param claim_check: Bytes above which a value becomes a blob; ``None`` for never.
    :param blobs: The URL of the place for blobs; ``None`` for the store itself.
    :param max_value_bytes: The largest size of a value in bytes; ``None`` for no limit.
    :param blocked: Plugins that are not loaded, by their own name or by that of their distribution.
    :param sources: The source of each setting that is not a default, for people.
    """

    store: str | None = None
    scheduler: str | None = None
    serializer: str | None = None
    retry: str | None = None
    retry_options: Mapping[str, Any] | None = field(default=None, hash=False)
    discoverer: str | None = None
    tasks: Mapping[str, Any] = field(factory=dict, hash=False)
    codecs: tuple[str, ...] = ()
    claim_check: int | None = DEFAULT_CLAIM_CHECK
    blobs: str | None = None
    max_value_bytes: int | None = DEFAULT_MAX_VALUE_BYTES
    blocked: frozenset[str] = frozenset()
    sources: Mapping[str, str] = field(factory=dict, eq=False)

    @classmethod
    def load(
        cls,
        *,
        store: str | None = None,
        scheduler: str | None = None,
        serializer: str | None = None,
        retry: str | Mapping[str, Any] | None = None,
        discoverer: str | None = None,
        blocked: Iterable[str] | None = None,
        codecs: Iterable[str] | None = None,
        claim_check: int | str | None = None,
        blobs: str | None = None,
        max_value_bytes: int | str | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> FlowConfig:
        """Take each setting from the first source that has it: argument, environment, file.

        The file is the nearest ``pyproject.toml``; its table is ``[tool.taskiq-flow]``. The environment has
        ``TASKIQ_FLOW_STORE``, ``…_SCHEDULER``, ``…_SERIALIZER``, ``…_RETRY``, ``…_DISCOVERER`` and ``…_BLOCK`` (names
        with commas between them). ``…_TASKS_NAME`` overrides one setting of the discoverer from the file's table
        ``tasks``. ``…_CODECS`` (names with commas between them), ``…_CLAIM_CHECK``, ``…_BLOBS`` and
        ``…_MAX_VALUE_BYTES`` are about values; sizes are numbers of bytes, such as ``262144`` or ``256KiB``, or
        ``none``. ``retry`` is a name or a table of options (in the environment: a JSON object); the option ``policy``
        names the policy.

        :param store: The URL of the store.
        :param scheduler: The name of the scheduler.
        :param serializer: The name of the serializer.
        :param retry: The name of the retry policy, or options for it.
        :param discoverer: The name of the discoverer of tasks.
        :param blocked: Plugins to block, instead of those that environment and file name.
        :param codecs: The names of the codecs, in order.
        :param claim_check: Bytes above which a value becomes a blob, 4 KiB at least, or ``none`` for never.
        :param blobs: The URL of the place for blobs.
        :param max_value_bytes: The largest size of a value in bytes, or ``none`` for no limit.
        :param environment: The environment to read instead of the process's own.
        :param directory: The first directory to search for the file, instead of the working directory.
        :raises PluginError: environment or file cannot be read, or the file has settings that do not exist.
        """
        if isinstance(blocked, str):
            raise PluginError(f"blocked is a list of names, found the text {blocked!r}; write [{blocked!r}]")
        if isinstance(retry, Mapping) and (wrong := _policy_problem(retry)):
            raise PluginError(f"retry cannot be used: {wrong}")
        names = None if codecs is None else list(codecs)
        carried = (names, claim_check, blobs, max_value_bytes)
        given = (store, scheduler, serializer, retry, discoverer, blocked, None, *carried)
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
        for key in _SELECTIONS:
            if not isinstance(values.get(key, ""), (str, Mapping) if key == "retry" else str):
                raise PluginError(f"{key!r} must be a text, found {values[key]!r} ({sources[key]})")
        block = frozenset(values.pop("block", ()))
        # Merged one by one, unlike the others: the environment adds a setting, or overrides one of the file.
        values["tasks"] = {
            key: value for _, layer in reversed(layers) for key, value in (layer.get("tasks") or {}).items()
        }
        if isinstance(values.get("retry"), Mapping):
            options = dict(values.pop("retry"))
            values |= {"retry": options.pop("policy", None), "retry_options": options}
        values |= read_values({key: values[key] for key in VALUE_KEYS if key in values}, sources)
        return cls(**values, blocked=block, sources=sources)


def _from_environment(environment: Mapping[str, str]) -> Mapping[str, Any]:
    _warn_of_variables(environment)
    settings: dict[str, Any] = {
        key: environment[name] for key in _SELECTIONS if environment.get(name := f"TASKIQ_FLOW_{key.upper()}")
    }
    if settings.get("retry", "").lstrip().startswith("{"):
        settings["retry"] = _options(settings["retry"])
    # An empty list counts: it blocks nothing, whatever the file says.
    if (names := environment.get("TASKIQ_FLOW_BLOCK")) is not None:
        settings["block"] = [name.strip() for name in names.split(",") if name.strip()]
    tasks = {
        name[len(_TASKS) :].lower(): text for name, text in environment.items() if name.startswith(_TASKS)
    }
    settings |= values_from_environment(environment)
    return {**settings, "tasks": tasks} if tasks else settings


def _warn_of_variables(environment: Mapping[str, str]) -> None:
    """Warn of misspelt variables; any other one may be that of a plugin."""
    for name in environment:
        if name.startswith(_PREFIX) and not name.startswith(_TASKS) and name not in _VARIABLES:
            meant = find_lookalike(
                name.removeprefix(_PREFIX), (each.removeprefix(_PREFIX) for each in _VARIABLES)
            )
            if meant:
                _warn(f"environment variable {name}", _PREFIX + meant)


def _warn_of_tables(path: Path, tool: Any) -> None:
    for name in tool if isinstance(tool, dict) else ():
        if name != "taskiq-flow" and find_lookalike(name, ("taskiq-flow",)):
            _warn(f"[tool.{name}] of {path}", "[tool.taskiq-flow]")


def _warn(what: str, meant: str) -> None:
    """Warn once of a word that looks like a setting and is none."""
    if what not in _WARNED:
        _WARNED.add(what)
        logger.warning("%s is not read by anything here; write %s", what, meant)


def _options(text: str) -> Mapping[str, Any]:
    try:
        options: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise PluginError(
            f"TASKIQ_FLOW_RETRY is {text!r}, which is no JSON object ({error}); "
            """write a name, or options such as {"max_retries": 3}"""
        ) from error
    if wrong := _policy_problem(options):
        raise PluginError(f"TASKIQ_FLOW_RETRY cannot be used: {wrong}")
    return options


def _policy_problem(options: Mapping[str, Any]) -> str:
    name = options.get("policy", "standard")
    return "" if isinstance(name, str) and name else f"'policy' of 'retry' must be a name, found {name!r}"


def _from_file(directory: Path | None) -> tuple[str, Mapping[str, Any]]:
    path = _nearest(directory)
    if path is None:
        return "", {}
    try:
        text = path.read_text(encoding="utf-8")
        # Most projects have no settings for Taskiq-Flow, and their files need no parsing.
        tool = _parse(text).get("tool", {}) if "taskiq" in text.casefold() else {}
    except (OSError, ValueError) as error:
        raise PluginError(f"cannot read [tool.taskiq-flow] of {path}: {error}") from error
    _warn_of_tables(path, tool)
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


def _parse(text: str) -> dict[str, Any]:
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
            from taskiq_flow._words import Suggestions, quote

            hint = Suggestions(_KEYS).hint(key) or f"; there are {quote(_KEYS)}"
            problems.append(f"there is no setting {key!r}{hint}")
        elif key == "block":
            if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
                problems.append(f"'block' must be a list of names, found {value!r}")
        elif key == "tasks":
            if not isinstance(value, dict):
                problems.append(f"'tasks' must be a table of settings, found {value!r}")
        elif key in VALUE_KEYS:
            if wrong := value_problem(key, value):
                problems.append(wrong)
        elif key == "retry" and isinstance(value, dict):
            if wrong := _policy_problem(value):
                problems.append(wrong)
        elif not isinstance(value, str) or not value:
            problems.append(f"{key!r} must be a name, found {value!r}")
    return problems
