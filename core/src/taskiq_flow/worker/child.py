"""What runs in a process of a flow: it answers the one that has started it, and ends with it."""

from __future__ import annotations

import gc
import itertools
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from multiprocessing import spawn
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import ModuleType
from typing import Any, Union

from taskiq_flow.errors import FlowError
from taskiq_flow.payloads import FailureKind
from taskiq_flow.tasks.signatures import read_signature
from taskiq_flow.values.codec import make_codec
from taskiq_flow.values.failures import failure_of
from taskiq_flow.worker.jobs import Job, JobResult, run_job
from taskiq_flow.worker.references import Reference, find_function

__all__ = ["serve"]

_SECONDS_BETWEEN_LOOKS = 1.0
_ORPHANED = 70
_PR_SET_PDEATHSIG = 1
_SCRIPT = "__mp_main__"


def serve(handle: int, parent: int) -> None:
    """Answer requests until the other end of the connection is closed.

    :param handle: The connection's.
    :param parent: The id of the process at the other end.
    """
    # A terminal sends Ctrl-C to this process too, but the worker decides what becomes of its attempts. Programs that a
    # task starts do not inherit a handler, as they would inherit that the signal is ignored.
    signal.signal(signal.SIGINT, lambda *_: None)
    _die_with_parent(parent)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _Child(_connect(handle), parent).serve()


def _die_with_parent(parent: int) -> None:
    """Let the system end this process with its parent, even while a task holds the interpreter; Linux alone."""
    if sys.platform == "linux":
        try:
            import ctypes

            # The parent is the thread that has started this process, and which is there as long as that process is.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        except (ImportError, OSError, AttributeError):
            return
        if os.getppid() != parent:
            os._exit(_ORPHANED)


def _connect(handle: int) -> Any:
    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection

        return PipeConnection(handle)
    return Connection(handle)


class _Child:
    """The end of a connection in a process that was started for jobs."""

    def __init__(self, connection: Any, parent: int) -> None:
        self._connection = connection
        self._parent = parent
        self._requests: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._reports: dict[int, Future[str | None]] = {}
        self._forwarder = _Forwarder(self)

    def serve(self) -> None:
        threading.Thread(target=self._listen, name="taskiq-flow-parent", daemon=True).start()
        answers: dict[str, Callable[..., Any]] = {
            "prepare": _prepare,
            "script": _import_script,
            "find": self._find,
            "job": self._run,
        }
        while True:
            kind, number, *given = self._requests.get()
            self._send(kind, number, answers[kind](*given))

    def _listen(self) -> None:
        """Take requests, and end this process when nobody can send any more."""
        try:
            while True:
                if not self._connection.poll(_SECONDS_BETWEEN_LOOKS):
                    # Where the parent has forked, another process keeps its end of the connection open.
                    if os.getppid() != self._parent:
                        break
                    continue
                request = pickle.loads(self._connection.recv_bytes())
                if request[0] == "reported":
                    self._reports.pop(request[1]).set_result(request[2])
                else:
                    self._requests.put(request)
        finally:
            os._exit(_ORPHANED)

    def _send(self, *message: Any) -> None:
        data = pickle.dumps(message)
        try:
            with self._lock:
                self._connection.send_bytes(data)
        except OSError:
            os._exit(_ORPHANED)

    def _find(self, reference: Reference, codec: bytes) -> str | None:
        try:
            function = find_function(reference)
            # No time limit is to measure what is done once.
            read_signature(function)
            make_codec(pickle.loads(codec))
        except LookupError as error:
            return str(error)
        except Exception:  # noqa: BLE001 - the job says what is wrong, in the place where it belongs
            return None
        # The modules stay for good, so the garbage collector need not look at them during every job.
        gc.collect()
        gc.freeze()
        return None

    def _run(self, data: bytes, levels: Mapping[str, int]) -> JobResult:
        _forward_logs(self._forwarder, levels)
        try:
            job: Job = pickle.loads(data)
        except Exception as error:  # noqa: BLE001 - the classes of codecs and of what was injected run here
            return JobResult(outcome=failure_of(error, FailureKind.REJECTED))
        result = run_job(job, self._report)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        return result

    def _report(self, progress: float) -> None:
        number, answer = next(self._ids), Future[Union[str, None]]()
        self._reports[number] = answer
        self._send("progress", number, float(progress))
        problem = answer.result()
        if problem is not None:
            raise RuntimeError(f"progress could not be reported: {problem}")

    def log(self, record: logging.LogRecord) -> None:
        self._send("log", 0, _pack(record))


class _Forwarder(logging.Handler):
    """Hands log records to the process that has started this one."""

    def __init__(self, child: _Child) -> None:
        super().__init__()
        self._child = child

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._child.log(record)
        except Exception:  # noqa: BLE001 - as all handlers of the standard library do
            self.handleError(record)


def _pack(record: logging.LogRecord) -> tuple[dict[str, Any], bytes]:
    """Return a record as plain data, and what else can be pickled of it."""
    fields = {**record.__dict__, "msg": record.getMessage(), "args": None, "exc_info": None}
    if record.exc_info and not record.exc_text:
        fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
    plain = {
        name: value for name, value in fields.items() if type(value) in (str, int, float, bool, type(None))
    }
    others: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in plain:
            try:
                others[name] = pickle.loads(pickle.dumps(value))
            except Exception:  # noqa: BLE001 - what a task has put there may be anything
                plain[name] = repr(value)
    return plain, pickle.dumps(others)


def _forward_logs(handler: logging.Handler, levels: Mapping[str, int]) -> None:
    """Leave what becomes of log records to the process that has started this one, whatever modules have configured."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for logger in [*logging.Logger.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def _prepare(preparation: dict[str, Any]) -> None:
    spawn.prepare(preparation)


def _import_script(preparation: dict[str, Any]) -> tuple[bool, str] | None:
    """Run the script of the process that has started this one, but for its main guard.

    :returns: Whether it must not be run again, and what went wrong; ``None`` where nothing did.
    """
    process: Any = multiprocessing.current_process()
    # multiprocessing's own mark: whatever would start processes or runs now is refused.
    process._inheriting = True
    try:
        spawn.prepare(preparation)
    except BaseException as error:  # noqa: BLE001 - whatever a script raises, SystemExit included
        return isinstance(error, FlowError), f"{type(error).__name__}: {error}"
    finally:
        del process._inheriting
    _rename(sys.modules["__main__"])
    return None


def _rename(owner: ModuleType | type) -> None:
    """Let what the script defines have the names that it has where the script was started."""
    for value in [*vars(owner).values()]:
        if getattr(value, "__module__", None) == _SCRIPT:
            try:
                value.__module__ = "__main__"
            except (AttributeError, TypeError):
                continue
            if isinstance(value, type):
                _rename(value)
