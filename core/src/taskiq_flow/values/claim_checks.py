"""Large values: stored as blobs, with a claim check in their place in messages and logs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from attrs import evolve, frozen

from taskiq_flow._background import backoffs
from taskiq_flow._logs import open_log
from taskiq_flow.clock import Clock
from taskiq_flow.errors import BlobNotFound, PayloadError, RunNotFound, StoreError
from taskiq_flow.machine.events import CellSucceeded
from taskiq_flow.payloads import Chosen, ClaimCheck, ListedValue, Payload, Value, has_claim_checks
from taskiq_flow.store import RunStore
from taskiq_flow.values.sizes import DEFAULT_CLAIM_CHECK, claim_check_problem

__all__ = ["ClaimChecks"]

logger = open_log("taskiq_flow")

T = TypeVar("T")

_TRIES = 4
_AT_ONCE = 8
_DIGEST = 16


@frozen(eq=False)
class ClaimChecks:
    """Puts large values into blobs, and gets them back.

    :param store: The store with the blobs.
    :param clock: The clock for waiting between two tries.
    :param threshold: Bytes above which a payload becomes a blob; ``None`` for never.
    :raises ValueError: the threshold is below what guards and filters rely on.
    """

    store: RunStore
    clock: Clock
    threshold: int | None = DEFAULT_CLAIM_CHECK

    def __attrs_post_init__(self) -> None:
        if problem := claim_check_problem(self.threshold):
            raise ValueError(f"the threshold of blobs {problem}, found {self.threshold}")

    def is_large(self, value: Value) -> bool:
        """Whether a value becomes a blob."""
        return self.threshold is not None and type(value) is Payload and len(value.data) > self.threshold

    async def check_in(self, run: str, place: str, value: Value) -> Value:
        """Store a large payload as a blob; return any other value as it is.

        The key contains a digest of the blob, so a later writer of the same key writes the same bytes.

        :param place: The value's place in the run, such as ``inputs/name``; the first part of the key.
        :returns: The claim check, or the value.
        :raises StoreError: the blobs have failed several times.
        """
        if not self.is_large(value):
            return value
        assert isinstance(value, Payload)
        key = f"{place}.{_digest(value)}"
        try:
            await self._retry(f"keep {place}", lambda: self.store.blobs.put(run, key, value.data))
        except StoreError as error:
            raise StoreError(f"{place} of run {run} cannot be kept as a blob: {error}") from error
        return ClaimCheck(value.serializer, key, len(value.data))

    async def check_in_inputs(self, run: str, values: Mapping[str, Value]) -> Mapping[str, Value]:
        """Store the large inputs of a run as blobs.

        :raises StoreError: the blobs have failed several times.
        """
        if not any(map(self.is_large, values.values())):
            return values
        return {name: await self.check_in(run, f"inputs/{name}", value) for name, value in values.items()}

    async def check_in_outputs(self, run: str, event: CellSucceeded, names: tuple[str, ...]) -> CellSucceeded:
        """Store the large outputs of an attempt as blobs; delete them when the run was deleted meanwhile.

        :param names: The outputs' names.
        :raises StoreError: the blobs have failed several times.
        """
        if not any(map(self.is_large, event.outputs)):
            return event
        outputs = []
        for name, value in zip(names, event.outputs, strict=True):
            place = f"outputs/{event.cell}/{event.attempt}/{name}"
            outputs.append(await self.check_in(run, place, value))
        await self.drop_orphans(run)
        return evolve(event, outputs=tuple(outputs))

    @asynccontextmanager
    async def new_run(self, run: str) -> AsyncIterator[None]:
        """Guard the creation of a run whose inputs are checked in: if it fails, delete the orphaned blobs."""
        try:
            yield
        except BaseException:
            await self.drop_orphans(run)
            raise

    async def drop_orphans(self, run: str) -> None:
        """Delete the blobs of a run that does not exist; never raises."""
        try:
            await self.store.runs.get(run)
        except RunNotFound:
            try:
                await self.store.blobs.delete_run(run)
            except Exception:
                logger.exception("cannot delete the blobs of run %s, which is not there any more", run)
        except Exception as error:  # noqa: BLE001 - stores raise what their drivers raise
            logger.warning("cannot tell whether run %s is there, and any blobs of it stay: %s", run, error)

    async def redeem(self, run: str, value: Value) -> Value:
        """Return a value with payloads in place of its claim checks.

        :raises BlobNotFound: a blob is gone.
        :raises PayloadError: a blob was changed.
        :raises StoreError: the blobs have failed several times.
        """
        if not has_claim_checks(value):
            return value
        turns = asyncio.Semaphore(_AT_ONCE)

        async def whole(part: Value) -> Value:
            if isinstance(part, ListedValue):
                return ListedValue(tuple(await asyncio.gather(*map(whole, part.parts))), part.keys)
            if isinstance(part, Chosen):
                return Chosen(part.index, await whole(part.value))
            if isinstance(part, ClaimCheck):
                async with turns:
                    return await self._retry(f"get {part.key}", lambda: self.redeem_once(run, part))
            return part

        return await whole(value)

    async def redeem_once(self, run: str, check: ClaimCheck) -> Payload:
        """Return the payload of a claim check, after a single try.

        :raises BlobNotFound: the blob is gone.
        :raises PayloadError: the blob was changed.
        :raises StoreError: the blobs have failed, or the blob was cut, as it is while another process writes it.
        """
        try:
            data = await self.store.blobs.get(run, check.key)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"blob {check.key!r} of run {run!r}: {type(error).__name__}: {error}") from error
        if len(data) != check.size:
            raise StoreError(
                f"blob {check.key!r} of run {run!r} has {len(data)} bytes instead of {check.size}; "
                "it was cut or changed"
            )
        payload = Payload(check.serializer, data)
        # Every key from check_in() ends with the digest of its blob.
        _, _, expected = check.key.rpartition(".")
        if len(expected) == 2 * _DIGEST and expected != _digest(payload):
            raise PayloadError(f"blob {check.key!r} of run {run!r} does not match its key; it was changed")
        return payload

    async def _retry(self, purpose: str, action: Callable[[], Awaitable[T]]) -> T:
        """Call an action again while it fails with errors that may pass.

        :param purpose: A verb with its object, for the log.
        :raises BlobNotFound: the blob is gone.
        :raises PayloadError: the blob was changed.
        :raises StoreError: it has failed several times.
        """
        for tries, seconds in enumerate(backoffs(), 1):
            try:
                return await action()
            except (BlobNotFound, PayloadError):
                raise
            except Exception as error:
                if tries == _TRIES:
                    raise StoreError(
                        f"failed {tries} times, at last with {type(error).__name__}: {error}"
                    ) from error
                logger.warning("cannot %s yet: %s; trying again in %g s", purpose, error, seconds)
                await self.clock.sleep(seconds)
        raise AssertionError("there are always further tries")


def _digest(payload: Payload) -> str:
    digest = hashlib.blake2b(payload.serializer.encode() + b"\0", digest_size=_DIGEST)
    digest.update(payload.data)
    return digest.hexdigest()
