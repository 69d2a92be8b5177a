"""Known-bad serializers, each caught by the kit."""

from __future__ import annotations

import base64
import hmac
import json as standard_json
import os
import pickle
import threading
import unicodedata
import zlib
from collections.abc import Iterable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from pydantic import TypeAdapter

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.testing import check_serializer
from taskiq_flow.testing.serializers import check_safety

pytestmark = pytest.mark.usefixtures("alone")


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


class Asynchronous(Bad):
    async def dumps(self, value: Any) -> bytes:  # type: ignore[override]
        return super().dumps(value)


class Chained(Bad):
    name: ClassVar[str] = "bad+fast"


class Stamps(Bad):
    """Writes when it was written."""

    count: ClassVar[int] = 0

    def dumps(self, value: Any) -> bytes:
        Stamps.count += 1
        return super().dumps(value) + b" " * (Stamps.count % 7)


class Evaluates(Bad):
    """Reads what JSON does not know as Python."""

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        try:
            return super().loads(data, type_)
        except PayloadError:
            try:
                return eval(data.decode())
            except Exception:
                raise PayloadError("it cannot be read") from None


class Tagged(Bad):
    """Keeps JSON for what is plain and puts a pickle behind a tag for the rest."""

    def dumps(self, value: Any) -> bytes:
        text = super().dumps(value)
        plain = isinstance(value, (str, int, float, type(None)))
        return text if plain else b"P:" + super().dumps(base64.b64encode(pickle.dumps(value, 4)).decode())

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        if not data.startswith(b"P:"):
            return super().loads(data, type_)
        try:
            value = pickle.loads(base64.b64decode(super().loads(data[2:], str), validate=True))
        except Exception as error:
            raise PayloadError(f"it cannot be read: {error}") from None
        return TypeAdapter(type_).validate_python(value) if type_ is not Any else value


class RawPickle(Bad):
    """Has a header of its own, and believes the rest."""

    def dumps(self, value: Any) -> bytes:
        return b"ACME1" + pickle.dumps(value, 4)

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        if not data.startswith(b"ACME1"):
            raise PayloadError("it is not ours")
        try:
            return pickle.loads(data[5:])
        except Exception as error:
            raise PayloadError(str(error)) from None


class DecimalsAreFloats(Bad):
    def dumps(self, value: Any) -> bytes:
        return super().dumps(str(float(value)) if isinstance(value, Decimal) else value)


class AssumesUtc(Bad):
    """Takes a time without a zone for one in UTC, as drivers of databases do."""

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        value = super().loads(data, type_)
        naive = isinstance(value, datetime) and value.tzinfo is None
        return value.replace(tzinfo=timezone.utc) if naive else value


class TurnsIntoUtc(Bad):
    """Keeps the moment and loses the zone."""

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        value = super().loads(data, type_)
        return value.astimezone(timezone.utc) if isinstance(value, datetime) and value.tzinfo else value


class CachesById(Bad):
    """Remembers what it wrote by the object's identity."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[int, tuple[Any, bytes]] = {}

    def dumps(self, value: Any) -> bytes:
        if isinstance(value, list):
            return self.written.setdefault(id(value), (value, super().dumps(value)))[1]
        return super().dumps(value)


class ProvesNothing(Bad):
    """Writes whatever can be written, and does not look what comes back."""

    def dumps(self, value: Any) -> bytes:
        try:
            return self.write(value)
        except Exception as error:
            raise PayloadError(f"cannot encode {type(value).__name__} with Unencodable in it") from error


class LeaksErrors(Bad):
    """Raises what its library raises."""

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        try:
            return super().loads(data, type_)
        except PayloadError:
            standard_json.loads(data)
            raise


class OneAtATime(Bad):
    """Uses a buffer of its own, without a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.users = 0
        self.here = threading.Barrier(2)

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            try:
                # Two of the kit's threads meet here, whatever the machine; alone, one goes on.
                self.here.wait(0.5)
            except threading.BrokenBarrierError:
                return super().loads(data, type_)
            return None
        return super().loads(data, type_)


class SplitsTwice(Bad):
    """Gives the elements of the elements."""

    def split(self, data: bytes) -> list[bytes]:
        parts = super().split(data)
        return super().split(parts[0]) if len(parts) == 1 and parts[0][:1] == b"[" else parts

    def join(self, parts: Iterable[bytes]) -> bytes:
        return super().join(reversed(list(parts)))


