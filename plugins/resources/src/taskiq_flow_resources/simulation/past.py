"""Data of a past run for simulations: the durations of cells, the items of maps, and the values of guards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import field, frozen

from taskiq_flow.errors import StoreError, UsageError
from taskiq_flow.machine.events import CellSucceeded, Event, MapExpanded, RunStarted
from taskiq_flow.machine.wire import decode_event
from taskiq_flow.payloads import Value

__all__ = ["Past", "read_events"]


@frozen(kw_only=True)
class Past:
    """A past run.

    :param seconds: The duration of the successful attempt, by cell.
    :param items: The items of each list of each map that had to be read, by cell.
    :param outputs: The outputs, by cell.
    :param inputs: The run's inputs.
    """

    seconds: Mapping[str, float] = field(factory=dict)
    items: Mapping[str, tuple[tuple[Value, ...], ...]] = field(factory=dict)
    outputs: Mapping[str, tuple[Value, ...]] = field(factory=dict)
    inputs: Mapping[str, Value] = field(factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Past:
        """Read a run's log."""
        seconds: dict[str, float] = {}
        items: dict[str, tuple[tuple[Value, ...], ...]] = {}
        outputs: dict[str, tuple[Value, ...]] = {}
        inputs: Mapping[str, Value] = {}
        for event in events:
            if isinstance(event, CellSucceeded):
                seconds[event.cell] = max(0.0, event.seconds)
                outputs[event.cell] = event.outputs
            elif isinstance(event, MapExpanded):
                items[event.cell] = (event.items, *event.also)
            elif isinstance(event, RunStarted):
                inputs = event.inputs
        return cls(seconds=seconds, items=items, outputs=outputs, inputs=inputs)


def read_events(path: Path) -> list[Event]:
    """Read a file that ``taskiq flow run --events FILE`` has written.

    :raises UsageError: the file cannot be read, or is not such a file.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the events in {str(path)!r}: {error}") from error
    events = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            events.append(decode_event(line))
        except StoreError as error:
            raise UsageError(
                f"line {number} of {str(path)!r} is no event: {error}; "
                "give a file that `taskiq flow run --events FILE` has written"
            ) from error
    if not events:
        raise UsageError(f"there are no events in {str(path)!r}")
    return events
