"""What happened to one run, kept small: usual events are columns, and become events again for whoever reads them.

A map of a million items has three events an item. As objects they take more than the items themselves, and the
garbage collector goes through all of them again and again, so that a node costs more in a larger graph. As columns
they take a fifth of that, and the collector sees a handful of objects for thousands of them.
"""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, islice, repeat
from typing import Any, overload

from attrs import define, field, frozen

from taskiq_flow.machine.events import CellDispatched, CellStarted, CellSucceeded, Event
from taskiq_flow.payloads import ClaimCheck, ListedValue, Payload, Value, bare

__all__ = ["PACKED_AT_ONCE", "History", "size_in_memory"]

PACKED_AT_ONCE = 4096
"""How many events become columns in one go; fewer at the end of a log are kept as they are, which is quicker."""

_BYTES_PER_EVENT = 100

_OTHER, _DISPATCHED, _STARTED, _SUCCEEDED = range(4)
_KINDS: dict[type, int] = {
    CellDispatched: _DISPATCHED,
    CellStarted: _STARTED,
    CellSucceeded: _SUCCEEDED,
}


def size_in_memory(value: Value) -> int:
    """Return about how many bytes a value takes; blobs are kept elsewhere."""
    if type(value) is Payload:
        return len(value.data)
    if type(value) is ClaimCheck:
        return 0
    found = bare(value)
    return sum(map(size_in_memory, found.parts)) if type(found) is ListedValue else size_in_memory(found)


@define(eq=False)
class History:
    """The events of one run, in their order."""

    _packs: tuple[_Pack, ...] = ()
    _latest: list[Event] = field(factory=list)

    def __len__(self) -> int:
        return len(self._packs) * PACKED_AT_ONCE + len(self._latest)

    def extend(self, events: Iterable[Event]) -> None:
        """Add events at the end."""
        latest = self._latest
        latest += events
        if len(latest) >= PACKED_AT_ONCE:
            whole = len(latest) - len(latest) % PACKED_AT_ONCE
            starts = range(0, whole, PACKED_AT_ONCE)
            self._packs += tuple([_Pack.of(latest[first : first + PACKED_AT_ONCE]) for first in starts])
            del latest[:whole]

    def size(self) -> int:
        """Return about how many bytes it takes: its values, and something for each event."""
        values = sum(sum(map(size_in_memory, pack.outputs)) for pack in self._packs)
        latest = sum(
            sum(map(size_in_memory, event.outputs)) for event in self._latest if type(event) is CellSucceeded
        )
        return values + latest + _BYTES_PER_EVENT * len(self)

    def since(self, offset: int) -> Sequence[Event]:
        """Give the events from an offset on that are there now; what is added later is not among them.

        :param offset: How many to leave out.
        """
        packs, rest = divmod(offset, PACKED_AT_ONCE)
        packed = self._packs[packs:]
        if not packed:
            return self._latest[offset - len(self._packs) * PACKED_AT_ONCE :]
        return _Excerpt(packed, rest, self._latest[:])


