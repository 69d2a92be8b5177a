"""Checks of serializers, as functions that raise :class:`AssertionError` with a sentence."""

from __future__ import annotations

import copy
import datetime
import random
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import Serializer
from taskiq_flow.testing._traps import forge, traps, watch_unpickling
from taskiq_flow.testing._values import EXTREMES, MISFITS, ODD, PLAIN, TYPED, Point, Stray, Unencodable, same
from taskiq_flow.testing.kit import Kit, check_name, expect, not_awaited, raises

__all__ = [
    "SerializerKit",
    "check_damage",
    "check_description",
    "check_determinism",
    "check_extremes",
    "check_independence",
    "check_law",
    "check_lists",
    "check_misfits",
    "check_plain_values",
    "check_refusals",
    "check_safety",
    "check_serializer",
    "check_threads",
    "check_typed_values",
]


_AT = datetime.datetime(2026, 2, 28, tzinfo=datetime.timezone.utc)


class SerializerKit(Kit):
    """Tests of a serializer, for pytest.

    ::

        class TestAcme(SerializerKit):
            def make(self):
                return AcmeSerializer()
    """

    @abstractmethod
    def make(self) -> Serializer:
        """Return a new serializer."""

    def test_description(self) -> None:
        """It has a name."""
        check_description(self.make())

    def test_plain_values(self) -> None:
        """Plain data comes back without an annotation."""
        check_plain_values(self.make())

    def test_typed_values(self) -> None:
        """Other values come back by their annotations."""
        check_typed_values(self.make())

    def test_law(self) -> None:
        """Odd values come back by their annotations, or are refused when they are written."""
        check_law(self.make())

    def test_determinism(self) -> None:
        """Equal values are written as equal bytes."""
        check_determinism(self.make())

    def test_independence(self) -> None:
        """Writing changes nothing, and reading gives new objects."""
        check_independence(self.make())

    def test_refusals(self) -> None:
        """A value that it cannot write is refused by an error that names the type."""
        check_refusals(self.make())

    def test_extremes(self) -> None:
        """Extreme values survive or are refused."""
        check_extremes(self.make())

    def test_misfits(self) -> None:
        """A value that does not fit the annotation is refused."""
        check_misfits(self.make())

    def test_damage(self) -> None:
        """Damaged data is refused."""
        check_damage(self.make())

    def test_safety(self) -> None:
        """Reading runs no code."""
        check_safety(self.make())

    def test_lists(self) -> None:
        """Lists can be taken apart and put together in their encoded form."""
        check_lists(self.make())

    def test_threads(self) -> None:
        """One object serves several threads."""
        check_threads(self.make())


def check_serializer(serializer: Serializer) -> None:
    """Make all checks.

    :raises AssertionError: the serializer breaks a promise that the core relies on.
    """
    for check in (
        check_description,
        check_plain_values,
        check_typed_values,
        check_determinism,
        check_independence,
        check_refusals,
        check_extremes,
        check_misfits,
        check_damage,
        check_safety,
        check_lists,
        check_threads,
        check_law,
    ):
        check(serializer)


def check_description(serializer: Serializer) -> None:
    """Check that it has a name."""
    check_name(serializer, Serializer)
    # In a payload's id a plus sign separates the names of serializer and codecs.
    expect("+" not in serializer.name, f"the name must not have a plus sign in it, found {serializer.name!r}")


def check_plain_values(serializer: Serializer) -> None:
    """Check that plain data comes back as it was, without an annotation."""
    for value in PLAIN:
        data = _write(serializer, value)
        expect(type(data) is bytes, f"dumps() must give bytes, found {type(data).__name__}")
        found = _loads(serializer, data)
        expect(same(found, value), f"{value!r} must come back as it was, found {found!r}")


def check_typed_values(serializer: Serializer) -> None:
    """Check that values come back by their annotations, as the same types."""
    for value, annotation in TYPED:
        found = _loads(serializer, _write(serializer, value), annotation)
        expect(
            same(found, value), f"{value!r} must come back by the annotation {annotation}, found {found!r}"
        )


def check_law(serializer: Serializer) -> None:
    """Check that what is written is read as the same value by its annotation, or that it is refused before."""
    for value, annotation in ODD:
        called = f"a value of type {type(value).__name__} and the annotation {annotation}"
        try:
            data = serializer.dumps(value)
        except PayloadError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{called} must be written or refused with a PayloadError, found {type(error).__name__}: {error}"
            ) from error
        try:
            found = serializer.loads(data, annotation)
        except Exception as error:
            raise AssertionError(
                f"{called} was written, and cannot be read: {error}; dumps() must refuse what would not come back"
            ) from error
        expect(
            same(found, value),
            f"{called} was written, and came back as another; dumps() must refuse what would not come back",
        )


