"""Pipelines wired by names beside a naive evaluator: values, failed cells, and every call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from differential_dataflows import Evaluator, TaskBook, build, random_dataflow
from taskiq import InMemoryBroker

from taskiq_flow import Flow, RunStatus


@pytest.mark.slow
async def test_dataflows_come_to_what_python_comes_to(scaled: Callable[[int], int], seed: str) -> None:
    for book_number in range(scaled(100)):
        # One book for a hundred cases: each function becomes a task, and a broker of all of them would grow.
        book = TaskBook(InMemoryBroker())
        flow = Flow(book.broker)
        for number in range(100):
            await _compare(flow, book, f"{seed}-{book_number}-{number}")


async def _compare(flow: Flow, book: TaskBook, case: str) -> None:
    dataflow = random_dataflow(Random(case))
    evaluator = Evaluator(dataflow)
    expected, whole = evaluator.evaluate()
    book.calls.clear()
    handle = await build(dataflow, book).on_error("continue").kiq(**dataflow.given)
    await handle.wait_result(timeout=30)
    assert book.calls == evaluator.calls, (case, dataflow)
    assert await handle.outputs() == expected, (case, dataflow)
    outcome = (await flow.store.runs.get(handle.id)).outcome
    assert outcome is not None
    assert (outcome.status is RunStatus.SUCCEEDED) == whole == (not evaluator.failures), (case, dataflow)
    assert Counter(failure.message for _, failure in outcome.failures.values()) == evaluator.failures, (
        case,
        dataflow,
    )
    assert Counter(failure.message for _, failure in outcome.left_out.values()) == evaluator.left_out, (
        case,
        dataflow,
    )