@frozen(eq=False)
class _Excerpt(Sequence[Event]):
    """Events of which each is made when somebody comes to it, so that to read a long log takes no more than the log.

    :ivar packs: Those before the latest ones.
    :ivar left_out: How many of the first pack do not belong to it.
    :ivar latest: The others.
    """

    _packs: Sequence[_Pack]
    _left_out: int
    _latest: Sequence[Event]

    def __len__(self) -> int:
        return len(self._packs) * PACKED_AT_ONCE - self._left_out + len(self._latest)

    def __iter__(self) -> Iterator[Event]:
        return islice(chain(chain.from_iterable(self._packs), self._latest), self._left_out, None)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        """Give one event, or some."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        pack, place = divmod(range(len(self))[index] + self._left_out, PACKED_AT_ONCE)
        return (
            self._latest[place] if pack == len(self._packs) else next(islice(self._packs[pack], place, None))
        )


@frozen(eq=False, kw_only=True)
class _Pack:
    """A number of events as columns; a column that has the same value everywhere is that value.

    :ivar kinds: One byte for each event.
    :ivar others: The events that are unusual, as they are.
    :ivar paths: The paths of the cells, each once, in one string of bytes.
    :ivar cells: For each usual event, which path.
    :ivar times: For each usual event, when it was.
    :ivar attempts: For each usual event.
    :ivar places: For each dispatch, its worker.
    :ivar queues: For each dispatch.
    :ivar workers: For each start.
    :ivar sources: For each success, where it was taken from.
    :ivar seconds: For each success.
    :ivar outputs: The values of all successes, one after the other.
    :ivar widths: For each success, how many values it has.
    """

    kinds: bytes
    others: Sequence[Event]
    paths: bytes
    cells: array[int]
    times: array[float]
    attempts: _Column
    places: _Column
    queues: _Column
    workers: _Column
    sources: _Column
    seconds: array[float]
    outputs: Sequence[Value]
    widths: _Column

    @classmethod
    def of(cls, events: Sequence[Event]) -> _Pack:
        """Make columns of events."""
        kinds = bytes([_KINDS.get(type(event), _OTHER) for event in events])
        others = _of_kind(events, kinds, _OTHER) if _OTHER in kinds else []
        # What kinds say is more than a type checker can follow.
        usual: Sequence[Any] = [*compress(events, kinds)] if others else events
        sent = _of_kind(events, kinds, _DISPATCHED)
        begun = _of_kind(events, kinds, _STARTED)
        done = _of_kind(events, kinds, _SUCCEEDED)
        numbers: dict[str, int] = {}
        number = numbers.setdefault
        return cls(
            kinds=kinds,
            others=others,
            cells=array("H", [number(event.cell, len(numbers)) for event in usual]),
            paths=marshal.dumps(tuple(numbers)),
            times=array("d", [event.at for event in usual]),
            attempts=_column([event.attempt for event in usual]),
            places=_column([event.worker for event in sent]),
            queues=_column([event.queue for event in sent]),
            workers=_column([event.worker for event in begun]),
            sources=_column([event.taken_from for event in done]),
            seconds=array("d", [event.seconds for event in done]),
            outputs=[value for event in done for value in event.outputs],
            widths=_column([len(event.outputs) for event in done]),
        )

    def __iter__(self) -> Iterator[Event]:
        paths = marshal.loads(self.paths)
        others, times = iter(self.others), iter(self.times)
        cells, attempts = map(paths.__getitem__, self.cells), _each(self.attempts)
        places, queues, workers = _each(self.places), _each(self.queues), _each(self.workers)
        outputs, widths = iter(self.outputs), _each(self.widths)
        seconds, sources = iter(self.seconds), _each(self.sources)
        for kind in self.kinds:
            if kind == _DISPATCHED:
                yield CellDispatched(
                    cell=next(cells),
                    attempt=next(attempts),
                    worker=next(places),
                    queue=next(queues),
                    at=next(times),
                )
            elif kind == _STARTED:
                yield CellStarted(
                    cell=next(cells), attempt=next(attempts), worker=next(workers), at=next(times)
                )
            elif kind == _SUCCEEDED:
                yield CellSucceeded(
                    cell=next(cells),
                    attempt=next(attempts),
                    outputs=tuple(islice(outputs, next(widths))),
                    seconds=next(seconds),
                    taken_from=next(sources),
                    at=next(times),
                )
            else:
                yield next(others)


def _of_kind(events: Sequence[Event], kinds: bytes, kind: int) -> list[Any]:
    return [*compress(events, kinds.translate(_ONLY[kind]))]


_ONLY = [bytes(each == kind for each in range(256)) for kind in range(4)]

_Column = Any
"""One value for each event as a tuple, or the only value that there is."""


def _column(values: Sequence[Any]) -> _Column:
    """Keep one value where all are the same; none of them is a tuple."""
    different = set(values)
    return tuple(values) if len(different) > 1 else next(iter(different), None)


def _each(column: _Column) -> Iterator[Any]:
    return iter(column) if type(column) is tuple else repeat(column)
