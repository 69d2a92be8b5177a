"""Names, labels and options of tasks and of their kickers, and inputs that have a default."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from taskiq import Context, InMemoryBroker, TaskiqDepends

from taskiq_flow import (
    DataflowPipeline,
    DataflowRegistry,
    Flow,
    GraphError,
    Pipeline,
    RetryPolicy,
    pipeline_task,
)
from taskiq_flow.graph import TaskNode


async def labels_of(x: int = 0, context: Context = TaskiqDepends()) -> dict[str, Any]:  # noqa: B008
    """What a task's message carries, and who it is for."""
    return {"task": context.message.task_name, **context.message.labels}


def options_of(pipeline: Pipeline[Any, Any], node: str) -> Any:
    found = pipeline.graph.nodes[node]
    assert isinstance(found, TaskNode)
    return found.options


# Kickers


@pytest.mark.parametrize("early", [True, False], ids=["made before the flow", "after"])
async def test_a_kicker_says_what_its_task_says(broker: InMemoryBroker, value: Any, early: bool) -> None:
    task = broker.task(
        name="shown_name", labels={"kind": "io"}, timeout=30, queue="slow", retry_policy={"max_retries": 0}
    )(labels_of)
    if not early:
        Flow(broker)
    kicker = task.kicker()
    Flow.of(broker)
    assert options_of(Pipeline(broker).call_next(kicker), "labels_of") == options_of(
        Pipeline(broker, task), "labels_of"
    )
    seen = await value(Pipeline(broker).call_next(kicker), 1)
    assert seen == {"task": "shown_name", "kind": "io", "queue_name": "slow", "retry_on_error": False}
    outputs = await DataflowPipeline.from_tasks(broker, [kicker]).kiq_dataflow()
    assert outputs["labels_of"]["task"] == "shown_name"


def test_what_is_set_on_a_kicker_are_options_too() -> None:
    broker = InMemoryBroker()
    task = broker.task(labels={"kind": "io"}, timeout=30, max_retries=1, priority=3)(labels_of)
    kicker = task.kicker().with_labels(
        timeout=2, max_retries=5, queue="fast", priority=0, serializer="json", labels={"tenant": "acme"}, n=1
    )
    options = options_of(Pipeline(broker).call_next(kicker), "labels_of")
    assert (options.timeout, options.retry, options.queue) == (2.0, {"max_retries": 5}, "fast")
    assert (options.priority, options.serializer) == (0, "json")
    assert options.labels == {"kind": "io", "tenant": "acme", "n": 1}


