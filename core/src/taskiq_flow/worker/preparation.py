"""An attempt's arguments, made ready before its function is called."""

from __future__ import annotations

import pickle
from typing import Any

from attrs import evolve

from taskiq_flow._runtime import Runtime
from taskiq_flow.errors import BlobNotFound, PayloadError, StoreError
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.payloads import FailureKind, Payload, Value
from taskiq_flow.tasks.signatures import PROGRESS_PARAMETER
from taskiq_flow.values.failures import failure_of
from taskiq_flow.values.readings import Reading
from taskiq_flow.worker.arguments import decode_arguments, fetch_argument
from taskiq_flow.worker.attempts import Attempt
from taskiq_flow.worker.carried_context import Homes, carry_context
from taskiq_flow.worker.functions import TaskFunction
from taskiq_flow.worker.jobs import Job
from taskiq_flow.worker.makers import reading_made_by
from taskiq_flow.worker.processes import ProcessSeat
from taskiq_flow.worker.progress import Progress, reporter

__all__ = ["Preparation"]


class Preparation:
    """Gets what is kept as blobs, decodes arguments, and adds what a worker fills in by itself.

    :param runtime: The parts of the flow.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._broker = runtime.broker
        self._store = runtime.store
        self._codec = runtime.codec
        self._checks = runtime.claim_checks
        self._clock = runtime.clock
        self._homes: dict[Any, Homes] = {}

    async def get_ready(self, attempt: Attempt) -> None:
        """Get, check and decode everything; what is wrong with it becomes the attempt's failure."""
        for value in attempt.envelope.arguments.values():
            if type(value) is not Payload:
                await self._fetch(attempt)
                break
        if not attempt.skip:
            self._prepare(attempt)

    async def _fetch(self, attempt: Attempt) -> None:
        """Get the arguments that are kept as blobs."""
        envelope = attempt.envelope
        arguments: dict[str, Value] = {}
        try:
            for name, value in envelope.arguments.items():
                arguments[name] = await fetch_argument(
                    name, value, attempt.task_function.task, envelope, self._checks, self._codec
                )
        except PayloadError as error:
            attempt.reject(failure_of(error, FailureKind.REJECTED))
        except StoreError as error:
            # What is gone stays away; what failed may be there next time.
            gone = isinstance(error, BlobNotFound)
            attempt.reject(failure_of(error, FailureKind.REJECTED if gone else None))
        else:
            attempt.envelope = evolve(envelope, arguments=arguments)

    def read(self, function: TaskFunction, envelope: Envelope) -> dict[str, Any] | None:
        """Decode arguments where nothing is special about them, and nothing is wrong with them; otherwise ``None``."""
        if function.reports_progress or "makers" in envelope.extras:
            return None
        readers, arguments = function.readers, {}
        try:
            for name, value in envelope.arguments.items():
                if type(value) is not Payload:
                    return None
                reader = readers.get((name, value.serializer))
                if reader is None:
                    reader = self._codec.reader(value.serializer, function.accepts.get(name, Any))
                    if reader is None:
                        return None
                    readers[(name, value.serializer)] = reader
                arguments[name] = reader(value.data)
        except Exception:  # noqa: BLE001 - whoever reads them thoroughly says what is wrong
            return None
        return arguments

    def _prepare(self, attempt: Attempt) -> None:
        """Decode the arguments, or let a process do so."""
        task_function, envelope = attempt.task_function, attempt.envelope
        if isinstance(attempt.seat, ProcessSeat):
            attempt.job = Job(
                key=attempt.key,
                reference=attempt.seat.reference,
                task=task_function.task,
                arguments=envelope.arguments,
                reports_to=PROGRESS_PARAMETER if task_function.reports_progress else None,
                outputs=envelope.outputs,
                serializer=envelope.extras.get("serializer") or self._codec.default,
                codec=self._codec.recipe(),
                context=carry_context(self._homes),
                made_by={name: each for name, each in self._find_makers(envelope).items() if _travels(each)},
            )
            if task_function.reports_progress:
                attempt.report = self.progress(task_function, envelope.message_id, envelope)[
                    PROGRESS_PARAMETER
                ]
            return
        self.prepare_here(attempt)

    def prepare_here(self, attempt: Attempt) -> None:
        """Decode the arguments for a call in this process."""
        task_function, envelope = attempt.task_function, attempt.envelope
        try:
            arguments = decode_arguments(
                task_function.accepts,
                task_function.task,
                envelope.arguments,
                self._codec,
                self._find_makers(envelope),
            )
        except PayloadError as error:
            attempt.reject(failure_of(error, FailureKind.REJECTED))
            return
        if task_function.reports_progress and PROGRESS_PARAMETER not in arguments:
            arguments.update(self.progress(task_function, envelope.message_id, envelope))
        attempt.arguments = arguments

    def _find_makers(self, envelope: Envelope) -> dict[str, Reading]:
        """Return how those arguments are read whose makers are known."""
        makers = envelope.extras.get("makers", {})
        found = {name: reading_made_by(maker, self._broker) for name, maker in makers.items()}
        return {name: reading for name, reading in found.items() if reading is not None}

    def progress(
        self, task_function: TaskFunction, message_id: str, envelope: Envelope | None
    ) -> dict[str, Any]:
        """Give the argument by which a task reports progress.

        :param message_id: The id of the message.
        :param envelope: Which attempt it is; ``None`` for a task that was sent on its own.
        """
        # Who sent a task on its own looks under the id of that message, whichever attempt it is.
        task_id = message_id if envelope is None else envelope.extras.get("sender", message_id)
        report = reporter(self._broker, self._store, self._clock, task_id, envelope)
        return {PROGRESS_PARAMETER: Progress(report, awaited=task_function.is_async)}


def _travels(reading: Reading) -> bool:
    """Whether a reading can be sent to another process, with its annotations."""
    try:
        pickle.dumps(reading)
    except Exception:  # noqa: BLE001 - a class of the user's may raise anything
        return False
    return True