def check_determinism(serializer: Serializer) -> None:
    """Check that equal values are written as equal bytes."""
    for value in (*PLAIN, *(value for value, _ in TYPED)):
        first, second = _write(serializer, value), _write(serializer, value)
        expect(first == second, f"{value!r} was written as {first!r}, then as {second!r}")
    # Numbers in the same slot of a set's hash table keep their order of insertion.
    forwards, backwards = set[int](), set[int]()
    for number in (0, 32, 64, 96):
        forwards.add(number)
        backwards.add(96 - number)
    for left, right in ((forwards, backwards), ({"a": [forwards]}, {"a": [backwards]})):
        first, second = _dumps(serializer, left), _dumps(serializer, right)
        expect(first == second, f"two equal sets were written as {first!r} and as {second!r}")


def check_independence(serializer: Serializer) -> None:
    """Check that writing changes nothing, and that each reading returns new objects."""
    value = {"list": [1, {"set": {3, 1, 2}}], "tuple": (1, 2)}
    before = copy.deepcopy(value)
    _dumps(serializer, value)
    expect(same(value, before), f"dumps() changed {before!r} to {value!r}")
    data = _dumps(serializer, [[1], [2]])
    first, second = _loads(serializer, data), _loads(serializer, data)
    first[0].append("changed")
    expect(
        second == [[1], [2]],
        "two readings of one payload must share nothing, and they do",
    )
    growing = [1]
    earlier = _dumps(serializer, growing)
    growing.append(2)
    expect(
        same(_loads(serializer, _dumps(serializer, growing)), [1, 2]),
        "a list that grew must be written as it is now, and it was written as before",
    )
    expect(same(_loads(serializer, earlier), [1]), "written bytes must not change, and they did")


def check_refusals(serializer: Serializer) -> None:
    """Check that a value that cannot be written is refused with an error that names its type."""
    unencodable: Any = Unencodable()
    for value in (unencodable, [1, unencodable], {"a": [{"b": unencodable}]}, Point(1, next=unencodable)):
        error = raises(
            PayloadError,
            "a value that cannot be written must be refused with a PayloadError",
            serializer.dumps,
            value,
        )
        expect("Unencodable" in str(error), f"the error must name the type Unencodable, found {str(error)!r}")
    itself: list[Any] = []
    itself.append(itself)
    _survives(serializer, itself, "a list that contains itself")
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    _survives(serializer, deep, "a very deep list")


def check_extremes(serializer: Serializer) -> None:
    """Check that extreme values survive or are refused with a PayloadError."""
    for value in EXTREMES:
        called = f"the value {repr(value) if type(value) is not int else 'of many digits'}"
        _survives(serializer, copy.deepcopy(value), called)


def check_misfits(serializer: Serializer) -> None:
    """Check that a value that does not fit the annotation is refused."""
    for value, annotation in MISFITS:
        raises(
            PayloadError,
            f"{value!r} read as {annotation} must be refused with a PayloadError",
            serializer.loads,
            _write(serializer, value),
            annotation,
        )


def check_damage(serializer: Serializer) -> None:
    """Check that truncated data and trailing data are refused, and that noise is read or refused."""
    for value in ([1, 2, [3]], {"a": "text", "b": [None]}, "a longer text"):
        data = _dumps(serializer, value)
        for place in range(len(data)):
            _reads_or_refuses(serializer, _flip(data, place), Any)
        for damaged in (*(data[:end] for end in range(len(data))), data + data):
            raises(
                PayloadError,
                f"{damaged!r}, which is damaged, must be refused with a PayloadError",
                serializer.loads,
                damaged,
            )
    choice = random.Random(1)
    for length in range(1, 200):
        noise = choice.randbytes(length)
        for annotation in (Any, list[int], Point):
            _reads_or_refuses(serializer, noise, annotation)


def check_safety(serializer: Serializer) -> None:
    """Check that reading foreign bytes runs no code: neither a pickle nor an expression may be executed.

    The serializer's own output is forged too. A serializer that unpickles must first verify a signature: after one
    changed bit nothing may be unpickled.
    """
    mine = [_dumps(serializer, value) for value in (Point(1, {"a"}), _AT, {1, 2, 3}, [b"raw"])]
    with suppress(PayloadError):
        # Some serializers pickle only values that nothing else carries; most refuse those.
        mine.append(serializer.dumps(Stray()))
    with watch_unpickling() as (sprung, unpickled):
        for data in traps():
            _reads_or_refuses(serializer, data, Any)
            expect(not sprung, f"loads() ran code that was in the data, {data!r}")
        for data in mine:
            for trap in forge(data):
                _reads_or_refuses(serializer, trap, Any)
                expect(not sprung, f"loads() ran code that was put into its own output, {trap!r}")
            unpickled.clear()
            for place in range(len(data)):
                _reads_or_refuses(serializer, _flip(data, place), Any)
                expect(
                    not unpickled,
                    f"loads() unpickled {', '.join(unpickled[:3])} from data that was changed; "
                    "whoever can write to a store or broker could run code with that",
                )