class Changes(Bad):
    """Puts something into what it writes."""

    def dumps(self, value: Any) -> bytes:
        if isinstance(value, list):
            value.append(None)
        return super().dumps(value)


class Normalises(Bad):
    def loads(self, data: bytes, type_: Any = Any) -> Any:
        value = super().loads(data, type_)
        return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


class Expands(Bad):
    def loads(self, data: bytes, type_: Any = Any) -> Any:
        value = super().loads(data, type_)
        return os.path.expandvars(value) if isinstance(value, str) else value


class LastResort(Bad):
    """Pickles what it cannot write, and hides that it does."""

    def dumps(self, value: Any) -> bytes:
        try:
            return super().dumps(value)
        except PayloadError:
            try:
                return b"P" + base64.b64encode(pickle.dumps(value))
            except Exception as error:
                raise PayloadError(f"{type(value).__name__}: {error}") from None

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        if not data.startswith(b"P"):
            return super().loads(data, type_)
        try:
            return pickle.loads(base64.b64decode(data[1:], validate=True))
        except Exception as error:
            raise PayloadError(str(error)) from None


class Unpacks(Bad):
    """Compressed pickles are pickles."""

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        try:
            return pickle.loads(zlib.decompress(data))
        except zlib.error:
            return super().loads(data, type_)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (GivesText, "dumps() must give bytes, found str"),
        (LosesFalse, "False must come back as it was, found None"),
        (LosesTypes, "must come back by the annotation"),
        (DecimalsAreFloats, "must come back by the annotation <class 'decimal.Decimal'>"),
        (AssumesUtc, "must be written, found PayloadError: cannot encode a value of type datetime"),
        (TurnsIntoUtc, "must be written, found PayloadError: cannot encode a value of type datetime"),
        (KeepsOrderOfSets, "two equal sets were written as"),
        (Shares, "two readings of one payload must share nothing"),
        (RaisesOthers, "must be refused with a PayloadError; found TypeError"),
        (NamesNothing, "the error must name the type Unencodable"),
        (WritesText, "a value that cannot be written must be refused"),
        (LosesNumbers, "the value nan must survive"),
        (Forgives, "read as <class 'int'> must be refused"),
        (ReadsHalf, "which is damaged, must be refused"),
        (Trusts, "loads() ran code that was in the data"),
        (Asynchronous, "dumps() must answer at once, found a coroutine"),
        (Chained, "the name must not have a plus sign in it, found 'bad+fast'"),
        (Stamps, "was written as"),
        (CachesById, "a list that grew must be written as it is now"),
        (LeaksErrors, "must be refused with a PayloadError, found JSONDecodeError"),
        (
            ProvesNothing,
            "was written, and came back as another; dumps() must refuse what would not come back",
        ),
        (OneAtATime, "used from several threads at once:"),
        (SplitsTwice, "join() must give the list"),
        (SplitsAnything, "split() of {'a': 1}, which is no list, must be refused"),
        (LosesOne, "join() must give the list"),
        (Changes, "[] must come back as it was, found [None]"),
        (Normalises, "must come back as it was"),
        (Expands, "must come back as it was"),
    ],
)
def test_a_bad_serializer_is_caught(bad: type[Serializer], said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_serializer(bad())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Evaluates, 'loads() ran code that was in the data, b"__import__('),
        (RawPickle, "loads() ran code that was put into its own output, b'ACME1"),
        (Tagged, "loads() unpickled"),
        (LastResort, "loads() unpickled"),
        (Unpacks, "loads() ran code that was in the data, b'x"),
    ],
)
def test_one_that_believes_what_anybody_could_have_written_is_caught(
    bad: type[Serializer], said: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        check_safety(bad())
    assert said in str(caught.value)


def test_one_that_changes_what_it_writes_spoils_nothing_for_the_next() -> None:
    with pytest.raises(AssertionError):
        check_serializer(Changes())
    check_serializer(JsonSerializer())


def test_one_that_unpickles_only_what_it_has_signed_is_safe() -> None:
    class Signed(RawPickle):
        def dumps(self, value: Any) -> bytes:
            data = super().dumps(value)
            return hmac.digest(b"key", data, "sha256") + data

        def loads(self, data: bytes, type_: Any = Any) -> Any:
            if not hmac.compare_digest(hmac.digest(b"key", data[32:], "sha256"), data[:32]):
                raise PayloadError("it was tampered with")
            return super().loads(data[32:], type_)

    check_safety(Signed())
