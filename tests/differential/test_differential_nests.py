"""Pipelines of both kinds within each other against a naive evaluator: values, and calls counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from differential_nests import Nester, TaskBook, evaluate, random_expression
from taskiq import InMemoryBroker

from taskiq_flow import Pipeline


@pytest.mark.slow
async def test_pipelines_within_each_other_give_what_python_would(
    scaled: Callable[[int], int], seed: str
) -> None:
    book = TaskBook(InMemoryBroker())
    for number in range(scaled(2_000)):
        case = f"seed {seed}, case {number}"
        random = Random(f"{seed}/{number}")
        expression = random_expression(random)
        nester = Nester(random, book)
        dataflow = nester.dataflow(expression)
        chain: Pipeline[..., int] = Pipeline(book.broker, nester.anything(expression))
        rate = random.choice([1, 4])
        for value in (1, 2):
            calls: Counter[str] = Counter()
            expected = evaluate(expression, value, rate, calls)
            # Not every expression has a task that takes the rate.
            given = {"rate": rate} if rate != 1 and "rate" in dataflow.inputs else {}
            book.calls.clear()
            assert await dataflow.kiq_dataflow(x=value, **given) == {"y": expected}, case
            assert book.calls == calls, case
            # The first task of a chain has its rate to itself, so the chain gets none.
            calls.clear()
            expected = evaluate(expression, value, 1, calls)
            book.calls.clear()
            assert await (await chain.kiq(value)).result() == expected, case
            assert book.calls == calls, case