class Never(RetryPolicy):
    name = "never"


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({"timeout": "soon"}, "timeout is 'soon'; give a number of seconds above 0, or None"),
        ({"timeout": -1}, "timeout is -1; give a number of seconds above 0, or None"),
        ({"max_retries": "many"}, "max_retries is 'many'; give a whole number, 0 or more"),
        ({"retry_policy": Never()}, "a policy object can neither be set on a kicker nor be replaced there"),
        ({"labels": "cpu"}, "labels is 'cpu'; give a mapping from words to values"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_impossible_options_of_a_kicker_are_refused(labels: dict[str, Any], problem: str) -> None:
    broker = InMemoryBroker()
    task = broker.task(labels_of)
    with pytest.raises(GraphError) as caught:
        Pipeline(broker).call_next(task.kicker().with_labels(**labels)).render()
    assert problem in str(caught.value)


@pytest.mark.parametrize("early", [True, False], ids=["made before the flow", "after"])
def test_a_policy_object_is_the_tasks_and_not_the_kickers(early: bool) -> None:
    broker = InMemoryBroker()
    task = broker.task(retry_policy=Never())(labels_of)
    kicker = task.kicker()
    if early:
        Flow(broker)
    assert options_of(Pipeline(broker).call_next(kicker), "labels_of").labels == {}
    with pytest.raises(GraphError, match="say it in the task's decorator"):
        Pipeline(broker).call_next(task.kicker().with_labels(max_retries=1)).render()


# Names


@pytest.mark.parametrize("installed", [True, False], ids=["flow", "bare broker"])
@pytest.mark.parametrize(
    "build",
    [
        lambda broker, task: Pipeline(broker, task).render(),
        lambda broker, task: DataflowPipeline.from_tasks(broker, [task]).render(),
        lambda broker, task: DataflowPipeline(broker).map(task, over="items").render(),
        lambda broker, task: DataflowPipeline.from_registry(
            broker, DataflowRegistry().register_task(task, output="out")
        ).render(),
    ],
    ids=["Pipeline", "from_tasks", "map", "from_registry"],
)
def test_the_later_of_two_tasks_of_one_name_never_runs_for_the_earlier(
    build: Callable[[Any, Any], object], installed: bool
) -> None:
    broker = InMemoryBroker()
    if installed:
        Flow(broker)

    def first(x: int) -> int: ...

    def second(x: int) -> int: ...

    earlier = broker.task("audio:process")(first)
    later = broker.task("audio:process")(second)
    build(broker, later)
    with pytest.raises(
        GraphError,
        match=r"another task named 'audio:process' by now, .*second, which would run instead of .*first;",
    ):
        build(broker, earlier)


async def test_tasks_that_a_function_makes_need_names_of_their_own(
    broker: InMemoryBroker, value: Any
) -> None:
    def adder(number: int, *name: str) -> Any:
        def add(x: int) -> int:
            return x + number

        return broker.task(*name)(add) if name else broker.task(add)

    one, ten = adder(1), adder(10)
    assert await value(Pipeline(broker, ten), 0) == 10
    with pytest.raises(GraphError, match="give one of them another name"):
        await Pipeline(broker, one).call_next(ten).kiq(0)
    named = adder(1, "one"), adder(10, "ten")
    assert await value(Pipeline(broker, named[0]).call_next(named[1]), 0) == 11


def test_a_function_may_be_decorated_twice() -> None:
    broker = InMemoryBroker()

    def process(x: int) -> int: ...

    pipelines = [Pipeline(broker, broker.task("audio:process")(process)) for _ in range(2)]
    assert [list(pipeline.graph.nodes) for pipeline in pipelines] == [["process"]] * 2


async def test_a_label_may_be_called_name(broker: InMemoryBroker, value: Any) -> None:
    task = broker.task("own:name", labels={"name": "of something"})(labels_of)
    for _ in range(2):  # the first start installs the flow
        seen = await value(Pipeline(broker, task), 1)
        assert (seen["task"], seen["name"]) == ("own:name", "of something")


@pytest.mark.parametrize(
    "options", [{"queue": "slow"}, {"queue_name": "slow"}, {"labels": {"queue_name": "slow"}}], ids=str
)
async def test_a_queue_is_one_however_it_is_said(
    broker: InMemoryBroker, value: Any, options: dict[str, Any]
) -> None:
    task = broker.task(**options)(labels_of)
    assert (await value(Pipeline(broker, task), 1))["queue_name"] == "slow"
    alone = (await (await task.kiq()).wait_result(timeout=20)).return_value
    assert (alone["queue_name"], alone["queue"]) == ("slow", "slow")


@pytest.mark.parametrize("early", [True, False], ids=["decorated before the flow", "after"])
async def test_labels_that_brokers_go_by_are_sent(broker: InMemoryBroker, value: Any, early: bool) -> None:
    if not early:
        Flow(broker)
    task = broker.task(priority=5, queue="slow", delay=3)(labels_of)
    if early:
        Flow(broker)
    alone = (await (await task.kiq()).wait_result(timeout=20)).return_value
    assert alone == {
        "task": task.task_name,
        "priority": 5,
        "queue": "slow",
        "queue_name": "slow",
        "delay": 3,
    }
    # A cell goes when its scheduler says so.
    piped = await value(Pipeline(broker, task), 1)
    assert "priority" not in piped
    assert options_of(Pipeline(broker, task), "labels_of").priority == 5


async def test_a_task_with_a_schedule_stands_in_a_pipeline(broker: InMemoryBroker, value: Any) -> None:
    schedule = [{"cron": "0 4 * * *"}, {"time": datetime(2030, 1, 1)}]
    task = broker.task(schedule=schedule, labels={"kind": "io"})(labels_of)
    seen = await value(Pipeline(broker, task), 1)
    assert seen["kind"] == "io"
    assert "schedule" not in seen
    # The schedule source looks for it at the task that the broker has.
    assert broker.get_all_tasks()[task.task_name].labels["schedule"] == schedule


def test_a_time_limit_is_no_label() -> None:
    broker = InMemoryBroker()
    Flow(broker)
    with pytest.raises(
        GraphError, match=r"labels has a 'timeout', by which taskiq limits a task; give timeout="
    ):
        broker.task(labels={"timeout": "30 s"})(labels_of)


# Inputs that have a default


async def test_what_is_neither_an_input_nor_a_default_of_what_is_wanted_is_refused(
    broker: InMemoryBroker,
) -> None:
    @broker.task
    def process(text: str, max_length: int = 3, strict: bool = False) -> str:
        return text[:max_length]

    @broker.task
    def strict(text: str) -> bool:
        return True

    @broker.task
    def unwanted(text: str, max_length: int = 3) -> str:
        return text

    pipeline = DataflowPipeline.from_tasks(broker, [process, strict, unwanted], outputs=["process"])
    with pytest.raises(GraphError) as caught:
        await pipeline.kiq_dataflow(text="abcdef", max_length=2, strict=True, lengths=1)
    assert str(caught.value) == (
        "the pipeline has no input 'lengths'; it takes 'text', 'max_length', 'strict' (did you mean 'max_length'?)"
    )
    assert await pipeline.kiq_dataflow(text="abcdef", max_length=2, strict=True) == {"process": "ab"}


@pytest.mark.parametrize("body", ["task", "dataflow", "pipeline"])
async def test_a_default_that_is_an_input_is_one_for_the_items_of_a_map_too(
    broker: InMemoryBroker, body: str
) -> None:
    @broker.task
    @pipeline_task(inputs=["number", "factor"])
    def scale(number: int, factor: int = 1) -> int:
        return number * factor

    bodies: dict[str, Any] = {
        "task": scale,
        "dataflow": DataflowPipeline.from_tasks(broker, [scale]),
        "pipeline": Pipeline(broker, scale),
    }
    pipeline = DataflowPipeline(broker).map(bodies[body], over="numbers", output="scaled")
    assert await pipeline.kiq_dataflow(numbers=[1, 2]) == {"scaled": [1, 2]}
    assert await pipeline.kiq_dataflow(numbers=[1, 2], factor=3) == {"scaled": [3, 6]}


def test_a_default_of_a_body_is_not_replaced_by_the_list_that_the_map_makes() -> None:
    broker = InMemoryBroker()

    @broker.task
    def scale(number: int, scaled: int = 1) -> int: ...

    pipeline = DataflowPipeline(broker).map(Pipeline(broker, scale), over="numbers", output="scaled")
    assert list(pipeline.graph.inputs) == ["numbers"]


async def test_an_input_may_be_called_self(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    def method(self: int, by: int) -> int:
        return self + by

    assert await value(Pipeline(broker, method), self=1, by=2) == 3
    assert await DataflowPipeline.from_tasks(broker, [method]).kiq_dataflow(self=1, by=2) == {"method": 3}


def test_the_broker_stands_first() -> None:
    broker = InMemoryBroker()
    with pytest.raises(
        GraphError, match="expected a DataflowRegistry, found InMemoryBroker; give the broker first"
    ):
        DataflowPipeline.from_registry(DataflowRegistry(), broker)  # type: ignore[arg-type]


@pytest.mark.parametrize("returns", [str, bytes])
def test_a_text_is_not_unpacked(returns: type) -> None:
    broker = InMemoryBroker()

    def split(data: str) -> Any: ...

    split.__annotations__["return"] = returns
    task = broker.task(pipeline_task(outputs=["head", "tail"])(split))
    with pytest.raises(GraphError, match=rf"its task returns {returns.__name__}, which is no sequence"):
        DataflowPipeline.from_tasks(broker, [task])
