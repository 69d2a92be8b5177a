"""Inputs of maps that are still to be read, so that their items can stand in the log."""

from __future__ import annotations

from collections import deque

from attrs import define

from taskiq_flow._logs import open_log
from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.errors import BlobNotFound, PayloadError, StoreError
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.payloads import ClaimCheck, FailureKind, ListedValue, Value, bare
from taskiq_flow.values.claim_checks import ClaimChecks
from taskiq_flow.values.codec import Codec
from taskiq_flow.values.failures import failure_of

__all__ = ["Expansions"]

logger = open_log("taskiq_flow")

_TRIES = 5
_SECONDS_BETWEEN_TRIES = 1.0


@define(eq=False)
class _Expansion:
    run: ActiveRun
    instruction: do.Expand
    tries: int = 0
    due: float = float("-inf")


class Expansions:
    """Reads the items of maps, from blobs where they are kept there."""

    def __init__(self, checks: ClaimChecks, codec: Codec) -> None:
        self._checks = checks
        self._codec = codec
        self._waiting: deque[_Expansion] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, run: ActiveRun, instruction: do.Expand) -> None:
        """Keep an instruction until :meth:`read`."""
        self._waiting.append(_Expansion(run, instruction))

    def move(self, seconds: float) -> None:
        """Move the times of further tries, as the clock was set."""
        for expansion in self._waiting:
            expansion.due += seconds

    async def read(self, now: float) -> tuple[ActiveRun, ev.Event] | None:
        """Read the items of the next map, and return them as an event, or else the map's failure.

        A store that fails is asked again later, a few times; meanwhile other maps go on.

        :param now: Seconds since the epoch.
        :returns: The run and the event; ``None`` when no map can be read now.
        """
        for _ in range(len(self._waiting)):
            expansion = self._waiting[0]
            event = await self._answer(expansion, now) if expansion.due <= now else None
            self._waiting.popleft()
            if event is not None:
                return expansion.run, event
            self._waiting.append(expansion)
        return None

    async def _answer(self, expansion: _Expansion, now: float) -> ev.Event | None:
        run, cell = expansion.run, expansion.instruction.cell
        order = expansion.instruction
        try:
            items = await self._read_list(run.id, cell, order.items)
            also = [await self._read_list(run.id, cell, each, beside=True) for each in order.also]
        except Exception as error:  # noqa: BLE001 - only a store's errors may pass; others would come again each turn
            expansion.tries += 1
            lasting = isinstance(error, BlobNotFound) or not isinstance(error, StoreError)
            if not lasting and expansion.tries < _TRIES:
                logger.warning("cannot read the items of %r of run %s yet: %s", cell, run.id, error)
                expansion.due = now + _SECONDS_BETWEEN_TRIES
                return None
            failure = failure_of(error, FailureKind.REJECTED)
            return ev.AttemptFailed(cell=cell, attempt=1, failure=failure, at=now)
        return ev.MapExpanded(
            cell=cell, items=items.parts, also=tuple(each.parts for each in also), keys=items.keys, at=now
        )

    async def _read_list(self, run: str, cell: str, value: Value, *, beside: bool = False) -> ListedValue:
        value = bare(value)
        if isinstance(value, ClaimCheck):
            value = await self._checks.redeem_once(run, value)
        items = self._codec.take_apart(value)
        if beside and items.keys is not None:
            raise PayloadError(
                "the map goes over several lists, and found a dictionary among them; let a task before it make a list"
            )
        if not any(map(self._checks.is_large, items.parts)):
            return items
        # An item that is too large for a message is too large for the log as well.
        light = tuple([await self._checks.check_in(run, f"items/{cell}", item) for item in items.parts])
        await self._checks.drop_orphans(run)
        return ListedValue(light, items.keys)
