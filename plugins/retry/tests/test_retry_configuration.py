"""Task above pipeline above configuration, and what is refused of all three."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tenacity
from retry_cases import Calls, Make, ready
from taskiq import InMemoryBroker

from taskiq_flow import (
    Flow,
    Pipeline,
    PluginError,
)
from taskiq_flow.errors import GraphError
from taskiq_flow.retry import RetryPolicy
from taskiq_flow.testing import FakeClock
from taskiq_flow_retry import Chain, On, StandardRetry, TenacityRetry

# Who says what


@pytest.mark.parametrize(
    ("configured", "pipeline", "task", "times"),
    [
        (None, None, None, [0]),
        ({"max_retries": 1, "delay": 3}, None, None, [0, 3]),
        ({"max_retries": 1, "delay": 3}, {"max_attempts": 3, "delay": 1, "backoff": 1.5}, None, [0, 1, 2.5]),
        ({"max_retries": 1}, {"max_attempts": 3}, {"max_retries": 2, "delay": 7}, [0, 1, 3]),
        (None, {"max_attempts": 5}, {"max_retries": 0}, [0]),
        ({"max_retries": 5}, None, {"max_retries": 0}, [0]),
        (None, None, {"max_retries": 2}, [0, 1, 3]),
        (None, {}, None, [0, 1, 3, 7]),
        (StandardRetry(max_retries=1, delay=9), None, None, [0, 9]),
        (StandardRetry(max_retries=1, delay=9), None, {"max_retries": 2}, [0, 1, 3]),
        (StandardRetry, None, {"max_retries": 1}, [0, 1]),
        ("standard", None, {"max_retries": 1}, [0, 1]),
        ("standard", None, None, [0]),
        ({}, None, None, [0, 1, 3, 7]),
        ({"retry_if": lambda error: False}, None, None, [0]),
        (
            TenacityRetry(wait=tenacity.wait_fixed(2), stop=tenacity.stop_after_attempt(3)),
            None,
            None,
            [0, 2, 4],
        ),
        (Chain([On(ValueError, StandardRetry(max_retries=1, delay=4))]), None, None, [0, 4]),
    ],
)
async def test_task_above_pipeline_above_configuration(
    broker: InMemoryBroker,
    flow: Make,
    clock: FakeClock,
    configured: Any,
    pipeline: dict[str, Any] | None,
    task: dict[str, Any] | None,
    times: list[float],
) -> None:
    flow(retry=configured)
    calls = Calls(clock)
    task = dict(task or {})
    if "delay" in task:
        # Both may be said at the decorator as long as they do not contradict each other.
        task = {"retry_policy": {"max_retries": task["max_retries"], "delay": 1}, **task}
        del task["delay"]

    @broker.task(**task)
    async def flaky() -> None:
        calls()

    built = Pipeline(broker, flaky)
    if pipeline is not None:
        built.with_retry(**pipeline)
    handle = await built.kiq()
    with pytest.raises(ValueError, match="no"):
        await clock.run(handle.result())

    assert calls.times == times


@pytest.mark.parametrize(
    ("configured", "unasked", "asked"),
    [
        (None, 1, 2),
        ("standard", 1, 2),
        (StandardRetry, 1, 2),
        ({}, 4, 2),
        ({"max_retries": 5}, 6, 2),
        (TenacityRetry(stop=tenacity.stop_after_attempt(3)), 3, 2),
        (TenacityRetry, 4, "there is no option 'max_retries'; there are 'wait', 'stop', 'retry'"),
        ("none", 1, "the retry options 'max_retries' need a plugin for retries"),
    ],
)
async def test_what_the_configuration_decides_and_who_reads_options(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, configured: Any, unasked: int, asked: int | str
) -> None:
    flow(retry=configured)
    for given, attempts in (({}, unasked), ({"max_retries": 1}, asked)):
        calls = Calls(clock)

        @broker.task(task_name=f"flaky-{len(given)}", **given)
        async def flaky(calls: Any = calls) -> None:
            calls()

        pipeline = Pipeline(broker, flaky)
        if isinstance(attempts, str):
            with pytest.raises(PluginError, match=attempts):
                await pipeline.kiq()
        else:
            with pytest.raises(ValueError, match="no"):
                await clock.run((await pipeline.kiq()).result())
            assert len(calls.times) == attempts


async def test_the_configuration_can_come_from_environment_and_file(
    broker: InMemoryBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def policy() -> RetryPolicy:
        flow = Flow(InMemoryBroker())
        return flow.policies.find(None, None)

    monkeypatch.chdir(tmp_path)
    assert policy() == StandardRetry()
    (tmp_path / "pyproject.toml").write_text(
        '[tool.taskiq-flow.retry]\nmax_retries = 7\nretry_on = ["ConnectionError"]\n'
    )
    assert policy() == StandardRetry(max_retries=7, retry_on=["ConnectionError"])
    monkeypatch.setenv("TASKIQ_FLOW_RETRY", '{"policy": "standard", "max_retries": 2}')
    assert policy() == StandardRetry(max_retries=2)
    monkeypatch.setenv("TASKIQ_FLOW_RETRY", "none")
    assert policy().name == "none"
    monkeypatch.setenv("TASKIQ_FLOW_RETRY", '{"max_retry": 2}')
    with pytest.raises(PluginError, match=r"^retry \(environment\): the retry options .*option 'max_retry'"):
        policy()


def test_impossible_configurations_are_refused(broker: InMemoryBroker) -> None:
    with pytest.raises(PluginError, match=r"retry is 5; give a RetryPolicy, its class or name, or a mapping"):
        Flow(broker, retry=5)  # type: ignore[arg-type]
    with pytest.raises(
        PluginError, match=r"retry \(argument\): the retry options cannot be used: delay is -1"
    ):
        Flow(broker, retry={"delay": -1})
    with pytest.raises(PluginError, match=r"no retry policy 'standart'; .*did you mean 'standard'"):
        Flow(broker, retry={"policy": "standart"})


async def test_impossible_options_are_refused_when_the_run_is_submitted(broker: InMemoryBroker) -> None:
    @broker.task(retry_policy={"max_retrys": 3, "delay": -1})
    async def flaky() -> None:
        raise AssertionError("must not run")

    with pytest.raises(PluginError) as caught:
        await Pipeline(broker, flaky).kiq()
    assert str(caught.value) == (
        "nodes 'flaky': the retry options cannot be used: there is no option 'max_retrys' (did you mean "
        "'max_retries'?); delay is -1; give a number of seconds, 0 or more"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"retry_policy": StandardRetry(), "max_retries": 3},
            "max_retries and a policy object are both given",
        ),
        ({"retry_policy": {"max_retries": 2}, "max_retries": 3}, "max_retries is 3, and retry_policy says 2"),
        ({"retry_policy": StandardRetry}, "give a mapping of options, or a RetryPolicy"),
        ({"retry_policy": {1: 2, "delay": 3}}, "the retry options have the name 1; give texts as names"),
        (
            {"retry_policy": {"retry_if": bool.__call__}},
            r"the retry option 'retry_if' is a function, .* such as retry_policy=StandardRetry\(retry_if=…\)",
        ),
    ],
)
def test_a_decorator_that_contradicts_itself_is_refused(
    broker: InMemoryBroker, options: dict[str, Any], said: str
) -> None:
    Flow(broker)
    with pytest.raises(GraphError, match=said):
        broker.task(**options)(lambda: None)


async def test_exception_classes_in_options_become_names(broker: InMemoryBroker) -> None:
    @broker.task(retry_policy={"retry_on": [ConnectionError], "never_on": FakeError})
    async def flaky() -> None: ...

    retry = Pipeline(broker, flaky).graph.nodes["flaky"].options.retry
    assert retry == {
        "retry_on": ["builtins:ConnectionError"],
        "never_on": f"{__name__}:FakeError",
    }

    @broker.task
    async def plain() -> None: ...

    built = Pipeline(broker).with_retry(retry_on=(OSError,)).call_next(plain)
    assert built.graph.nodes["plain"].options.retry == {"retry_on": ["builtins:OSError"]}


def test_a_pipeline_refuses_functions_among_its_options(broker: InMemoryBroker) -> None:
    with pytest.raises(GraphError, match="the retry option 'on_retry' is a function"):
        Pipeline(broker).with_retry(on_retry=print)


class FakeError(Exception):
    """One of ours."""


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (None, "retry policy 'simple' does not take the options 'max_retries': "),
        (
            ValueError("three is too many"),
            "retry policy 'simple' cannot be made of its options: ValueError: three is too many",
        ),
    ],
)
async def test_a_simple_policy_need_not_understand_options(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, raised: Exception | None, said: str
) -> None:
    class Simple(RetryPolicy):
        name = "simple"

        def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
            return attempt < 2

    class Strict(Simple):
        @classmethod
        def from_options(cls, options: Any) -> RetryPolicy:
            if options:
                raise ValueError("three is too many")
            return cls()

    flow(retry=Simple if raised is None else Strict)
    calls = Calls(clock)

    @broker.task(max_retries=3)
    async def optional() -> None:
        calls()

    @broker.task
    async def plain() -> None:
        calls()

    with pytest.raises(ValueError, match="no"):
        await clock.run((await Pipeline(broker, plain).kiq()).result())
    assert len(calls.times) == 2
    with pytest.raises(PluginError, match=said):
        await Pipeline(broker, optional).kiq()
    result = await ready(clock, await optional.kiq())
    assert isinstance(result.error, ValueError)
    assert len(calls.times) == 3
