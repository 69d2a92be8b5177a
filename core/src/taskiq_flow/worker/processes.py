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
                    # Nobody else would ever answer: too many processes, files or threads, or no memory for one more.
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
        next_one: ProcessPoolExecutor | None = executor
        if isinstance(error, BrokenProcessPool):
            _shut_down_lost(executor)
            next_one = _try_to_spawn((module,))
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


def _try_to_spawn(modules: tuple[str, ...]) -> ProcessPoolExecutor | None:
    """Start a process; ``None`` where there can be none now, which its next job will tell."""
    try:
        return _spawn(modules)
    except (OSError, RuntimeError):
        return None


def _hand_job(
    executor: ProcessPoolExecutor | None, job: Job
) -> tuple[ProcessPoolExecutor, Future[JobResult]]:
    """Give a job to a process, which is another one where there is none or it died while it was idle.

    :raises OSError: or ``RuntimeError``: none can be started.
    """
    if executor is not None:
        try:
            return executor, executor.submit(run_job, job)
        except BrokenProcessPool:
            _shut_down_lost(executor)
    fresh = _spawn((job.module,))
    return fresh, fresh.submit(run_job, job)


def _shut_down_lost(executor: ProcessPoolExecutor) -> None:
    """Let a pool that has lost its process end, in a thread that keeps it until then.

    Its own thread holds its lock while it calls the futures back. Were that thread the last to know the pool, the
    pool's collection would ask for the same lock there, and the interpreter would wait for it at its exit, for ever.
    """
    threading.Thread(target=executor.shutdown, name="taskiq-flow-lost-process", daemon=True).start()


def _leave_interrupts_alone() -> None:
    # A terminal sends Ctrl-C to the pool's processes too, but what becomes of a run is for its own process to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _warm(modules: tuple[str, ...]) -> int:
    for module in modules:
        importlib.import_module(module)
    # What is loaded by now stays for good; the collector need not look at it during every job.
    gc.collect()
    gc.freeze()
    return os.getpid()
