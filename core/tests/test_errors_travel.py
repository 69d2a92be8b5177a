"""Every error arrives whole in another process, and as a copy."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from taskiq_flow import errors
from taskiq_flow.payloads import Failure, FailureKind

FAILURE = Failure(kind=FailureKind.TIMEOUT, message="too long", type="builtins:TimeoutError", traceback="...")

ERRORS: dict[str, Exception] = {
    "AbortPipeline": errors.AbortPipeline("enough is known"),
    "BlobNotFound": errors.BlobNotFound("r1", "k7", "the bucket"),
    "CellFailed": errors.CellFailed("tracks[3]/features", 2, FAILURE, "r1"),
    "CellTimedOut": errors.CellTimedOut("a", 1, FAILURE),
    "RemoteTraceback": errors.RemoteTraceback("a", 1, FAILURE),
    "FlowError": errors.FlowError("anything", 1),
    "GraphError": errors.GraphError(["node 'a' has no task", "node 'b' has no task"]),
    "InvalidTransition": errors.InvalidTransition("a", "CellStarted", ["pending", "ready"]),
    "LeaseLost": errors.LeaseLost("another driver has the pool"),
    "PayloadError": errors.PayloadError("too large"),
    "PipelineError": errors.PipelineError("of the pipeline"),
    "PluginError": errors.PluginError("cannot load plugin 'x'"),
    "ResumeError": errors.ResumeError("was resumed already", run="r1", resumed_as="r1~2"),
    "RetryException": errors.RetryException("busy", delay=2.5),
    "RunCancelled": errors.RunCancelled("run r1 was cancelled"),
    "RunError": errors.RunError("run r1 failed"),
    "RunNotFound": errors.RunNotFound("r1"),
    "RunTimedOut": errors.RunTimedOut("run r1 was ended"),
    "StoreError": errors.StoreError("refused"),
    "UnschedulableError": errors.UnschedulableError("no worker has 8 'gpu'"),
    "UsageError": errors.UsageError("there is no run r1"),
}

WAYS: dict[str, Callable[[Exception], Any]] = {
    **{
        f"pickle {protocol}": lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


class Refused(errors.StoreError):
    """An error of somebody else's store, whose constructor takes no text."""

    def __init__(self, status: int, *, host: str) -> None:
        self.status = status
        self.host = host
        super().__init__(f"{host} answered {status}")


def test_every_error_is_tried() -> None:
    assert sorted(ERRORS) == sorted(errors.__all__)
    assert all(type(error) is getattr(errors, name) for name, error in ERRORS.items())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize(
    "error", [*ERRORS.values(), Refused(503, host="db")], ids=lambda it: type(it).__name__
)
def test_an_error_arrives_whole(error: Exception, way: Callable[[Exception], Any]) -> None:
    back = way(error)
    assert type(back) is type(error)
    assert back is not error
    assert str(back) == str(error)
    assert back.args == error.args
    assert vars(back) == vars(error)


def test_what_was_said_of_an_error_later_arrives_with_it() -> None:
    error = errors.CellFailed("a", 1, FAILURE)
    error.__dict__["__notes__"] = ["in cell 'a'"]
    back = pickle.loads(pickle.dumps(error))
    assert back.__notes__ == ["in cell 'a'"]
    assert (back.node, back.kind, back.traceback_text) == ("a", "timeout", "...")
