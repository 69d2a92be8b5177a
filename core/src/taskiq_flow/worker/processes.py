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
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from taskiq_flow.worker.jobs import Job, JobResult, run_job

__all__ = ["ProcessLost", "Processes"]


class ProcessLost(Exception):
    """The process that ran an attempt is gone."""


class Processes:
    """Processes that work on jobs, each on one at a time.

    :param count: How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = threading.Lock()
        # None stands for a process that could not be started; the next job tries again.
        self._idle: deque[ProcessPoolExecutor | None] = deque()
        self._waiting: deque[tuple[Job, Future[JobResult]]] = deque()
        self._started = False

    @property
    def room(self) -> int:
        """How many jobs to submit at once: one more than there are processes, so that none idles between two jobs."""
        return self.count + 1

    def start(self, modules: tuple[str, ...] = ()) -> None:
        """Start the processes, which import modules before their first job; without effect later on."""
        with self._lock:
            if self._started:
                return
            self._started = True
            self._idle.extend(_try_to_spawn(modules) for _ in range(self.count))

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
                    executor, inner = _hand_job(executor, job)
                except (OSError, RuntimeError) as error:
                    # Too many processes, files or threads, or too little memory: the job must still get its answer.
                    executor = None
                    answer.set_exception(ProcessLost(f"no process could be started: {error}"))
                    continue
                inner.add_done_callback(functools.partial(self._take_back, executor, answer, job.module))
                return
        if executor is not None:
            executor.shutdown(wait=False)

    def _take_back(
        self, executor: ProcessPoolExecutor, answer: Future[JobResult], module: str, inner: Future[JobResult]
    ) -> None:
        error = inner.exception()
        successor: ProcessPoolExecutor | None = executor
        if isinstance(error, BrokenProcessPool):
            _shut_down_lost(executor)
            successor = _try_to_spawn((module,))
            error = ProcessLost("the process that ran the attempt was lost")
        self._work(successor)
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(inner.result())


def _spawn(modules: tuple[str, ...]) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=_leave_interrupts_alone)
    executor.submit(_warm, modules)
    return executor


def _try_to_spawn(modules: tuple[str, ...]) -> ProcessPoolExecutor | None:
    """Start a process; ``None`` where that fails, as the next job tries again and reports the reason."""
    try:
        return _spawn(modules)
    except (OSError, RuntimeError):
        return None


def _hand_job(
    executor: ProcessPoolExecutor | None, job: Job
) -> tuple[ProcessPoolExecutor, Future[JobResult]]:
    """Submit a job to a process, or to a new one where there is none or it died while it was idle.

    :raises OSError: or ``RuntimeError``: no process can be started.
    """
    if executor is not None:
        try:
            return executor, executor.submit(run_job, job)
        except BrokenProcessPool:
            _shut_down_lost(executor)
    fresh = _spawn((job.module,))
    return fresh, fresh.submit(run_job, job)


def _shut_down_lost(executor: ProcessPoolExecutor) -> None:
    """Shut down a pool that has lost its process, in a thread that keeps a reference to it until then.

    The pool's own thread holds the pool's lock while it calls the futures back. If it had the last reference, the pool
    would be collected there and ask for the same lock, and the interpreter would wait for ever when it exits.
    """
    threading.Thread(target=executor.shutdown, name="taskiq-flow-lost-process", daemon=True).start()


def _leave_interrupts_alone() -> None:
    # A terminal sends Ctrl-C to the pool's processes too, but the worker decides what becomes of its attempts.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _warm(modules: tuple[str, ...]) -> int:
    for module in modules:
        importlib.import_module(module)
    # The modules stay for good, so the garbage collector need not look at them during every job.
    gc.collect()
    gc.freeze()
    return os.getpid()
