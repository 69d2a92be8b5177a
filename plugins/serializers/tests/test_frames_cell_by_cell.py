"""DataFrames come back cell by cell, with their types and labels, or are refused with the column."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy
import pytest

from taskiq_flow.errors import PayloadError
from taskiq_flow_serializers.arrow import ArrowSerializer

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

DAYS = pandas.date_range("2024-01-01", periods=2, freq="D", tz="Europe/Berlin")
CLEAR = pandas.DataFrame({"a": [1, 2]})


def objects(*cells: Any) -> Any:
    return pandas.DataFrame({"x": pandas.Series(cells, dtype=object)})


def with_attributes() -> Any:
    frame = CLEAR.copy()
    frame.attrs["unit"] = "m"
    return frame


@pytest.mark.parametrize(
    "frame",
    [
        CLEAR,
        pandas.DataFrame(),
        pandas.DataFrame(numpy.zeros((2, 3))),
        pandas.DataFrame({"x": [1.5, numpy.nan, -0.0, numpy.inf]}),
        pandas.DataFrame({"s": ["a", numpy.nan]}),
        objects("a", numpy.nan),
        objects("a", None),
        objects("a", "b"),
        objects(1, 2),
        objects(True, None),
        objects(b"a", None),
        objects(datetime.date(2024, 1, 1), None),
        objects(Decimal("1.5"), Decimal("2.5")),
        objects(),
        pandas.DataFrame({"x": pandas.Series(["a", None], dtype="string")}),
        pandas.DataFrame({"x": pandas.Series([1, None], dtype="Int64")}),
        pandas.DataFrame({"x": pandas.Categorical(["a", "b"], categories=["b", "a", "z"], ordered=True)}),
        pandas.DataFrame({"x": DAYS}),
        pandas.DataFrame({"x": [1, 2]}, index=DAYS),
        pandas.DataFrame({"x": pandas.to_timedelta([1, None], unit="D")}),
        pandas.DataFrame({"x": pandas.period_range("2024", periods=2, freq="M")}),
        pandas.DataFrame(
            [[1, 2]], columns=pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", "n"])
        ),
        pandas.DataFrame({"x": [1, 2]}, index=pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
        pandas.DataFrame({10: [1], 20: [2]}),
        CLEAR[CLEAR["a"] > 1],
        with_attributes(),
    ],
    ids=range(26),
)
def test_a_frame_of_pandas_comes_back(frame: Any) -> None:
    arrow = ArrowSerializer()
    found = arrow.loads(arrow.dumps(frame), pandas.DataFrame)
    assert found.equals(frame)
    assert list(found.dtypes) == list(frame.dtypes)
    for one, other in ((found.index, frame.index), (found.columns, frame.columns)):
        assert one.equals(other)
        assert (one.dtype, list(one.names)) == (other.dtype, list(other.names))
    assert [list(map(type, column)) for _, column in found.items()] == [
        list(map(type, column)) for _, column in frame.items()
    ]
    assert found.attrs == frame.attrs


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (
            objects(2**53 + 1, None),
            "column 'x' holds Python objects that would come back changed: 9007199254740993",
        ),
        (
            objects({"a": 1}, {"b": 2}),
            "column 'x' holds Python objects that would come back changed: {'a': 1} (dict)",
        ),
        (objects([1], [2]), "[1] (list) as array([1]) (ndarray)"),
        (objects((1, 2), (3,)), "(1, 2) (tuple) as array([1, 2]) (ndarray)"),
        (objects("a", None, numpy.nan), "column 'x' holds Python objects that would come back changed"),
        (pandas.DataFrame({0: [1], "a": [2]}), "its columns would come back changed"),
        (pandas.DataFrame({"x": pandas.cut([1, 2, 3], 2)}), "it could not be read back"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "uplicate column names"),
        (
            pandas.DataFrame({"x": [1]}, index=pandas.Index([5], name="__index_level_0__")),
            "its index would come back",
        ),
        (
            polars.DataFrame({"x": [frozenset({1})]}, schema={"x": polars.Object}),
            "column 'x' of Object holds Python",
        ),
    ],
    ids=range(10),
)
def test_a_frame_that_would_come_back_changed_is_refused(frame: Any, said: str) -> None:
    with pytest.raises(PayloadError) as caught:
        ArrowSerializer().dumps({"frames": [frame]})
    assert "type DataFrame (at result['frames'][0]) as arrow: " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "frame",
    [
        polars.DataFrame(),
        polars.DataFrame({"a": [1, None], "s": ["x", None], "f": [1.5, float("nan")]}),
        polars.DataFrame({"x": polars.Series(["a", "b"], dtype=polars.Categorical)}),
        polars.DataFrame({"x": polars.Series(["a", "b"], dtype=polars.Enum(["b", "a"]))}),
        polars.DataFrame(
            {"d": [Decimal("1.10")], "t": [datetime.time(1)], "l": [[1, None]], "r": [{"a": 1}]}
        ),
        polars.DataFrame({"x": polars.Series([1], dtype=polars.Duration("ns"))}),
    ],
    ids=range(6),
)
def test_a_frame_of_polars_comes_back(frame: Any) -> None:
    arrow = ArrowSerializer()
    found = arrow.loads(arrow.dumps(frame), polars.DataFrame)
    assert found.equals(frame)
    assert found.schema == frame.schema
