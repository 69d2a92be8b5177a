"""An exception comes back as itself, with its attributes, text and traceback, or as CellFailed that tells all of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import datetime
import decimal
import enum
import http
import io
import pathlib
import pickle
import sys
import traceback
import urllib.error
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from taskiq_flow import CellFailed, GraphError, RetryException, RunTimedOut
from taskiq_flow.errors import CellTimedOut, RemoteTraceback
from taskiq_flow.machine.wire import decode_failure, encode_failure
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.values.failures import cell_failed, failure_of, revive
from taskiq_flow.values.plain import NotKept, read_plain, write_plain


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass(frozen=True)
class Refused(Exception):
    code: int


class Slotted(Exception):
    __slots__ = ("empty", "limit")

    def __init__(self, limit: int) -> None:
        super().__init__(f"over {limit}")
        self.limit = limit
        self.empty = None


class Keywords(Exception):
    def __init__(self, status: int, *, url: str) -> None:
        super().__init__()
        self.status, self.url = status, url

    def __str__(self) -> str:
        return f"{self.status} at {self.url}"


class HalfMade(Exception):
    def __init__(self, user: str) -> None:
        self.user = user

    def __str__(self) -> str:
        return f"there is no user {self.user.upper()}"


class Reduces(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("it cannot be pickled")


class HidesItsArguments(Exception):
    @property
    def args(self) -> Any:  # type: ignore[override]
        raise RuntimeError("none of your business")

    def __str__(self) -> str:
        return "hidden"


class IsEqualToNothing(Exception):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("incomparable")

    __hash__ = None  # type: ignore[assignment]


class CatchesAll(Exception):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")

    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError(f"{name} must not be set")


class Both(ValueError, OSError):
    pass


class Nested:
    class Inner(Exception):
        pass


def named(error: Any, **attributes: Any) -> Any:
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def raised(function: Callable[[], Any]) -> Any:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def back(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        failure = failure_of(caught)
    return revive("node", 2, decode_failure(encode_failure(failure)), "r1")


SAME = {
    "text": ValueError("no"),
    "no text": ValueError(),
    "key": KeyError("name"),
    "two arguments": ValueError("no", 7),
    "not a number": ValueError("the loss is", float("nan")),
    "infinite": ValueError(float("-inf")),
    "bytes": ValueError(b"caf\xe9"),
    "tuple": ValueError((1, (2,)), [3], {4}, frozenset({5})),
    "keys": ValueError({1: "one", ("a", 2): None, "~": "tilde"}),
    "moments": ValueError(datetime.datetime(2024, 2, 29, 12), datetime.timedelta(days=-1), datetime.date.max),
    "zone": ValueError(datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)),
    "decimal": ValueError(decimal.Decimal("1.10"), uuid.UUID(int=7)),
    "path": ValueError(pathlib.Path("/tmp/x")),
    "enumeration": ValueError(Colour.RED, Level.HIGH, http.HTTPStatus.NOT_FOUND),
    "surrogate": ValueError("\udc80 \0 \x1b"),
    "long": ValueError("x" * 15_000),
    "large number": ValueError(2**80, -(10**400)),
    "file": raised(pathlib.Path("/no/such/file").read_text),
    "two files": OSError(18, "Invalid cross-device link", "a", None, "b"),
    "decoding": raised(lambda: b"caf\xe9".decode()),
    "encoding": raised(lambda: "\udc80".encode()),
    "syntax": raised(lambda: compile("a b", "x.py", "exec")),
    "import": raised(lambda: __import__("no_such_module_anywhere")),
    "attribute": raised(lambda: Level.no_such),  # type: ignore[attr-defined]
    "name": NameError("name 'x' is not defined", name="x"),
    "frozen": Refused(3),
    "slots": Slotted(5),
    "keywords": Keywords(503, url="/x"),
    "half made": HalfMade("eve"),
    "reduces": Reduces("x"),
    "equal to nothing": IsEqualToNothing("x"),
    "catches all": CatchesAll("x"),
    "both": Both(2, "No such file or directory"),
    "nested": Nested.Inner("inner"),
    "several texts": GraphError(["one", "two"]),
    "retry": RetryException("again", delay=2.5),
    "attributes": named(ValueError("no"), code=3, where=("a", b"b"), _hidden=[None]),
    "http": urllib.error.HTTPError("http://h/x", 503, "busy", {}, None),  # type: ignore[arg-type]
    "object": ValueError("lock", object()),
    "text of an object": ValueError(object()),
    "deep": ValueError([[[["deep"]]]], {"key": object()}),
    "arguments that raise": HidesItsArguments("x"),
    "timeout": TimeoutError("of the task"),
    "asyncio": asyncio.TimeoutError(),
    "futures": concurrent.futures.TimeoutError("x"),
}


@pytest.mark.parametrize("error", SAME.values(), ids=SAME.keys())
def test_it_is_the_same(error: Exception) -> None:
    found = back(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert isinstance(found.__cause__, RemoteTraceback)
    assert (found.__cause__.cell, found.__cause__.attempt, found.__cause__.run) == ("node", 2, "r1")
    assert found.__dict__["__notes__"] == ["in cell 'node', attempt 2, of run r1"]


@pytest.mark.parametrize(
    "name",
    [
        *("key", "two arguments", "infinite", "bytes", "tuple", "keys", "moments", "zone", "decimal", "path"),
        *("enumeration", "surrogate", "large number", "frozen", "keywords", "half made", "file", "decoding"),
    ],
)
def test_its_arguments_are_the_same(name: str) -> None:
    found = back(SAME[name])
    assert found.args == SAME[name].args
    assert [type(each) for each in found.args] == [type(each) for each in SAME[name].args]


def test_its_attributes_are_the_same() -> None:
    found: Any = back(SAME["attributes"])
    assert (found.code, found.where, found._hidden) == (3, ("a", b"b"), [None])
    found = back(SAME["slots"])
    assert (found.limit, found.empty) == (5, None)
    found = back(SAME["file"])
    assert (found.errno, found.strerror, found.filename) == (2, "No such file or directory", "/no/such/file")
    found = back(SAME["two files"])
    assert (found.filename, found.filename2) == ("a", "b")
    found = back(SAME["decoding"])
    assert (found.encoding, found.object, found.start, found.end) == ("utf-8", b"caf\xe9", 3, 4)
    found = back(SAME["syntax"])
    assert (found.filename, found.lineno, found.text) == (
        "x.py",
        1,
        "a b\n" if found.text.endswith("\n") else "a b",
    )
    found = back(SAME["import"])
    assert found.name == "no_such_module_anywhere"
    found = back(SAME["retry"])
    assert found.delay == 2.5
    found = back(SAME["http"])
    assert (found.code, found.url, found.reason) == (503, "http://h/x", "busy")
    found = back(SAME["several texts"])
    assert found.problems == ("one", "two")


def test_what_is_no_data_is_told_by_its_text() -> None:
    error: Any = ValueError("no")
    error.stream = io.StringIO("body")
    error.many = list(range(1_000_000))
    found: Any = back(error)
    assert isinstance(found.stream, NotKept)
    assert repr(found.stream).startswith("<_io.StringIO object at")
    assert repr(found.many) == "[0, 1, 2, 3, 4, 5, ...]"
    with pytest.raises(AttributeError, match="'read' of a StringIO that stayed where the task ran"):
        found.stream.read()
    assert pickle.loads(pickle.dumps(found.stream)) == found.stream


class Unreadable(Exception):
    def __str__(self) -> str:
        raise SystemExit("there are no words")

    __repr__ = __str__


class NeedsItsLock(Exception):
    def __init__(self) -> None:
        self.lock = io.StringIO("x")

    def __str__(self) -> str:
        return self.lock.getvalue()


def local() -> Exception:
    class Local(Exception):
        pass

    return Local("of this function")


def renamed() -> Exception:
    return type("Renamed", (ValueError,), {"__module__": __name__})("x")


TOLD = {
    "text that raises": (Unreadable("x"), "Unreadable whose text raises SystemExit"),
    "text of what is no data": (NeedsItsLock(), "NeedsItsLock: x"),
    "local class": (local(), "Local: of this function"),
    "class that is not found": (renamed(), "Renamed: x"),
    "made by its own constructor": (
        raised(lambda: TypeAdapter(int).validate_python("x")),
        "1 validation error",
    ),
    "end of an iterator": (StopIteration(5), "StopIteration: 5"),
    "end of an asynchronous iterator": (StopAsyncIteration(), "StopAsyncIteration"),
    "exit": (SystemExit(3), "SystemExit: 3"),
    "interrupt": (KeyboardInterrupt(), "KeyboardInterrupt"),
    "end of a generator": (GeneratorExit(), "GeneratorExit"),
    "cancelled": (asyncio.CancelledError("x"), "(cancelled): CancelledError: x"),
    "base": (BaseException("bottom of it all"), "BaseException: bottom of it all"),
    "another cell": (CellFailed("other", 1, Failure(kind=FailureKind.EXCEPTION, message="x")), "other"),
    "enormous": (ValueError("x" * 3_000_000), "characters left out"),
}


@pytest.mark.parametrize(("error", "words"), TOLD.values(), ids=TOLD.keys())
def test_it_is_told(error: BaseException, words: str) -> None:
    found = back(error)
    assert type(found) is CellFailed
    assert words in str(found)
    assert len(str(found)) < 110_000
    assert "in back" in found.traceback_text
    assert isinstance(found.__cause__, RemoteTraceback)


@pytest.mark.skipif(sys.platform == "win32", reason="paths are written by their class")
def test_the_remote_traceback_is_printed() -> None:
    def inner() -> None:
        raise KeyError("first")

    def outer() -> None:
        try:
            inner()
        except KeyError as error:
            raise ValueError("second") from error

    found = revive("node", 1, failure_of(raised(outer)))
    assert "in inner" in str(found.__cause__)
    printed = "".join(traceback.format_exception(type(found), found, found.__traceback__))
    assert "in inner" in printed
    assert "KeyError: 'first'" in printed
    assert printed.rstrip().splitlines()[-1].startswith(("ValueError: second", "in cell 'node', attempt 1"))


def test_notes_come_back() -> None:
    error = ValueError("no")
    error.__dict__["__notes__"] = ["one", "two"]
    assert back(error).__dict__["__notes__"] == ["one", "two", "in cell 'node', attempt 2, of run r1"]
    error = Unreadable("x")  # type: ignore[assignment]
    error.__dict__["__notes__"] = ["one"]
    assert back(error).__dict__["__notes__"] == ["one"]
    error.__dict__["__notes__"] = 5
    assert back(error).__dict__.get("__notes__") is None


def test_no_constructor_is_called_and_nothing_is_imported() -> None:
    failure = Failure(kind=FailureKind.EXCEPTION, message="x", type="xmlrpc.client:Fault", args=("x",))
    assert "xmlrpc.client" not in sys.modules
    assert type(revive("node", 1, failure)) is CellFailed
    assert "xmlrpc.client" not in sys.modules


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "builtins:eval"},
        {"type": "builtins:int"},
        {"type": "builtins:OSError.__new__"},
        {"type": ""},
        {"args": ({"~": "enum", "of": ["builtins:int", "x"]},)},
        {"args": ({"~": "nothing", "of": 1},)},
        {"args": ({"~": "bytes"},)},
        {"args": ("other text",)},
        {"attributes": {"code": {"~": "enum", "of": [f"{__name__}:NoSuch", "RED"]}}},
    ],
    ids=str,
)
def test_a_damaged_failure_is_told(changes: dict[str, Any]) -> None:
    fields = {"kind": FailureKind.EXCEPTION, "message": "x", "type": "builtins:ValueError", "args": ("x",)}
    assert type(revive("node", 1, Failure(**{**fields, **changes}))) is CellFailed


def test_a_time_limit_is_a_timeout_error() -> None:
    found = cell_failed(
        "node", 1, Failure(kind=FailureKind.TIMEOUT, message="the attempt took longer than 1 s")
    )
    assert isinstance(found, (TimeoutError, CellFailed))
    assert str(found) == "cell 'node' failed on attempt 1 (timeout): the attempt took longer than 1 s"
    assert type(found) is CellTimedOut
    assert isinstance(RunTimedOut("run r1 was ended"), TimeoutError)


# Groups

groups = pytest.mark.skipif(sys.version_info < (3, 11), reason="groups of exceptions came with Python 3.11")


@groups
def test_a_group_comes_back_with_its_members() -> None:
    group = ExceptionGroup(  # noqa: F821 - from Python 3.11 on
        "several",
        [Refused(3), ExceptionGroup("inner", [raised(pathlib.Path("/no/such/file").read_text)]), local()],  # noqa: F821
    )
    found: Any = back(group)
    assert str(found) == "several (3 sub-exceptions)"
    assert type(found) is type(group)
    refused, inner, told = found.exceptions
    assert (type(refused), refused.code) == (Refused, 3)
    assert inner.exceptions[0].filename == "/no/such/file"
    assert type(told) is CellFailed
    assert "Local: of this function" in str(told)
    assert "Refused" in "".join(traceback.format_exception(found))


@groups
def test_a_group_of_what_is_no_exception_is_told() -> None:
    found = back(BaseExceptionGroup("several", [SystemExit(3), ValueError("x")]))  # noqa: F821 - from 3.11 on
    assert type(found) is CellFailed
    many = back(ExceptionGroup("many", [ValueError(str(number)) for number in range(5_000)]))  # noqa: F821
    assert type(many) is CellFailed
    assert "5000 sub-exceptions" in str(many)


# Values

PLAIN: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes().map(lambda moment: moment.replace(fold=0))
    | st.timedeltas()
    | st.uuids()
    | st.complex_numbers(allow_nan=False)
    | st.fractions()
    | st.sampled_from([Colour.RED, Level.HIGH, pathlib.PurePosixPath("a/b")]),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_values_come_back(value: Any) -> None:
    failure = Failure(kind=FailureKind.EXCEPTION, message="", attributes=write_plain({"it": value}))
    found = read_plain(decode_failure(encode_failure(failure)).attributes["it"])
    assert repr(found) == repr(value)


def test_values_that_contain_themselves_are_told() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert repr(read_plain(write_plain({"it": circle})["it"])) == "[[[[[[[...]]]]]]]"
    wide: Any = []
    for _ in range(100):
        wide = [wide, wide]
    assert isinstance(read_plain(write_plain({"it": wide})["it"]), NotKept)
