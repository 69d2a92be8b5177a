"""Known-bad serializers, each caught by the kit."""

from __future__ import annotations

import json as standard_json
import pickle
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest

from fake_distributions import alone  # noqa: F401 - a fixture
from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.testing import (
    check_serializer,
)


class Bad(JsonSerializer):
    name: ClassVar[str] = "bad"


class LosesTypes(Bad):
    def loads(self, data: bytes, type_: Any = Any) -> Any:
        return super().loads(data)


class GivesText(Bad):
    def dumps(self, value: Any) -> Any:
        return super().dumps(value).decode()


class LosesFalse(Bad):
    def loads(self, data: bytes, type_: Any = Any) -> Any:
        return super().loads(data, type_) or None


class KeepsOrderOfSets(Bad):
    def dumps(self, value: Any) -> bytes:
        return super().dumps(standard(value))


def standard(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, dict):
        return {key: standard(each) for key, each in value.items()}
    if isinstance(value, list):
        return [standard(each) for each in value]
    return value


class Shares(Bad):
    def __init__(self) -> None:
        super().__init__()
        self.read: dict[Any, Any] = {}

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        key = (data, str(type_))
        if key not in self.read:
            self.read[key] = super().loads(data, type_)
        return self.read[key]


class RaisesOthers(Bad):
    def dumps(self, value: Any) -> bytes:
        try:
            return super().dumps(value)
        except PayloadError as error:
            raise TypeError(str(error)) from None


class NamesNothing(Bad):
    def dumps(self, value: Any) -> bytes:
        try:
            return super().dumps(value)
        except PayloadError:
            raise PayloadError("it cannot be encoded") from None


class WritesText(Bad):
    def dumps(self, value: Any) -> bytes:
        try:
            return super().dumps(value)
        except PayloadError:
            return standard_json.dumps(str(value)).encode()


class LosesNumbers(Bad):
    def dumps(self, value: Any) -> bytes:
        return super().dumps(None if value != value else value)


class Trusts(Bad):
    def loads(self, data: bytes, type_: Any = Any) -> Any:
        try:
            return super().loads(data, type_)
        except PayloadError:
            if data[:1] == b"\x80" or data[:1] == b"c":
                return pickle.loads(data)
            raise


class Forgives(Bad):
    def loads(self, data: bytes, type_: Any = Any) -> Any:
        try:
            return super().loads(data, type_)
        except PayloadError:
            return super().loads(data)


class ReadsHalf(Bad):
    def loads(self, data: bytes, type_: Any = Any) -> Any:
        half = data[: len(data) // 2]
        try:
            return super().loads(data, type_)
        except PayloadError:
            if half * 2 == data:
                return super().loads(half, type_)
            raise


class SplitsAnything(Bad):
    def split(self, data: bytes) -> list[bytes]:
        return [self.dumps(each) for each in (self.loads(data) or [])]


class LosesOne(Bad):
    def join(self, parts: Iterable[bytes]) -> bytes:
        return super().join(list(parts)[:40])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (GivesText, "dumps() must give bytes, found str"),
        (LosesFalse, "False must come back as it was, found None"),
        (LosesTypes, "must come back by the annotation"),
        (KeepsOrderOfSets, "two equal sets were written as"),
        (Shares, "two readings of one payload must share nothing"),
        (RaisesOthers, "must be refused with a PayloadError; found TypeError"),
        (NamesNothing, "the error must name the type Unencodable"),
        (WritesText, "what cannot be written must be refused"),
        (LosesNumbers, "the value nan must survive"),
        (Forgives, "read as <class 'int'> must be refused"),
        (ReadsHalf, "which is damaged, must be refused"),
        (Trusts, "loads() ran code that was in the data"),
        (SplitsAnything, "split() of {'a': 1}, which is no list, must be refused"),
        (LosesOne, "join() must give the list"),
    ],
)
def test_a_bad_serializer_is_caught(bad: type[Serializer], said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_serializer(bad())
    assert said in str(caught.value)
