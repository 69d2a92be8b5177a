"""Synchronous tasks of a module that other processes can import; each notes its calls in a file."""

from __future__ import annotations

import os
from pathlib import Path

from taskiq import InMemoryBroker

from taskiq_flow import RetryException
from taskiq_flow_retry import StandardRetry

broker = InMemoryBroker()


class Unavailable(Exception):
    """What a client library raises, with more than arguments."""

    def __init__(self, text: str, *, status: int, retry_after: float) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after


class Clumsy(Exception):
    """It cannot be pickled, and it is enormous."""

    def __init__(self, text: str) -> None:
        super().__init__(text, lambda: None)
        self.ballast = "x" * 10_000_000
        self.function = lambda: None

    def __str__(self) -> str:
        return self.ballast

    def __reduce__(self) -> str:
        raise TypeError("no")


def note(calls: str) -> int:
    with Path(calls).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(calls).read_text().splitlines())


@broker.task(retry_policy={"max_retries": 2, "delay": 0, "retry_on": [ConnectionError]})
def flaky(calls: str) -> int:
    number = note(calls)
    if number < 3:
        raise ConnectionResetError(f"attempt {number}")
    return number


@broker.task
def asks(calls: str) -> int:
    number = note(calls)
    if number < 2:
        raise RetryException("again", delay=0)
    return number


@broker.task(
    retry_policy=StandardRetry(delay=3600, retry_if=lambda error: getattr(error, "status", 0) == 503)
)
def unavailable(calls: str, status: int) -> int:
    number = note(calls)
    if number < 2:
        raise Unavailable("try later", status=status, retry_after=0)
    return number


@broker.task(retry_policy={"max_retries": 1, "delay": 0})
def clumsy(calls: str) -> int:
    number = note(calls)
    if number < 2:
        raise Clumsy("oh")
    return number


@broker.task(retry_policy={"max_retries": 3, "delay": 0})
def die(calls: str, times: int) -> int:
    number = note(calls)
    if number <= times:
        os._exit(1)
    return number


class Response:
    """What an HTTP client keeps with its error; it cannot be sent to another process."""

    def __init__(self) -> None:
        self.headers = {"Retry-After": "0"}
        self.connection = lambda: None


@broker.task(retry_policy={"max_retries": 1, "delay": 3600})
def busy(calls: str) -> int:
    number = note(calls)
    if number < 2:
        error = OSError("429 Too Many Requests")
        error.response = Response()  # type: ignore[attr-defined]
        raise error
    return number
