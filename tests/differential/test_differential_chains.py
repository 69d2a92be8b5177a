"""Hand-chained pipelines beside a naive evaluator: values, failed and skipped cells, and every call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from differential_chains import ChainTasks, Evaluation, Lost, build, random_chain
from taskiq import InMemoryBroker

from taskiq_flow import Flow, RunStatus


@pytest.mark.slow
async def test_chains_come_to_what_python_comes_to(scaled: Callable[[int], int], seed: int) -> None:
    tasks = ChainTasks(InMemoryBroker())
    flow = Flow(tasks.broker)
    for number in range(scaled(10_000)):
        case = f"{seed}-{number}"
        await _compare(flow, tasks, case)


async def _compare(flow: Flow, tasks: ChainTasks, case: str) -> None:
    random = Random(case)
    chain = random_chain(random)
    start = random.randint(0, 12)
    evaluation = Evaluation()
    try:
        value = evaluation.run(chain, start)
    except Lost:
        value = Lost
    tasks.calls.clear()
    handle = await build(chain, tasks).on_error("continue").kiq(start)
    result = await handle.wait_result(timeout=30)
    assert tasks.calls == evaluation.calls, (case, chain)
    outcome = (await flow.store.runs.get(handle.id)).outcome
    assert outcome is not None
    assert Counter(failure.message for _, failure in outcome.failures.values()) == evaluation.failures, (
        case,
        chain,
    )
    assert Counter(failure.message for _, failure in outcome.left_out.values()) == evaluation.left_out, (
        case,
        chain,
    )
    if value is Lost:
        assert outcome.status is RunStatus.FAILED
    else:
        assert result.return_value == value, (case, chain)
        assert type(result.return_value) is type(value)
        # A side effect may have failed behind which there is nothing.
        assert (outcome.status is RunStatus.SUCCEEDED) == (not evaluation.failures), (case, chain)
    assert (await handle.describe()).counts.get("skipped", 0) == evaluation.skipped, (case, chain)