def _flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def check_lists(serializer: Serializer) -> None:
    """Check that ``split`` and ``join`` agree with ``dumps`` and ``loads``."""
    for value in ([], [1], list(PLAIN), [[1], [2]], list(range(50))):
        parts = serializer.split(_write(serializer, value))
        expect(
            all(type(part) is bytes for part in parts) and len(parts) == len(value),
            f"split() must give bytes, one for each of {len(value)} elements, found {parts!r}",
        )
        found = [_loads(serializer, part) for part in parts]
        expect(same(found, value), f"split() must give the elements of {value!r}, found {found!r}")
        joined = _loads(serializer, serializer.join(_write(serializer, element) for element in value))
        expect(same(joined, value), f"join() must give the list {value!r}, found {joined!r}")
        again = _loads(serializer, serializer.join(parts))
        expect(same(again, value), f"join() must undo split() of {value!r}, found {again!r}")
    points = [Point(1, {"a"}, b"\xff"), Point(2)]
    found = [_loads(serializer, part, Point) for part in serializer.split(_dumps(serializer, points))]
    expect(same(found, points), f"elements must come back by their annotation, {points!r}, found {found!r}")
    joined = _loads(serializer, serializer.join(_dumps(serializer, point) for point in points), list[Point])
    expect(
        same(joined, points), f"a joined list must come back by its annotation, {points!r}, found {joined!r}"
    )
    _check_mappings(serializer)
    for other in ({"a": 1}, "text", 5, None):
        raises(
            PayloadError,
            f"split() of {other!r}, which is no list, must be refused with a PayloadError",
            serializer.split,
            _dumps(serializer, other),
        )


def _check_mappings(serializer: Serializer) -> None:
    for value in ({}, {"a": 1}, {"é": [1], "": {"b": None}}, {str(number): number for number in range(50)}):
        found = serializer.split_mapping(_write(serializer, value))
        expect(found is not None, f"split_mapping() must take {value!r} apart, found None")
        keys, parts = found or ([], [])
        pairs = {
            _loads(serializer, key): _loads(serializer, part) for key, part in zip(keys, parts, strict=True)
        }
        expect(
            same(pairs, value), f"split_mapping() must give the keys and values of {value!r}, found {pairs!r}"
        )
        joined = _loads(serializer, serializer.join_mapping(keys, parts))
        expect(
            same(joined, value), f"join_mapping() must undo split_mapping() of {value!r}, found {joined!r}"
        )
        expect(
            list(joined) == list(value), f"join_mapping() must keep the order of {value!r}, found {joined!r}"
        )
    for other in ([1], "text", 5, None):
        found = serializer.split_mapping(_write(serializer, other))
        expect(
            found is None,
            f"split_mapping() of {other!r}, which is no dictionary, must be None, found {found!r}",
        )


def check_threads(serializer: Serializer) -> None:
    """Check that one object can be used from several threads at once."""

    def round_trips(number: int) -> str:
        for value, annotation in TYPED:
            found = serializer.loads(serializer.dumps(copy.deepcopy(value)), annotation)
            if not same(found, value):
                return f"{value!r} came back as {found!r}"
        return ""

    with ThreadPoolExecutor(4) as pool:
        problems = [problem for problem in pool.map(round_trips, range(8)) if problem]
    expect(not problems, f"used from several threads at once: {'; '.join(problems[:3])}")


def _loads(serializer: Serializer, data: bytes, annotation: Any = Any) -> Any:
    try:
        return not_awaited("loads", serializer.loads(data, annotation))
    except Exception as error:
        raise AssertionError(
            f"{data!r} must be read as {annotation}, found {type(error).__name__}: {error}"
        ) from error


def _dumps(serializer: Serializer, value: Any) -> bytes:
    try:
        data: bytes = not_awaited("dumps", serializer.dumps(value))
    except Exception as error:
        raise AssertionError(f"{value!r} must be written, found {type(error).__name__}: {error}") from error
    return data


def _write(serializer: Serializer, value: Any) -> bytes:
    # A copy, so that a serializer that changes its values does not spoil them for the next check.
    return _dumps(serializer, copy.deepcopy(value))


def _survives(serializer: Serializer, value: Any, called: str) -> None:
    try:
        found = serializer.loads(serializer.dumps(value))
    except PayloadError:
        return
    except Exception as error:
        raise AssertionError(
            f"{called} must survive or be refused with a PayloadError, found {type(error).__name__}: {error}"
        ) from error
    if isinstance(value, list):
        # Comparing these would not end.
        expect(isinstance(found, list), f"{called} must survive or be refused, found {type(found).__name__}")
    elif not isinstance(value, dict):
        expect(
            same(found, value),
            f"{called} must survive or be refused with a PayloadError, found another value",
        )


def _reads_or_refuses(serializer: Serializer, data: bytes, annotation: Any) -> None:
    try:
        serializer.loads(data, annotation)
    except PayloadError:
        return
    except Exception as error:
        raise AssertionError(
            f"{data!r}, which it never wrote, must be refused with a PayloadError, "
            f"found {type(error).__name__}: {error}"
        ) from error
