"""What the test suite and the guide of taskiq-pipelines promise, with the import changed.

Its source distribution has no tests, so what they say is said here again. Intended differences: ``call_after`` keeps
the value of the step before it, and a failed run's error is the task's own.
"""

from __future__ import annotations

import pytest
from taskiq import InMemoryBroker, TaskiqResult

from taskiq_flow import AbortPipeline, Pipeline, PipelineError, PipelineMiddleware


def make_broker() -> InMemoryBroker:
    return InMemoryBroker().with_middlewares(PipelineMiddleware())


async def test_a_chain_passes_results_on() -> None:
    broker = make_broker()

    @broker.task
    def add(i: int) -> int:
        return i + 1

    @broker.task
    def double(i: int) -> int:
        return i * 2

    sent = await Pipeline(broker, add).call_next(double).kiq(1)
    result = await sent.wait_result()
    assert isinstance(result, TaskiqResult)
    assert result.return_value == 4
    assert not result.is_err


async def test_a_map_keeps_the_order() -> None:
    broker = make_broker()

    @broker.task
    def ranger(i: int) -> list[int]:
        return list(range(i))

    @broker.task
    def double(i: int) -> int:
        return i * 2

    sent = await Pipeline(broker, ranger).map(double, check_interval=0.1).kiq(4)
    assert (await sent.wait_result()).return_value == [0, 2, 4, 6]


async def test_an_abort_is_the_error_of_the_result() -> None:
    broker = make_broker()

    @broker.task
    def normal(i: bool) -> bool:
        return i

    @broker.task
    def abort(i: int) -> bool:
        if i:
            raise AbortPipeline(reason="task was aborted")
        return True

    pipeline = Pipeline(broker, abort).call_next(normal)
    good = await (await pipeline.kiq(0)).wait_result()
    assert (good.is_err, good.return_value, good.error) == (False, True, None)
    bad = await (await pipeline.kiq(1)).wait_result()
    assert (bad.is_err, bad.return_value) == (True, None)
    assert isinstance(bad.error, PipelineError)
    assert "task was aborted" in bad.error.args[0]


async def test_the_program_of_its_guide() -> None:
    broker = make_broker()

    @broker.task
    def add_one(value: int) -> int:
        return value + 1

    @broker.task
    def repeat(value: int, reps: int) -> list[int]:
        return [value] * reps

    @broker.task
    def check(value: int) -> bool:
        return value >= 0

    pipeline = Pipeline(broker, add_one).call_next(repeat, reps=4).map(add_one).filter(check)
    assert (await (await pipeline.kiq(1)).wait_result()).return_value == [3, 3, 3, 3]


async def test_a_value_goes_to_the_named_parameter_or_nowhere() -> None:
    broker = make_broker()

    @broker.task
    def start(value: int) -> int:
        return value

    @broker.task
    def join(left: int, right: int) -> str:
        return f"{left}-{right}"

    @broker.task
    def alone() -> str:
        return "alone"

    named = Pipeline(broker, start).call_next(join, param_name="right", left=1)
    assert (await (await named.kiq(2)).wait_result()).return_value == "1-2"
    nowhere = Pipeline(broker, start).call_next(alone, param_name=-1)
    assert (await (await nowhere.kiq(2)).wait_result()).return_value == "alone"


@pytest.mark.parametrize("skip", [True, False])
async def test_failed_items_are_left_out_or_fail_the_pipeline(skip: bool) -> None:
    broker = make_broker()

    @broker.task
    def ranger(i: int) -> list[int]:
        return list(range(i))

    @broker.task
    def fragile(i: int) -> int:
        if i == 1:
            raise ValueError("one is no good")
        return i

    result = await (await Pipeline(broker, ranger).map(fragile, skip_errors=skip).kiq(3)).wait_result()
    if skip:
        assert result.return_value == [0, 2]
    else:
        assert isinstance(result.error, ValueError)
