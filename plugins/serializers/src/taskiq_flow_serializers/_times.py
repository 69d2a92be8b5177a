"""Moments and durations of NumPy as those of Python, for who wants these: exactly, or not at all."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from taskiq_flow.errors import PayloadError
from taskiq_flow.typed import TypedSerializer

__all__ = ["fit_times"]

# The units in which NumPy and Python mean the same, and NumPy converts exactly.
_UNITS = frozenset({"W", "D", "h", "m", "s", "ms", "us"})
_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})
_PLAIN = frozenset({str, int, float, bool, type(None), bytes})
_FINER = frozenset({"ns", "ps", "fs", "as"})


def fit_times(serializer: TypedSerializer, value: Any, type_: Any) -> Any:
    """Return a value with Python's moments and durations in place of NumPy's, unless the annotation wants these.

    :raises PayloadError: one has no exact form in Python.
    """
    if not _TimesOfNumpy.are_in(value):
        return value
    try:
        return _TimesOfNumpy(serializer.describe(type_)).convert(value)
    except ValueError as error:
        raise PayloadError(f"the value does not fit {type_}: {error}") from error


class _TimesOfNumpy:
    """Converts the moments and durations of NumPy within a value, which pydantic would take for seconds.

    :param schema: The schema of the annotation as text; what it names is left as it is.
    """

    def __init__(self, schema: str) -> None:
        self._numpy: Any = sys.modules.get("numpy")
        self._scalars = not any(
            f"numpy.{each}'" in schema for each in ("datetime64", "timedelta64", "generic")
        )
        self._arrays = "numpy.ndarray'" not in schema

    @staticmethod
    def are_in(value: Any) -> bool:
        """Whether there is a moment or duration of NumPy in plain containers."""
        numpy: Any = sys.modules.get("numpy")
        if numpy is None:
            return False
        open_ = [value]
        while open_:
            current = open_.pop()
            if isinstance(current, (numpy.datetime64, numpy.timedelta64)):
                return True
            if isinstance(current, numpy.ndarray):
                if current.dtype.kind in "mM":
                    return True
            elif type(current) in _CONTAINERS:
                insides = (current, current.values()) if type(current) is dict else (current,)
                # Most containers hold only plain values; this check needs no Python loop.
                for inside in insides:
                    if not _PLAIN.issuperset(map(type, inside)):
                        open_ += inside
        return False

    def convert(self, value: Any) -> Any:
        """Return the value with Python's moments and durations in it.

        :raises ValueError: one is finer than a microsecond, or counts months or years, of which none is a duration.
        """
        numpy, kind = self._numpy, type(value)
        if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
            return self._convert_scalar(value) if self._scalars else value
        if isinstance(value, numpy.ndarray):
            if value.dtype.kind not in "mM" or not self._arrays:
                return value
            return self._convert_array(value)
        if kind is dict:
            return {self.convert(key): self.convert(each) for key, each in value.items()}
        if kind in (list, tuple, set, frozenset):
            return kind([self.convert(each) for each in value])
        return value

    def _convert_array(self, array: Any) -> Any:
        if array.ndim == 0:
            return self._convert_scalar(array[()])
        return [self._convert_array(each) if array.ndim > 1 else self._convert_scalar(each) for each in array]

    def _convert_scalar(self, value: Any) -> Any:
        numpy = self._numpy
        if numpy.isnat(value):
            raise ValueError(f"{value!r} is no moment and no duration")
        unit, _ = numpy.datetime_data(value.dtype)
        if isinstance(value, numpy.timedelta64) and unit not in _UNITS | _FINER:
            raise ValueError(f"{value!r} is no duration, because {_describe(unit)} have no fixed length")
        if unit in _FINER:
            rough = value.astype(f"{value.dtype.kind}8[us]")
            if rough.astype(value.dtype) != value:
                raise ValueError(f"{value!r} is finer than a microsecond")
            value = rough
        found = value.item()
        if isinstance(found, int):
            raise ValueError(f"{value!r} is outside of what Python's {_python_name(value, numpy)} can be")
        if isinstance(found, timedelta) and unit in _UNITS and numpy.timedelta64(found) != value:
            raise ValueError(f"{value!r} is outside of what Python's timedelta can be")
        return found


def _describe(unit: str) -> str:
    return {"Y": "years", "M": "months"}.get(unit, "numbers without a unit")


def _python_name(value: Any, numpy: Any) -> str:
    return "timedelta" if isinstance(value, numpy.timedelta64) else "datetime"
