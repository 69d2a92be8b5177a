"""A pool of processes for synchronous tasks, in which every process can be lost or killed alone.

Each process has an attendant, which is a thread of this process: it starts the process, takes attempts for it, and
replaces it when it is gone. An attempt has its seat when its process is up and has found the task.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import os
import signal
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from taskiq_flow.values.codec import CodecRecipe
from taskiq_flow.worker.jobs import Job
from taskiq_flow.worker.process import JobProcess, ProcessLost
from taskiq_flow.worker.references import Reference
from taskiq_flow.worker.seats import Outcome, Seat

__all__ = ["ProcessSeat", "Processes"]

logger = logging.getLogger("taskiq_flow")

_SECONDS_BETWEEN_LOOKS = 1.0


class ProcessSeat(Seat):
    """A process that an attempt has taken.

    :param reference: Where the process finds the task's function.
    :param codec: The recipe by which it makes its codec.

    :ivar process: The process; ``None`` where there is a problem.
    """

    process: JobProcess | None = None

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        submit: Callable[[Seat], None],
        reference: Reference,
        codec: CodecRecipe,
    ) -> None:
        super().__init__(loop, submit)
        self.reference = reference
        self.codec = codec

    def call_job(self, job: Job, report: Callable[[float], None] | None) -> Future[Outcome]:
        """Let the process do a job.

        :param report: Called in a thread with the progress that the task reports.
        """
        context = contextvars.copy_context()

        def do(process: JobProcess) -> Outcome:
            return context.run(_do_job, job, report, process)

        return self.call(do)

    def stop(self) -> bool:
        """Kill the process, unless it is done with the job."""
        with self._lock:
            if self.process is not None and not self._outcome.done():
                self.process.kill()
        return True

    def serve(self, *given: Any) -> None:
        """Wait for the job and have it done; called by the attendant."""
        super().serve(self.process)


def _do_job(job: Job, report: Callable[[float], None] | None, process: JobProcess) -> Outcome:
    try:
        return process.run(job, report), None
    except BaseException as error:  # noqa: BLE001 - the outcome of the attempt, which no future is to translate
        return None, error


class Processes:
    """Processes that work on jobs, each on one at a time.

    :param count: How many.

    :ivar avoided: The tasks that run in threads, since no process can run them.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.avoided: set[str] = set()
        self.begin()
        _ALL.add(self)

    def begin(self) -> None:
        """Begin without processes; those that there are belong to the process that this one was forked from."""
        self._lock = threading.Lock()
        self._seats: SimpleQueue[ProcessSeat | None] | None = None
        self._working: set[JobProcess] = set()

    async def take(self, reference: Reference, codec: CodecRecipe) -> ProcessSeat:
        """Wait for a process that has found a function and made a codec, and take it."""
        seat = ProcessSeat(asyncio.get_running_loop(), self._submit, reference, codec)
        await seat.take()
        return seat

    def shutdown(self) -> None:
        """End the idle processes; those at work end with their jobs."""
        with self._lock:
            seats, self._seats = self._seats, None
        if seats is not None:
            for _ in range(self.count):
                seats.put(None)

    def kill(self) -> None:
        """Kill all processes, as the interpreter ends."""
        for process in [*self._working]:
            process.kill()

    def forget(self) -> None:
        """Let go of what belongs to the process that this one was forked from."""
        for process in self._working:
            process.forget()
        self.begin()

    def _submit(self, seat: Seat) -> None:
        assert isinstance(seat, ProcessSeat)
        with self._lock:
            if self._seats is None:
                self._seats = self._hire()
            self._seats.put(seat)

    def _hire(self) -> SimpleQueue[ProcessSeat | None]:
        """Start the attendants, as many as there can be.

        :raises RuntimeError: there can be none.
        """
        seats: SimpleQueue[ProcessSeat | None] = SimpleQueue()
        for number in range(self.count):
            attendant = _Attendant(weakref.ref(self), seats, self._working)
            try:
                threading.Thread(target=attendant.attend, name="taskiq-flow-process", daemon=True).start()
            except RuntimeError as error:
                if number == 0:
                    raise
                logger.warning("only %d of %d processes can be attended to: %s", number, self.count, error)
                break
        return seats


class _Attendant:
    """A thread that has a process, and takes attempts for it while there is a pool.

    :param pool: The pool, as long as somebody has it.
    :param seats: The attempts that wait; ``None`` is the end.
    :param working: The processes of the pool.
    """

    def __init__(
        self,
        pool: weakref.ref[Processes],
        seats: SimpleQueue[ProcessSeat | None],
        working: set[JobProcess],
    ) -> None:
        self._pool = pool
        self._seats = seats
        self._working = working

    def attend(self) -> None:
        """Take attempts until there are none any more."""
        # A process inherits this, so that Ctrl-C does not end it before it has said that it leaves it to the worker.
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        process = self._start(None)
        while True:
            try:
                seat = self._seats.get(timeout=_SECONDS_BETWEEN_LOOKS)
            except Empty:
                if self._pool() is None:
                    break
                if process is None or not process.look():
                    process = self._start(process)
                continue
            if seat is None:
                break
            process = self._serve(process, seat)
            # It knows its pool, which somebody may let go of before there is another one.
            del seat
            if process is not None and not process.alive:
                process = self._start(process)
        if process is not None:
            self._working.discard(process)
            process.end()

    def _serve(self, process: JobProcess | None, seat: ProcessSeat) -> JobProcess | None:
        try:
            process = self._get_ready(process, seat)
        except Exception as error:  # noqa: BLE001 - nobody would miss an attendant that ended
            seat.problem = _describe_start(error)
        seat.serve()
        return process

    def _get_ready(self, process: JobProcess | None, seat: ProcessSeat) -> JobProcess | None:
        """Have the function of an attempt found, by another process if need be."""
        for is_last in (False, True):
            try:
                if process is None or not process.alive:
                    process = self._replace(process)
                seat.problem = process.find(seat.reference, seat.codec)
            except (OSError, RuntimeError, ProcessLost) as error:
                seat.problem = error if isinstance(error, ProcessLost) else _describe_start(error)
                if process is not None and is_last:
                    process = self._start(process)
            else:
                seat.process = process
                break
        return process

    def _start(self, former: JobProcess | None) -> JobProcess | None:
        """Start a process; ``None`` where that fails, as the next attempt tries again and reports the reason."""
        try:
            return self._replace(former)
        except (OSError, RuntimeError):
            return None

    def _replace(self, former: JobProcess | None) -> JobProcess:
        if former is not None:
            self._working.discard(former)
            former.end()
        process = JobProcess.start()
        self._working.add(process)
        return process


def _describe_start(error: Exception) -> ProcessLost:
    return ProcessLost(f"no process could be started: {error}")


# The interpreter calls these in the end and after each fork; a pool that is not used any more is not kept.
_ALL: weakref.WeakSet[Processes] = weakref.WeakSet()


def _end_all() -> None:
    for each in [*_ALL]:
        each.kill()


def _forget_all() -> None:
    for each in [*_ALL]:
        each.forget()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
