"""A pool of processes for synchronous tasks, in which every process can be lost alone.

The standard library's pool breaks as a whole when one of its processes dies. Here each process is a
pool of one, so a killed process takes one attempt with it, and is replaced.
"""

from __future__ import annotations

import functools
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Union

from attrs import field, frozen

from taskiq_flow.codec import CodecRecipe, made_of
from taskiq_flow.errors import PayloadError
from taskiq_flow.payloads import Failure, FailureKind, Payload, Value

__all__ = ["Job", "JobResult", "ProcessLost", "Processes", "own_name", "reference_of", "run_job"]

_RENAMED = "__taskiq_original"


class ProcessLost(Exception):
    """The process that ran an attempt is gone."""


@frozen(kw_only=True)
class Job:
    """An attempt as a process gets it: nothing is decoded before it is there.

    :param module: The module of the task's function.
    :param qualname: Its name in there.
    :param task: The task's name, for errors.
    :param arguments: Encoded, by parameter name.
    :param outputs: The names of the outputs to unpack the result into.
    :param serializer: The id of the serializer of the outputs.
    :param codec: What the process makes its codec of.
    """

    module: str
    qualname: str
    task: str
    arguments: Mapping[str, Value]
    outputs: tuple[str, ...]
    serializer: str
    codec: CodecRecipe


@frozen(kw_only=True)
class JobResult:
    """What came of a job.

    :param outcome: The encoded outputs, or what went wrong.
    :param seconds: How long the function ran.
    :param attributes: What the exception has besides its arguments, where one was raised.
    """

    outcome: Union[tuple[Payload, ...], Failure]
    seconds: float = 0.0
    attributes: Mapping[str, Any] = field(factory=dict)


