"""Settings for values: codecs, the claim check, the place for blobs and the largest size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskiq_flow.errors import PluginError
from taskiq_flow.values.sizes import DEFAULT_MAX_VALUE_BYTES, claim_check_problem, describe_size, parse_size

__all__ = ["VALUE_KEYS", "read_values", "value_problem", "values_from_environment"]

VALUE_KEYS = ("codecs", "claim_check", "blobs", "max_value_bytes")

_SIZES = ("claim_check", "max_value_bytes")
_NONE = "none"


def values_from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that are in the environment, as text or as lists of names."""
    found: dict[str, Any] = {
        key: environment[name]
        for key in ("blobs", *_SIZES)
        if environment.get(name := f"TASKIQ_FLOW_{key.upper()}")
    }
    # An empty list counts: it overrides the file.
    if (names := environment.get("TASKIQ_FLOW_CODECS")) is not None:
        found["codecs"] = [name.strip() for name in names.split(",") if name.strip()]
    return found


def value_problem(key: str, value: Any) -> str:
    """Describe what is wrong with a setting; empty when it is fine."""
    if key == "codecs":
        fine = isinstance(value, (list, tuple)) and all(isinstance(name, str) and name for name in value)
        return "" if fine else f"{key!r} must be a list of names, found {value!r}"
    if key == "blobs":
        return "" if isinstance(value, str) and value else f"{key!r} must be a URL, found {value!r}"
    try:
        size = _size(value)
    except ValueError:
        return f"{key!r} must be a number of bytes, such as 262144 or '256KiB', or 'none', found {value!r}"
    wrong = claim_check_problem(size) if key == "claim_check" else ""
    return f"{key!r} {wrong}, found {value!r}" if wrong else ""


def read_values(values: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    """Convert settings to the form that the configuration keeps.

    :param values: The given settings, by key.
    :param sources: The source of each setting, for errors.
    :raises PluginError: settings are invalid (all are listed), or they contradict each other.
    """
    found = {key: value_problem(key, value) for key, value in values.items()}
    if any(found.values()):
        raise PluginError(
            "; ".join(f"{problem} ({sources[key]})" for key, problem in found.items() if problem)
        )
    read: dict[str, Any] = {key: _size(value) if key in _SIZES else value for key, value in values.items()}
    threshold, most = read.get("claim_check"), read.get("max_value_bytes", DEFAULT_MAX_VALUE_BYTES)
    if threshold is not None and most is not None and threshold > most:
        # Only an explicit threshold is checked: with a low limit alone no value reaches the default threshold.
        raise PluginError(
            f"'claim_check' is {describe_size(threshold)} ({sources['claim_check']}) and 'max_value_bytes' is "
            f"{describe_size(most)} ({sources.get('max_value_bytes', 'default')}), so no value could ever become a "
            "blob; lower the first, raise the second, or say 'none' to keep no blobs"
        )
    return {**read, "codecs": tuple(read["codecs"])} if "codecs" in read else read


def _size(value: Any) -> int | None:
    if isinstance(value, str):
        return None if value.strip().lower() == _NONE else parse_size(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value
