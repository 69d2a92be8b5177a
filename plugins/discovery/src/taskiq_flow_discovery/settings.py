"""Reading the settings of the discoverer: from code, from a file, from the environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from taskiq_flow.errors import PluginError

__all__ = ["read_settings", "words"]

_LISTS = ("allow", "deny", "allow_tasks", "deny_tasks")
_KEYS = (*_LISTS, "prefix")


def read_settings(settings: Mapping[str, Any], *, texts: bool = False) -> dict[str, Any]:
    """Check settings, and return them as arguments of :class:`InstalledTasks`.

    :param settings: The settings by name; a hyphen in a name counts as an underscore.
    :param texts: Whether a text stands for a list with commas, as in the environment.
    :raises PluginError: settings are invalid; all problems are listed.
    """
    found: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in settings.items():
        name = key.replace("-", "_")
        if name not in _KEYS:
            close = get_close_matches(name, _KEYS, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else f"; there are {', '.join(map(repr, _KEYS))}"
            problems.append(f"there is no setting {key!r}{hint}")
        elif name == "prefix":
            found[name] = _prefixes(value, texts, problems)
        else:
            found[name] = _patterns(name, value, texts, problems)
    if problems:
        raise PluginError(f"settings of discoverer 'installed' cannot be used: {'; '.join(problems)}")
    return found


def words(given: Any) -> Any:
    """Return any iterable as a list; a text stays a text."""
    return list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes)) else given


def _patterns(name: str, value: Any, texts: bool, problems: list[str]) -> tuple[str, ...]:
    if texts and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        problems.append(f"{name!r} must be a list of patterns, such as ['acme-*'], found {value!r}")
        return ()
    return tuple(value)


def _prefixes(value: Any, texts: bool, problems: list[str]) -> dict[str, str]:
    if texts and isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        value = {pattern.strip(): text.strip() for pattern, _, text in parts}
    if not isinstance(value, Mapping) or not all(
        isinstance(each, str) and each for pair in value.items() for each in pair
    ):
        problems.append(
            f"'prefix' must say by distribution or source what goes before the names of its tasks, such as "
            f"{{'acme-text': 'acme.'}}, found {value!r}"
        )
        return {}
    return dict(value)
