"""A failure is a value like any other: tasks take it where their annotation has a place for it."""

from __future__ import annotations

from typing import Any, Union

import pytest
from pydantic import BaseModel

from taskiq_flow import Failure
from taskiq_flow.machine.wire import decode_failure, encode_failure
from taskiq_flow.payloads import FailureKind
from taskiq_flow.serializers.json import JsonSerializer

FAILURE = Failure(
    kind=FailureKind.EXCEPTION,
    message="2 of 3 failed",
    type="builtins:ExceptionGroup",
    traceback="Traceback …",
    args=("of", 3),
    attributes={"code": 3},
    notes=("at noon",),
    members=(Failure(kind=FailureKind.EXCEPTION, message="no", type="builtins:ValueError"),),
    cell="tracks[3]/features",
    attempt=2,
)


class Track(BaseModel):
    message: str


@pytest.mark.parametrize("other", [int, str, Track, list[int]], ids=str)
def test_a_failure_is_read_beside_other_values(other: Any) -> None:
    serializer = JsonSerializer()
    data = serializer.dumps([FAILURE])
    assert serializer.loads(data, list[Union[other, Failure]]) == [FAILURE]
    assert serializer.loads(data, list[Union[Failure, other]]) == [FAILURE]


def test_a_failure_with_members_is_written_and_read() -> None:
    assert decode_failure(encode_failure(FAILURE)) == FAILURE


def test_a_value_is_no_failure() -> None:
    serializer = JsonSerializer()
    assert serializer.loads(serializer.dumps([7]), list[Union[int, Failure]]) == [7]
