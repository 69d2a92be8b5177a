"""A plugin for the suite of a peer, in its own process: it gives each broker a flow, and writes down what fails."""

from __future__ import annotations

import json
import os
from abc import ABCMeta
from pathlib import Path
from typing import Any

import pytest
from taskiq import AsyncBroker
from taskiq.brokers.shared_broker import AsyncSharedBroker
from taskiq.brokers.zmq_broker import ZeroMQBroker  # noqa: F401 - one of the brokers that get a flow

from taskiq_flow import Flow, MemoryStore

WITH_FLOW = os.environ["PEER_WITH_FLOW"] == "1"
REPORT = Path(os.environ["PEER_REPORT"])


class BrokerWithFlow(ABCMeta):
    """The class of classes of brokers: whatever they make has a flow from the start."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        if not isinstance(made, AsyncSharedBroker):
            Flow(made, store=MemoryStore())
        return made


def give_flows(broker_class: type[AsyncBroker]) -> None:
    """Let a class of brokers and those below it, now and later, make brokers with flows."""
    broker_class.__class__ = BrokerWithFlow
    for below in broker_class.__subclasses__():
        give_flows(below)


def pytest_configure() -> None:
    """Begin before the suite makes brokers."""
    if WITH_FLOW:
        give_flows(AsyncBroker)


class Outcomes:
    """What came of each test."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure in any phase, or that the test has passed."""
        if report.failed:
            self.failed[report.nodeid] = str(report.longrepr)
        elif report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected."""
        if report.failed:
            self.failed[report.nodeid] = str(report.longrepr)

    def pytest_sessionfinish(self) -> None:
        """Write all of it."""
        REPORT.write_text(json.dumps({"passed": self.passed, "failed": self.failed}), encoding="utf-8")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to take notes."""
    session.config.pluginmanager.register(Outcomes())
