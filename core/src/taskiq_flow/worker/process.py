"""A process for jobs, as the one that has started it knows it."""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import spawn
from typing import Any

from taskiq_flow._logs import open_log
from taskiq_flow.errors import FlowError
from taskiq_flow.values.codec import CodecRecipe
from taskiq_flow.worker.jobs import Job, JobResult
from taskiq_flow.worker.references import Reference
from taskiq_flow.worker.scripts import check_guard, find_script

__all__ = ["JobProcess", "ProcessLost"]

logger = open_log("taskiq_flow")

_PROGRAM = "import sys; sys.path[:] = {path!r}; from taskiq_flow.worker.child import serve; serve({handle}, {parent})"
_SECONDS_TO_END = 5.0
_SECONDS_TO_IMPORT = 30.0
_SECONDS_BETWEEN_LOOKS = 0.5


class ProcessLost(Exception):
    """The process that ran an attempt is gone."""


class JobProcess:
    """A process for jobs, which is asked one thing at a time.

    :param popen: The process.
    :param connection: The connection to it.
    :param script: What it needs to import the script of this process; empty where there is none.
    """

    def __init__(self, popen: subprocess.Popen[bytes], connection: Any, script: dict[str, Any]) -> None:
        self._popen = popen
        self._connection = connection
        self._script = script
        self._killed = False
        self._imported = False
        self._numbers = itertools.count()
        self._known: dict[Reference, LookupError | FlowError | None] = {}

    @classmethod
    def start(cls) -> JobProcess:
        """Start a process.

        :raises OSError: or ``RuntimeError``: it cannot be started.
        """
        ours, theirs = multiprocessing.Pipe()
        with theirs:
            popen = _open(theirs.fileno())
        process = cls(popen, ours, find_script())
        process._send("prepare", next(process._numbers), _describe_this_process())
        return process

    @property
    def alive(self) -> bool:
        """Whether it can be given something to do."""
        return not self._killed and self._popen.poll() is None

    def look(self) -> bool:
        """Take what it has to say while it has nothing to do; whether it can be given something."""
        try:
            while self._connection.poll():
                message = self._receive()
                if message is not None:
                    self._handle(message, None)
        except (ProcessLost, OSError):
            return False
        return self.alive

    def find(self, reference: Reference, codec: CodecRecipe) -> LookupError | FlowError | None:
        """Have it find a function, and get ready to call it; say what is wrong where it cannot.

        :raises ProcessLost: it is gone.
        """
        if reference not in self._known:
            self._known[reference] = self._find(reference, codec)
        return self._known[reference]

    def _find(self, reference: Reference, codec: CodecRecipe) -> LookupError | FlowError | None:
        pickled = pickle.dumps(codec)
        if not self._imported and (reference.in_script or b"__main__" in pickled):
            try:
                check_guard()
            except FlowError as error:
                return error
            problem = self._ask("script", self._script)
            if problem is not None:
                must_not_run, text = problem
                return (
                    FlowError(text)
                    if must_not_run
                    else LookupError(f"a process cannot run its script: {text}")
                )
            self._imported = True
        text = self._ask("find", reference, pickled)
        return None if text is None else LookupError(text)

    def run(self, job: Job, report: Callable[[float], None] | None) -> JobResult:
        """Have it do a job.

        :param report: Called with the progress that the task reports.
        :raises ProcessLost: it is gone.
        """
        result: JobResult = self._ask("job", pickle.dumps(job), _levels_of_loggers(), report=report)
        return result

    def kill(self) -> None:
        """Kill it, whatever it is doing."""
        self._killed = True
        with contextlib.suppress(OSError):
            self._popen.kill()

    def end(self) -> None:
        """Let it end, which it does when nobody is at this end of the connection any more."""
        with contextlib.suppress(OSError):
            self._connection.close()
        try:
            self._popen.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.kill()
            self._popen.wait()

    def forget(self) -> None:
        """Let go of it: it belongs to the process that this one was forked from."""
        with contextlib.suppress(OSError):
            self._connection.close()
        self._popen.returncode = 0

    def _ask(self, kind: str, *given: Any, report: Callable[[float], None] | None = None) -> Any:
        number = next(self._numbers)
        self._send(kind, number, *given)
        try:
            began = time.monotonic()
            while True:
                message = self._receive()
                if message is None:
                    began = self._warn_of_import(kind, given, began)
                elif message[:2] == (kind, number):
                    return message[2]
                else:
                    self._handle(message, report)
        except ProcessLost:
            raise
        except BaseException:
            # Its answer would be taken for that to the next question.
            self.kill()
            raise

    def _warn_of_import(self, kind: str, given: tuple[Any, ...], began: float) -> float:
        """Say once in a while that attempts wait for an import; give when that was said."""
        if kind == "job" or time.monotonic() - began < _SECONDS_TO_IMPORT:
            return began
        what = f"module {given[0].module!r}" if kind == "find" else "the script"
        logger.warning(
            "a process has been importing %s for another %g s, and attempts wait for it",
            what,
            _SECONDS_TO_IMPORT,
        )
        return time.monotonic()

    def _send(self, *message: Any) -> None:
        data = pickle.dumps(message)
        # Where it is gone already, reading says so.
        with contextlib.suppress(OSError):
            self._connection.send_bytes(data)

    def _receive(self) -> tuple[Any, ...] | None:
        """Return the next message; ``None`` where there is none for a while.

        :raises ProcessLost: it is gone.
        """
        try:
            if not self._connection.poll(_SECONDS_BETWEEN_LOOKS):
                # Where a task has forked, somebody else keeps the other end of the connection open.
                if self.alive or self._connection.poll():
                    return None
                raise EOFError
            message: tuple[Any, ...] = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            raise ProcessLost(f"the process that ran the attempt {self._how_it_ended()}") from None
        return message

    def _handle(self, message: tuple[Any, ...], report: Callable[[float], None] | None) -> None:
        kind, number, *given = message
        if kind == "log":
            _log(*given[0])
        elif kind == "progress":
            problem = None
            try:
                if report is not None:
                    report(given[0])
            except Exception as error:  # noqa: BLE001 - a store's or a result backend's; the task hears of it
                problem = f"{type(error).__name__}: {error}"
            self._send("reported", number, problem)

    def _how_it_ended(self) -> str:
        self.end()
        code = self._popen.returncode
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return f"was ended by signal {name}" + (
            ", as the system does when memory is short" if code == -9 else ""
        )