class Processes:
    """Processes that work on jobs, each on one at a time.

    :param count: How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = threading.Lock()
        # None stands for a process that could not be started, and is to be with the next job.
        self._idle: deque[ProcessPoolExecutor | None] = deque()
        self._waiting: deque[tuple[Job, Future[JobResult]]] = deque()
        self._started = False

    @property
    def room(self) -> int:
        """How many jobs should be given at once: one more than there are processes, so that none idles between two."""
        return self.count + 1

    def start(self, modules: tuple[str, ...] = ()) -> None:
        """Start the processes and let them import modules ahead of their first job; without effect later on."""
        with self._lock:
            if self._started:
                return
            self._started = True
            self._idle.extend(_spawned(modules) for _ in range(self.count))

    def submit(self, job: Job) -> Future[JobResult]:
        """Give a job to an idle process, or to the first one that becomes idle.

        The future can be cancelled until a process has begun. It raises :class:`ProcessLost` when the process dies, or
        cannot be started.
        """
        self.start((job.module,))
        answer: Future[JobResult] = Future()
        with self._lock:
            self._waiting.append((job, answer))
            idle = [self._idle.popleft()] if self._idle else []
        for executor in idle:
            self._work(executor)
        return answer

    def shutdown(self) -> None:
        """End the idle processes; those at work end with their jobs."""
        with self._lock:
            idle, self._idle, self._started = self._idle, deque(), False
        for executor in idle:
            if executor is not None:
                executor.shutdown(wait=False)

    def _work(self, executor: ProcessPoolExecutor | None) -> None:
        """Give the oldest job to a process that has nothing to do."""
        while True:
            with self._lock:
                if not self._waiting:
                    if self._started:
                        self._idle.append(executor)
                        return
                    break
                job, answer = self._waiting.popleft()
            if answer.set_running_or_notify_cancel():
                try:
                    executor, inner = _given(executor, job)
                except (OSError, RuntimeError) as error:
                    # Nobody else would ever answer: too many processes, files or threads, or no memory for one more.
                    executor = None
                    answer.set_exception(ProcessLost(f"no process could be started: {error}"))
                    continue
                inner.add_done_callback(functools.partial(self._done, executor, answer, job.module))
                return
        if executor is not None:
            executor.shutdown(wait=False)

    def _done(
        self, executor: ProcessPoolExecutor, answer: Future[JobResult], module: str, inner: Future[JobResult]
    ) -> None:
        error = inner.exception()
        next_one: ProcessPoolExecutor | None = executor
        if isinstance(error, BrokenProcessPool):
            _bury(executor)
            next_one = _spawned((module,))
            error = ProcessLost("the process that ran the attempt was lost")
        self._work(next_one)
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(inner.result())


def _spawn(modules: tuple[str, ...]) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=_leave_interrupts_alone)
    executor.submit(_warm, modules)
    return executor


def _spawned(modules: tuple[str, ...]) -> ProcessPoolExecutor | None:
    """Start a process; ``None`` where there can be none now, which its next job will tell."""
    try:
        return _spawn(modules)
    except (OSError, RuntimeError):
        return None


def _given(executor: ProcessPoolExecutor | None, job: Job) -> tuple[ProcessPoolExecutor, Future[JobResult]]:
    """Give a job to a process, which is another one where there is none or it died while it was idle.

    :raises OSError: or ``RuntimeError``: none can be started.
    """
    if executor is not None:
        try:
            return executor, executor.submit(run_job, job)
        except BrokenProcessPool:
            _bury(executor)
    fresh = _spawn((job.module,))
    return fresh, fresh.submit(run_job, job)


def _bury(executor: ProcessPoolExecutor) -> None:
    """Let a pool that has lost its process end, in a thread that keeps it until then.

    Its own thread holds its lock while it calls the futures back. Were that thread the last to know the pool, the
    pool's collection would ask for the same lock there, and the interpreter would wait for it at its exit, for ever.
    """
    threading.Thread(target=executor.shutdown, name="taskiq-flow-lost-process", daemon=True).start()


def _leave_interrupts_alone() -> None:
    # A terminal sends Ctrl-C to the pool's processes too, but what becomes of a run is for its own process to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def own_name(name: str) -> str:
    """Give the name that a function had before it was decorated: taskiq renames it."""
    while name.endswith(_RENAMED):
        name = name[: -len(_RENAMED)]
    return name


def reference_of(function: Any) -> tuple[str, str] | None:
    """Give the module and the name under which a new process finds a task's function; ``None`` when it cannot."""
    module_name, qualname = function.__module__, own_name(function.__qualname__)
    module = sys.modules.get(module_name)
    if module is None or (module_name == "__main__" and not getattr(module, "__file__", None)):
        return None
    return (module_name, qualname) if _find(module, qualname) is function else None


def _find(module: Any, qualname: str) -> Any:
    found = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    while True:
        inner = getattr(found, "func", None) or getattr(found, "original_func", None)
        if inner is None:
            return found
        found = inner


def _warm(modules: tuple[str, ...]) -> int:
    for module in modules:
        importlib.import_module(module)
    # What is loaded by now stays for good; the collector need not look at it during every job.
    gc.collect()
    gc.freeze()
    return os.getpid()


def run_job(job: Job) -> JobResult:
    """Run a job in this process: decode, call, encode. Never raises what a task raises."""
    from taskiq_flow.failures import failure_of, plain_attributes
    from taskiq_flow.signatures import read_signature
    from taskiq_flow.worker.arguments import decode_arguments, encode_outputs

    started = time.perf_counter()
    try:
        function = _find(importlib.import_module(job.module), job.qualname)
        codec = made_of(job.codec)
        accepts = read_signature(function).accepts
        arguments = decode_arguments(accepts, job.task, job.arguments, codec)
        started = time.perf_counter()
        value = function(**arguments)
        seconds = time.perf_counter() - started
        return JobResult(outcome=encode_outputs(value, job.outputs, codec, job.serializer), seconds=seconds)
    except PayloadError as error:
        return JobResult(outcome=failure_of(error, FailureKind.REJECTED))
    except BaseException as error:  # noqa: BLE001 - whatever a task raises is its outcome, SystemExit included
        seconds = time.perf_counter() - started
        return JobResult(outcome=failure_of(error), seconds=seconds, attributes=plain_attributes(error))
