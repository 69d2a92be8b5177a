"""DataFrames of pandas and of polars as Arrow tables from which the same frames come back, cell by cell."""

from __future__ import annotations

import json
import math
import sys
import warnings
from typing import Any

__all__ = ["from_frame", "is_frame", "to_pandas"]

_OBJECT = "object"
# In the metadata of a table: which columns hold objects although Arrow has a type for them, and in which of those a
# missing cell is NaN and not None.
_KEY = b"taskiq_flow"


def is_frame(value: Any) -> bool:
    """Whether a value is a DataFrame of pandas or polars."""
    return _is_of("pandas", value) or _is_of("polars", value)


def from_frame(arrow: Any, frame: Any) -> Any:
    """Return a frame as a table.

    :param arrow: The module ``pyarrow``.
    :raises Exception: the table would not come back as the same frame.
    """
    if _is_of("pandas", frame):
        return _from_pandas(arrow, frame)
    return _from_polars(frame)


def to_pandas(table: Any) -> Any:
    """Return a table as a DataFrame of pandas."""
    frame = table.to_pandas()
    noted = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    for place, missing in noted.get("objects", ()):
        column = frame.iloc[:, place].astype(_OBJECT)
        frame.isetitem(place, column.where(column.notna(), math.nan if missing == "nan" else None))
    return frame


def _from_pandas(arrow: Any, frame: Any) -> Any:
    pandas: Any = sys.modules["pandas"]
    if type(frame) is not pandas.DataFrame:
        raise TypeError("only the DataFrame in it would come back; give pandas.DataFrame of it")
    with warnings.catch_warnings():
        # It warns of names of columns that it changes; that is found below.
        warnings.simplefilter("ignore")
        table = arrow.Table.from_pandas(frame)
    try:
        found = to_pandas(table)
        objects = [
            (place, "nan" if _misses_by_nan(frame.iloc[:, place]) else "none")
            for place, dtype in enumerate(frame.dtypes)
            if dtype == _OBJECT
        ]
        noted = [each for each in objects if each[1] == "nan" or found.dtypes.iloc[each[0]] != _OBJECT]
        if noted:
            note = json.dumps({"objects": noted}).encode()
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: note})
            found = to_pandas(table)
    except Exception as error:
        raise TypeError(f"it could not be read back: {error}") from error
    for what, one, other in (("columns", frame.columns, found.columns), ("index", frame.index, found.index)):
        _compare_labels(what, one, other)
    for place, name in enumerate(frame.columns):
        _compare_columns(name, frame.iloc[:, place], found.iloc[:, place])
    if frame.attrs != found.attrs:
        raise TypeError("its attrs would come back changed; give them beside it")
    return table


def _misses_by_nan(column: Any) -> bool:
    missing = column[column.isna()]
    return len(missing) > 0 and all(type(cell) is float for cell in missing.tolist())


def _compare_labels(what: str, labels: Any, found: Any) -> None:
    same = (
        labels.dtype == found.dtype
        and list(labels.names) == list(found.names)
        and labels.equals(found)
        and _find_change(labels.tolist(), found.tolist()) is None
    )
    if not same:
        raise TypeError(f"its {what} would come back changed: {_shorten(labels)} as {_shorten(found)}")


def _compare_columns(name: Any, column: Any, found: Any) -> None:
    if column.dtype != found.dtype:
        raise TypeError(f"column {name!r} of {column.dtype} would come back as {found.dtype}")
    if column.dtype == _OBJECT:
        change = _find_change(column.tolist(), found.tolist())
        if change is not None:
            before, after = change
            raise TypeError(
                f"column {name!r} holds Python objects that would come back changed: {_shorten(before)} "
                f"({type(before).__name__}) as {_shorten(after)} ({type(after).__name__})"
            )
    elif not column.equals(found):
        raise TypeError(f"column {name!r} of {column.dtype} would come back changed")


def _find_change(cells: list[Any], found: list[Any]) -> tuple[Any, Any] | None:
    """Return the first cell that differs, and what it would become."""
    for cell, other in zip(cells, found, strict=True):
        if cell is not other and not _is_same(cell, other):
            return cell, other
    return None


def _is_same(cell: Any, other: Any) -> bool:
    if type(cell) is not type(other):
        return False
    if isinstance(cell, dict):
        return list(cell) == list(other) and all(_is_same(cell[key], other[key]) for key in cell)
    if isinstance(cell, (list, tuple)):
        return len(cell) == len(other) and all(map(_is_same, cell, other))
    if isinstance(cell, float) and math.isnan(cell):
        return math.isnan(other)
    try:
        return bool(cell == other)
    except Exception:  # noqa: BLE001 - arrays in cells have no single answer
        return False


def _from_polars(frame: Any) -> Any:
    polars: Any = sys.modules["polars"]
    if type(frame) is not polars.DataFrame:
        raise TypeError("only the DataFrame in it would come back; give polars.DataFrame of it")
    for name, kind in frame.schema.items():
        if "Object" in str(kind):
            raise TypeError(
                f"column {name!r} of {kind} holds Python objects, which only a pickle could carry"
            )
    table = frame.to_arrow()
    found = polars.DataFrame(table)
    for name, kind in frame.schema.items():
        if found.schema.get(name) != kind:
            raise TypeError(f"column {name!r} of {kind} would come back as {found.schema.get(name)}")
    if not frame.equals(found):
        raise TypeError("some of its cells would come back changed")
    return table


def _is_of(package: str, value: Any) -> bool:
    # A package that is not imported has no values.
    found = getattr(sys.modules.get(package), "DataFrame", None)
    return isinstance(found, type) and isinstance(value, found)


def _shorten(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}…"
