"""A shop in which things go wrong, for tests of dead letters."""

from __future__ import annotations

from collections import Counter
from typing import Any

from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Flow, RunHandle, pipeline_task
from taskiq_flow_retry import DeadLetters

__all__ = ["Shop", "cell"]

ONCE = {"max_retries": 1, "delay": 0.0}


class Shop:
    """Pipelines whose tasks fail where they are told to."""

    def __init__(self, **options: Any) -> None:
        self.broker = InMemoryBroker()
        self.flow = Flow(self.broker, **options)
        self.dead = DeadLetters(self.flow)
        self.broken: set[Any] = set()
        self.calls: Counter[Any] = Counter()

        @self.broker.task(task_name="shop:load")
        @pipeline_task(output="orders")
        async def load(count: int) -> list[int]:
            return list(range(count))

        @self.broker.task(task_name="shop:charge", retry_policy=ONCE)
        async def charge(order: int) -> int:
            self.calls[order] += 1
            if order in self.broken:
                raise ValueError(f"card of order {order}")
            return order * 10

        @self.broker.task(task_name="shop:report")
        @pipeline_task(output="report")
        async def report(charged: list[int]) -> int:
            self.calls["report"] += 1
            if "report" in self.broken:
                raise OSError("no paper")
            return sum(charged)

        self.load, self.charge, self.report = load, charge, report

    def pipeline(self, **options: Any) -> DataflowPipeline:
        pipeline = DataflowPipeline.from_tasks(self.broker, [self.load, self.report], name="shop")
        return pipeline.map(self.charge, over="orders", output="charged", **options).on_error("continue")

    async def end(self, *broken: Any, count: int = 3, **options: Any) -> RunHandle[Any]:
        """Let a run end in which something is broken."""
        self.broken = set(broken)
        handle = await self.flow.submit(
            self.pipeline(**options).graph, {"count": count}, labels={"team": "sales"}
        )
        await handle.wait_result()
        self.broken.clear()
        self.calls.clear()
        return handle

    async def places(self, **options: Any) -> list[tuple[str, str]]:
        return [(letter.run, letter.cell) for letter in await self.dead.list(**options)]


def cell(number: int) -> str:
    return f"charge[{number}]/charge"
