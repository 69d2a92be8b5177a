"""While a run is shown, it is found out why nodes wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow
from taskiq_flow.graph import NodeOptions, TaskNode, build_graph
from taskiq_flow_cli import follow
from taskiq_flow_cli.leaving import Leaving
from taskiq_flow_cli.progress import AttemptFailure, Progress

REASON = "b: limit 'db' is reached: 1 of 1 in use"


class Watching:
    """A view that lets the run end once it has seen the reason."""

    def __init__(self, progress: Progress, gate: asyncio.Event) -> None:
        self.progress = progress
        self.gate = gate
        self.seen: list[str] = []

    def start(self, run: str) -> None: ...

    def note(self, attempt_failure: AttemptFailure) -> None: ...

    def tick(self, elapsed: float) -> None:
        self.seen += [f"{row.name}: {row.why}" for row in self.progress.rows if row.why]
        if REASON in self.seen:
            self.gate.set()

    def stop(self, elapsed: float) -> None: ...


async def test_reasons_are_found_while_a_run_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_SECONDS_BETWEEN_WHYS", 0.01)
    monkeypatch.setattr(follow, "_TICK_SECONDS", 0.01)
    gate = asyncio.Event()
    broker = InMemoryBroker()
    flow = Flow(broker, limits={"db": 1})

    @broker.task(task_name="wait")
    async def wait() -> None:
        await gate.wait()

    options = NodeOptions(resources={"db": 1})
    graph = build_graph([TaskNode(name=name, task="wait", options=options) for name in "ab"])
    progress = Progress(graph)
    view = Watching(progress, gate)
    inputs: dict[str, Any] = {}
    ending = await asyncio.wait_for(
        follow.follow(flow, graph, inputs, view=view, progress=progress, lines=None, leaving=Leaving()), 30
    )
    assert ending.status == "succeeded"
    assert REASON in view.seen
    await broker.shutdown()