def _open(handle: int) -> subprocess.Popen[bytes]:
    program = _PROGRAM.format(path=sys.path, handle=handle, parent=os.getpid())
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    command = [os.fsdecode(spawn.get_executable()), *flags, "-c", program]
    if sys.platform == "win32":
        os.set_handle_inheritable(handle, True)
        info = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]})
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, startupinfo=info)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[handle])


def _describe_this_process() -> dict[str, Any]:
    """Return what makes a new process like this one, in the words of multiprocessing."""
    found: dict[str, Any] = {
        "name": "taskiq-flow",
        "sys_path": sys.path,
        "sys_argv": sys.argv,
        "dir": os.getcwd(),
        "authkey": bytes(multiprocessing.current_process().authkey),
    }
    # Asking for the default would settle it, and the user may still want another one.
    method = multiprocessing.get_start_method(allow_none=True)
    return found if method is None else {**found, "start_method": method}


def _levels_of_loggers() -> dict[str, int]:
    """Return the levels that were set, by name; that of the root, by an empty name."""
    root = logging.getLogger()
    levels = {"": max(root.level, root.manager.disable)}
    for name, each in [*root.manager.loggerDict.items()]:
        if isinstance(each, logging.Logger) and each.level:
            levels[name] = each.level
    return levels


def _log(plain: dict[str, Any], others: bytes) -> None:
    """Handle a record of the process as if a thread of this one had made it."""
    try:
        record = logging.makeLogRecord({**pickle.loads(others), **plain})
        target = logging.getLogger(record.name)
        if target.isEnabledFor(record.levelno):
            target.handle(record)
    except Exception:
        logger.exception("a log record of a process is lost")
