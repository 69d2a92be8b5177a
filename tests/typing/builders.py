"""What a type checker knows of pipelines; mypy reads this, nothing runs it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from taskiq import InMemoryBroker, TaskiqResult
from typing_extensions import assert_type

from taskiq_flow import (
    CPUProfile,
    DataflowPipeline,
    DataflowRegistry,
    Failure,
    Flow,
    Graph,
    Pipeline,
    RAMProfile,
    RunHandle,
    TaskInfo,
    name_task,
    pipeline_task,
    pipeline_task_multi_output,
)

broker = InMemoryBroker()


@broker.task()
async def load(path: str, limit: int = 10) -> list[int]:
    return [limit] * len(path)


@broker.task()
def inc(x: int) -> int:
    return x + 1


@broker.task()
async def is_even(x: int) -> bool:
    return x % 2 == 0


@broker.task()
async def word(x: int) -> str:
    return str(x)


@broker.task()
def note(text: str) -> bytes:
    return text.encode()


async def the_result_follows_the_last_step() -> None:
    first = Pipeline(broker, load)
    handle = await first.kiq("path", limit=3)
    assert_type(handle, RunHandle[list[int]])
    assert_type(await handle.wait_result(), TaskiqResult[list[int]])
    assert_type((await handle.wait_result()).return_value, list[int])
    assert_type(await handle.result(), list[int])
    assert_type((await (await Pipeline(broker, inc).call_next(word).kiq(1)).wait_result()).return_value, str)
    assert_type((await (await Pipeline(broker, word).call_next(inc).kiq(1)).wait_result()).return_value, int)


async def each_step_has_its_type() -> None:
    assert_type(await (await Pipeline(broker, load).map(word).kiq("")).result(), list[str])
    assert_type(await (await Pipeline(broker, load).map(inc).kiq("")).result(), list[int])
    assert_type(await (await Pipeline(broker, load).filter(is_even).kiq("")).result(), list[int])
    assert_type(await (await Pipeline(broker, load).call_after(note, text="").kiq("")).result(), list[int])
    assert_type(await (await Pipeline(broker, load).group(inc, word).kiq("")).result(), list[Any])
    assert_type(await (await Pipeline(broker, inc).branch(is_even, word).kiq(1)).result(), str | int)
    assert_type(await (await Pipeline(broker, inc).branch(is_even, note).kiq(1)).result(), bytes | int)
    assert_type(await (await Pipeline(broker, inc).branch(is_even, word, note).kiq(1)).result(), str | bytes)
    assert_type(await (await Pipeline(broker, inc).branch(is_even, note, word).kiq(1)).result(), bytes | str)
    assert_type(await (await Pipeline(broker, inc).branch(is_even, note, note).kiq(1)).result(), bytes)
    assert_type(
        await (await Pipeline(broker, inc).branch(is_even, word, load).kiq(1)).result(), str | list[int]
    )


async def pipelines_are_steps() -> None:
    inner = Pipeline(broker, inc).call_next(word)
    assert_type(await (await Pipeline(broker, inner).kiq(1)).result(), str)
    assert_type(await (await Pipeline(broker, inc).call_next(inner).kiq(1)).result(), str)
    assert_type(await (await Pipeline(broker, load).map(inner).kiq("")).result(), list[str])
    assert_type(await (await Pipeline(broker, inc).branch(is_even, inner).kiq(1)).result(), str | int)


async def kickers_are_tasks() -> None:
    assert_type(await (await Pipeline(broker, load.kicker()).kiq("")).result(), list[int])
    assert_type(await (await Pipeline(broker, inc).call_next(word.kicker()).kiq(1)).result(), str)
    assert_type(await (await Pipeline(broker, load).map(inc.kicker()).kiq("")).result(), list[int])


async def settings_keep_the_type() -> None:
    settled = Pipeline(broker, load).with_retry(max_attempts=3).with_timeout(5).on_error("continue")
    assert_type(await (await settled.kiq("")).result(), list[int])
    await settled.kiq("", "3")  # type: ignore[arg-type]
    await settled.kiq()  # type: ignore[call-arg]
    settled.on_error("ignore")  # type: ignore[arg-type]


async def without_a_first_task() -> None:
    assert_type(await (await Pipeline(broker).call_next(word).kiq(1, anything=2)).result(), str)
    assert_type(await (await Pipeline(broker).map(inc).kiq([1])).result(), list[int])
    assert_type(await (await Pipeline(broker).map(inc, skip_errors=True).kiq([1])).result(), list[int])
    nulls = Pipeline(broker).map(inc, skip_errors="none")
    assert_type(await (await nulls.kiq([1])).result(), list[int | None])
    failures = Pipeline(broker).map(inc, skip_errors="failure")
    assert_type(await (await failures.kiq([1])).result(), list[int | Failure])


async def dataflows() -> None:
    dataflow = DataflowPipeline.from_tasks(broker, [load], outputs=["load"])
    assert_type(dataflow.map(inc, over="load", output="raised").reduce(word, over="raised"), DataflowPipeline)
    assert_type(await dataflow.kiq(path=""), RunHandle[dict[str, Any]])
    assert_type(await dataflow.kiq_dataflow(path=""), dict[str, Any])
    assert_type(DataflowRegistry().register_task(load, output="x"), DataflowRegistry)
    assert_type(DataflowPipeline.from_installed(outputs=["report"]), DataflowPipeline)
    assert_type(DataflowPipeline.from_registry(broker, DataflowRegistry()).with_timeout(1), DataflowPipeline)


def decorators_keep_the_type() -> None:
    def plain(x: int) -> str:
        return str(x)

    assert_type(pipeline_task(output="a")(plain)(1), str)
    assert_type(pipeline_task_multi_output(outputs=["a", "b"])(plain)(1), str)
    assert_type(CPUProfile(cpu_units=2)(RAMProfile(ram_mb=1)(TaskInfo(name="a")(plain)))(1), str)
    CPUProfile(cpu_units=1)(plain)("1")  # type: ignore[arg-type]

    async def coroutine(x: int) -> str:
        return str(x)

    same: Callable[[int], Coroutine[Any, Any, str]] = pipeline_task(output="a")(coroutine)
    broker.task(same)


async def decorators_above_keep_the_type() -> None:
    assert_type(await (await Pipeline(broker, RAMProfile(ram_mb=1)(load)).kiq("")).result(), list[int])


@broker.task()
@pipeline_task(output="features")
@CPUProfile(cpu_units=2)
async def decorated(x: int) -> str:
    return str(x)


async def decorated_tasks_in_pipelines() -> None:
    assert_type(await (await Pipeline(broker, decorated).kiq(1)).result(), str)


async def a_resumed_run_has_the_type_of_the_old_one() -> None:
    flow, old = Flow.of(broker), await Pipeline(broker, decorated).kiq(1)
    assert_type(await flow.resume(old), RunHandle[str])
    assert_type(await flow.resume(old.id), RunHandle[Any])


async def names_change_and_the_result_stays() -> None:
    chain = Pipeline(broker, load)
    assert_type(chain.rename({"path": "folder"}), Pipeline[..., list[int]])
    assert_type(chain.scope("left", exclude=["limit"]), Pipeline[..., list[int]])
    assert_type(chain.bind({"left.path": "x"}, limit=3), Pipeline[..., list[int]])
    assert_type(await (await chain.bind(limit=3).kiq(path="x")).result(), list[int])
    flow = DataflowPipeline.from_tasks(
        broker, [name_task(load, "first", inputs={"path": "folder"}, bind={"limit": 3})]
    )
    assert_type(flow.rename({"folder": "path"}).scope("left").bind(path="x"), DataflowPipeline)
    assert_type(flow.graph_given(["path"]), Graph)


async def builders_take_each_other() -> None:
    flow = DataflowPipeline.from_tasks(broker, [load, name_task(Pipeline(broker, inc), "more")])
    assert_type(flow.add(Pipeline(broker, inc), "next", inputs={"x": "load"}, name="part"), DataflowPipeline)
    assert_type(flow.filter(is_even, over="load").branch(is_even, inc, "x", output="y"), DataflowPipeline)
    assert_type(flow.group(inc, word, output="both"), DataflowPipeline)
    assert_type(Pipeline(broker, flow), Pipeline[..., Any])
    chain = Pipeline(broker, load)
    assert_type(await (await chain.call_next(flow, param_name="x", y=1).kiq("p", limit=1)).result(), Any)
    assert_type(await (await Pipeline(broker, load).map(flow).kiq("p")).result(), list[Any])
    assert_type(
        await (await Pipeline(broker, load).filter(flow).group(flow, inc).kiq("p")).result(), list[Any]
    )
    assert_type(await (await Pipeline(broker, load).branch(is_even, flow).kiq("p")).result(), Any)
    assert_type(await (await Pipeline(broker, load).branch(is_even, inc, flow).kiq("p")).result(), Any)
