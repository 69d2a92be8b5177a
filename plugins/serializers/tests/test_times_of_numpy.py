"""NumPy's moments and durations for who wants Python's: exact, or refused; never taken for seconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import numpy
import pytest
from pydantic import BaseModel

from taskiq_flow.errors import PayloadError
from taskiq_flow.typed import TypedSerializer
from taskiq_flow_serializers.numpy import NumpySerializer
from taskiq_flow_serializers.pickle import PickleSerializer

SERIALIZERS = [NumpySerializer(), PickleSerializer("a secret of the tests")]
both = pytest.mark.parametrize("serializer", SERIALIZERS, ids=["numpy", "pickle"])


class Span(BaseModel):
    at: datetime
    gap: timedelta


@dataclasses.dataclass
class Gaps:
    gaps: numpy.ndarray
    longest: timedelta


@both
@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (numpy.timedelta64(90, "s").astype("m8[ns]"), timedelta, timedelta(seconds=90)),
        (numpy.timedelta64(3, "W"), timedelta, timedelta(weeks=3)),
        (numpy.datetime64("2024-05-01T12:00", "ns"), datetime, datetime(2024, 5, 1, 12)),
        (numpy.datetime64("2024-05-01"), date, date(2024, 5, 1)),
        (numpy.datetime64("2024-05", "M"), datetime, datetime(2024, 5, 1)),
        (
            numpy.array([90, 0], "m8[s]").astype("m8[ns]"),
            list[timedelta],
            [timedelta(seconds=90), timedelta(0)],
        ),
        (numpy.array([[1]], "M8[D]"), list[list[date]], [[date(1970, 1, 2)]]),
        ({"at": numpy.datetime64(1, "us"), "gap": numpy.timedelta64(2000, "ns")}, Span, None),
        (numpy.array(["2024-01-01"], "M8[ns]"), numpy.ndarray, numpy.array(["2024-01-01"], "M8[ns]")),
    ],
)
def test_they_become_pythons_where_these_are_wanted(
    serializer: TypedSerializer, value: Any, annotation: Any, expected: Any
) -> None:
    if annotation is Span:
        expected = Span(at=datetime(1970, 1, 1, 0, 0, 0, 1), gap=timedelta(microseconds=2))
    found = serializer.loads(serializer.dumps(value), annotation)
    assert type(found) is type(expected)
    assert bool(numpy.all(found == expected))


@both
@pytest.mark.parametrize(
    ("value", "annotation", "said"),
    [
        (numpy.timedelta64(3, "M"), timedelta, "months have no fixed length"),
        (numpy.timedelta64(1, "ns"), timedelta, "finer than a microsecond"),
        (numpy.datetime64("NaT", "s"), datetime, "no moment and no duration"),
        ([numpy.datetime64(10**18, "s")], list[datetime], "outside of what Python's datetime can be"),
        (
            {"at": numpy.datetime64(1, "us"), "gap": numpy.timedelta64(1, "Y")},
            Span,
            "years have no fixed length",
        ),
    ],
)
def test_what_has_no_exact_form_is_refused(
    serializer: TypedSerializer, value: Any, annotation: Any, said: str
) -> None:
    with pytest.raises(PayloadError, match="does not fit") as caught:
        serializer.loads(serializer.dumps(value), annotation)
    assert said in str(caught.value)


def test_arrays_beside_pythons_durations_stay_arrays() -> None:
    serializer = NumpySerializer()
    write: Callable[[Any], bytes] = serializer.dumps
    value = Gaps(numpy.array([1], "m8[ns]"), timedelta(1))
    found = serializer.loads(write(value), Gaps)
    assert (found.gaps.dtype, found.longest) == (value.gaps.dtype, timedelta(1))
